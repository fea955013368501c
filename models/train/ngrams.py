"""A second, much smaller signal for comparison: logistic regression over hashed n-grams."""

import numpy
from scipy.sparse import hstack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

WORDS = HashingVectorizer(analyzer="word", ngram_range=(1, 2), n_features=2**18)
LETTERS = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=2**19)


def features(texts):
    """Words and pairs of words, and letters in runs of three to five within words."""
    shortened = [text[:4000] for text in texts]
    return hstack([WORDS.transform(shortened), LETTERS.transform(shortened)]).tocsr()


def fit(rows, seed):
    """Each source counts as one, injections as much as harmless texts."""
    labels = numpy.array([row.label for row in rows])
    weights = numpy.zeros(len(rows))
    for label in (0, 1):
        inside = labels == label
        units = numpy.array([row.unit for row in rows])[inside]
        # A source of many texts counts more than one of few, but far less than by its rows.
        sizes = dict(zip(*numpy.unique(units, return_counts=True), strict=True))
        weights[inside] = [sizes[unit] ** -0.6 for unit in units]
        weights[inside] *= len(rows) / 2 / weights[inside].sum()
    model = LogisticRegression(C=10.0, max_iter=80, random_state=seed)
    return model.fit(features([row.text for row in rows]), labels, sample_weight=weights)


def score(model, rows):
    """Probability of injection of each row."""
    return model.predict_proba(features([row.text for row in rows]))[:, 1]
