"""Headway through its public face: what a user writes is what is measured."""

import csv
import itertools
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import data

__all__ = ["headway_predict", "headway_train"]

BATCH_SIZE = 32
WARM_TEXTS = 64
WARM_STEPS = 2
# Validation and test are no part of the figure; a few rows keep them short.
ASIDE_ROWS = 64


def headway_train(*, model: str, file: str, steps: int, seed: int) -> dict[str, Any]:
    """Train for `steps` steps of 32 texts with the default settings, and read the speed off the record.

    The first steps are left out, as they are of the Trainer's: every step is an event with its tokens and speed.

    Returns:
        `rate` (real tokens per second) and `tokens_per_step`.
    """
    import headway

    rows = data.read(Path(file))
    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder) / "aside.csv"
        with aside.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("text", "label"), *rows[:ASIDE_ROWS]])
        output = Path(folder) / "run"
        headway.train(
            file,
            model=model,
            output=output,
            validation=aside,
            test=aside,
            batch_size=BATCH_SIZE,
            quiet=True,
            epochs=steps / math.ceil(len(rows) / BATCH_SIZE),
            seed=seed,
        )
        record = json.loads((output / "headway" / "record.json").read_text(encoding="utf-8"))
    events = [event for event in record["curves"] if "tokens_per_second" in event]
    warm = [
        (after["tokens"] - before["tokens"], after["tokens_per_second"])
        for before, after in itertools.pairwise(events)
        if after["step"] > WARM_STEPS
    ]
    tokens = sum(count for count, _ in warm)
    return {
        "rate": tokens / sum(count / speed for count, speed in warm),
        "tokens_per_step": record["speed"]["training_tokens"] / record["last_step"],
    }


def headway_predict(*, model: str, file: str, texts: int, precision: str) -> dict[str, Any]:
    """`headway.load` and `predict` on a list of texts."""
    import headway

    wanted = [text for text, _ in data.read(Path(file))[:texts]]
    classifier = headway.load(model, precision=precision)
    classifier.predict(wanted[:WARM_TEXTS])
    start = time.perf_counter()
    answers = classifier.predict(wanted)
    return {"rate": texts / (time.perf_counter() - start), "labels": [answer.label for answer in answers]}
