"""Tunes the encoder's upper layers together with a head that has learnt over the frozen encoder.

First the head, then both at a small rate, so that what the encoder knows is bent and not torn
(Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022); the result is a running
mean of the weights. Embeddings and lower layers stay as they came.
"""

import copy
import dataclasses
import math
import time

import numpy
import torch
import torch.nn.functional as functional

import train
import windows
from encoder import Encoder, load_base


@dataclasses.dataclass
class Tuning:
    """What the second stage depends on besides the first one's settings."""

    tune_epochs: int = 4
    frozen: int = 2
    tune_rate: float = 2.5e-4
    head_rate: float = 3e-4
    tune_decay: float = 0.01
    tokens: int = 1536
    hide: float = 0.08
    mean_over: float = 0.998


class Whole(torch.nn.Module):
    """Encoder and head: windows to two logits each; the encoder in bfloat16 if `bf16` is set."""

    def __init__(self, encoder, head, bf16):
        super().__init__()
        self.encoder, self.head, self.bf16 = encoder, head, bf16

    def forward(self, ids, mask):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            features = self.encoder(ids, mask)
        return self.head(features.float())


class Scorer:
    """Scores windows and texts by encoder and head together."""

    def __init__(self, whole):
        self.whole = whole

    @torch.no_grad()
    def windows(self, parts):
        """Difference of the two logits of each window."""
        was = self.whole.training
        self.whole.eval()
        found = numpy.empty(len(parts), dtype=numpy.float32)
        for batch in windows.by_length([len(part) for part in parts], 4096):
            logits = self.whole(*windows.pad([parts[at] for at in batch]))
            found[batch] = (logits[:, 1] - logits[:, 0]).numpy()
        self.whole.train(was)
        return found

    texts = train.Scorer.texts


def batches(parts, tokens, draw):
    """Batches of windows of like length, in random order; what is alike in length varies."""
    lengths = numpy.array([len(part) for part in parts])
    blurred = (lengths * draw.uniform(0.85, 1.15, len(parts))).tolist()
    made = []
    batch, longest = [], 0
    for at in sorted(range(len(parts)), key=lambda at: blurred[at]):
        longest = max(longest, int(lengths[at]))
        if batch and (len(batch) + 1) * longest > tokens:
            made.append(batch)
            batch, longest = [], int(lengths[at])
        batch.append(at)
    made.append(batch)
    draw.shuffle(made)
    return made


def hidden(ids, mask, share, draw):
    """`ids` with a share of the words replaced by [MASK]."""
    drawn = torch.from_numpy(draw.random(ids.shape)) < share
    drawn &= (mask == 1) & (ids != windows.CLS) & (ids != windows.SEP)
    return torch.where(drawn, torch.full_like(ids, windows.MASK), ids)


def learn(rows, settings, tuning, name, features):
    """Both stages on `rows`: encoder and head, ready to score."""
    texts = train.Texts(rows, settings)
    head = train.train(texts, settings, name, features)
    return tune(texts, settings, tuning, name, head)


def tune(texts, settings, tuning, name, head, log=print):
    """Tunes encoder and `head` on `texts`; returns both."""
    clock = time.time()
    torch.manual_seed(settings.seed)
    draw = numpy.random.default_rng(settings.seed)
    encoder = load_base(Encoder())
    lower = [encoder.words, encoder.positions, encoder.types, encoder.embed_norm]
    for part in [*lower, *encoder.layers[: tuning.frozen]]:
        part.requires_grad_(False)
    whole = Whole(encoder, copy.deepcopy(head), settings.bf16)
    kept = copy.deepcopy(whole).eval()
    scorer = Scorer(kept)
    learnt = [part for part in encoder.parameters() if part.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": learnt, "top": tuning.tune_rate},
            {"params": whole.head.parameters(), "top": tuning.head_rate},
        ],
        weight_decay=tuning.tune_decay,
    )
    step = 0
    for epoch in range(tuning.tune_epochs):
        chosen = train.draw_epoch(texts, settings, scorer, draw, False)
        parts, labels = train.pick(texts, chosen, scorer, draw, False)
        log(f"{name}: epoch {epoch + 1} drawn, texts {len(chosen)} seconds {time.time() - clock:.0f}", flush=True)
        made = batches(parts, tuning.tokens, draw)
        whole.train()
        loss_sum = 0.0
        for number, batch in enumerate(made):
            done = (epoch + number / len(made)) / tuning.tune_epochs
            pace = min(1.0, done * 15) * 0.5 * (1 + math.cos(math.pi * done))
            for group in optimiser.param_groups:
                group["lr"] = group["top"] * pace
            ids, mask = windows.pad([parts[at] for at in batch])
            ids = hidden(ids, mask, tuning.hide, draw)
            loss = functional.cross_entropy(
                whole(ids, mask), labels[batch], label_smoothing=settings.smoothing
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(whole.parameters(), 1.0)
            optimiser.step()
            step += 1
            share = min(tuning.mean_over, (1 + step) / (10 + step))
            with torch.no_grad():
                for mean, now in zip(kept.parameters(), whole.parameters(), strict=True):
                    if now.requires_grad:
                        mean.lerp_(now, 1 - share)
            loss_sum += float(loss.detach()) / len(made)
            if number % 100 == 0:
                log(f"{name}: epoch {epoch + 1} step {number}/{len(made)} seconds {time.time() - clock:.0f}", flush=True)
        log(f"{name}: tuned {epoch + 1}/{tuning.tune_epochs} loss {loss_sum:.4f} seconds {time.time() - clock:.0f}", flush=True)
    return kept.eval()
