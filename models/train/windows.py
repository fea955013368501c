"""Texts as windows of tokens, cut the way `weir` cuts them.

A text is tokenised whole, without special tokens; a window is [CLS], up to `WINDOW - 2` tokens,
[SEP]; each window begins `STRIDE` tokens after the one before it, and the last one reaches the end.
"""

import hashlib

import numpy
import torch
from tokenizers import Tokenizer

from encoder import base_folder

WINDOW, STRIDE = 128, 64
CLS, SEP, PAD, MASK = 101, 102, 0, 103


def tokenizer():
    """The base encoder's tokenizer with truncation and padding off, as it is shipped."""
    made = Tokenizer.from_file(str(base_folder() / "tokenizer.json"))
    made.no_truncation()
    made.no_padding()
    return made


def encode(made, texts):
    """Token ids of each text, without [CLS] and [SEP]."""
    coded = made.encode_batch(list(texts), add_special_tokens=False)
    return [numpy.asarray(one.ids, dtype=numpy.int32) for one in coded]


def starts(length, window=WINDOW, stride=STRIDE):
    """First tokens of the windows over a text of `length` tokens; an empty text has one window.

    >>> starts(0), starts(126), starts(127), starts(300)
    ([0], [0], [0, 64], [0, 64, 128, 192])
    """
    begins = [0]
    while begins[-1] + window - 2 < length:
        begins.append(begins[-1] + stride)
    return begins


def window_at(ids, start, window=WINDOW):
    """The ids of one window, special tokens included."""
    part = ids[start : start + window - 2]
    return numpy.concatenate([[CLS], part, [SEP]]).astype(numpy.int32)


def pad(parts):
    """Ids and attention mask of windows, as tensors as long as the longest of them."""
    longest = max(len(part) for part in parts)
    ids = torch.zeros(len(parts), longest, dtype=torch.long)
    mask = torch.zeros(len(parts), longest, dtype=torch.long)
    for row, part in enumerate(parts):
        ids[row, : len(part)] = torch.from_numpy(part.astype(numpy.int64))
        mask[row, : len(part)] = 1
    return ids, mask


def by_length(lengths, tokens):
    """Lists of indices of windows of like length, each list at most `tokens` padded tokens."""
    order = sorted(range(len(lengths)), key=lambda at: lengths[at])
    batch = []
    for at in order:
        if batch and (len(batch) + 1) * lengths[at] > tokens:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def file_hash(path):
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
