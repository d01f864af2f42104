"""Classifying texts with CTranslate2's encoder, in float32 and in int8."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from benchmarks.by_length import Batch, measure

__all__ = ["ctranslate2_encoder", "export_ctranslate2"]

HEAD = "head.npz"


def export_ctranslate2(*, model: str, output: str) -> dict[str, Any]:
    """Convert a BertForSequenceClassification in `model` to `output`: its encoder and pooler, and its head beside them.

    CTranslate2 has no classification head: the encoder returns what the pooler makes, and the head is one more product.
    """
    from ctranslate2.converters import TransformersConverter
    from safetensors.numpy import load_file

    folder = Path(output)
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "model"
        shutil.copytree(model, source)
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        # The converter asks for a key that transformers 5 no longer writes, and takes the model's class from the file.
        config |= {"position_embedding_type": "absolute", "architectures": ["BertModel"]}
        (source / "config.json").write_text(json.dumps(config), encoding="utf-8")
        TransformersConverter(str(source)).convert(str(folder), force=True)
    weights = load_file(Path(model) / "model.safetensors")
    np.savez(folder / HEAD, weight=weights["classifier.weight"], bias=weights["classifier.bias"])
    return {"output": output}


def ctranslate2_encoder(
    *, model: str, converted: str, file: str, texts: int, threads: int, precision: str, batch_size: int = 32
) -> dict[str, Any]:
    """All texts tokenised at once, sorted by length; each thread takes a batch of its own.

    Args:
        model: The model folder that was converted.
        converted: What `export_ctranslate2` made of it.
        file: The texts.
        texts: How many of them.
        threads: Batches at a time, each on one thread: on two cores that was faster than two threads on one batch.
        precision: CTranslate2's `compute_type`.
        batch_size: Texts per batch.
    """
    encoder = ctranslate2.Encoder(converted, compute_type=precision, inter_threads=threads, intra_threads=1)
    head = np.load(Path(converted) / HEAD)

    def classify(batch: Batch) -> NDArray[np.float32]:
        pooled = np.asarray(encoder.forward_batch(batch).pooler_output)
        logits: NDArray[np.float32] = pooled @ head["weight"].T + head["bias"]
        return logits

    def forward(batches: Iterator[Batch]) -> Iterator[NDArray[np.float32]]:
        with ThreadPoolExecutor(threads) as workers:
            yield from workers.map(classify, batches)

    return measure(forward, model=model, file=file, texts=texts, batch_size=batch_size)
