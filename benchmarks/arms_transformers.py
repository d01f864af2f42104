"""Classifying texts with `transformers`: the pipeline, and the best that its users write by hand."""

import time
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from benchmarks import data

__all__ = ["pipeline", "sorted_batches"]

WARM_TEXTS = 64


def pipeline(*, model: str, file: str, texts: int, batch_size: int | None = None) -> dict[str, Any]:
    """`transformers.pipeline`, with its defaults or a batch size."""
    transformers.logging.set_verbosity_error()
    wanted = [text for text, _ in data.read(Path(file))[:texts]]
    classify = transformers.pipeline("text-classification", model=model, device="cpu")
    options = {} if batch_size is None else {"batch_size": batch_size}
    classify(wanted[:WARM_TEXTS], **options)
    start = time.perf_counter()
    answers = classify(wanted, **options)
    return {"rate": texts / (time.perf_counter() - start), "labels": [answer["label"] for answer in answers]}


def sorted_batches(*, model: str, file: str, texts: int, batch_size: int = 32) -> dict[str, Any]:
    """All texts tokenised at once, sorted by length, in padded batches, in inference mode."""
    transformers.logging.set_verbosity_error()
    wanted = [text for text, _ in data.read(Path(file))[:texts]]
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model).eval()

    def classify(texts: list[str]) -> torch.Tensor:
        ids = tokenizer(texts, truncation=True, max_length=512)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        logits = torch.empty(len(ids), network.config.num_labels)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = tokenizer.pad({"input_ids": [ids[i] for i in chosen]}, return_tensors="pt")
            logits[chosen] = network(**batch).logits
        return logits

    with torch.inference_mode():
        classify(wanted[:WARM_TEXTS])
        start = time.perf_counter()
        logits = classify(wanted)
        labels = [network.config.id2label[label] for label in logits.argmax(-1).tolist()]
        rate = texts / (time.perf_counter() - start)
    return {"rate": rate, "labels": labels, "logits": logits.tolist()}
