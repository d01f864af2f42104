"""A trained classifier: predict, evaluate, save."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headway.batching.text_encoder import TextEncoder
from headway.checkpoints.hub import locate
from headway.checkpoints.load import load_classifier
from headway.checkpoints.save import save_classifier
from headway.checkpoints.tokenizer_files import load_tokenizer
from headway.device import choose_device, choose_precision
from headway.errors import DataError, UserError
from headway.evaluation.metrics.labels import THRESHOLD
from headway.examples.examples import Example, Examples
from headway.examples.fields import Columns
from headway.examples.labels import Labels
from headway.files import write_atomically
from headway.nn.linear import quantize
from headway.settings import Settings
from headway.tasks.classification.data import read_labelled
from headway.tasks.classification.engine import Engine, probabilities, sequence_limit
from headway.tasks.folder import RunFolder

if TYPE_CHECKING:
    from headway.evaluation.record import Record

__all__ = ["Prediction", "TextClassifier"]


_CHUNK = 2048
_SURROGATE = re.compile("[\ud800-\udfff]")

Text = str | tuple[str, str]
"""One text, or a pair."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The classifier's answer to one text."""

    label: str | tuple[str, ...]
    """The likeliest label; for multi-label all from a probability of 0.5 on, the likeliest first."""

    confidence: float
    """Probability of the label; for multi-label, of the answer's least certain decision."""

    probabilities: dict[str, float]
    """Of every label, in the order of the model's scores."""


class TextClassifier:
    """A transformer that gives texts labels."""

    def __init__(
        self, engine: Engine, labels: Labels, config: dict[str, Any], columns: Columns | None = None, *, folder: str
    ) -> None:
        self.engine = engine
        self.folder = folder
        self.labels = labels
        self.columns = columns
        self._config = config

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        revision: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        max_length: int | None = None,
    ) -> TextClassifier:
        """Open a trained classifier.

        Args:
            model: A model folder or a hub name.
            revision: A branch, tag or commit of a hub model.
            device: `auto`, `cpu`, `cuda` or `mps`.
            precision: `auto`, `float32`, `bfloat16`, or `int8` (CPU only: faster, a little less exact).
            max_length: Longest sequence in tokens; as in training, else the model's maximum, when not given.

        Raises:
            CheckpointError: The model cannot be read; everything that is wrong with it is listed.
        """
        place = choose_device(device)
        chosen = choose_precision(precision, place)
        source = locate(model, revision)
        loaded = load_classifier(source)
        folder = RunFolder(source)
        known = folder.read_json(folder.task) if folder.task.is_file() else {}
        architecture = loaded.model.architecture
        limit = sequence_limit(architecture, max_length or known.get("max_length"))
        tokenizer = load_tokenizer(source, architecture.input_stack.vocabulary_size)
        encoder = TextEncoder(tokenizer, limit, empty_id=architecture.padding_id)
        network = loaded.model.to(place)
        if chosen == "int8":
            quantize(network)
        columns = known.get("columns")
        return cls(
            Engine(network, encoder, place, chosen),
            Labels(loaded.label_names, loaded.multi),
            loaded.config,
            Columns(columns["text"], columns["text_pair"], tuple(columns["labels"])) if columns else None,
            folder=str(model),
        )

    @property
    def family(self) -> str:
        """The model's family, as its `config.json` calls it."""
        return str(self._config["model_type"])

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order of the model's scores."""
        return self.labels.names

    def predict(self, texts: Text | Sequence[Text]) -> list[Prediction]:
        """Label texts, or pairs of texts.

        Args:
            texts: One text, a list of texts, or a list of pairs.

        Returns:
            One answer a text, in the same order.
        """
        if isinstance(texts, str | tuple):
            texts = [texts]
        return list(self.predict_stream(texts))

    def predict_stream(self, texts: Iterable[Text], chunk: int = _CHUNK) -> Iterator[Prediction]:
        """Label texts as they come, `chunk` at a time, in their order: any number of them in constant memory."""
        source = iter(texts)
        while batch := [self._example(text) for text in islice(source, chunk)]:
            yield from self.answers(self.probabilities(batch))

    def probabilities(self, examples: Sequence[Example]) -> NDArray[np.float32]:
        """Probability of each label. *Shape:* (examples, num_labels)."""
        return probabilities(self.engine.logits(examples), self.labels.multi)

    def probabilities_of(self, examples: Examples) -> NDArray[np.float32]:
        """The same for examples on disk, fetched a part at a time."""
        parts = range(0, len(examples), _CHUNK)
        fetched = (examples.fetch(range(start, min(start + _CHUNK, len(examples)))) for start in parts)
        return np.concatenate([self.probabilities(part) for part in fetched])

    def answers(self, scores: NDArray[np.float32]) -> list[Prediction]:
        """What rows of probabilities say. *Shape:* scores (rows, num_labels)."""
        return [self._answer(row) for row in scores.tolist()]

    def _example(self, text: object) -> Example:
        example = _as_example(text)
        names = self.columns.texts if self.columns else ()
        if len(names) == 2 and example.text_pair is None:
            raise DataError(
                f"This model was trained on pairs of texts ({names[0]} and {names[1]}); {text!r:.80} is one alone. "
                "Give pairs: a file with these two columns, or tuples in Python."
            )
        return example

    def _answer(self, row: list[float]) -> Prediction:
        by_name = dict(zip(self.labels.names, row, strict=True))
        if not self.labels.multi:
            best = max(by_name, key=by_name.__getitem__)
            return Prediction(best, by_name[best], by_name)
        given = sorted((name for name in by_name if by_name[name] >= THRESHOLD), key=lambda name: -by_name[name])
        return Prediction(tuple(given), min(max(value, 1 - value) for value in row), by_name)

    def evaluate(self, data: str, settings: Settings | None = None) -> Record:
        """Measure the classifier on a file of labelled examples.

        Raises:
            DataError: The file cannot be used, or has a label that the model does not know.
        """
        from headway.tasks.classification.measure import measure_evaluation

        settings = settings or Settings()
        return measure_evaluation(self, read_labelled(data, self.columns, self.labels, settings), data)

    def save(self, folder: str | Path, record: Record | None = None) -> None:
        """Write a folder that Headway, `transformers` and every tool of that format opens, with the report if measured.

        Raises:
            UserError: The model runs in eight bits, which that format does not hold.
        """
        if self.engine.precision == "int8":
            raise UserError("An int8 model is made while loading and is not saved: save the float32 model.")
        place = RunFolder(folder)
        task = {
            "task": "classification",
            "columns": asdict(self.columns) if self.columns else None,
            "max_length": self.engine.encoder.max_length,
        }
        write_atomically(place.task, json.dumps(task, indent=2) + "\n")
        if record is not None:
            _write_report(place, record)
        save_classifier(
            place.folder,
            self.engine.model,
            config=self._config,
            label_names=self.labels.names,
            multi=self.labels.multi,
            tokenizer=self.engine.encoder.tokenizer,
            max_length=self.engine.encoder.max_length,
        )


def _as_example(text: object) -> Example:
    if isinstance(text, str):
        example = Example(text)
    elif isinstance(text, tuple | list) and len(text) == 2 and all(isinstance(part, str) for part in text):
        example = Example(text[0], text[1])
    else:
        raise DataError(f"predict takes texts or pairs of texts, not {type(text).__name__}: {text!r:.80}.")
    if _SURROGATE.search(example.text + (example.text_pair or "")):
        raise DataError(f"Half of a character (a lone surrogate) stands in {text!r:.80}. Mend the text.")
    return example


def _write_report(place: RunFolder, record: Record) -> None:
    from headway.evaluation.card import model_card
    from headway.evaluation.report.charts import curves_png
    from headway.evaluation.report.page import render
    from headway.tasks.classification.page import classification_page

    page = classification_page(record)
    write_atomically(place.record, record.to_json())
    write_atomically(place.report, render(record, page))
    write_atomically(place.card, model_card(record, page))
    if record.curves:
        image = curves_png(record.curves, page.metrics, metric=record.metric, best_step=record.best_step)
        write_atomically(place.curves_image, image)
