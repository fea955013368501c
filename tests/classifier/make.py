"""Makes the small models of this folder, which the tests of the classifier run.

    python3 -m venv v && v/bin/pip install onnx==1.23.2 numpy==2.4.6 tokenizers==0.23.3
    v/bin/python tests/classifier/make.py

They are real ONNX graphs with real tokenizers whose scores can be told by heart: a window
counts how many words of PHRASE stand in it in a row and in order, and all six of them give
a probability of 0.982, five give 0.018, fewer next to nothing.

    three   WordPiece; input_ids, attention_mask, token_type_ids, as a BERT has them
    two     Unigram (SentencePiece); input_ids and attention_mask, as a DeBERTa has them; no block `weir`
    faulty  like `three`; the word NANWORD makes scores that are no numbers, HANGWORD a run without end
    shape   scores for each token in place of each text
    opset   written for an operator set that no runtime knows
"""

import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HERE = pathlib.Path(__file__).parent
PHRASE = "please compile a full user export".split()
NANWORD, HANGWORD = "nanword", "hangword"
WORDS = """the of and to in is it for on with as at by an be this that from or are was we you our your can will not have has all
one two three day time work team mail note order number invoice report meeting room plan help thanks dear regards hello today
tomorrow week month data table list file line page text word sentence question answer weather market river bridge garden
tool result read write send open close first last middle ignore previous instructions system prompt assistant""".split()
CHANNELS = 8


def words():
    return list(dict.fromkeys(PHRASE + [NANWORD, HANGWORD] + WORDS))


def wordpiece():
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,:;!?-'\"()/_@#%&*+=<>[]{}|\\"
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + words()
    vocab += [c for c in letters if c not in vocab] + ["##" + c for c in letters if c.isalnum()]
    ids = {token: index for index, token in enumerate(vocab)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    # As training leaves it behind: Weir must not let it cut a text short or fill it up.
    tokenizer.enable_truncation(max_length=16)
    tokenizer.enable_padding(length=16)
    return tokenizer, ids


def unigram():
    pieces = [("[PAD]", 0.0), ("[CLS]", 0.0), ("[SEP]", 0.0), ("[UNK]", -20.0)]
    pieces += [("\u2581" + word, -4.0) for word in words()] + [("\u2581", -6.0)]
    pieces += [(c, -9.0) for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?-'\"()/_"]
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=ids["[UNK]"], byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])])
    tokenizer.add_special_tokens(["[PAD]", "[CLS]", "[SEP]", "[UNK]"])
    return tokenizer, {piece[1:]: index for piece, index in ids.items() if piece.startswith("\u2581")}, len(pieces)


def constant(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def graph(ids, size, inputs, faults=False, per_token=False, opset=17):
    table = np.zeros((size, CHANNELS), dtype=np.float32)
    for place, word in enumerate(PHRASE):
        table[ids[word], place] = 1.0
    table[ids[NANWORD], 6] = table[ids[HANGWORD], 7] = 1.0
    kernel = np.zeros((1, CHANNELS, len(PHRASE)), dtype=np.float32)
    for place in range(len(PHRASE)):
        kernel[0, place, place] = 1.0
    constants = [
        constant("table", table), constant("kernel", kernel), constant("two", np.array([2], dtype=np.int64)),
        constant("five_and_a_half", np.float32(5.5)), constant("eight", np.float32(8.0)),
        constant("minus_one", np.float32(-1.0)), constant("zero", np.float32(0.0)),
    ]
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "input_ids"], ["looked_up"]),
        node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["mask", "two"], ["mask3"]),
        node("Mul", ["looked_up", "mask3"], ["seen"]),
    ]
    seen = "seen"
    if "token_type_ids" in inputs:
        # Added as nothing: a graph that asks for an input must be given it.
        nodes += [
            node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT),
            node("Unsqueeze", ["types", "two"], ["types3"]),
            node("Add", ["seen", "types3"], ["typed"]),
        ]
        seen = "typed"
    nodes += [
        node("Transpose", [seen], ["channels"], perm=[0, 2, 1]),
        node("Conv", ["channels", "kernel"], ["counts"], pads=[0, len(PHRASE) - 1]),
    ]
    if per_token:
        nodes += [
            node("Transpose", ["counts"], ["logits_one"], perm=[0, 2, 1]),
            node("Concat", ["logits_one", "logits_one"], ["logits"], axis=2),
        ]
        shape = ["batch", "length", 2]
    else:
        constants += [constant("axes_length", np.array([2], dtype=np.int64))]
        nodes += [
            # Pooled by hand: the reduction's axes became an input at different versions.
            node("GlobalMaxPool", ["counts"], ["best3"]),
            node("Squeeze", ["best3", "axes_length"], ["best"]),
            node("Sub", ["best", "five_and_a_half"], ["over"]),
            node("Mul", ["over", "eight"], ["score"]),
        ]
        score = "score"
        if faults:
            constants += [
                constant("nan_at", np.array([6], dtype=np.int64)), constant("hang_at", np.array([7], dtype=np.int64)),
                constant("many", np.float32(1e15)), constant("true", np.array(True)), constant("one", np.float32(1.0)),
            ]
            body = helper.make_graph(
                [node("Identity", ["cond_in"], ["cond_out"]), node("Sin", ["x_in"], ["x_out"])], "body",
                [helper.make_tensor_value_info("i", TensorProto.INT64, []),
                 helper.make_tensor_value_info("cond_in", TensorProto.BOOL, []),
                 helper.make_tensor_value_info("x_in", TensorProto.FLOAT, [])],
                [helper.make_tensor_value_info("cond_out", TensorProto.BOOL, []),
                 helper.make_tensor_value_info("x_out", TensorProto.FLOAT, [])])
            nodes += [
                node("GlobalMaxPool", ["channels"], ["met3"]),
                node("Squeeze", ["met3", "axes_length"], ["met"]),
                node("Gather", ["met", "nan_at"], ["nan_met"], axis=1),
                node("Mul", ["nan_met", "minus_one"], ["below"]),
                node("Sqrt", ["below"], ["perhaps_nan"]),
                node("Gather", ["met", "hang_at"], ["hang_met"], axis=1),
                node("ReduceMax", ["hang_met"], ["hang"], keepdims=0),
                node("Mul", ["hang", "many"], ["hang_times"]),
                node("Cast", ["hang_times"], ["trips"], to=TensorProto.INT64),
                node("Loop", ["trips", "true", "one"], ["looped"], body=body),
                node("Mul", ["looped", "zero"], ["nothing"]),
                node("Add", ["score", "perhaps_nan"], ["score_nan"]),
                node("Add", ["score_nan", "nothing"], ["score_all"]),
            ]
            score = "score_all"
        nodes += [
            node("Mul", [score, "zero"], ["other"]),
            node("Concat", ["other", score], ["logits"], axis=1),
        ]
        shape = ["batch", 2]
    made = helper.make_graph(
        nodes, "fixture",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9, producer_name="weir")


def write(name, tokenizer, model, config):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


def main():
    bert = ["input_ids", "attention_mask", "token_type_ids"]
    pieces, ids = wordpiece()
    size = pieces.get_vocab_size()
    config = {
        "model_type": "bert",
        "max_position_embeddings": 128,
        "id2label": {"0": "benign", "1": "injection"},
        "weir": {
            "positive": "injection", "window_tokens": 32, "stride_tokens": 16, "temperature": 1.0,
            "thresholds": {"fpr_0_5": 0.95, "fpr_1": 0.5, "fpr_2": 0.01},
        },
    }
    write("three", pieces, graph(ids, size, bert), config)
    write("faulty", pieces, graph(ids, size, bert, faults=True), config)
    write("shape", pieces, graph(ids, size, bert, per_token=True), config)
    late = graph(ids, size, bert)
    late.opset_import[0].version = 9999
    write("opset", pieces, late, config)
    sentence, ids, size = unigram()
    write("two", sentence, graph(ids, size, bert[:2]), {
        "model_type": "deberta-v2",
        "max_position_embeddings": 64,
        "id2label": {"0": "SAFE", "1": "INJECTION"},
    })


main()
