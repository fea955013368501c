"""Trains the classifier's head over the encoder as it came; `tune.py` goes on from there.

Texts are drawn by source, not by row; of long texts the window that scores highest is learnt from
(an attack may be in any of them, and a harmless text's worst window is the false alarm); of public
harmless texts the highest-scoring are learnt from, and some others.
"""

import collections
import dataclasses
import pathlib
import time

import numpy
import torch
import torch.nn.functional as functional

import augment
import data
import windows
from encoder import Head

WORK = pathlib.Path(__file__).resolve().parent / "work"


@dataclasses.dataclass
class Settings:
    """What one run depends on besides its rows."""

    seed: int = 1
    epochs: int = 8
    hidden: int = 128
    rate: float = 1e-3
    decay: float = 0.05
    dropout_in: float = 0.3
    dropout: float = 0.5
    smoothing: float = 0.05
    batch: int = 64
    variants: int = 1
    attacks_per_unit: int = 100
    harmless_per_unit: int = 100
    attacks_pool: int = 120
    harmless_pool: int = 300
    most_windows: int = 8
    bf16: bool = True


class Texts:
    """Rows as windows: as they are, and in `variants` changed forms, the same ones in every run."""

    def __init__(self, rows, settings):
        self.rows = rows
        made = windows.tokenizer()
        ids = windows.encode(made, [row.text for row in rows])
        around = harmless_surroundings(rows)
        self.units = collections.defaultdict(list)
        self.forms = []
        for at, row in enumerate(rows):
            self.units[(row.label, row.own, row.unit)].append(at)
            draw = numpy.random.default_rng(int(data.text_hash(row.text)[:15], 16))
            forms = [cut(ids[at], settings.most_windows, draw)]
            for _ in range(settings.variants if row.own else 0):
                text = augment.change_text(row.text, around[row.group], draw)
                changed = windows.encode(made, [text])[0]
                forms.append(cut(changed, settings.most_windows, draw))
            self.forms.append(forms)

    def parts(self):
        """All windows of all forms."""
        return [part for forms in self.forms for form in forms for part in form]


def harmless_surroundings(rows):
    """Of each group the longer harmless texts, to set others of that group between.

    Never those of another group: what a fold leaves out must not come in as surroundings.
    """
    found = collections.defaultdict(list)
    for row in rows:
        if row.label == 0 and len(row.text) > 250 and not data.held_out(row):
            found[row.group].append(row.text)
    return found


def pool(rows, settings):
    """At most so many rows of each public unit, the same ones whatever else is there."""
    units = collections.defaultdict(list)
    for row in rows:
        units[None if row.own else (row.unit, row.label)].append(row)
    kept = units.pop(None, [])
    for (_, label), members in units.items():
        members.sort(key=lambda row: data.text_hash(row.text))
        kept += members[: settings.attacks_pool if label == 1 else settings.harmless_pool]
    return kept


def cut(ids, most, draw):
    """The windows of a text; of a long one `most` at random, first and last among them."""
    begins = windows.starts(len(ids))
    if len(begins) > most:
        inner = draw.choice(begins[1:-1], most - 2, replace=False)
        begins = [begins[0], *sorted(inner.tolist()), begins[-1]]
    return [windows.window_at(ids, begin) for begin in begins]


class Scorer:
    """A head with its features: scores windows and texts."""

    def __init__(self, head, features):
        self.head, self.features = head, features

    @torch.no_grad()
    def windows(self, parts):
        """Difference of the two logits of each window."""
        was = self.head.training
        self.head.eval()
        found = [
            self.head(torch.from_numpy(self.features.of(parts[at : at + 4096])).float())
            for at in range(0, len(parts), 4096)
        ]
        self.head.train(was)
        logits = torch.cat(found)
        return (logits[:, 1] - logits[:, 0]).numpy()

    def texts(self, forms):
        """For each text, given as its windows, the highest window's difference of logits."""
        owner = [at for at, form in enumerate(forms) for _ in form]
        scores = numpy.full(len(forms), -numpy.inf, dtype=numpy.float32)
        numpy.maximum.at(scores, owner, self.windows([part for form in forms for part in form]))
        return scores


def draw_epoch(texts, settings, scorer, draw, first):
    """Which rows to learn from in one epoch, in any order."""
    chosen = []
    for (label, own, _), members in sorted(texts.units.items()):
        members = numpy.array(members)
        size = settings.attacks_per_unit if label == 1 else settings.harmless_per_unit
        if own or len(members) <= size:
            chosen += members.tolist()
        elif label == 1 or first:
            chosen += draw.choice(members, size, replace=False).tolist()
        else:
            order = numpy.argsort(-scorer.texts([texts.forms[at][0] for at in members]))
            hardest = size * 3 // 4
            chosen += members[order[:hardest]].tolist()
            chosen += draw.choice(members[order[hardest:]], size - hardest, replace=False).tolist()
    return chosen


def pick_windows(forms, scorer, draw, first):
    """One window of each text: of long texts the one that scores highest, at first any."""
    picked = [form[int(draw.integers(0, len(form)))] for form in forms]
    several = [at for at, form in enumerate(forms) if len(form) > 1]
    if first or not several:
        return picked
    scores = scorer.windows([part for at in several for part in forms[at]])
    begin = 0
    for at in several:
        size = len(forms[at])
        picked[at] = forms[at][int(numpy.argmax(scores[begin : begin + size]))]
        begin += size
    return picked


def pick(texts, chosen, scorer, draw, first):
    """One window of one form of each of the rows `chosen`, and their labels."""
    forms = [texts.forms[at][int(draw.integers(0, len(texts.forms[at])))] for at in chosen]
    labels = torch.tensor([texts.rows[at].label for at in chosen])
    return pick_windows(forms, scorer, draw, first), labels


def train(texts, settings, name, features, log=print):
    """Trains a head on `texts` and returns it."""
    clock = time.time()
    torch.manual_seed(settings.seed)
    parts = texts.parts()
    features.add(parts, log)
    head = Head(settings.hidden, settings.dropout_in, settings.dropout)
    some = numpy.random.default_rng(settings.seed).choice(len(parts), min(4000, len(parts)), False)
    head.fit_scale(features.of([parts[at] for at in some]).astype(numpy.float32))
    scorer = Scorer(head, features)
    optimiser = torch.optim.AdamW(head.parameters(), lr=settings.rate, weight_decay=settings.decay)
    draw = numpy.random.default_rng(settings.seed)
    for epoch in range(settings.epochs):
        chosen = draw_epoch(texts, settings, scorer, draw, epoch == 0)
        draw.shuffle(chosen)
        picked, labels = pick(texts, chosen, scorer, draw, epoch == 0)
        x = torch.from_numpy(features.of(picked))
        head.train()
        loss_sum, steps = 0.0, -(-len(chosen) // settings.batch)
        for step in range(steps):
            done = (epoch + step / steps) / settings.epochs
            for group in optimiser.param_groups:
                group["lr"] = settings.rate * 0.5 * (1 + numpy.cos(numpy.pi * done))
            part = slice(step * settings.batch, (step + 1) * settings.batch)
            loss = functional.cross_entropy(
                head(x[part].float()), labels[part], label_smoothing=settings.smoothing
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            loss_sum += float(loss.detach()) / steps
        log(
            f"{name}: epoch {epoch + 1}/{settings.epochs} texts {len(chosen)} loss {loss_sum:.4f} "
            f"seconds {time.time() - clock:.0f}",
            flush=True,
        )
    return head.eval()


def options(parser, kind):
    """Adds one option for each setting of `kind`, a dataclass of numbers and switches."""
    for field in dataclasses.fields(kind):
        number = int if isinstance(field.default, bool) else type(field.default)
        parser.add_argument(f"--{field.name}", type=number, default=number(field.default))


def settings_of(args, kind):
    """The settings of `kind` from parsed options."""
    fields = dataclasses.fields(kind)
    return kind(**{one.name: type(one.default)(getattr(args, one.name)) for one in fields})
