"""What the deterministic rules of `weir` say about the same texts, for comparison."""

import json
import pathlib
import subprocess
import tempfile


def kind_of(carrier):
    """The kind of event that a text of this carrier comes in."""
    return {"user": "prompt", "chat": "prompt", "output": "output"}.get(carrier, "tool_result")


def hits(weir, rows):
    """For each row, whether a rule against injection fires with medium or high confidence."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as out:
            for number, row in enumerate(rows):
                line = {"id": str(number), "text": row.text, "kind": kind_of(row.carrier)}
                out.write(json.dumps(line) + "\n")
        done = subprocess.run(
            [weir, "scan", "--input", "jsonl", "--output", "jsonl", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{weir} scan: {done.stderr.strip()[-400:]}")
    found = [False] * len(rows)
    for line in done.stdout.splitlines():
        one = json.loads(line)
        found[int(one["id"])] = any(
            finding["family"] == "injection" and finding["confidence"] != "low"
            for finding in one["findings"]
        )
    return found
