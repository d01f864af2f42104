"""What tasks have in common whose answer is a label, or several: text and image classification."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.batching.batch import Batch
from headway.checkpoints.load import LoadedClassifier, load_classifier
from headway.checkpoints.save import save_classifier
from headway.device import Precision, choose_precision
from headway.evaluation.label_baselines import majority_baseline
from headway.evaluation.label_details import Shown, find_mistakes, label_details
from headway.evaluation.metrics.label_metrics import THRESHOLD, LabelMetrics
from headway.evaluation.record import pack_details
from headway.examples.checks.findings import AllRows, Finding
from headway.examples.checks.label_checks import label_checks
from headway.examples.examples import Example, Examples
from headway.examples.fields import Field
from headway.examples.labels import Labels, learn_labels
from headway.examples.splits import Splits, label_strata
from headway.models.config import ModelConfig
from headway.settings import GenerationSettings, Settings
from headway.tasks.label_loss import LabelLoss
from headway.tasks.task import BaselineAnswers, ModelSource, Part, Task, TaskModel
from headway.training.loss import LossSum

__all__ = ["LABEL_FIELD", "LabelSpec", "LabelTask", "Prediction", "PredictionMetrics"]

FloatArray = NDArray[np.float32]
ModelT = TypeVar("ModelT", bound="LabelModel")

LABEL_FIELD = Field(
    name="label",
    kind="label",
    role="target",
    setting="label_column",
    usual_names=(
        ("label", "labels"),
        (
            *("sentiment", "class", "category", "target", "polarity", "stars", "rating", "tag", "tags", "categories"),
            "classes",
        ),
        (
            *("intent", "emotion", "emotions", "topic", "topics", "overall", "score", "genre", "genres", "is_spam"),
            "spam",
        ),
    ),
)


@dataclass(frozen=True)
class LabelSpec:
    """What a task with labels learns about its data."""

    labels: Labels


@dataclass(kw_only=True)
class LabelModel(TaskModel):
    """A classifier."""

    loss: LabelLoss
    """What it is trained to minimise."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """A classifier's answer to one example."""

    names: tuple[str, ...]
    """All labels, in the order of the model's scores."""
    scores: FloatArray
    """Their probabilities. *Shape:* (labels,)."""
    multi: bool
    """Whether an example may have any number of labels."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Prediction) or (self.names, self.multi) != (other.names, other.multi):
            return False
        return np.array_equal(self.scores, other.scores)

    def __hash__(self) -> int:
        return hash((self.names, self.multi, self.scores.tobytes()))

    @cached_property
    def probabilities(self) -> dict[str, float]:
        """The probability of every label, in the order of the model's scores."""
        return dict(zip(self.names, self.scores.tolist(), strict=True))

    @property
    def label(self) -> str | tuple[str, ...]:
        """The most probable label; for multi-label all from a probability of 0.5 on, the most probable first."""
        if not self.multi:
            return self.names[int(self.scores.argmax())]
        order = np.argsort(-self.scores, kind="stable")
        return tuple(self.names[index] for index in order.tolist() if self.scores[index] >= THRESHOLD)

    @property
    def confidence(self) -> float:
        """Probability of the label; for multi-label, of the answer's least certain decision."""
        return float(np.maximum(self.scores, 1 - self.scores).min() if self.multi else self.scores.max())

    def __repr__(self) -> str:
        return f"Prediction(label={self.label!r}, confidence={self.confidence:.4f})"


class PredictionMetrics(LabelMetrics):
    """The metrics of labels, from predictions."""

    def statistics(self, answer: Any, example: Example, context: object = None) -> NDArray[np.float64]:
        """The statistics of one prediction. *Shape:* (width,)."""
        return super().statistics(answer.scores, example, context)


class LabelTask(Task[LabelSpec, ModelT, Prediction], Generic[ModelT]):
    """The target is a label, or a set of labels."""

    noun: ClassVar[Literal["text", "image"]]
    """What is labelled."""
    model_type: type[ModelT]
    """The class of its models."""
    metric_names = (
        *("accuracy", "macro_f1", "mcc", "ece"),
        *("micro_f1", "mean_average_precision", "subset_accuracy"),
    )
    unused_settings = frozenset({*GenerationSettings.model_fields, "validation_answers"})

    def learn_spec(self, rows: Examples, settings: Settings) -> LabelSpec:
        """The labels and their order."""
        used = np.zeros(len(rows.table), dtype=bool)
        used[rows.rows] = True
        return LabelSpec(learn_labels(rows.raw_labels, used))

    def bind(self, rows: Examples, spec: LabelSpec, *, skip_bad_rows: bool) -> Examples:
        """The rows with class indices."""
        return rows.labelled(spec.labels, skip_bad_rows=skip_bad_rows)

    def has_targets(self, rows: Examples) -> bool:
        """Whether there is a label column, and a label in it."""
        return bool(rows.columns["label"]) and rows.raw_labels.any()

    def strata(self, rows: Examples) -> NDArray[np.int64]:
        """The class of each row."""
        return label_strata(rows.targets())

    def checks(self, rows: AllRows, splits: Splits, spec: LabelSpec) -> Iterable[Finding]:
        """What is odd about the labels."""
        return label_checks(rows)

    def counts(self, spec: LabelSpec, splits: Mapping[str, Examples]) -> dict[str, dict[str, int]]:
        """How often each label occurs in each split."""
        return {
            name: dict(zip(spec.labels.names, part.counts().tolist(), strict=True)) for name, part in splits.items()
        }

    def facts(self, spec: LabelSpec) -> dict[str, Any]:
        """The labels."""
        return {"labels": {"names": list(spec.labels.names), "multi": spec.labels.multi}}

    def num_labels(self, spec: LabelSpec) -> int | None:
        """For multi-label: how many there are."""
        return len(spec.labels) if spec.labels.multi else None

    @abstractmethod
    def new_network(
        self, name: str, spec: LabelSpec, rows: Examples, settings: Settings
    ) -> tuple[LoadedClassifier, dict[str, Any], str]:
        """A network with new weights, what prepares its inputs (as `processors` returns it), and a note about both."""

    @abstractmethod
    def processors(
        self,
        folder: Path,
        config: ModelConfig,
        settings: Settings,
        known: Mapping[str, Any],
        rows: Examples | None = None,
    ) -> dict[str, Any]:
        """What prepares the inputs of a checkpoint's network, by the fields of the task's model.

        Args:
            folder: The checkpoint's folder.
            config: Its network.
            settings: Lengths and the like.
            known: What `task.json` says.
            rows: The training rows; none for a trained model.
        """

    @abstractmethod
    def saved_processors(self, model: ModelT) -> dict[str, Any]:
        """What is saved beside the network, as arguments of `save_classifier`."""

    def load(
        self, source: ModelSource, spec: LabelSpec, rows: Examples, settings: Settings, device: torch.device
    ) -> ModelT:
        """A checkpoint's weights with a head for the data's labels, or new weights."""
        labels = spec.labels
        if source.folder is None:
            loaded, processors, note = self.new_network(source.name, spec, rows, settings)
        else:
            loaded = load_classifier(
                source.folder,
                input=self.noun,
                label_names=labels.names,
                multi=labels.multi,
                dropouts=settings.training.dropouts,
            )
            processors = self.processors(source.folder, loaded.model.architecture, settings, {}, rows)
            note = f"Randomly initialised weights: {', '.join(loaded.fresh)}. All others are those of {source.name}."
        return self.model_type(
            network=loaded.model.to(device),
            config=loaded.config,
            device=device,
            precision=choose_precision(settings.machine.precision, device),
            notes=(note,) if source.folder is None or loaded.fresh else (),
            loss=_loss(settings, spec, rows, device),
            **processors,
        )

    def open(
        self, folder: Path, known: Mapping[str, Any], settings: Settings, device: torch.device, precision: Precision
    ) -> tuple[LabelSpec, ModelT]:
        """A trained classifier."""
        loaded = load_classifier(folder, input=self.noun)
        spec = LabelSpec(Labels(loaded.label_names, loaded.multi))
        model = self.model_type(
            network=loaded.model.to(device),
            config=loaded.config,
            device=device,
            precision=precision,
            loss=LabelLoss(spec.labels.multi),
            **self.processors(folder, loaded.model.architecture, settings, known),
        )
        return spec, model

    def save(self, folder: Path, model: ModelT, spec: LabelSpec) -> Mapping[str, Any]:
        """Write a folder that Headway, `transformers` and every tool of that format opens."""
        saved = self.saved_processors(model)
        save_classifier(
            folder,
            model.network,  # type: ignore[arg-type]
            config=model.config,
            label_names=spec.labels.names,
            multi=spec.labels.multi,
            **saved,
        )
        return {name: value for name, value in saved.items() if name == "max_length"}

    @abstractmethod
    def logits(self, model: ModelT, batch: Batch) -> Tensor:
        """One score per label. *Shape:* (sequences, labels)."""

    def loss(self, model: ModelT, batch: Batch) -> LossSum:
        """Cross-entropy over the labels; for multi-label one binary cross-entropy per label."""
        assert batch.labels is not None, "a batch to learn from has labels"
        return model.loss.of(self.logits(model, batch).float(), batch.labels)

    def answer(
        self, model: ModelT, spec: LabelSpec, batch: Batch, settings: Settings, outputs: Tensor | None = None
    ) -> Sequence[Part]:
        """Probabilities: softmax over the labels, or one sigmoid per label."""
        logits = (self.logits(model, batch) if outputs is None else outputs).float()
        scores = logits.sigmoid() if spec.labels.multi else logits.softmax(-1)
        rows = scores.cpu().numpy()
        return [Part(Prediction(spec.labels.names, row, spec.labels.multi)) for row in rows]

    def row(self, answer: Prediction) -> dict[str, Any]:
        """Label, confidence, and the probability of every label."""
        label = answer.label
        return {
            "label": label if isinstance(label, str) else list(label),
            "confidence": round(answer.confidence, 6),
            "probabilities": {name: round(value, 6) for name, value in answer.probabilities.items()},
        }

    def line(self, answer: Prediction) -> str:
        """The label and how sure it is."""
        width = max(map(len, answer.names))
        label = answer.label if isinstance(answer.label, str) else ", ".join(answer.label) or "—"
        return f"{label:<{width}}  {answer.confidence:6.1%}"

    def label_names(self, spec: LabelSpec) -> tuple[str, ...]:
        """The labels, in the order of the model's scores."""
        return spec.labels.names

    def probabilities(self, spec: LabelSpec, answers: Sequence[Prediction]) -> FloatArray:
        """The probability of each label. *Shape:* (answers, labels)."""
        return np.array([answer.scores for answer in answers], dtype=np.float32).reshape(-1, len(spec.labels))

    def describe(self, spec: LabelSpec) -> str:
        """The labels."""
        names = spec.labels.names
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        return f"{len(names)} labels{', any number per row' if spec.labels.multi else ''} ({shown})"

    def metrics(self, spec: LabelSpec) -> PredictionMetrics:
        """Accuracy, macro-F1, MCC and calibration error; for multi-label micro-F1 and its kin."""
        return PredictionMetrics(spec.labels.names, spec.labels.multi, lambda example: example["label"])

    def watched_metric(self, spec: LabelSpec) -> str:
        """Macro-F1, which a constant answer cannot win on unbalanced data; for multi-label micro-F1."""
        return "micro_f1" if spec.labels.multi else "macro_f1"

    def baselines(self, train: Examples, scored: Examples, spec: LabelSpec, seed: int) -> Iterable[BaselineAnswers]:
        """The most common answer."""
        names, multi = spec.labels.names, spec.labels.multi
        common = majority_baseline(train.targets(), len(scored), names, multi=multi, what=self.noun)
        yield self.as_baseline(common, spec)

    def as_baseline(self, baseline: Any, spec: LabelSpec) -> BaselineAnswers:
        """A baseline's probabilities as predictions."""
        answers = (Prediction(spec.labels.names, row, spec.labels.multi) for row in baseline.probabilities)
        return BaselineAnswers(baseline.name, baseline.description, answers)

    def details(
        self, spec: LabelSpec, splits: Mapping[str, Examples], scored: Examples, answers: Sequence[Prediction]
    ) -> dict[str, Any]:
        """Scores per label, confusion, calibration, and the most confident mistakes."""
        metrics = self.metrics(spec)
        statistics = metrics.statistics_of(scored.targets(), np.stack([answer.scores for answer in answers]))
        mistakes = find_mistakes(metrics, statistics, lambda rows: [self.shown(one) for one in scored.fetch(rows)])
        counts = {name: part.counts().tolist() for name, part in splits.items()}
        return pack_details(label_details(metrics, statistics, counts, mistakes))

    @abstractmethod
    def shown(self, example: Example) -> Shown:
        """An example as a list of mistakes shows it."""


def _loss(settings: Settings, spec: LabelSpec, rows: Examples, device: torch.device) -> LabelLoss:
    """The loss that the settings ask for."""
    weights = None
    if settings.training.class_weights == "balanced":
        weights = LabelLoss.balanced_weights(rows.targets(), len(spec.labels), spec.labels.multi).to(device)
    return LabelLoss(spec.labels.multi, settings.training.label_smoothing, weights)
