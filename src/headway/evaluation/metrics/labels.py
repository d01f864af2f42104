"""The figures of a classifier, each with its 95 % interval.

Every figure is computed on the scored rows and on resamples of them by the same code: the first "draw" is the rows as
they are, the others are bootstrap draws (see `headway.evaluation.intervals`). Only counts per class are kept of a draw,
so memory grows with classes times resamples and not with rows times resamples.

What a figure is where it would be 0 / 0, and no warning is ever given:

- precision, recall and F1 of a class that is never predicted, or that no row has: value 0, interval 0 to 1 (unknown);
- macro-F1 averages over the classes that occur among the truths or the predictions (scikit-learn's default for classes;
  its `zero_division=nan` for labels);
- the correlation (MCC) is 0 when all truths, or all predictions, are one class;
- mean average precision leaves out the labels that no row has; when no row has any label: value 0, interval 0 to 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.errors import HeadwayError
from headway.evaluation.intervals import gap_interval, interval, resamples_of
from headway.evaluation.record import Bin, ClassScore, Interval, Scores

__all__ = ["NUM_BINS", "THRESHOLD", "compute_metrics", "paired_difference", "score"]

NUM_BINS = 15
THRESHOLD = 0.5  # a label of several is given from this probability on

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
AnyArray = NDArray[Any]

_WEIGHTS_AT_ONCE = 4_000_000  # multi-label: rows times draws held at a time, 16 MB


@dataclass(frozen=True)
class _Draws:
    """Counts and figures of every draw; the first draw is the scored rows themselves.

    Attributes:
        hits: Rows of a class that were given this class. *Shape:* (1 + resamples, num_labels)
        predicted: Rows that were given the class. The same shape.
        truth: Rows of the class. The same shape.
        figures: Each metric by name, NaN where undefined. *Shape:* (1 + resamples,) each.
        drift: By how much the bins' gaps of confidence and accuracy differ from the first draw's, in sum; empty for
            multi-label. *Shape:* (1 + resamples,)
    """

    hits: FloatArray
    predicted: FloatArray
    truth: FloatArray
    figures: dict[str, FloatArray]
    drift: FloatArray


def score(
    targets: AnyArray,
    probabilities: AnyArray,
    label_names: Sequence[str],
    *,
    multi: bool = False,
    seed: int = 0,
    resamples: int = 1000,
) -> Scores:
    """Score predictions against the truth.

    Args:
        targets: Class indices, *shape:* (rows,); for multi-label 0 / 1, *shape:* (rows, num_labels).
        probabilities: *Shape:* (rows, num_labels).
        label_names: In the order of the class indices.
        multi: Each row may have any number of labels; a label is given from a probability of 0.5 on.
        seed: Of the resampling.
        resamples: How many draws each interval rests on.

    Returns:
        accuracy, macro-F1, MCC (the multi-class R_K of Gorodkin, https://doi.org/10.1016/j.compbiolchem.2004.09.006)
        and ECE (15 bins of equal width, Guo et al. 2017, https://arxiv.org/abs/1706.04599); or micro-F1, macro-F1,
        mean average precision and subset accuracy. Precision, recall and F1 of every class; for single labels the
        confusion matrix and the reliability bins.

    Raises:
        HeadwayError: No rows, or probabilities that are not finite.
        ValueError: Shapes, label indices or probabilities that cannot be.
    """
    _check(targets, probabilities, label_names, multi)
    if resamples < 1:
        raise ValueError("an interval needs at least one resample; compute_metrics() gives the values alone")
    draws = _draw(targets, probabilities, multi, seed, resamples)
    rows = len(targets)
    return Scores(
        rows=rows,
        metrics={name: _figure_interval(name, draws, rows) for name in draws.figures},
        classes=tuple(_class_score(name, draws, label) for label, name in enumerate(label_names)),
        confusion=() if multi else _confusion(targets, probabilities),
        reliability=() if multi else _reliability(targets, probabilities),
    )


def compute_metrics(targets: AnyArray, probabilities: AnyArray, *, multi: bool = False) -> dict[str, float]:
    """Return the metrics of `score` without their intervals: cheap enough for every validation.

    Args:
        targets: Class indices, *shape:* (rows,); for multi-label 0 / 1, *shape:* (rows, num_labels).
        probabilities: *Shape:* (rows, num_labels).
        multi: Each row may have any number of labels.
    """
    alone = _draw(targets, probabilities, multi, seed=0, resamples=0).figures
    return {name: float(np.nan_to_num(values[0])) for name, values in alone.items()}


def paired_difference(
    targets: AnyArray,
    probabilities: AnyArray,
    other: AnyArray,
    *,
    multi: bool = False,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Interval]:
    """Return, for each metric, by how much `probabilities` are better than `other` on the same rows.

    The difference is taken draw by draw (paired), which is sharper than comparing two intervals: rows that are hard
    for both models move both figures together. An interval that leaves out 0 means that the two can be told apart.
    For ECE, where less is better, a negative difference is the good one.
    """
    _require_finite(probabilities)
    ours = _draw(targets, probabilities, multi, seed, resamples).figures
    theirs = _draw(targets, other, multi, seed, resamples).figures
    differences = {name: ours[name] - theirs[name] for name in ours}
    return {name: interval(float(values[0]), values[1:]) for name, values in differences.items()}


def _check(targets: AnyArray, probabilities: AnyArray, label_names: Sequence[str], multi: bool) -> None:
    if not len(targets):
        raise HeadwayError("There are no rows to score. Give a file with at least one labelled row.")
    _require_finite(probabilities)
    shape = (len(targets), len(label_names))
    if probabilities.shape != shape or targets.shape != (shape if multi else shape[:1]):
        raise ValueError(f"targets {targets.shape} and probabilities {probabilities.shape} do not fit {shape}")
    if probabilities.min() < -1e-6 or probabilities.max() > 1 + 1e-6:
        raise ValueError("probabilities must lie between 0 and 1")
    highest = 1 if multi else len(label_names) - 1
    if targets.min() < 0 or targets.max() > highest:
        raise ValueError(f"targets must lie between 0 and {highest}")


def _require_finite(probabilities: AnyArray) -> None:
    broken = int((~np.isfinite(probabilities)).any(axis=1).sum())
    if broken:
        raise HeadwayError(
            f"The model's probabilities are not finite for {broken} of {len(probabilities)} rows, so it cannot be "
            "scored. Its weights are damaged, or its training diverged: train again with a lower learning rate."
        )


def _figure_interval(name: str, draws: _Draws, rows: int) -> Interval:
    """ECE is a sum of absolute gaps; an MCC of 0 is exact when all answers are the same, and no proportion."""
    values = draws.figures[name]
    if name == "ece":
        return gap_interval(float(values[0]), values[1:], draws.drift[1:])
    proportion = name != "mcc" or values[0] == 1
    return interval(float(values[0]), values[1:], trials=rows if proportion else 0)


def _class_score(name: str, draws: _Draws, label: int) -> ClassScore:
    hits, predicted, truth = (counts[:, label] for counts in (draws.hits, draws.predicted, draws.truth))
    support, answers = int(truth[0]), int(predicted[0])
    precision = _ratio(hits, predicted)
    recall = _ratio(hits, truth)
    f1 = _ratio(2 * hits, predicted + truth)
    return ClassScore(
        name=name,
        precision=interval(float(precision[0]), precision[1:], trials=answers),
        recall=interval(float(recall[0]), recall[1:], trials=support) if support else Interval(0.0, 0.0, 1.0),
        f1=interval(float(f1[0]), f1[1:], trials=support) if support else Interval(0.0, 0.0, 1.0),
        support=support,
    )


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Divide, with NaN for 0 / 0 and no warning."""
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _mean_of_known(values: FloatArray) -> FloatArray:
    """Average over the last axis without the NaNs; NaN where there is nothing else."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1).astype(np.float64))


def _draw(targets: AnyArray, probabilities: AnyArray, multi: bool, seed: int, resamples: int) -> _Draws:
    rows = len(targets)
    draws = chain([np.arange(rows, dtype=np.int64)], resamples_of(rows, resamples, seed))
    if multi:
        return _draw_multi(targets.astype(bool), probabilities, draws, resamples + 1)
    return _draw_single(targets.astype(np.int64), probabilities, draws, resamples + 1)


# --- one label a row


def _draw_single(targets: IntArray, probabilities: AnyArray, draws: Iterator[IntArray], num_draws: int) -> _Draws:
    rows, num_labels = probabilities.shape
    answers = probabilities.argmax(axis=1)
    right = answers == targets
    hit_or_none = np.where(right, targets, num_labels)
    bins, confidence = _bins(probabilities)
    gaps = right - confidence
    hits, predicted, truth = np.empty((3, num_draws, num_labels))
    binned = np.empty((num_draws, NUM_BINS))
    for number, drawn in enumerate(draws):
        hits[number] = np.bincount(hit_or_none[drawn], minlength=num_labels + 1)[:num_labels]
        predicted[number] = np.bincount(answers[drawn], minlength=num_labels)
        truth[number] = np.bincount(targets[drawn], minlength=num_labels)
        # (accuracy - confidence) of a bin times its share of the rows is the sum of its rows' gaps / rows.
        binned[number] = np.bincount(bins[drawn], weights=gaps[drawn], minlength=NUM_BINS) / rows
    figures = {
        "accuracy": hits.sum(axis=1) / rows,
        "macro_f1": _mean_of_known(_ratio(2 * hits, predicted + truth)),
        "mcc": _correlation(hits, predicted, truth, rows),
        "ece": np.abs(binned).sum(axis=1),
    }
    return _Draws(hits, predicted, truth, figures, drift=np.abs(binned - binned[0]).sum(axis=1))


def _correlation(hits: FloatArray, predicted: FloatArray, truth: FloatArray, rows: int) -> FloatArray:
    """R_K = (c·s - Σ p_k·t_k) / √((s² - Σ p_k²)·(s² - Σ t_k²)), c right answers of s (Gorodkin 2004)."""
    covariance = hits.sum(axis=1) * rows - (predicted * truth).sum(axis=1)
    spread = (rows**2 - (predicted**2).sum(axis=1)) * (rows**2 - (truth**2).sum(axis=1))
    return np.nan_to_num(_ratio(covariance, np.sqrt(spread)), nan=0.0)


def _bins(probabilities: AnyArray) -> tuple[IntArray, FloatArray]:
    """Return each row's bin, ((m-1)/15, m/15] as in Guo et al., and its confidence. *Shape:* (rows,) both."""
    confidence = np.clip(probabilities.max(axis=1).astype(np.float64), 0.0, 1.0)
    return np.clip(np.ceil(confidence * NUM_BINS) - 1, 0, NUM_BINS - 1).astype(np.int64), confidence


def _reliability(targets: AnyArray, probabilities: AnyArray) -> tuple[Bin, ...]:
    bins, confidence = _bins(probabilities)
    right = probabilities.argmax(axis=1) == targets
    counts = np.bincount(bins, minlength=NUM_BINS)
    confidences = np.bincount(bins, weights=confidence, minlength=NUM_BINS)
    rights = np.bincount(bins, weights=right, minlength=NUM_BINS)
    return tuple(
        Bin(float(confidences[number] / count), float(rights[number] / count), int(count))
        for number, count in enumerate(counts)
        if count
    )


def _confusion(targets: AnyArray, probabilities: AnyArray) -> tuple[tuple[int, ...], ...]:
    num_labels = probabilities.shape[1]
    cells = targets.astype(np.int64) * num_labels + probabilities.argmax(axis=1)
    counts = np.bincount(cells, minlength=num_labels**2).reshape(num_labels, num_labels)
    return tuple(tuple(row) for row in counts.tolist())


# --- any number of labels a row


def _draw_multi(
    targets: NDArray[np.bool_], probabilities: AnyArray, draws: Iterator[IntArray], num_draws: int
) -> _Draws:
    rows, num_labels = targets.shape
    answers = probabilities >= THRESHOLD
    whole = (answers == targets).all(axis=1)
    # One matrix product counts everything: row weights (rows, draws) and indicators (rows, 3 * num_labels + 1).
    indicators = np.column_stack([targets & answers, answers, targets, whole]).astype(np.float32)
    ranking = [_Ranking.of(targets[:, label], probabilities[:, label]) for label in range(num_labels)]
    counts, precisions = np.empty((num_draws, indicators.shape[1])), np.empty((num_draws, num_labels))
    done = 0
    while batch := list(islice(draws, max(1, _WEIGHTS_AT_ONCE // rows))):
        weights = np.stack([np.bincount(drawn, minlength=rows) for drawn in batch], axis=1).astype(np.float32)
        part = slice(done, done + len(batch))
        counts[part] = weights.T @ indicators
        for label, ranked in enumerate(ranking):
            precisions[part, label] = ranked.average_precision(weights)
        done += len(batch)
    hits, predicted, truth = np.split(counts[:, :-1], 3, axis=1)
    figures = {
        "micro_f1": _ratio(2 * hits.sum(axis=1), (predicted + truth).sum(axis=1)),
        "macro_f1": _mean_of_known(_ratio(2 * hits, predicted + truth)),
        "mean_average_precision": _mean_of_known(precisions),
        "subset_accuracy": counts[:, -1] / rows,
    }
    return _Draws(hits, predicted, truth, figures, drift=np.empty(0))


@dataclass(frozen=True)
class _Ranking:
    """The rows from the most to the least probable for one label, ready to be weighed anew.

    Only thresholds at which a row with the label is found add to the area; the others are left out from the start.

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
        return _ratio((np.diff(found, axis=0, prepend=0.0) * precision).sum(axis=0), found[-1])
