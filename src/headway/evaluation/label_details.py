"""What the record of a task with labels has beside the common part: scores per label, calibration, mistakes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from headway.evaluation.intervals import interval, resamples_of
from headway.evaluation.metrics.label_metrics import NUM_BINS, LabelCounts, LabelMetrics, bins_of
from headway.evaluation.metrics.metric import FloatArray, IntArray, ratio
from headway.evaluation.record import Interval

__all__ = [
    "Bin",
    "ClassScore",
    "LabelDetails",
    "Mistake",
    "Shown",
    "find_mistakes",
    "label_details",
    "label_reservations",
]

MISTAKES_KEPT = 20


@dataclass(frozen=True)
class ClassScore:
    """How well one class (or one label of several) is found.

    Attributes:
        support: Scored rows whose truth is this class. With 0 nothing is known: the values are 0, the intervals 0 to 1.
    """

    name: str
    precision: Interval
    recall: Interval
    f1: Interval
    support: int


@dataclass(frozen=True)
class Bin:
    """One bar of the reliability diagram: mean confidence and accuracy of the `count` predictions that fall in it."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that the model was sure of.

    Attributes:
        where: The file and row.
        text: The row's text; for an image its name, or "".
        truth: The label, or labels, in the data; "" for none.
        predicted: What the model answered.
        confidence: How sure it was.
        image: A thumbnail as a `data:` URI; "" for texts.
    """

    where: str
    text: str
    truth: str
    predicted: str
    confidence: float
    image: str = ""


@dataclass(frozen=True)
class Shown:
    """How a scored row is shown in a list of mistakes; see `Mistake`."""

    where: str
    text: str
    image: str = ""


@dataclass(frozen=True)
class LabelDetails:
    """The details of a record whose task assigns labels.

    Attributes:
        label_names: In the order of the class indices.
        multi_label: Each row may have any number of labels.
        label_counts: Rows per label, by split, in the order of `label_names`.
        classes: The scores of each label.
        confusion: Counts, rows = truth, columns = predicted, in the order of the label names; () for multi-label.
        reliability: The bins that hold predictions, by rising confidence; () for multi-label.
        mistakes: Wrong answers, the most confident first.
    """

    label_names: tuple[str, ...]
    multi_label: bool
    label_counts: dict[str, tuple[int, ...]]
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[Bin, ...]
    mistakes: tuple[Mistake, ...]


def label_details(
    metrics: LabelMetrics,
    statistics: FloatArray,
    label_counts: Mapping[str, Sequence[int]],
    mistakes: Sequence[Mistake] = (),
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> LabelDetails:
    """Compute the details of a record from the statistics of the scored rows.

    Args:
        metrics: The task's metrics.
        statistics: Those of the scored rows. *Shape:* (rows, width)
        label_counts: Rows per label, by split.
        mistakes: See `find_mistakes`.
        seed: Seed of the resampling, the same as for the scores.
        resamples: How many draws each interval rests on.
    """
    rows, multi = len(statistics), metrics.multi
    draws = chain([np.arange(rows, dtype=np.int64)], resamples_of(rows, resamples, seed))
    counts = metrics.count(statistics, draws)
    return LabelDetails(
        label_names=metrics.label_names,
        multi_label=multi,
        label_counts={split: tuple(int(count) for count in each) for split, each in label_counts.items()},
        classes=tuple(_class_score(name, counts, label) for label, name in enumerate(metrics.label_names)),
        confusion=() if multi else _confusion(metrics, statistics),
        reliability=() if multi else _reliability(metrics, statistics),
        mistakes=tuple(mistakes),
    )


def find_mistakes(
    metrics: LabelMetrics,
    statistics: FloatArray,
    show: Callable[[IntArray], Sequence[Shown]],
    *,
    most: int = MISTAKES_KEPT,
) -> tuple[Mistake, ...]:
    """Return the wrong answers that the model was surest of, the surest first.

    Args:
        metrics: The task's metrics.
        statistics: Those of the scored rows. *Shape:* (rows, width)
        show: Returns how the rows of the given numbers are shown, in that order.
        most: How many to return at most.
    """
    truths, answers = metrics.truths(statistics), metrics.predictions(statistics)
    confidences = metrics.confidences(statistics)
    wrong = (truths != answers).any(axis=1) if metrics.multi else truths != answers
    rows = np.flatnonzero(wrong)
    rows = rows[np.argsort(-confidences[rows], kind="stable")][:most]
    return tuple(
        Mistake(
            where=shown.where,
            text=shown.text,
            truth=_names(metrics, truths[row]),
            predicted=_names(metrics, answers[row], metrics.probabilities(statistics)[row]),
            confidence=float(confidences[row]),
            image=shown.image,
        )
        for row, shown in zip(rows, show(rows), strict=True)
    )


def label_reservations(details: LabelDetails) -> list[str]:
    """Say which labels nothing is known about, and whether all answers are the same, for the verdict."""
    sentences = []
    columns = zip(*details.confusion, strict=True)  # none for multi-label
    answered = [name for name, column in zip(details.label_names, columns, strict=False) if any(column)]
    if len(answered) == 1 and sum(score.support > 0 for score in details.classes) > 1:
        sentences.append(
            f"Every row is answered with “{answered[0]}”: the model has not learned to tell the classes apart. More "
            "rows of the other classes, class_weights=balanced, or more epochs may help."
        )
    missing = [score.name for score in details.classes if not score.support]
    if not missing:
        return sentences
    names = ", ".join(f"“{name}”" for name in missing[:5]) + (" …" if len(missing) > 5 else "")
    return [*sentences, f"No scored row has {names}: nothing is known about {'it' if len(missing) == 1 else 'them'}."]


def _names(metrics: LabelMetrics, labels: Any, probabilities: FloatArray | None = None) -> str:
    """Return the label of a row; of several labels all of them, the most probable first."""
    if not metrics.multi:
        return metrics.label_names[labels]
    given = np.flatnonzero(labels)
    if probabilities is not None:
        given = given[np.argsort(-probabilities[given], kind="stable")]
    return ", ".join(metrics.label_names[label] for label in given)


def _class_score(name: str, counts: LabelCounts, label: int) -> ClassScore:
    hits, predicted, truth = (each[:, label] for each in (counts.hits, counts.predicted, counts.truth))
    support, answers = int(truth[0]), int(predicted[0])
    precision = ratio(hits, predicted)
    recall = ratio(hits, truth)
    f1 = ratio(2 * hits, predicted + truth)
    return ClassScore(
        name=name,
        precision=interval(float(precision[0]), precision[1:], trials=answers),
        recall=interval(float(recall[0]), recall[1:], trials=support) if support else Interval(0.0, 0.0, 1.0),
        f1=interval(float(f1[0]), f1[1:], trials=support) if support else Interval(0.0, 0.0, 1.0),
        support=support,
    )


def _reliability(metrics: LabelMetrics, statistics: FloatArray) -> tuple[Bin, ...]:
    confidence = np.clip(metrics.confidences(statistics), 0.0, 1.0)
    bins, right = bins_of(confidence), metrics.predictions(statistics) == metrics.truths(statistics)
    counts = np.bincount(bins, minlength=NUM_BINS)
    confidences = np.bincount(bins, weights=confidence, minlength=NUM_BINS)
    rights = np.bincount(bins, weights=right, minlength=NUM_BINS)
    return tuple(
        Bin(float(confidences[number] / count), float(rights[number] / count), int(count))
        for number, count in enumerate(counts)
        if count
    )


def _confusion(metrics: LabelMetrics, statistics: FloatArray) -> tuple[tuple[int, ...], ...]:
    num_labels = len(metrics.label_names)
    cells = metrics.truths(statistics) * num_labels + metrics.predictions(statistics)
    counts = np.bincount(cells, minlength=num_labels**2).reshape(num_labels, num_labels)
    return tuple(tuple(row) for row in counts.tolist())
