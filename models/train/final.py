"""Trains the shipped model, exports it, and sets its temperature and thresholds.

Some sources and about a tenth of our own families are never trained on: temperature and thresholds
come from them, measured on the exported 8-bit graph, which is what ships.
"""

import argparse
import json
import pathlib

import numpy
import onnx
import onnxruntime
import torch
from scipy.optimize import minimize_scalar

import data
import export
import metrics
import train
import tune
import windows
from features import Features

OUT = data.HERE.parent / "injection"
SHARES = {"fpr_0_5": 0.005, "fpr_1": 0.01, "fpr_2": 0.02}


class Exported:
    """An exported graph that scores whole texts, as `weir` does."""

    def __init__(self, path, threads=1):
        chosen = onnxruntime.SessionOptions()
        chosen.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), chosen, providers=["CPUExecutionProvider"])
        self.tokenizer = windows.tokenizer()

    def margins(self, texts, tokens=2048):
        """Of each text the highest window's difference of logits."""
        parts, owner = [], []
        for at, ids in enumerate(windows.encode(self.tokenizer, texts)):
            for begin in windows.starts(len(ids)):
                parts.append(windows.window_at(ids, begin))
                owner.append(at)
        found = numpy.full(len(texts), -numpy.inf)
        for batch in windows.by_length([len(part) for part in parts], tokens):
            ids, mask = windows.pad([parts[at] for at in batch])
            feed = {
                "input_ids": ids.numpy(),
                "attention_mask": mask.numpy(),
                "token_type_ids": numpy.zeros(ids.shape, numpy.int64),
            }
            logits = self.session.run(["logits"], feed)[0]
            numpy.maximum.at(found, [owner[at] for at in batch], logits[:, 1] - logits[:, 0])
        return found


def chance(margins, temperature):
    """Calibrated probability of injection."""
    return 1.0 / (1.0 + numpy.exp(-numpy.asarray(margins, float) / temperature))


def temperature_of(labels, margins):
    """The temperature of least log loss, injections and harmless texts weighing the same."""
    labels = numpy.asarray(labels)
    weights = numpy.where(labels == 1, 0.5 / (labels == 1).sum(), 0.5 / (labels == 0).sum())

    def loss(log_temperature):
        scaled = margins / numpy.exp(log_temperature)
        return float((weights * numpy.logaddexp(0, numpy.where(labels == 1, -scaled, scaled))).sum())

    return float(numpy.exp(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded").x))


def figures(rows, margins, temperature, thresholds):
    """What is measured on rows that were not trained on, as one object."""
    labels = numpy.array([row.label for row in rows])
    scores = chance(margins, temperature)
    harmless = labels == 0
    told = {
        "auc": round(metrics.auc(labels, scores), 4),
        "calibration_error": round(metrics.calibration_error(labels, scores), 4),
        "by_source": {},
    }
    names = numpy.array([f"own:{row.source}" if row.own else row.source for row in rows])
    for name in sorted(set(names)):
        here = names == name
        one = {}
        for label, word in ((1, "recall"), (0, "false_alarms")):
            part = scores[here & (labels == label)]
            if len(part):
                one[word] = {k: round(float((part > t).mean()), 4) for k, t in thresholds.items()}
                one[word]["texts"] = len(part)
        told["by_source"][name] = one
    for label, word in ((1, "recall"), (0, "false_alarms")):
        part = scores[labels == label]
        told[word] = {k: round(float((part > t).mean()), 4) for k, t in thresholds.items()}
        told[word]["texts"] = len(part)
    calibrating, weights = data.calibrating(rows)
    told["false_alarms_sources_alike"] = {
        k: round(float(weights[scores[calibrating] > t].sum()), 4) for k, t in thresholds.items()
    }
    return told


def thresholds_of(rows, scores):
    """Scores above which 0.5%, 1% and 2% of harmless texts lie, each source counting alike."""
    calibrating, weights = data.calibrating(rows)
    return {k: metrics.threshold(scores[calibrating], share, weights) for k, share in SHARES.items()}


def write_config(path, temperature, thresholds):
    """The configuration that `weir` reads."""
    config = {
        "architectures": ["WeirInjectionClassifier"],
        "model_type": "bert",
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
        "vocab_size": 30522,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "id2label": {"0": "benign", "1": "injection"},
        "label2id": {"benign": 0, "injection": 1},
        "weir": {
            "positive": "injection",
            "window_tokens": windows.WINDOW,
            "stride_tokens": windows.STRIDE,
            "temperature": round(temperature, 6),
            "thresholds": {k: round(value, 6) for k, value in thresholds.items()},
        },
    }
    path.write_text(json.dumps(config, indent=2) + "\n")


def write_folder(out, temperature, thresholds):
    """The files beside the graph, and the hashes of all."""
    windows.tokenizer().save(str(out / "tokenizer.json"))
    write_config(out / "config.json", temperature, thresholds)
    names = ["config.json", "model.onnx", "tokenizer.json"]
    sums = [f"{windows.file_hash(out / name)}  {name}\n" for name in names]
    (out / "SHA256SUMS").write_text("".join(sums))


def main():
    """Trains, exports, calibrates and writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--public", help="public sets: one file of JSON lines")
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    parser.add_argument("--name", default="final")
    parser.add_argument("--corpus", type=pathlib.Path, default=data.CORPUS, help="our own corpus")
    parser.add_argument("--threads", type=int, default=1)
    train.options(parser, train.Settings)
    train.options(parser, tune.Tuning)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    settings = train.settings_of(args, train.Settings)
    rows = [row for row in data.load(args.public, args.corpus) if not row.apart]
    held = [row for row in rows if data.held_out(row)]
    learnt = train.pool([row for row in rows if not data.held_out(row)], settings)
    print(f"learnt from {len(learnt)}, held out {len(held)}")
    features = Features(train.WORK, settings.bf16)
    whole = tune.learn(learnt, settings, train.settings_of(args, tune.Tuning), args.name, features)
    args.out.mkdir(parents=True, exist_ok=True)
    large, small = train.WORK / f"{args.name}-float32.onnx", args.out / "model.onnx"
    onnx.save(export.build(whole.encoder, whole.head), large)
    export.quantize(large, small)
    told = {"learnt": len(learnt), "held": len(held), "bytes": small.stat().st_size}
    # The graph that ships comes first: should float32, which is slow, be broken off, all is there.
    for name, path in (("int8", small), ("float32", large)):
        margins = Exported(path, args.threads).margins([row.text for row in held])
        temperature = temperature_of([row.label for row in held], margins)
        thresholds = thresholds_of(held, chance(margins, temperature))
        told[name] = {"temperature": temperature, "thresholds": thresholds}
        told[name] |= figures(held, margins, temperature, thresholds)
        scores = dict(zip([row.id for row in held], margins.round(5).tolist(), strict=True))
        (train.WORK / f"{args.name}-{name}-held.json").write_text(json.dumps(scores))
        if name == "int8":
            write_folder(args.out, temperature, thresholds)
        (train.WORK / f"{args.name}-figures.json").write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
