"""Fine-tuning with `transformers.Trainer`: its defaults, its best, and the recipe that pads everything."""

import tempfile
import time
from pathlib import Path
from typing import Any

import transformers
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from benchmarks import data

__all__ = ["fine_tune", "trainer"]

BATCH_SIZE = 32
MAX_LENGTH = 512


class _Clock(TrainerCallback):  # type: ignore[misc]
    """Notes when each optimizer step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())


class _CountingCollator:
    """Another collator, and a note of the real (non-padding) tokens of each batch it made."""

    def __init__(self, collator: DataCollatorWithPadding) -> None:
        self.collator = collator
        self.tokens: list[int] = []
        self.padded: list[int] = []

    def __call__(self, features: list[dict[str, Any]]) -> Any:
        batch = self.collator(features)
        self.tokens.append(int(batch["attention_mask"].sum()))
        self.padded.append(batch["attention_mask"].numel())
        return batch


def trainer(
    *, model: str, file: str, steps: int, warm_steps: int, seed: int, sampling: str = "random", pad_to_max: bool = False
) -> dict[str, Any]:
    """Take `warm_steps` and then `steps` timed optimizer steps of 32 texts with the Trainer.

    Args:
        model: A model folder.
        file: A CSV file with the columns text and label.
        steps: Steps on the clock.
        warm_steps: Steps before the clock starts.
        seed: Decides the order of the texts and the fresh head.
        sampling: The Trainer's `train_sampling_strategy`.
        pad_to_max: Pad every text to 512 tokens beforehand, as the article does, instead of each batch to its longest.

    Returns:
        `rate` (real tokens per second), `tokens_per_step`, and `real_share`, the part of the tokens that is no padding.
    """
    transformers.logging.set_verbosity_error()
    tokenizer, network, dataset = _prepare(model, Path(file), pad_to_max)
    clock, collator = _Clock(), _CountingCollator(DataCollatorWithPadding(tokenizer))
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH_SIZE,
            max_steps=warm_steps + steps,
            train_sampling_strategy=sampling,
            seed=seed,
            use_cpu=True,
            save_strategy="no",
            disable_tqdm=True,
        )
        Trainer(model=network, args=settings, train_dataset=dataset, data_collator=collator, callbacks=[clock]).train()
    # The loader is one batch ahead of the steps, but makes the batches in the order in which they are used.
    timed = slice(warm_steps, warm_steps + steps)
    tokens = sum(collator.tokens[timed])
    return {
        "rate": tokens / (clock.ends[-1] - clock.ends[warm_steps - 1]),
        "tokens_per_step": tokens / steps,
        "real_share": tokens / sum(collator.padded[timed]),
    }


def fine_tune(*, model: str, file: str, output: str, epochs: float = 1.0, seed: int = 0) -> dict[str, Any]:
    """Fine-tune `model` on `file` with the Trainer at its best, and save it with its tokenizer in `output`.

    The inference arms need a classifier that has learned something: the accuracy that int8 costs means nothing on a
    random head.
    """
    transformers.logging.set_verbosity_error()
    tokenizer, network, dataset = _prepare(model, Path(file), pad_to_max=False)
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH_SIZE,
            num_train_epochs=epochs,
            train_sampling_strategy="group_by_length",
            warmup_steps=0.1,
            seed=seed,
            use_cpu=True,
            save_strategy="no",
            disable_tqdm=True,
        )
        Trainer(
            model=network, args=settings, train_dataset=dataset, data_collator=DataCollatorWithPadding(tokenizer)
        ).train()
    # Whoever finds the folder finds it whole.
    partial = Path(f"{output}.partial")
    network.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(output)
    return {"output": output}


def _prepare(model: str, file: Path, pad_to_max: bool) -> tuple[Any, Any, Dataset]:
    rows = data.read(file)
    names = sorted({label for _, label in rows})
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(
        model,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
    )
    encoded = tokenizer(
        [text for text, _ in rows],
        truncation=True,
        max_length=MAX_LENGTH,
        padding="max_length" if pad_to_max else False,
    )
    return tokenizer, network, Dataset.from_dict({**encoded, "labels": [names.index(label) for _, label in rows]})
