"""Thresholds, recall, area under the curve and calibration error, on plain arrays."""

import numpy


def threshold(scores, share, weights=None):
    """The lowest score above which at most `share` of harmless texts lie (by weight).

    A text is a hit when its score is strictly above the threshold.

    >>> threshold(numpy.array([0.1, 0.2, 0.3, 0.4]), 0.25)
    0.3
    """
    order = numpy.argsort(-scores)
    weights = numpy.ones(len(scores)) if weights is None else weights
    above = numpy.cumsum(weights[order]) / weights.sum()
    at = int(numpy.searchsorted(above, share + 1e-12, side="right"))
    return float(scores[order[min(at, len(order) - 1)]])


def balanced(units, full=100):
    """Weights under which units count alike, however many texts they have.

    A unit of fewer than `full` texts counts in proportion: one text must not set a threshold.

    >>> balanced(numpy.array(["a", "a", "a", "b"]), full=2).round(3).tolist()
    [0.222, 0.222, 0.222, 0.333]
    """
    _, inverse, sizes = numpy.unique(units, return_inverse=True, return_counts=True)
    weights = (numpy.minimum(sizes, full) / sizes)[inverse]
    return weights / weights.sum()


def auc(labels, scores):
    """Chance that an injection scores above a harmless text; ties count half."""
    from scipy.stats import rankdata

    labels = numpy.asarray(labels)
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / positives / negatives)


def calibration_error(labels, scores, bins=10):
    """Mean distance between score and share of injections over bins of equal width (ECE)."""
    labels, scores = numpy.asarray(labels, float), numpy.asarray(scores, float)
    at = numpy.minimum((scores * bins).astype(int), bins - 1)
    total = 0.0
    for one in range(bins):
        inside = at == one
        if inside.any():
            total += inside.mean() * abs(labels[inside].mean() - scores[inside].mean())
    return float(total)
