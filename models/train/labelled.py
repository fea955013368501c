"""Prints families of a corpus as rows for `weir eval`: each with its label, its family as source and
its carrier as kind. What an agent reads is marked as a tool's result or as retrieved.

    python3 models/train/labelled.py models/train/fresh > fresh.jsonl
    weir eval fresh.jsonl --classifier models/injection
"""

import json
import pathlib
import sys


def speaker_of(carrier):
    """Who speaks in a text that stands there, as `weir eval` names it."""
    users, results = ("user", "chat", "output"), ("tool_result", "log")
    return "user" if carrier in users else "tool_result" if carrier in results else "retrieved"


def rows(folder):
    """Rows of all families of a folder."""
    for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if not line.strip():
                continue
            one = json.loads(line)
            yield {
                "id": f"{path.stem}:{number}",
                "text": one["text"],
                "label": "injection" if one["label"] else "benign",
                "source": path.stem,
                "kind": one["carrier"],
                "carrier": speaker_of(one["carrier"]),
            }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: labelled.py FOLDER")
    for row in rows(sys.argv[1]):
        print(json.dumps(row, ensure_ascii=False))
