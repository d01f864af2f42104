"""What a user holds: a trained model that predicts, is evaluated, and is saved."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headway.checkpoints.hub import locate
from headway.device import autocast, choose_device, choose_precision
from headway.errors import UserError
from headway.evaluation.record import Record
from headway.examples.examples import Example, Examples
from headway.examples.fields import Columns
from headway.files import read_json, write_atomically
from headway.nn.linear import quantize
from headway.settings import MachineSettings, Settings
from headway.sources.read import Source, describe
from headway.sources.table import Table
from headway.tasks.data import read_scored
from headway.tasks.encoding import answer_examples
from headway.tasks.folder import RunFolder
from headway.tasks.inputs import answerable_rows, chunks_of_examples, input_fields
from headway.tasks.registry import find_task, recognise_model
from headway.tasks.task import Streams, Task, TaskModel

__all__ = ["Model"]

_CHUNK = 2048


class Model:
    """A trained model of any task.

    Attributes:
        task: What it does.
        spec: What it learned about its data: its labels, say.
        loaded: The network and its processors.
        columns: The columns that it was trained on; none where nobody knows.
        settings: How it answers.
        folder: Where it is, as the user wrote it.
    """

    def __init__(
        self,
        task: Task[Any, Any, Any],
        spec: Any,
        loaded: TaskModel,
        columns: Columns | None = None,
        *,
        settings: Settings,
        folder: str,
    ) -> None:
        self.task, self.spec, self.loaded, self.columns = task, spec, loaded, columns
        self.settings, self.folder = settings, folder

    @classmethod
    def open(
        cls,
        model: str | Path,
        *,
        task: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        max_length: int | None = None,
    ) -> "Model":
        """Open a trained model from a folder or the hub.

        Args:
            model: A model folder or a hub name.
            task: What it is for, where its folder leaves that open.
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
        folder = RunFolder(source)
        known = folder.read_json(folder.task) if folder.task.is_file() else {}
        name = task or known.get("task")
        config = source / "config.json"
        found = find_task(name) if name else recognise_model(read_json(config) if config.is_file() else {}, source)
        settings = Settings(machine=MachineSettings.model_validate({"device": device, "precision": precision}))
        settings = replace(settings, data=settings.data.model_copy(update={"max_length": max_length}))
        spec, loaded = found.open(source, known, settings, place, chosen)
        if chosen == "int8":
            quantize(loaded.network)
        return cls(found, spec, loaded, _columns(known.get("columns")), settings=settings, folder=str(model))

    @property
    def family(self) -> str:
        """The model's family, as its `config.json` calls it."""
        return str(self.loaded.config["model_type"])

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels of a model that answers with labels, in the order of its scores.

        Raises:
            TypeError: It answers with something else.
        """
        return self.task.label_names(self.spec)

    def predict(self, inputs: object, **generation: Any) -> list[Any]:
        """Answer inputs.

        Args:
            inputs: One text (or image), several, a Series, rows as mappings, or a table (a DataFrame, a
                `datasets.Dataset`, a mapping of columns) whose columns are found as in training; pairs for a model that
                was trained on pairs.
            **generation: Settings of the answering, for models that write text.

        Returns:
            One answer per input, in the same order.

        Raises:
            TypeError: The inputs are something else.
            DataError: A column is missing, or an input cannot be used.
        """
        return list(self.predict_stream(inputs, **generation))

    def predict_stream(self, inputs: object, chunk: int = _CHUNK, **generation: Any) -> Iterator[Any]:
        """Answer inputs as they come, `chunk` at a time, in their order: any number of them in constant memory."""
        settings = self._generation(generation)
        for examples in chunks_of_examples(inputs, self.task.fields, self.columns, chunk):
            yield from self.answer(examples, settings)

    def stream(self, input: object, **generation: Any) -> Iterator[str]:
        """The answer to one input, piece by piece as it is written.

        Raises:
            TypeError: The model does not write text, or there are several inputs.
        """
        task = self.task
        if not isinstance(task, Streams):
            raise TypeError(f"A {task.name.replace('_', ' ')} model does not write its answers; use predict.")
        examples = [each for chunk in chunks_of_examples(input, task.fields, self.columns, 2) for each in chunk]
        if len(examples) != 1:
            raise TypeError(f"stream takes one input, not {len(examples)}.")
        self.loaded.network.eval()
        return self._computed(task.stream(self.loaded, self.spec, examples[0], self._generation(generation)))

    def _computed(self, pieces: Iterator[str]) -> Iterator[str]:
        """The pieces, without gradients; what the caller does between them keeps its own modes."""
        while True:
            with torch.inference_mode(), autocast(self.loaded.device, self.loaded.precision):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def predict_proba(self, inputs: object) -> NDArray[np.float32]:
        """Probability of each label. *Shape:* (inputs, labels), in the order of `label_names`.

        Raises:
            TypeError: The model does not answer with labels.
        """
        return self.task.probabilities(self.spec, self.predict(inputs))

    def answer(self, examples: list[Example], settings: Settings | None = None) -> list[Any]:
        """One answer per example."""
        return answer_examples(self.task, self.loaded, self.spec, examples, settings or self.settings)

    def answerable(self, table: Table, told: Columns | None = None) -> tuple[Examples, dict[int, str]]:
        """The rows of a table that can be answered; and, by index and in order, why the others cannot."""
        return answerable_rows(table, self.task.fields, self.columns, told)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs that it takes."""
        return tuple(one.name for one in input_fields(self.task.fields, self.columns))

    def evaluate(self, data: Source, settings: Settings | None = None) -> Record:
        """Measure the model on rows with targets.

        Raises:
            DataError: The data cannot be used, or has a target that the model does not know.
        """
        from headway.tasks.measure import measure_evaluation

        settings = settings or self.settings
        model = self.loaded.remembering(True)
        rows = read_scored(self.task, data, self.spec, self.columns, settings, model.reader)
        return measure_evaluation(
            self.task, model, self.spec, rows, settings, source=describe(data), folder=self.folder
        )

    def save(self, folder: str | Path, record: Record | None = None) -> None:
        """Write a folder that Headway, `transformers` and every tool of that format opens, with the report if measured.

        Raises:
            UserError: The model runs in eight bits, which that format does not hold.
        """
        if self.loaded.precision == "int8":
            raise UserError("An int8 model is made while loading and cannot be saved: save the float32 model.")
        place = RunFolder(folder)
        finished = None if record is None else record.to_json()  # refuses a record that cannot be written
        place.withdraw()
        kept = self.task.save(place.folder, self.loaded, self.spec)
        columns = None if self.columns is None else {name: list(each) for name, each in self.columns.by_field.items()}
        task = {"task": self.task.name, "columns": columns, **kept}
        write_atomically(place.task, json.dumps(task, indent=2) + "\n")
        if record is not None and finished is not None:
            self._write_report(place, record)
            place.finish(finished)

    def __repr__(self) -> str:
        labels = self.task.describe(self.spec)
        return f"<{self.task.name.replace('_', ' ')} model, {self.family}, {labels}; {self.folder}>"

    def _generation(self, changes: dict[str, Any]) -> Settings:
        if not changes:
            return self.settings
        from headway.settings import resolve

        asked = resolve(changes, only=("generation",), command="predict").generation
        return replace(
            self.settings, generation=self.settings.generation.model_copy(update=asked.model_dump(exclude_unset=True))
        )

    def _write_report(self, place: RunFolder, record: Record) -> None:
        from headway.evaluation.card import model_card
        from headway.evaluation.report.charts import curves_png
        from headway.evaluation.report.page import render

        page = self.task.page(record)
        write_atomically(place.report, render(record, page))
        write_atomically(place.card, model_card(record, page))
        if record.curves:
            write_atomically(
                place.curves_image,
                curves_png(record.curves, page.metrics, metric=record.metric, best_step=record.best_step),
            )


def _columns(known: Any) -> Columns | None:
    """The columns that `task.json` names; of version 0.1.0, too."""
    if not known:
        return None
    if "labels" in known:
        known = {"text": known["text"], "text_pair": known["text_pair"], "label": known["labels"]}
    by_field = {name: (each,) if isinstance(each, str) else tuple(each) for name, each in known.items() if each}
    return Columns(by_field)
