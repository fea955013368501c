"""Checks the corpus: form of each line, copies and near-copies, and how evenly labels fall.

Errors (a line that does not parse, a missing or wrong member, the same text twice) end with code 1.
Near-copies and families out of balance are listed; people decide. `--drop` rewrites the files without
broken lines and without the later of two texts that are the same or share most of their shingles.
"""

import argparse
import collections
import json
import re

import numpy

import data

MEMBERS = {"label", "kind", "carrier", "lang", "text"}
CARRIERS = set(
    "user tool_result email web cv code ticket review calendar document log chat retrieved output".split()
)
SHINGLE = 5
# Share of the smaller text's shingles above which two texts of one label are near-copies.
NEAR = 0.6

# Words that public attacks share and that harmless texts hold as well.
TRIGGERS = (
    "ignore disregard forget override bypass previous prior above instructions instruction system "
    "prompt prompts rules guidelines restrictions unrestricted policy policies developer mode admin "
    "administrator secret confidential reveal pretend jailbreak jailbroken dan evil important "
    "immediately must assistant ai model chatgpt openai unfiltered uncensored simulate roleplay "
    "character persona print password ethical moral"
).split()


def words(text):
    """Words of a text in lower case, punctuation left out."""
    return re.findall(r"\w+", text.lower())


def shingles(text):
    """Runs of five words; a short text is one shingle."""
    found = words(text)
    if len(found) <= SHINGLE:
        return {" ".join(found)}
    return {" ".join(found[at : at + SHINGLE]) for at in range(len(found) - SHINGLE + 1)}


def read(problems):
    """Lines of each family that are in form: (path, number, object)."""
    kept = []
    for path in sorted(data.CORPUS.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if not line.strip():
                continue
            place = f"{path.name}:{number}"
            try:
                one = json.loads(line)
            except ValueError as wrong:
                problems.append(f"{place}: not JSON: {wrong}")
                continue
            if not isinstance(one, dict) or set(one) != MEMBERS:
                problems.append(f"{place}: members must be {sorted(MEMBERS)}")
            elif one["label"] not in (0, 1) or isinstance(one["label"], bool):
                problems.append(f"{place}: label must be 0 or 1")
            elif one["carrier"] not in CARRIERS:
                problems.append(f"{place}: unknown carrier {one['carrier']!r}")
            elif not isinstance(one["text"], str) or not one["text"].strip():
                problems.append(f"{place}: no text")
            else:
                kept.append((path, number, one))
    return kept


def copies(rows):
    """Pairs of rows whose texts are the same or near: (earlier, later, share, same label)."""
    seen = collections.defaultdict(list)
    sets = [shingles(one["text"]) for _, _, one in rows]
    pairs = []
    for at, mine in enumerate(sets):
        shared = collections.Counter(other for one in mine for other in seen[one][:50])
        for other, count in shared.items():
            share = count / min(len(mine), len(sets[other]))
            if share >= NEAR:
                pairs.append((other, at, share, rows[other][2]["label"] == rows[at][2]["label"]))
        for one in mine:
            seen[one].append(at)
    return pairs


def balance(rows):
    """A line for each family: texts, words and share with a trigger word, by label."""
    triggers = set(TRIGGERS)
    cells = collections.defaultdict(lambda: ([], []))
    for path, _, one in rows:
        cells[path.stem][one["label"]].append(words(one["text"]))
    print("| family | harmless | injection | median words | with trigger words |\n|---|---:|---:|---:|---:|")
    whole = ([], [])
    for family, sides in [*sorted(cells.items()), ("all", whole)]:
        middle = [int(numpy.median([len(w) for w in side])) if side else 0 for side in sides]
        share = [
            100 * sum(bool(triggers & set(w)) for w in side) // len(side) if side else 0 for side in sides
        ]
        print(
            f"| {family} | {len(sides[0])} | {len(sides[1])} | {middle[0]} / {middle[1]} "
            f"| {share[0]}% / {share[1]}% |"
        )
        if family != "all":
            for label in (0, 1):
                whole[label].extend(sides[label])


def main():
    """Prints problems, near-copies and the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--drop", action="store_true", help="rewrite files without bad and doubled lines")
    args = parser.parse_args()
    problems = []
    rows = read(problems)
    pairs = copies(rows)
    gone = set()
    for earlier, later, share, alike in pairs:
        name = [f"{rows[at][0].name}:{rows[at][1]}" for at in (earlier, later)]
        same = rows[earlier][2]["text"].strip() == rows[later][2]["text"].strip()
        if same:
            problems.append(f"{name[1]}: the same text as {name[0]}")
        elif alike:
            print(f"near-copy: {name[1]} of {name[0]}, {share:.0%}")
        if (same or alike) and earlier not in gone:
            gone.add(later)
    for problem in problems:
        print(f"error: {problem}")
    balance([row for at, row in enumerate(rows) if not (args.drop and at in gone)])
    near = sum(alike for *_, alike in pairs)
    print(f"{len(rows)} rows, {len(problems)} errors, {near} near-copies of the same label, {len(pairs) - near} of the other")
    if args.drop:
        files = collections.defaultdict(list)
        for at, (path, _, one) in enumerate(rows):
            if at not in gone:
                files[path].append(json.dumps(one, ensure_ascii=False) + "\n")
        for path, lines in files.items():
            path.write_text("".join(lines), encoding="utf-8")
        print(f"dropped {len(gone)} rows and what did not parse")
    elif problems:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
