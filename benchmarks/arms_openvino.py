"""Classifying texts with OpenVINO in float32."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from benchmarks.by_length import INPUTS, Batch, measure, padded

__all__ = ["export_openvino", "openvino_runtime"]


def export_openvino(*, model: str, output: str) -> dict[str, Any]:
    """Convert the classifier in `model` to the file `output`, batch and length free."""
    import torch
    from transformers import AutoModelForSequenceClassification

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = AutoModelForSequenceClassification.from_pretrained(model).eval()

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(**dict(zip(INPUTS, inputs, strict=True))).logits
            return logits

    ones = torch.ones(2, 16, dtype=torch.int64)
    free = [openvino.PartialShape([-1, -1])] * len(INPUTS)
    converted = openvino.convert_model(Logits(), example_input=(ones, ones, torch.zeros_like(ones)), input=free)
    openvino.save_model(converted, output, compress_to_fp16=False)
    return {"output": output}


def openvino_runtime(
    *, model: str, graph: str, file: str, texts: int, threads: int, batch_size: int = 32
) -> dict[str, Any]:
    """All texts tokenised at once, sorted by length, in padded batches; as many batches at a time as there are threads.

    Returns:
        As `measure`.
    """
    options = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": str(threads),
        "INFERENCE_NUM_THREADS": str(threads),
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = openvino.Core().compile_model(graph, "CPU", options)

    # Not an AsyncInferQueue: on one thread its callback was seen to wait for ever.
    idle: SimpleQueue[Any] = SimpleQueue()
    for _ in range(threads):
        idle.put(compiled.create_infer_request())

    def classify(batch: Batch) -> NDArray[np.float32]:
        request = idle.get()
        try:
            logits: NDArray[np.float32] = request.infer(list(padded(batch).values()))[0].copy()
        finally:
            idle.put(request)
        return logits

    def forward(batches: Iterator[Batch]) -> Iterator[NDArray[np.float32]]:
        with ThreadPoolExecutor(threads) as workers:
            yield from workers.map(classify, batches)

    return measure(forward, model=model, file=file, texts=texts, batch_size=batch_size)
