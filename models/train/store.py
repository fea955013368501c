"""What the frozen layers make of each window, computed once and kept on disk.

The lower layers never change, so their output for a window is the same in every epoch and every
fold: a store saves more than half of all work. Keyed by the window's token ids; float16; one file
that only grows, with its index beside it, under a lock.
"""

import fcntl
import hashlib
import pickle

import numpy
import torch

import windows
from encoder import HIDDEN, Classifier, load_base


def key(part):
    """Identity of a window: the hash of its token ids."""
    return hashlib.blake2b(part.tobytes(), digest_size=12).digest()


class Store:
    """Hidden states after `frozen` layers, by window."""

    def __init__(self, folder, frozen, bf16):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"lower{frozen}.f16"
        self.index_path = folder / f"lower{frozen}.index"
        self.lock_path = folder / f"lower{frozen}.lock"
        self.bf16 = bf16
        self.model = load_base(Classifier())
        self.model.freeze(frozen)
        self.model.eval()
        self.reload()

    def reload(self):
        """Reads the index and maps the file as it stands."""
        self.index = {}
        if self.index_path.exists():
            self.index = pickle.loads(self.index_path.read_bytes())
        self.tokens = sum(length for _, length in self.index.values())
        self.map = None
        if self.tokens:
            shape = (self.tokens, HIDDEN)
            self.map = numpy.memmap(self.path, dtype=numpy.float16, mode="r", shape=shape)

    @torch.no_grad()
    def add(self, parts, log=print):
        """Computes the windows that are not there yet."""
        with self.lock_path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.reload()
            fresh = {}
            for part in parts:
                name = key(part)
                if name not in self.index:
                    fresh[name] = part
            if not fresh:
                return
            names, new = list(fresh), list(fresh.values())
            log(f"store: {len(new)} windows, {sum(map(len, new))} tokens to compute", flush=True)
            with self.path.open("ab") as out:
                # What a broken run left behind its last index is cut off.
                out.truncate(self.tokens * HIDDEN * 2)
                out.seek(0, 2)
                made = list(windows.by_length([len(part) for part in new], 8192))
                for number, batch in enumerate(made, 1):
                    ids, mask = windows.pad([new[at] for at in batch])
                    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
                        x = self.model.lower(ids, mask).half().numpy()
                    for row, at in enumerate(batch):
                        length = len(new[at])
                        out.write(x[row, :length].tobytes())
                        self.index[names[at]] = (self.tokens, length)
                        self.tokens += length
                    if number % 20 == 0 or number == len(made):
                        out.flush()
                        self.keep_index()
            self.reload()

    def keep_index(self):
        """Writes the index whole, then puts it in place."""
        kept = self.index_path.with_suffix(".tmp")
        kept.write_bytes(pickle.dumps(self.index))
        kept.replace(self.index_path)

    def batch(self, parts):
        """Hidden states and attention mask of windows, padded."""
        longest = max(len(part) for part in parts)
        x = numpy.zeros((len(parts), longest, HIDDEN), dtype=numpy.float16)
        mask = torch.zeros(len(parts), longest, dtype=torch.long)
        for row, part in enumerate(parts):
            begin, length = self.index[key(part)]
            x[row, :length] = self.map[begin : begin + length]
            mask[row, :length] = 1
        return torch.from_numpy(x).float(), mask
