"""The metrics of labels, one or several per row, whatever is labelled: texts or images.

Only counts per label are kept of a draw, so memory grows with labels times resamples and not with rows times
resamples. What a metric is where it would be 0 / 0 (no warning is ever given):

- precision, recall and F1 of a label that is never predicted, or that no row has: value 0, interval 0 to 1 (unknown);
- macro-F1 averages over the labels that occur among the truths or the predictions (scikit-learn's default for classes;
  its `zero_division=nan` for multi-label);
- the correlation (MCC) is 0 when all truths, or all predictions, are one class;
- mean average precision leaves out the labels that no row has; when no row has any label: value 0, interval 0 to 1.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.evaluation.metrics.metric import FloatArray, IntArray, MetricInfo, in_batches, ratio
from headway.examples.examples import Example, Examples

__all__ = ["NUM_BINS", "THRESHOLD", "LabelCounts", "LabelMetrics", "bins_of"]

NUM_BINS = 15
THRESHOLD = 0.5
"""In multi-label classification a row is given a label from this probability on."""

AnyArray = NDArray[Any]

_SINGLE = (
    MetricInfo(
        "accuracy",
        "Accuracy",
        True,
        "The share of rows that are given the right label.",
        hub_name="accuracy",
        sentence="The model labels {value} of the {rows} {split} rows correctly; on new rows of the same kind, "
        "expect {low_high}.",
    ),
    MetricInfo(
        "macro_f1",
        "Macro-F1",
        False,
        "F1 of each class, averaged so that a rare class counts as much as a common one.",
        hub_name="f1",
    ),
    MetricInfo(
        "mcc",
        "MCC",
        False,
        "Matthews correlation between truth and prediction: 1 is perfect, 0 is what chance or a constant answer "
        "gives, whatever the balance of the classes.",
        hub_name="matthews_correlation",
        worst=-1.0,
    ),
    MetricInfo(
        "ece",
        "Calibration error",
        False,
        f"Expected calibration error (ECE): how much confidence and accuracy differ on average, over {NUM_BINS} bins "
        "of confidence. 0 is best. On few rows chance alone raises it, which its interval allows for.",
        higher_is_better=False,
    ),
)
_MULTI = (
    MetricInfo(
        "micro_f1",
        "Micro-F1",
        False,
        "F1 over all label decisions together, so common labels count most.",
        hub_name="f1",
    ),
    MetricInfo(
        "macro_f1",
        "Macro-F1",
        False,
        "F1 of each label, averaged so that a rare label counts as much as a common one.",
        hub_name="f1",
    ),
    MetricInfo(
        "mean_average_precision",
        "Mean average precision",
        False,
        "For each label, how well its rows are ranked ahead of the others, averaged over the labels that occur. "
        f"It does not depend on the threshold of {THRESHOLD}.",
        hub_name="mean_average_precision",
    ),
    MetricInfo(
        "subset_accuracy",
        "Exact sets",
        True,
        "The share of rows whose whole set of labels is right.",
        hub_name="exact_match",
    ),
)


@dataclass(frozen=True)
class LabelCounts:
    """What is counted of every draw of rows.

    Attributes:
        hits: Rows of a label that were given this label. *Shape:* (draws, num_labels)
        predicted: Rows that were given the label. The same shape.
        truth: Rows of the label. The same shape.
        gaps: Single label: accuracy minus confidence of the rows of each bin, times their share of all rows.
            *Shape:* (draws, NUM_BINS)
        precisions: Multi-label, if asked for: average precision, NaN where no row has the label.
            *Shape:* (draws, num_labels)
        whole: Rows whose labels are all right. *Shape:* (draws,)
    """

    hits: FloatArray
    predicted: FloatArray
    truth: FloatArray
    gaps: FloatArray
    precisions: FloatArray
    whole: FloatArray


@dataclass(frozen=True)
class LabelMetrics:
    """The metrics of probabilities over labels.

    One label per row: accuracy, macro-F1, MCC (the multi-class R_K of Gorodkin,
    https://doi.org/10.1016/j.compbiolchem.2004.09.006) and ECE (15 bins of equal width, Guo et al. 2017,
    https://arxiv.org/abs/1706.04599). The statistics of a row are its true class, its predicted class and the
    confidence.

    Multi-label: micro-F1, macro-F1, mean average precision and subset accuracy. The statistics of a row are its truth
    (0 or 1) for each label, then its probability of each label.

    Attributes:
        label_names: In the order of the class indices.
        multi: Each row may have any number of labels.
        target: Returns the class index of an example, or for multi-label several of them.
    """

    label_names: tuple[str, ...]
    multi: bool = False
    target: Callable[[Any], Any] = itemgetter("label")

    @property
    def infos(self) -> tuple[MetricInfo, ...]:
        """What each metric is."""
        return _MULTI if self.multi else _SINGLE

    @property
    def needs_answers(self) -> bool:
        """False: the pass that computes the loss yields the probabilities too."""
        return False

    def context(self, rows: Examples) -> None:
        """Nothing: a row's statistics do not depend on the others."""

    def statistics(self, answer: AnyArray, example: Example, context: object = None) -> FloatArray:
        """The statistics of one row. *Shape:* answer (num_labels,) probabilities; result (width,)."""
        if self.multi:
            target: AnyArray = np.isin(np.arange(len(self.label_names)), self.target(example))
        else:
            target = np.array(self.target(example))
        return self.statistics_of(target[None], answer[None])[0]

    def statistics_of(self, targets: AnyArray, probabilities: AnyArray) -> FloatArray:
        """The statistics of many rows at once.

        Args:
            targets: Class indices, *shape:* (rows,); for multi-label 0 / 1, *shape:* (rows, num_labels).
            probabilities: *Shape:* (rows, num_labels).

        Returns:
            *Shape:* (rows, 3), or (rows, 2 · num_labels) for multi-label.

        Raises:
            ValueError: Shapes, label indices or probabilities that cannot be.
        """
        self._check(targets, probabilities)
        if self.multi:
            return np.concatenate([targets, probabilities], axis=1, dtype=np.float64)
        return np.stack([targets, probabilities.argmax(axis=1), probabilities.max(axis=1)], axis=1, dtype=np.float64)

    def signatures(self, statistics: FloatArray) -> dict[str, str]:
        """None: their names say everything."""
        return {}

    def values(self, statistics: FloatArray, draws: Iterable[IntArray]) -> dict[str, FloatArray]:
        """Each metric on each draw; of the calibration error its signed gaps by bin, *shape:* (draws, NUM_BINS)."""
        rows, counts = len(statistics), self.count(statistics, draws, ranked=True)
        hits, predicted, truth = counts.hits, counts.predicted, counts.truth
        if self.multi:
            return {
                "micro_f1": ratio(2 * hits.sum(axis=1), (predicted + truth).sum(axis=1)),
                "macro_f1": _mean_of_known(ratio(2 * hits, predicted + truth)),
                "mean_average_precision": _mean_of_known(counts.precisions),
                "subset_accuracy": counts.whole / rows,
            }
        return {
            "accuracy": counts.whole / rows,
            "macro_f1": _mean_of_known(ratio(2 * hits, predicted + truth)),
            "mcc": _correlation(hits, predicted, truth, rows),
            "ece": counts.gaps,
        }

    def count(self, statistics: FloatArray, draws: Iterable[IntArray], *, ranked: bool = False) -> LabelCounts:
        """What the metrics, and the scores of each label, are computed from.

        Args:
            statistics: *Shape:* (rows, width)
            draws: Row numbers. *Shape:* (rows,) each
            ranked: Also the average precision of each label, which takes most of the time.
        """
        if self.multi:
            return _count_multi(self.truths(statistics), self.probabilities(statistics), draws, ranked)
        return _count_single(statistics, len(self.label_names), draws)

    def truths(self, statistics: FloatArray) -> AnyArray:
        """The true class of each row, *shape:* (rows,); for multi-label a truth per label, (rows, num_labels)."""
        if self.multi:
            return statistics[:, : len(self.label_names)].astype(bool)
        return statistics[:, 0].astype(np.int64)

    def predictions(self, statistics: FloatArray) -> AnyArray:
        """What the model predicts, of the same shape as `truths`."""
        if self.multi:
            return self.probabilities(statistics) >= THRESHOLD
        return statistics[:, 1].astype(np.int64)

    def confidences(self, statistics: FloatArray) -> FloatArray:
        """How sure the model is of its answer; for multi-label of the label it is least sure of. *Shape:* (rows,)."""
        if self.multi:
            probabilities = self.probabilities(statistics)
            return np.maximum(probabilities, 1 - probabilities).min(axis=1)
        return statistics[:, 2]

    def probabilities(self, statistics: FloatArray) -> FloatArray:
        """Multi-label: the probability of each label. *Shape:* (rows, num_labels)."""
        return statistics[:, len(self.label_names) :]

    def _check(self, targets: AnyArray, probabilities: AnyArray) -> None:
        shape = (len(targets), len(self.label_names))
        if probabilities.shape != shape or targets.shape != (shape if self.multi else shape[:1]):
            raise ValueError(f"targets {targets.shape} and probabilities {probabilities.shape} do not fit {shape}")
        if not len(targets):
            return
        finite = probabilities[np.isfinite(probabilities)]
        if finite.size and (finite.min() < -1e-6 or finite.max() > 1 + 1e-6):
            raise ValueError("probabilities must lie between 0 and 1")
        highest = 1 if self.multi else len(self.label_names) - 1
        if targets.min() < 0 or targets.max() > highest:
            raise ValueError(f"targets must lie between 0 and {highest}")


def bins_of(confidences: FloatArray) -> IntArray:
    """Return each row's bin of confidence, ((m-1)/15, m/15] as in Guo et al. *Shape:* (rows,)."""
    confidences = np.clip(confidences, 0.0, 1.0)
    return np.clip(np.ceil(confidences * NUM_BINS) - 1, 0, NUM_BINS - 1).astype(np.int64)


def _mean_of_known(values: FloatArray) -> FloatArray:
    """Average over the last axis without the NaNs; NaN where there is nothing else."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1).astype(np.float64))


# --- one label per row


def _count_single(statistics: FloatArray, num_labels: int, draws: Iterable[IntArray]) -> LabelCounts:
    truths, answers = statistics[:, 0].astype(np.int64), statistics[:, 1].astype(np.int64)
    right = answers == truths
    hit_or_none = np.where(right, truths, num_labels)
    bins, gaps = bins_of(statistics[:, 2]), right - np.clip(statistics[:, 2], 0.0, 1.0)
    rows, hits, predicted, truth, binned = len(statistics), [], [], [], []
    for drawn in draws:
        hits.append(np.bincount(hit_or_none[drawn], minlength=num_labels + 1)[:num_labels])
        predicted.append(np.bincount(answers[drawn], minlength=num_labels))
        truth.append(np.bincount(truths[drawn], minlength=num_labels))
        # (accuracy - confidence) of a bin times its share of the rows is the sum of its rows' gaps / rows.
        binned.append(np.bincount(bins[drawn], weights=gaps[drawn], minlength=NUM_BINS) / rows)
    counted, given, there = (np.array(each, dtype=np.float64) for each in (hits, predicted, truth))
    return LabelCounts(counted, given, there, np.array(binned), np.empty(0), counted.sum(axis=1))


def _correlation(hits: FloatArray, predicted: FloatArray, truth: FloatArray, rows: int) -> FloatArray:
    """R_K = (c·s - Σ p_k·t_k) / √((s² - Σ p_k²)·(s² - Σ t_k²)), c right answers of s (Gorodkin 2004)."""
    covariance = hits.sum(axis=1) * rows - (predicted * truth).sum(axis=1)
    spread = (rows**2 - (predicted**2).sum(axis=1)) * (rows**2 - (truth**2).sum(axis=1))
    return np.nan_to_num(ratio(covariance, np.sqrt(spread)), nan=0.0)


# --- any number of labels per row


def _count_multi(
    truths: NDArray[np.bool_], probabilities: FloatArray, draws: Iterable[IntArray], ranked: bool
) -> LabelCounts:
    answers = probabilities >= THRESHOLD
    whole = (answers == truths).all(axis=1)
    # One matrix product counts everything: row weights (rows, draws) and indicators (rows, 3 * num_labels + 1).
    indicators = np.column_stack([truths & answers, answers, truths, whole]).astype(np.float32)
    rankings = [_Ranking.of(*columns) for columns in zip(truths.T, probabilities.T, strict=True) if ranked]
    counts, precisions = [], []
    for weights in in_batches(len(truths), draws):
        counts.append(weights.T @ indicators)
        precisions.append(np.array([ranking.average_precision(weights) for ranking in rankings]).T)
    counted = np.concatenate(counts).astype(np.float64)
    hits, predicted, truth = np.split(counted[:, :-1], 3, axis=1)
    return LabelCounts(hits, predicted, truth, np.empty(0), np.concatenate(precisions), counted[:, -1])


@dataclass(frozen=True)
class _Ranking:
    """The rows from the most to the least probable for one label, ready to be weighted by any number of draws.

    Average precision is scikit-learn's, whose function takes one draw at a time: for the 1,000 draws of 10,000 rows
    with 10 labels it needs half a minute, this class a few seconds. Only thresholds at which a row with the label is
    found add to the area; the others are left out from the start.

    Attributes:
        order: Row numbers. *Shape:* (rows,)
        positive: Positions in `order` of the rows that have the label. *Shape:* (positives,)
        ends: For each threshold its last position in `order`: equal probabilities share one. *Shape:* (thresholds,)
        found: For each threshold the number of positives up to it. *Shape:* (thresholds,)
    """

    order: IntArray
    positive: IntArray
    ends: IntArray
    found: IntArray

    @classmethod
    def of(cls, targets: NDArray[np.bool_], probabilities: AnyArray) -> "_Ranking":
        order = np.argsort(probabilities)[::-1]
        ranked = probabilities[order]
        positive = np.flatnonzero(targets[order])
        every_end = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        ends = np.unique(every_end[np.searchsorted(every_end, positive)])
        return cls(order, positive, ends, np.searchsorted(positive, ends, side="right"))

    def average_precision(self, weights: NDArray[np.float32]) -> FloatArray:
        """Σ (R_k - R_{k-1})·P_k over the thresholds, as in scikit-learn; NaN without positives.

        *Shape:* weights (rows, draws), result (draws,).
        """
        if not self.positive.size:
            return np.full(weights.shape[1], np.nan)
        ranked = weights[self.order]
        found = np.cumsum(ranked[self.positive], axis=0)[self.found - 1].astype(np.float64)
        seen = np.cumsum(ranked, axis=0)[self.ends]
        precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
        return ratio((np.diff(found, axis=0, prepend=0.0) * precision).sum(axis=0), found[-1])
