"""What the base encoder makes of each window, computed once and kept on disk.

A window becomes the mean and the maximum over its tokens after the
embeddings and after each layer, side by side. Lower layers tell these texts apart better than the
last one, which was trained to put whole sentences by topic. Keyed by the window's token ids; float16;
one file that only grows, with its index beside it, under a lock.
"""

import fcntl
import hashlib
import pickle

import numpy
import torch

import windows
from encoder import FEATURES, Encoder, load_base


def key(part):
    """Identity of a window: the hash of its token ids."""
    return hashlib.blake2b(part.tobytes(), digest_size=12).digest()


class Features:
    """Vectors of windows."""

    def __init__(self, folder, bf16):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "features.f16"
        self.index_path = folder / "features.index"
        self.lock_path = folder / "features.lock"
        self.bf16 = bf16
        self.reload()

    def reload(self):
        """Reads the index and maps the file as it stands."""
        self.index = {}
        if self.index_path.exists():
            self.index = pickle.loads(self.index_path.read_bytes())
        self.map = None
        if self.index:
            shape = (len(self.index), FEATURES)
            self.map = numpy.memmap(self.path, dtype=numpy.float16, mode="r", shape=shape)

    def add(self, parts, log=print):
        """Computes the windows that are not there yet."""
        with self.lock_path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.reload()
            fresh = {key(part): part for part in parts}
            fresh = {name: part for name, part in fresh.items() if name not in self.index}
            if not fresh:
                return
            names, new = list(fresh), list(fresh.values())
            log(f"features: {len(new)} windows, {sum(map(len, new))} tokens to compute", flush=True)
            encoder = load_base(Encoder()).eval()
            with self.path.open("ab") as out:
                # What a broken run left behind its last index is cut off.
                out.truncate(len(self.index) * FEATURES * 2)
                out.seek(0, 2)
                made = list(windows.by_length([len(part) for part in new], 4096))
                for number, batch in enumerate(made, 1):
                    ids, mask = windows.pad([new[at] for at in batch])
                    bf16 = torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16)
                    with torch.no_grad(), bf16:
                        found = encoder(ids, mask).half().numpy()
                    for row, at in enumerate(batch):
                        out.write(found[row].tobytes())
                        self.index[names[at]] = len(self.index)
                    if number % 40 == 0 or number == len(made):
                        out.flush()
                        self.keep_index()
            self.reload()

    def keep_index(self):
        """Writes the index whole, then puts it in place."""
        kept = self.index_path.with_suffix(".tmp")
        kept.write_bytes(pickle.dumps(self.index))
        kept.replace(self.index_path)

    def of(self, parts):
        """The vectors of windows, one a row, in the order given."""
        return numpy.asarray(self.map)[[self.index[key(part)] for part in parts]]
