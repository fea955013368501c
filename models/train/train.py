"""Fine-tunes the classifier. `make train` runs this; `loso.py` uses the same steps in each fold.

Texts are drawn by source, not by row; of long texts the window that scores highest is learnt from
(an attack may be in any of them, and a harmless text's worst window is the false alarm); of public
harmless texts more are looked at than learnt from, and the highest-scoring are kept.
Resumable: after each epoch everything goes to a checkpoint that is named after the settings.
"""

import collections
import dataclasses
import functools
import json
import pathlib
import time

import numpy
import torch
import torch.nn.functional as functional

import augment
import data
import windows
from encoder import Classifier, load_base

WORK = pathlib.Path(__file__).resolve().parent / "work"


@dataclasses.dataclass
class Settings:
    """What one run depends on besides its rows."""

    seed: int = 1
    epochs: int = 6
    frozen: int = 4
    rate: float = 2e-4
    head_rate: float = 1e-3
    decay: float = 0.01
    smoothing: float = 0.05
    batch_tokens: int = 1024
    variants: int = 2
    own_share: float = 1.0
    attacks_per_unit: int = 70
    harmless_per_unit: int = 50
    harmless_looked_at: int = 80
    pool_per_unit: int = 300
    most_windows: int = 8
    hide: float = 0.02
    hide_triggers: float = 0.15
    average: float = 0.99
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
        vocabulary = [made.token_to_id(word) for word in augment.TRIGGERS]
        self.triggers = numpy.array([one for one in vocabulary if one is not None])

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
    """At most `pool_per_unit` rows of each public unit, the same ones whatever else is there."""
    units = collections.defaultdict(list)
    for row in rows:
        units["" if row.own else (row.unit, row.label)].append(row)
    kept = units.pop("", [])
    for members in units.values():
        members.sort(key=lambda row: data.text_hash(row.text))
        kept += members[: settings.pool_per_unit]
    return kept


def cut(ids, most, draw):
    """The windows of a text; of a long one `most` at random, first and last among them."""
    begins = windows.starts(len(ids))
    if len(begins) > most:
        inner = draw.choice(begins[1:-1], most - 2, replace=False)
        begins = [begins[0], *sorted(inner.tolist()), begins[-1]]
    return [windows.window_at(ids, begin) for begin in begins]


@torch.no_grad()
def score_windows(model, store, bf16, parts, tokens=8192):
    """Difference of the two logits of each window."""
    was = model.training
    model.eval()
    scores = numpy.zeros(len(parts), dtype=numpy.float32)
    for batch in windows.by_length([len(part) for part in parts], tokens):
        x, mask = store.batch([parts[at] for at in batch])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits = model.upper(x, mask).float()
        scores[batch] = (logits[:, 1] - logits[:, 0]).numpy()
    model.train(was)
    return scores


def score_texts(model, store, bf16, forms):
    """For each text, given as its windows, the highest window's difference of logits."""
    parts = [part for form in forms for part in form]
    owner = [at for at, form in enumerate(forms) for _ in form]
    scores = numpy.full(len(forms), -numpy.inf, dtype=numpy.float32)
    numpy.maximum.at(scores, owner, score_windows(model, store, bf16, parts))
    return scores


def draw_epoch(texts, settings, score, draw, first):
    """Which rows to learn from in one epoch, in any order."""
    chosen = []
    for (label, own, _), members in sorted(texts.units.items()):
        members = numpy.array(members)
        if own:
            size = max(1, round(len(members) * settings.own_share))
            chosen += draw.choice(members, size, replace=False).tolist()
            continue
        if label == 1:
            size = min(len(members), settings.attacks_per_unit)
            chosen += draw.choice(members, size, replace=False).tolist()
            continue
        seen = draw.choice(members, min(len(members), settings.harmless_looked_at), replace=False)
        size = min(len(seen), settings.harmless_per_unit)
        if first or size == len(seen):
            chosen += seen[:size].tolist()
            continue
        order = numpy.argsort(-score([texts.forms[at][0] for at in seen]))
        hardest = size * 3 // 4
        chosen += seen[order[:hardest]].tolist()
        chosen += draw.choice(seen[order[hardest:]], size - hardest, replace=False).tolist()
    return chosen


def pick_windows(forms, score_parts, draw, first):
    """One window of each text: of long texts the one that scores highest, at first any."""
    picked = [form[int(draw.integers(0, len(form)))] for form in forms]
    several = [at for at, form in enumerate(forms) if len(form) > 1]
    if first or not several:
        return picked
    parts = [part for at in several for part in forms[at]]
    scores = score_parts(parts)
    begin = 0
    for at in several:
        size = len(forms[at])
        picked[at] = forms[at][int(numpy.argmax(scores[begin : begin + size]))]
        begin += size
    return picked


def hide(parts, mask, settings, triggers, draw):
    """Attention mask with some tokens hidden, trigger words more often; [CLS] always stays."""
    for row, part in enumerate(parts):
        chance = numpy.where(
            numpy.isin(part, triggers),
            settings.hide_triggers if draw.random() < 0.5 else settings.hide,
            settings.hide,
        )
        chance[0] = 0.0
        gone = draw.random(len(part)) < chance
        mask[row, : len(part)][torch.from_numpy(gone)] = 0
    return mask


def optimiser_of(model, settings):
    """AdamW: the head learns faster, upper layers faster than lower ones, norms do not decay."""
    groups = []
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        rate = settings.head_rate
        if name.startswith("layers."):
            rate = settings.rate * 0.85 ** (len(model.layers) - 1 - int(name.split(".")[1]))
        elif not name.startswith("head"):
            rate = settings.rate * 0.3
        decay = settings.decay if weight.dim() > 1 else 0.0
        groups.append({"params": [weight], "lr": rate, "peak": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))


def train(rows, settings, name, store, log=print):
    """Trains on `rows` and returns the model with averaged weights; resumes where it was."""
    mark = data.text_hash(
        json.dumps(
            [dataclasses.asdict(settings), [(row.id, row.text, row.label) for row in rows]]
        )
    )[:16]
    WORK.mkdir(exist_ok=True)
    place = WORK / f"{name}-{mark}.pt"
    torch.manual_seed(settings.seed)
    model = load_base(Classifier())
    model.freeze(settings.frozen)
    optimiser = optimiser_of(model, settings)
    learning = {key: one for key, one in model.named_parameters() if one.requires_grad}
    average = {key: one.detach().clone() for key, one in learning.items()}
    begun, steps = 0, 0
    if place.exists():
        kept = torch.load(place, weights_only=False)
        model.load_state_dict(kept["learning"], strict=False)
        optimiser.load_state_dict(kept["optimiser"])
        average, begun, steps = kept["average"], kept["epoch"], kept["steps"]
        log(f"{name}: goes on after epoch {begun} from {place.name}")
    texts = Texts(rows, settings)
    store.add(texts.parts())
    score = functools.partial(score_texts, model, store, settings.bf16)
    score_parts = functools.partial(score_windows, model, store, settings.bf16)
    model.train()
    for epoch in range(begun, settings.epochs):
        # Each epoch has its own seed, so that a resumed run draws what an unbroken one would.
        draw = numpy.random.default_rng([settings.seed, epoch])
        torch.manual_seed(settings.seed * 1000 + epoch)
        clock = time.time()
        chosen = draw_epoch(texts, settings, score, draw, epoch == 0)
        draw.shuffle(chosen)
        forms = [texts.forms[at][int(draw.integers(0, len(texts.forms[at])))] for at in chosen]
        parts = pick_windows(forms, score_parts, draw, epoch == 0)
        labels = torch.tensor([texts.rows[at].label for at in chosen])
        made = list(windows.by_length([len(part) for part in parts], settings.batch_tokens))
        draw.shuffle(made)
        loss_sum = 0.0
        for number, batch in enumerate(made):
            at = (epoch + number / len(made)) / settings.epochs
            # Up over the first twentieth, then down along a half cosine.
            share = min(1.0, at / 0.05) * 0.5 * (1 + numpy.cos(numpy.pi * at))
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * max(share, 0.01)
            some = [parts[one] for one in batch]
            x, mask = store.batch(some)
            mask = hide(some, mask, settings, texts.triggers, draw)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.bf16):
                logits = model.upper(x, mask).float()
            loss = functional.cross_entropy(
                logits, labels[batch], label_smoothing=settings.smoothing, reduction="sum"
            ) / max(1.0, len(chosen) / len(made))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learning.values(), 1.0)
            optimiser.step()
            steps += 1
            keep = min(settings.average, steps / (steps + 10))
            with torch.no_grad():
                for key, value in learning.items():
                    average[key].mul_(keep).add_(value, alpha=1 - keep)
            loss_sum += float(loss.detach()) / len(made)
        log(
            f"{name}: epoch {epoch + 1}/{settings.epochs} texts {len(chosen)} "
            f"steps {len(made)} loss {loss_sum:.4f} seconds {time.time() - clock:.0f}",
            flush=True,
        )
        torch.save(
            {
                "learning": {key: one.detach() for key, one in learning.items()},
                "optimiser": optimiser.state_dict(),
                "average": average,
                "epoch": epoch + 1,
                "steps": steps,
            },
            place,
        )
    model.load_state_dict(average, strict=False)
    model.eval()
    return model


def options(parser):
    """Adds one option for each setting."""
    for field in dataclasses.fields(Settings):
        if field.type is bool or field.type == "bool":
            parser.add_argument(f"--{field.name}", type=int, default=int(field.default))
        else:
            parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)


def settings_of(args):
    """Settings from parsed options."""
    return Settings(
        **{f.name: type(f.default)(getattr(args, f.name)) for f in dataclasses.fields(Settings)}
    )
