"""Leaves one group of sources out, trains on the rest, and measures on what was left out.

Fold i tests on group i; the threshold is the one at which 1% of the harmless texts of group i + 1
are hit, each source counting as one, and group i + 1 is not trained on either. Our own families are
split over the groups whole, so each fold also tests on families that were not seen.
A fold whose result stands in `work/loso/` is not run again.
"""

import argparse
import collections
import dataclasses
import json
import time

import numpy
import torch

import data
import metrics
import ngrams
import rules
import train
from store import Store

FOLDER = train.WORK / "loso"
SHARE = 0.01


def scores_of(model, store, rows, bf16):
    """Probability of injection of each row over all its windows, temperature 1."""
    texts = train.Texts(rows, dataclasses.replace(train.Settings(), variants=0, most_windows=64))
    store.add(texts.parts())
    forms = [forms[0] for forms in texts.forms]
    return 1.0 / (1.0 + numpy.exp(-train.score_texts(model, store, bf16, forms).astype(float)))


def blend(one, other):
    """Mean of two probabilities in log odds."""
    one, other = (numpy.clip(part, 1e-6, 1 - 1e-6) for part in (one, other))
    odds = (numpy.log(one / (1 - one)) + numpy.log(other / (1 - other))) / 2
    return 1.0 / (1.0 + numpy.exp(-odds))


def cutoffs(scores, rows, share):
    """Threshold over the harmless rows among `rows`, each source as one."""
    harmless = numpy.array([row.label == 0 for row in rows])
    sources = numpy.array(["own" if row.own else row.source for row in rows])[harmless]
    return metrics.threshold(scores[harmless], share, metrics.balanced(sources))


def fold(rows, group, settings, name, store):
    """Scores of one fold: for each test row its score by each model, and the thresholds."""
    beside = (group + 1) % data.N_GROUPS
    learnt = [row for row in rows if row.group not in (group, beside) and not row.apart]
    held = [row for row in rows if row.group == beside and not row.apart]
    test = [row for row in rows if row.group == group]
    model = train.train(learnt, settings, f"{name}-fold{group}", store)
    linear = ngrams.fit(learnt, settings.seed)
    result = {"group": group, "learnt": len(learnt), "thresholds": {}, "scores": {}}
    scored = {}
    for part, members in (("held", held), ("test", test)):
        encoder = scores_of(model, store, members, settings.bf16)
        grams = ngrams.score(linear, members)
        scored[part] = {"encoder": encoder, "ngrams": grams, "blend": blend(encoder, grams)}
    for which, scores in scored["held"].items():
        result["thresholds"][which] = cutoffs(scores, held, SHARE)
    result["ids"] = [row.id for row in test]
    result["scores"] = {which: s.round(6).tolist() for which, s in scored["test"].items()}
    return result


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
        above = result["thresholds"][which]
        for identity, score in zip(result["ids"], result["scores"][which], strict=True):
            if identity in by_id:
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
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--which", default="encoder", choices=["encoder", "ngrams", "blend"])
    train.options(parser)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    settings = train.settings_of(args)
    rows = train.pool(data.load(args.public), settings)
    store = Store(train.WORK, settings.frozen, settings.bf16)
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = []
    for group in map(int, args.folds.split(",")):
        place = FOLDER / f"{args.name}-{group}.json"
        if not place.exists():
            clock = time.time()
            result = fold(rows, group, settings, args.name, store)
            result["seconds"] = round(time.time() - clock)
            place.write_text(json.dumps(result))
        results.append(json.loads(place.read_text()))
    tested = [row for row in rows if any(row.group == one["group"] for one in results)]
    found = dict(zip((row.id for row in tested), rules.hits(args.weir, tested), strict=True))
    for result in results:
        print(f"fold {result['group']}: thresholds {result['thresholds']}")
    print(report(list(judge(rows, results, found, args.which))))


if __name__ == "__main__":
    main()
