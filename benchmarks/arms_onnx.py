"""Classifying texts with ONNX Runtime, in float32 and with int8 weights."""

import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from benchmarks import data

__all__ = ["export_onnx", "onnx_runtime"]

WARM_TEXTS = 64
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def export_onnx(*, model: str, output: str) -> dict[str, Any]:
    """Write `output`/float32.onnx and `output`/int8.onnx: exported, its attention fused, quantized per channel."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    plain, float32, int8 = (str(folder / name) for name in ("plain.onnx", "float32.onnx", "int8.onnx"))
    config = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))
    _export(model, plain)
    fused = optimizer.optimize_model(
        plain,
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        optimization_options=FusionOptions("bert"),
    )
    fused.save_model_to_file(float32)
    # The fused operators are ONNX Runtime's own, so shape inference cannot tell what they return.
    known = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    quantize_dynamic(float32, int8, per_channel=True, weight_type=QuantType.QInt8, extra_options=known)
    return {"output": output, "fused": fused.get_fused_operator_statistics()}


def _export(model: str, path: str) -> None:
    """Trace the classifier with batch and length free."""
    import torch
    from transformers import AutoModelForSequenceClassification

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = AutoModelForSequenceClassification.from_pretrained(model, attn_implementation="eager").eval()

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(**dict(zip(INPUTS, inputs, strict=True))).logits
            return logits

    ones = torch.ones(2, 16, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits(),
            (ones, ones, torch.zeros_like(ones)),
            path,
            dynamo=False,
            opset_version=17,
            input_names=list(INPUTS),
            output_names=["logits"],
            dynamic_axes={name: {0: "batch", 1: "length"} for name in INPUTS} | {"logits": {0: "batch"}},
        )


def onnx_runtime(
    *, model: str, graph: str, file: str, texts: int, threads: int, batch_size: int = 32
) -> dict[str, Any]:
    """All texts tokenized at once, sorted by length, in padded batches, through the ONNX model in `graph`."""
    import onnxruntime

    wanted = [text for text, _ in data.read(Path(file))[:texts]]
    names = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))["id2label"]
    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def classify(texts: list[str]) -> list[str]:
        ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        labels = [""] * len(ids)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            (logits,) = session.run(None, _padded([ids[i] for i in chosen]))
            for i, label in zip(chosen, logits.argmax(-1).tolist(), strict=True):
                labels[i] = names[str(label)]
        return labels

    classify(wanted[:WARM_TEXTS])
    start = time.perf_counter()
    labels = classify(wanted)
    return {"rate": texts / (time.perf_counter() - start), "labels": labels}


def _padded(ids: list[list[int]]) -> dict[str, np.ndarray]:
    """*Shape:* each (batch, length)."""
    shape = (len(ids), max(map(len, ids)))
    tokens, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, sequence in enumerate(ids):
        tokens[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return dict(zip(INPUTS, (tokens, mask, np.zeros_like(tokens)), strict=True))
