"""Leaves one group of sources out, trains on the rest, and measures on what was left out.

Fold i tests on group i; the threshold is the one at which 1% of the harmless texts of group i + 1
are hit, each source counting as one and twins of attacks left out, and group i + 1 is not trained
on either. Our own families are
split over the groups whole, so each fold also tests on families that were not seen.
A fold whose result stands in `work/loso/` is not run again.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import time

import numpy
import torch

import data
import metrics
import ngrams
import rules
import train
import tune
from features import Features

FOLDER = train.WORK / "loso"
SHARE = 0.01


def scores_of(scorer, rows, settings):
    """Probability of injection of each row, temperature 1."""
    texts = train.Texts(rows, dataclasses.replace(settings, variants=0))
    margins = scorer.texts([forms[0] for forms in texts.forms])
    return 1.0 / (1.0 + numpy.exp(-margins.astype(float)))


def blend(one, other):
    """Mean of two probabilities in log odds."""
    one, other = (numpy.clip(part, 1e-6, 1 - 1e-6) for part in (one, other))
    odds = (numpy.log(one / (1 - one)) + numpy.log(other / (1 - other))) / 2
    return 1.0 / (1.0 + numpy.exp(-odds))


def cutoff(scores, rows):
    """Score above which 1% of the harmless texts among `rows` lie, each source counting alike."""
    calibrating, weights = data.calibrating(rows)
    return metrics.threshold(scores[calibrating], SHARE, weights)


def split(rows, group):
    """Rows of a fold: what is learnt from, what sets the threshold, what is tested."""
    beside = (group + 1) % data.N_GROUPS
    return {
        "learnt": [row for row in rows if row.group not in (group, beside) and not row.apart],
        "held": [row for row in rows if row.group == beside and not row.apart],
        "test": [row for row in rows if row.group == group],
    }


def fold(rows, group, settings, tuning, name, features):
    """Scores of one fold by the encoder, over the rows that set the threshold and the test rows."""
    parts = split(rows, group)
    whole = tune.learn(parts["learnt"], settings, tuning, f"{name}-fold{group}", features)
    scorer = tune.Scorer(whole)
    scores = {
        part: scores_of(scorer, parts[part], settings).round(6).tolist()
        for part in ("held", "test")
    }
    ids = {part: [row.id for row in parts[part]] for part in ("held", "test")}
    return {"group": group, "learnt": len(parts["learnt"]), "ids": ids, "encoder": scores}


def add_ngrams(result, rows, seed):
    """Adds the scores of hashed n-grams, and of both together, to a fold's result."""
    parts = split(rows, result["group"])
    linear = ngrams.fit(parts["learnt"], seed)
    result["ngrams"], result["blend"] = {}, {}
    for part in ("held", "test"):
        scores = ngrams.score(linear, parts[part])
        result["ngrams"][part] = scores.round(6).tolist()
        result["blend"][part] = blend(numpy.array(result["encoder"][part]), scores).round(6).tolist()


@dataclasses.dataclass
class Judged:
    """One test row: what the classifier and the rules make of it."""

    row: data.Row
    score: float
    classifier: bool
    rules: bool

    @property
    def both(self):
        """Whether either of them fires."""
        return self.classifier or self.rules


def judge(rows, results, found, which):
    """Every test row of every fold, judged by the threshold of its fold."""
    by_id = {row.id: row for row in rows}
    for result in results:
        held = [by_id[one] for one in result["ids"]["held"]]
        above = cutoff(numpy.array(result[which]["held"]), held)
        print(f"fold {result['group']}: {which}, learnt from {result['learnt']}, threshold {above:.4f}")
        for identity, score in zip(result["ids"]["test"], result[which]["test"], strict=True):
            yield Judged(by_id[identity], score, score > above, found[identity])


def share(part, of):
    """Percentage of the rows for which `of` holds, as a cell of a table."""
    return f"{100 * sum(getattr(one, of) for one in part) / len(part):.1f}%" if part else ""


def line(name, bad, good, pool):
    """One line of the table; the area is taken against `pool` where a source has few harmless rows."""
    area = ""
    if bad:
        against = [one.score for one in (good if len(good) >= 20 else pool)]
        labels = [1] * len(bad) + [0] * len(against)
        area = f"{metrics.auc(labels, [one.score for one in bad] + against):.3f}"
    cells = [name, str(len(bad) or "")]
    cells += [share(bad, of) for of in ("rules", "classifier", "both")]
    cells += [str(len(good) or "")]
    cells += [share(good, of) for of in ("rules", "classifier", "both")]
    return "| " + " | ".join([*cells, area]) + " |"


def report(judged):
    """A table by source, and under it totals: recall and false alarms of rules, classifier, both."""
    lines = [
        "| source | attacks | rules | classifier | both | harmless | rules | classifier | both | AUC |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    pools = collections.defaultdict(list)
    cells = collections.defaultdict(lambda: ([], []))
    for one in judged:
        row = one.row
        name = f"own: {row.source}" if row.own else f"{row.source} {row.kind}"
        cells[row.group, name][1 - row.label].append(one)
        if not row.apart:
            total = "own families" if row.own else "public sources"
            cells[data.N_GROUPS, f"**all {total}**"][1 - row.label].append(one)
            if row.own and row.label == 0:
                part = "twins of attacks" if row.twin else "hard and ordinary harmless texts (`neg-*`)"
                cells[data.N_GROUPS + 1, f"of these: {part}"][1].append(one)
        if row.label == 0:
            pools[row.group].append(one)
            pools[data.N_GROUPS].append(one)
    for (group, name), (bad, good) in sorted(cells.items()):
        lines.append(line(name, bad, good, pools[group]))
    return "\n".join(lines)


def main():
    """Runs the folds that have no result yet and prints the table."""

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--public", help="public sets: one file of JSON lines")
    parser.add_argument("--weir", default="weir", help="the weir command, for the rules' side")
    parser.add_argument("--name", default="loso", help="results of different names stand apart")
    parser.add_argument("--folds", default="0,1,2,3,4,5")
    parser.add_argument("--corpus", type=pathlib.Path, default=data.CORPUS, help="our own corpus")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--which", default="encoder", choices=["encoder", "ngrams", "blend"])
    train.options(parser, train.Settings)
    train.options(parser, tune.Tuning)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    settings = train.settings_of(args, train.Settings)
    tuning = train.settings_of(args, tune.Tuning)
    rows = train.pool(data.load(args.public, args.corpus), settings)
    features = Features(train.WORK, settings.bf16)
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = []
    for group in map(int, args.folds.split(",")):
        place = FOLDER / f"{args.name}-{group}.json"
        if not place.exists():
            clock = time.time()
            result = fold(rows, group, settings, tuning, args.name, features)
            result["seconds"] = round(time.time() - clock)
            place.write_text(json.dumps(result))
        result = json.loads(place.read_text())
        if args.which != "encoder" and args.which not in result:
            add_ngrams(result, rows, settings.seed)
            place.write_text(json.dumps(result))
        results.append(result)
    tested = [row for row in rows if any(row.group == one["group"] for one in results)]
    found = dict(zip((row.id for row in tested), rules.hits(args.weir, tested), strict=True))
    print(report(list(judge(rows, results, found, args.which))))


if __name__ == "__main__":
    main()
