"""What every engine is given alike: texts tokenised at once, sorted by length, in batches."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from benchmarks import data

__all__ = ["INPUTS", "Batch", "Forward", "LengthSorter", "measure", "padded"]

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
WARM_TEXTS = 64
MAX_LENGTH = 512

Batch = list[list[int]]
Forward = Callable[[Iterator[Batch]], Iterable[NDArray[np.float32]]]
"""An engine: from batches of ids to their logits, each (batch, labels), in the same order."""


class LengthSorter:
    """Gives an engine its batches, and puts what it answers back into the texts' order."""

    def __init__(self, model: Path, forward: Forward, batch_size: int) -> None:
        """Read tokenizer and labels.

        Args:
            model: A model folder.
            forward: The engine.
            batch_size: Texts per batch.
        """
        self.tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_LENGTH)
        self.tokenizer.no_padding()
        names = json.loads((model / "config.json").read_text(encoding="utf-8"))["id2label"]
        self.names = [names[str(label)] for label in range(len(names))]
        self.forward = forward
        self.batch_size = batch_size

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """*Shape:* (texts, labels)."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        batches = ([ids[i] for i in order[start : start + self.batch_size]] for start in self._starts(len(ids)))
        logits = np.empty((len(ids), len(self.names)), dtype=np.float32)
        for start, rows in zip(self._starts(len(ids)), self.forward(batches), strict=True):
            logits[order[start : start + self.batch_size]] = rows
        return logits

    def _starts(self, count: int) -> range:
        return range(0, count, self.batch_size)


def measure(forward: Forward, *, model: str, file: str, texts: int, batch_size: int) -> dict[str, Any]:
    """Texts per second of an engine, tokenisation included.

    Returns:
        `rate`, `labels` (names) and `logits` (texts, labels) of the first `texts` texts of `file`.
    """
    wanted = [text for text, _ in data.read(Path(file))[:texts]]
    sorter = LengthSorter(Path(model), forward, batch_size)
    sorter.logits(wanted[:WARM_TEXTS])
    start = time.perf_counter()
    logits = sorter.logits(wanted)
    labels = [sorter.names[label] for label in logits.argmax(-1)]
    rate = len(wanted) / (time.perf_counter() - start)
    return {"rate": rate, "labels": labels, "logits": logits.tolist()}


def padded(batch: Batch) -> dict[str, NDArray[np.int64]]:
    """The three inputs of a BERT.

    *Shape:* each (batch, length).
    """
    shape = (len(batch), max(map(len, batch)))
    tokens, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, sequence in enumerate(batch):
        tokens[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return dict(zip(INPUTS, (tokens, mask, np.zeros_like(tokens)), strict=True))
