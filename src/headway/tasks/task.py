"""What a task is: the only thing that knows what is learned. Everything else is written once, in `run` and beside it.

A task says which fields it reads, how an example becomes tensors, what its loss is, how an answer is made and scored,
and what its report shows. `docs/add-a-task.md` writes one from nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headway.batching.batch import Batch, Encoded
from headway.device import Precision
from headway.evaluation.metrics import Metrics
from headway.evaluation.record import Record
from headway.evaluation.report import TaskPage
from headway.examples.checks.findings import AllRows, Finding
from headway.examples.examples import Example, Examples
from headway.examples.fields import Field
from headway.examples.splits import Splits
from headway.settings import Settings
from headway.sources.bad_rows import BadRow
from headway.training.loss import LossSum

__all__ = [
    "BaselineAnswers",
    "Match",
    "ModelSource",
    "Part",
    "Streams",
    "Task",
    "TaskModel",
]

IntArray = NDArray[np.int64]
SpecT = TypeVar("SpecT")
ModelT = TypeVar("ModelT", bound="TaskModel")
AnswerT = TypeVar("AnswerT")


class Match(IntEnum):
    """How surely a table or a model belongs to a task."""

    NO = 0
    POSSIBLE = 1
    CERTAIN = 2


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from."""

    name: str
    """As the user wrote it: a folder, a name on the hub, `minilm`, or `scratch:SIZE`."""

    folder: Path | None
    """The checkpoint's folder; None for new weights."""


@dataclass(kw_only=True)
class TaskModel:
    """A network and what prepares its input; each task adds its own."""

    network: nn.Module
    config: dict[str, Any]
    """The `config.json` that it came from."""
    device: torch.device
    precision: Precision
    notes: tuple[str, ...] = ()
    """What the user should know about how it was made: weights that start at random, say."""

    @property
    def reader(self) -> Any:
        """What reads inputs that lie outside their table, such as images; see `Task.reader`."""
        return None

    def remembering(self, remembers: bool) -> Self:
        """The same model, keeping inputs that it reads for further passes over the same rows; or no longer."""
        return self


@dataclass(frozen=True)
class Part:
    """The answer to one sequence of a batch, which may be a part of a long example."""

    value: Any


@dataclass(frozen=True)
class BaselineAnswers:
    """What a simple method answers to the scored rows, in their order."""

    name: str
    description: str
    answers: Iterable[Any]


class Task(ABC, Generic[SpecT, ModelT, AnswerT]):
    """The description of a task. Methods that are not abstract have the answer that most tasks give.

    `SpecT` is what was learned about the data and is kept in `task.json` (the labels, the languages), `ModelT` the
    network with its processors, `AnswerT` one answer.
    """

    name: ClassVar[str]
    """What `--task` and `task.json` call it."""
    fields: ClassVar[tuple[Field, ...]]
    """What it reads from a row: inputs, then targets."""
    metric_names: ClassVar[tuple[str, ...]]
    """All metrics that it may have, whatever the data says: to refuse others before the data is read."""
    default_model: ClassVar[str]
    """What training starts from where the user names no model."""

    # --- the data -------------------------------------------------------------------------------------------------

    @abstractmethod
    def recognise_table(self, columns: Mapping[str, Sequence[Any]]) -> Match:
        """Whether a table is of this task, by the names of its columns and some values of each."""

    @abstractmethod
    def recognise_model(self, config: Mapping[str, Any]) -> Match:
        """Whether a model answers as this task does, by its `config.json`."""

    @abstractmethod
    def learn_spec(self, rows: Examples, settings: Settings) -> SpecT:
        """What the training rows say about the task: once, before splits and folds.

        Raises:
            DataError: Nothing can be learned from them.
        """

    def bind(self, rows: Examples, spec: SpecT, *, skip_bad_rows: bool) -> Examples:
        """The rows whose target the task can use, in the spec's terms: those that have one.

        Raises:
            DataError: A row's target cannot be used, and bad rows are not skipped.
        """
        for one in self.fields:
            if one.role == "target" and one.kind == "text":
                rows = rows.with_texts(one, skip_bad_rows=skip_bad_rows)
        return rows

    def reader(self, source: ModelSource, rows: Examples, settings: Settings) -> Any:
        """What reads inputs that lie outside the table and may be damaged, such as images; usually nothing does."""
        return None

    def damaged(self, reader: Any, chunks: Iterable[Sequence[Example]]) -> Iterator[BadRow | None]:
        """Read the inputs of all examples once, before the first step: what is wrong with each, or None."""
        return iter(())

    def has_targets(self, rows: Examples) -> bool:
        """Whether any row has a target. The test splits of many data sets have none."""
        return all(rows.columns[one.name] for one in self.fields if one.role == "target")

    def groups(self, rows: Examples) -> NDArray[Any]:
        """A number for each row, equal for rows that a split must not part. *Shape:* (rows,)."""
        return rows.keys.normal

    def strata(self, rows: Examples) -> IntArray | None:
        """The kind of each row, of which every split gets its share. *Shape:* (rows,)."""
        return None

    def checks(self, rows: AllRows, splits: Splits, spec: SpecT) -> Iterable[Finding]:
        """What is odd about the targets; inputs are checked for every task."""
        return ()

    def counts(self, spec: SpecT, splits: Mapping[str, Examples]) -> dict[str, dict[str, int]]:
        """How often each label occurs in each split; empty for tasks without labels."""
        return {}

    def facts(self, spec: SpecT) -> dict[str, Any]:
        """What was learned about the data, as JSON can hold it."""
        return {}

    unused_settings: ClassVar[frozenset[str]] = frozenset()
    """Settings that have no effect on this task."""

    # --- the model ------------------------------------------------------------------------------------------------

    @abstractmethod
    def check_model(self, source: ModelSource, settings: Settings) -> None:
        """Refuse, before any data is read, a model or setting that this task cannot use.

        Raises:
            UserError: The model is of another kind, or a setting does not fit it.
        """

    @abstractmethod
    def load(
        self, source: ModelSource, spec: SpecT, rows: Examples, settings: Settings, device: torch.device
    ) -> ModelT:
        """A model to train, made afresh: a checkpoint's weights, with a new head where needed, or new ones.

        Args:
            source: Where the weights come from.
            spec: What the data says.
            rows: The training rows: a model from scratch learns its vocabulary from them.
            settings: Dropout, lengths and the rest.
            device: Where it computes.
        """

    @abstractmethod
    def open(
        self, folder: Path, known: Mapping[str, Any], settings: Settings, device: torch.device, precision: Precision
    ) -> tuple[SpecT, ModelT]:
        """A trained model.

        Args:
            folder: Its folder.
            known: What `task.json` says; empty for a model that Headway did not train.
            settings: Of the answering.
            device: Where it computes.
            precision: How precisely.

        Raises:
            CheckpointError: It is not a trained model of this task.
        """

    @abstractmethod
    def save(self, folder: Path, model: ModelT, spec: SpecT) -> Mapping[str, Any]:
        """Write the model as `transformers` reads it; return what `task.json` should keep for `open`."""

    @abstractmethod
    def encode(
        self,
        model: ModelT,
        examples: Sequence[Example],
        *,
        targets: bool,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> list[Encoded]:
        """Examples, or their segments, as the model reads them.

        Args:
            model: Whose processors are used.
            examples: The examples.
            targets: Whether their targets are encoded too.
            rngs: One per example, for augmentation; none outside training.
        """

    def max_length(self, model: ModelT) -> int:
        """The most tokens of input that the model reads."""
        return 0

    def preferred(self, source: ModelSource, rows: int) -> dict[str, Any]:
        """Training settings that suit this task's models, and so many rows, better than the general recipe."""
        return {}

    varies: ClassVar[bool] = False
    """Whether encoding is done anew in every epoch: images, which are too large to keep, or augmented input."""

    def num_labels(self, spec: SpecT) -> int | None:
        """For tasks in which an example may have several classes: how many there are."""
        return None

    def mix(self, model: ModelT, batch: Batch, settings: Settings, rng: np.random.Generator) -> Batch:
        """Augmentation of a whole training batch, such as mixup."""
        return batch

    @abstractmethod
    def loss(self, model: ModelT, batch: Batch) -> LossSum:
        """The loss of a batch with targets."""

    # --- answers --------------------------------------------------------------------------------------------------

    segments: ClassVar[bool] = False
    """Whether inputs that are longer than the model reads are answered in parts."""

    def segment(self, model: ModelT, example: Example, settings: Settings) -> Sequence[Example]:
        """The parts in which a long example is answered; usually the example itself."""
        return (example,)

    @abstractmethod
    def answer(
        self, model: ModelT, spec: SpecT, batch: Batch, settings: Settings, outputs: Tensor | None = None
    ) -> Sequence[Part]:
        """One part per sequence of the batch, in its order.

        Args:
            model: The model, in evaluation mode.
            spec: What the data said.
            batch: The inputs.
            settings: How to answer.
            outputs: What `loss` computed for the same batch, if it did.
        """

    def join(self, example: Example, parts: Sequence[Part]) -> AnswerT:
        """One answer from the parts of an example, in order."""
        answer: AnswerT = parts[0].value
        return answer

    @abstractmethod
    def row(self, answer: AnswerT) -> dict[str, Any]:
        """An answer as the columns of a table or the keys of a JSON object."""

    def line(self, answer: AnswerT) -> str:
        """An answer in one line, for a person."""
        return "  ".join(str(value) for value in self.row(answer).values())

    def label_names(self, spec: SpecT) -> tuple[str, ...]:
        """The labels of a task that answers with labels.

        Raises:
            TypeError: It answers with something else.
        """
        raise TypeError(f"A {self.name.replace('_', ' ')} model has no labels.")

    def probabilities(self, spec: SpecT, answers: Sequence[AnswerT]) -> NDArray[np.float32]:
        """The probability of each label. *Shape:* (answers, labels).

        Raises:
            TypeError: The task does not answer with labels.
        """
        raise TypeError(f"A {self.name.replace('_', ' ')} model gives no probabilities; use predict.")

    def describe(self, spec: SpecT) -> str:
        """What the model answers with, in a few words."""
        return "trained"

    # --- the report -----------------------------------------------------------------------------------------------

    @abstractmethod
    def metrics(self, spec: SpecT) -> Metrics[AnswerT]:
        """What is measured; the first metric is the default of early stopping."""

    def watched_metric(self, spec: SpecT) -> str:
        """What early stopping watches unless told otherwise: the first metric."""
        return self.metrics(spec).infos[0].name

    def baselines(self, train: Examples, scored: Examples, spec: SpecT, seed: int) -> Iterable[BaselineAnswers]:
        """The simple methods that a person would use instead, learned from `train`, answering `scored`."""
        return ()

    def details(
        self, spec: SpecT, splits: Mapping[str, Examples], scored: Examples, answers: Sequence[AnswerT]
    ) -> dict[str, Any]:
        """What only this task's record has, as JSON can hold it."""
        return {}

    @abstractmethod
    def page(self, record: Record) -> TaskPage:
        """What this task adds to the report and the model card: a function of the record alone."""


@runtime_checkable
class Streams(Protocol):
    """Of tasks whose answers can be shown while they are generated."""

    def stream(self, model: Any, spec: Any, example: Example, settings: Settings) -> Iterator[str]:
        """The pieces of one answer, as they come; together they are its text."""
