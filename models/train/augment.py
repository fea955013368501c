"""Changes to texts that keep the label: what a classifier must not lean on.

Length and surroundings (a text set between harmless ones) and spelling.
"""

import re


def typos(text, draw, share=0.04):
    """Swaps, drops or doubles a letter in about `share` of the words."""

    def change(match):
        word = match.group()
        if draw.random() > share:
            return word
        at = int(draw.integers(0, len(word) - 1))
        how = draw.integers(0, 3)
        if how == 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if how == 1:
            return word[:at] + word[at + 1 :]
        return word[:at] + word[at] + word[at:]

    return re.sub(r"[A-Za-z]{4,}", change, text)


def plain(text):
    """Without punctuation at the ends of words, as people type in a hurry."""
    return re.sub(r"[.,;:!?\"']+(?=\s|$)", "", text)


def surround(text, around, draw):
    """`text` with a piece of harmless text before it, after it, or both."""
    before, after = (_piece(around[int(draw.integers(0, len(around)))], draw) for _ in range(2))
    joint = ["\n", "\n\n", " ", "\n---\n"][int(draw.integers(0, 4))]
    where = draw.random()
    if where < 0.4:
        return before + joint + text
    if where < 0.7:
        return text + joint + after
    return before + joint + text + joint + after


def _piece(text, draw):
    words = text.split(" ")
    size = int(draw.integers(8, 60))
    at = int(draw.integers(0, max(1, len(words) - size)))
    return " ".join(words[at : at + size])


def change_text(text, around, draw):
    """One random change of a text, or none."""
    if around and len(text) < 600 and draw.random() < 0.25:
        text = surround(text, around, draw)
    if draw.random() < 0.2:
        text = typos(text, draw)
    if draw.random() < 0.1:
        text = plain(text)
    return text
