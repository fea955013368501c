"""A second, much smaller signal for comparison: logistic regression over hashed n-grams of tokens."""

import numpy
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

import windows

SINGLE, HASHED = 30522, 2**17


def grams(ids):
    """Numbers of the tokens of a window, of neighbours, and of tokens with one between them."""
    t = ids[1:-1].astype(numpy.int64)
    near = SINGLE + (t[:-1] * 7919 + t[1:] * 104729) % HASHED
    far = SINGLE + HASHED + (t[:-2] * 15485863 + t[2:] * 32452843) % HASHED
    return numpy.concatenate([t, near, far])


def features(parts):
    """How often each n-gram stands in each window, over the root of their number."""
    found = [grams(part) for part in parts]
    ends = numpy.cumsum([0] + [len(one) for one in found])
    values = numpy.concatenate([numpy.full(len(one), max(1, len(one)) ** -0.5) for one in found])
    shape = (len(parts), SINGLE + 2 * HASHED)
    return csr_matrix((values, numpy.concatenate(found), ends), shape=shape)


def cut(rows):
    """The windows of each row."""
    coded = windows.encode(windows.tokenizer(), [row.text for row in rows])
    return [[windows.window_at(ids, at) for at in windows.starts(len(ids))[:16]] for ids in coded]


def highest(model, forms):
    """Of each text the highest window's log odds, and which window that is."""
    scores = model.decision_function(features([part for form in forms for part in form]))
    ends = numpy.cumsum([len(form) for form in forms])[:-1]
    each = numpy.split(scores, ends)
    return numpy.array([one.max() for one in each]), [int(one.argmax()) for one in each]


def fit(rows, seed):
    """Sources count by a low power of their size, injections as much as harmless texts."""
    labels = numpy.array([row.label for row in rows])
    weights = numpy.zeros(len(rows))
    for label in (0, 1):
        inside = labels == label
        units = numpy.array(["own" if row.own else row.unit for row in rows])[inside]
        sizes = dict(zip(*numpy.unique(units, return_counts=True), strict=True))
        weights[inside] = [1.0 if unit == "own" else min(1.0, 100 / sizes[unit]) for unit in units]
        weights[inside] *= len(rows) / 2 / weights[inside].sum()
    forms = cut(rows)
    at = [0] * len(rows)
    # Twice: of long texts first the first window, then the one that scores highest.
    for _ in range(2):
        model = LogisticRegression(C=10.0, max_iter=60, random_state=seed)
        parts = [form[one] for form, one in zip(forms, at, strict=True)]
        model.fit(features(parts), labels, sample_weight=weights)
        at = highest(model, forms)[1]
    return model


def score(model, rows):
    """Probability of injection of each row."""
    return 1.0 / (1.0 + numpy.exp(-highest(model, cut(rows))[0]))
