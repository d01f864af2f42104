"""Classifying texts with ONNX Runtime, in float32 and with int8 weights."""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.by_length import INPUTS, Batch, measure, padded

__all__ = ["export_onnx", "onnx_runtime"]


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
    """All texts tokenised at once, sorted by length, in padded batches, through the ONNX model in `graph`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def forward(batches: Iterator[Batch]) -> Iterator[NDArray[np.float32]]:
        for batch in batches:
            yield session.run(None, padded(batch))[0]

    return measure(forward, model=model, file=file, texts=texts, batch_size=batch_size)
