"""How the shipped model does on the sources that it was not trained on: rules, classifier, both.

Reads what `final.py` left in `work/`: scores of the exported graph on the held-out rows. The kinds
`contextual` and `indirect-weak` are scored here as well, apart from the totals.
"""

import argparse
import json

import numpy

import data
import final
import loso
import metrics
import rules
import train


def main():
    """Prints the table for each threshold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--public", help="public sets: one file of JSON lines")
    parser.add_argument("--weir", default="weir", help="the weir command, for the rules' side")
    parser.add_argument("--name", default="final")
    parser.add_argument("--threshold", default="fpr_1", choices=list(final.SHARES))
    args = parser.parse_args()
    config = json.loads((final.OUT / "config.json").read_text())["weir"]
    margins = json.loads((train.WORK / f"{args.name}-int8-held.json").read_text())
    rows = [row for row in data.load(args.public) if data.held_out(row)]
    apart = [row for row in rows if row.apart]
    if apart:
        scored = final.Exported(final.OUT / "model.onnx").margins([row.text for row in apart])
        margins |= dict(zip([row.id for row in apart], scored.tolist(), strict=True))
    scores = final.chance([margins[row.id] for row in rows], config["temperature"])
    above = config["thresholds"][args.threshold]
    judged = [
        loso.Judged(row, score, score > above, found)
        for row, score, found in zip(rows, scores, rules.hits(args.weir, rows), strict=True)
    ]
    print(f"threshold {args.threshold}: {above}")
    print(loso.report(judged))
    labels = numpy.array([row.label for row in rows if not row.apart])
    kept = numpy.array([one.score for one in judged if not one.row.apart])
    print(f"\nAUC {metrics.auc(labels, kept):.3f}, calibration error {metrics.calibration_error(labels, kept):.3f}")


if __name__ == "__main__":
    main()
