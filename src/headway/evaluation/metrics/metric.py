"""What a metric is, and how any task's answers are scored.

The metrics of a task share one row of *sufficient statistics* per example: numbers of fixed width from which every
metric of any set of examples can be computed. So one mechanism gives values, bootstrap intervals and paired
differences for every task, and what has to be kept of an answer is a few numbers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from headway.errors import HeadwayError
from headway.evaluation.intervals import gap_interval, interval, resamples_of
from headway.evaluation.record import Interval, Scores
from headway.examples.examples import Example, Examples

__all__ = [
    "FloatArray",
    "IntArray",
    "MetricInfo",
    "Metrics",
    "compute_metrics",
    "in_batches",
    "in_prose",
    "paired_difference",
    "ratio",
    "score",
    "sums",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
AnswerT = TypeVar("AnswerT", contravariant=True)

_WEIGHTS_AT_ONCE = 4_000_000  # rows times draws held at a time, 16 MB in float32


@dataclass(frozen=True)
class MetricInfo:
    """The name of a metric, how it is printed, and what it means.

    Attributes:
        name: The key in records and settings: "macro_f1".
        label: The name for people: "Macro-F1".
        percent: Values are fractions that are printed in percent.
        meaning: One or two sentences for the report's glossary.
        higher_is_better: False for an error.
        hub_name: The hub's name for it in model cards; None if the hub has none.
        worst: The value of the worst possible answers.
        best: The value of perfect answers.
        decimals: Printed decimals where `percent` is False.
        sentence: How the verdict states the result, with {value}, {low_high}, {rows} and {split}; "" for the usual way.
    """

    name: str
    label: str
    percent: bool
    meaning: str
    higher_is_better: bool = True
    hub_name: str | None = None
    worst: float = 0.0
    best: float = 1.0
    decimals: int = 3
    sentence: str = ""

    def show(self, value: float) -> str:
        """Format a value: "87.3 %" or "0.741"."""
        return f"{self._number(value)}\N{NO-BREAK SPACE}%" if self.percent else self._number(value)

    def show_range(self, interval: Interval) -> str:
        """Format the ends of an interval: "83.5–91.0 %"; with "to" in between when an end is negative."""
        dash = "–" if interval.low >= 0 else " to "
        unit = "\N{NO-BREAK SPACE}%" if self.percent else ""
        return f"{self._number(interval.low)}{dash}{self._number(interval.high)}{unit}"

    def show_with_range(self, interval: Interval) -> str:
        """Format a value and its interval: "87.3 % (83.5–91.0 %)"."""
        return f"{self.show(interval.value)} ({self.show_range(interval)})"

    def show_difference(self, value: float) -> str:
        """Format a signed difference, percent as points without a unit: "+3.1", "−0.012", "0.0"."""
        text = f"{100 * value:+.1f}" if self.percent else f"{value:+.{self.decimals}f}"
        return text.replace("-", "\N{MINUS SIGN}") if float(text) else text[1:]

    def _number(self, value: float) -> str:
        text = f"{100 * value:.1f}" if self.percent else f"{value:.{self.decimals}f}"
        return text.replace("-", "\N{MINUS SIGN}")


def in_prose(name: str, infos: Iterable[MetricInfo]) -> str:
    """Return a metric's name as it appears inside a sentence: "accuracy", "Macro-F1", "validation loss"."""
    label = next((info.label for info in infos if info.name == name), "")
    if not label:
        return name.replace("_", " ")
    return label.lower() if label[1:].islower() else label


class Metrics(Protocol[AnswerT]):
    """The metrics of a task.

    Attributes:
        infos: What each metric is; the first one is the headline.
        needs_answers: False if a pass that computes the loss yields the answers as well (a classifier's
            probabilities); True if they have to be generated.
    """

    @property
    def infos(self) -> tuple[MetricInfo, ...]: ...  # noqa: D102
    @property
    def needs_answers(self) -> bool: ...  # noqa: D102

    def context(self, rows: Examples) -> object:
        """What the statistics need to know of all scored rows, such as document frequencies; None if nothing."""

    def statistics(self, answer: AnswerT, example: Example, context: object) -> FloatArray:
        """The sufficient statistics of one answer. *Shape:* (width,), the same width for every example."""

    def values(self, statistics: FloatArray, draws: Iterable[IntArray]) -> dict[str, FloatArray]:
        """Each metric on each draw of row numbers, NaN where it is undefined.

        A metric that is a sum of absolute gaps (a calibration error) returns the signed gaps, *shape:* (draws, gaps):
        its interval has to allow for their bias. All others return *shape:* (draws,).

        *Shape:* statistics (rows, width); each draw (rows,).
        """

    def signatures(self, statistics: FloatArray) -> dict[str, str]:
        """Of metrics with several implementations: which one this is, and with which options."""


def score(metrics: Metrics[AnswerT], statistics: FloatArray, *, seed: int = 0, resamples: int = 1000) -> Scores:
    """Return each metric with its 95 % interval.

    Args:
        metrics: The task's metrics.
        statistics: Those of every scored row. *Shape:* (rows, width)
        seed: Seed of the resampling.
        resamples: How many draws each interval rests on.

    Raises:
        HeadwayError: No rows, or statistics that are not finite.
    """
    _require_rows(statistics)
    _require_finite(statistics)
    if resamples < 1:
        raise ValueError("an interval needs at least one resample; compute_metrics() gives the values alone")
    values = metrics.values(statistics, _draws(len(statistics), resamples, seed))
    return Scores(
        rows=len(statistics),
        metrics={info.name: _interval(info, values[info.name], len(statistics)) for info in metrics.infos},
        signatures=metrics.signatures(statistics),
    )


def compute_metrics(metrics: Metrics[AnswerT], statistics: FloatArray) -> dict[str, float]:
    """Return the values of `score` without their intervals: cheap enough for every validation."""
    values = metrics.values(statistics, [np.arange(len(statistics), dtype=np.int64)])
    return {info.name: float(np.nan_to_num(_total(values[info.name])[0])) for info in metrics.infos}


def paired_difference(
    metrics: Metrics[AnswerT], ours: FloatArray, theirs: FloatArray, *, seed: int = 0, resamples: int = 1000
) -> dict[str, Interval]:
    """Return, for each metric, the value of `ours` minus that of `theirs` on the same rows, with its interval.

    The difference is taken draw by draw (paired), which is sharper than comparing two intervals: rows that are hard
    for both models move both values together. An interval that excludes 0 means that the two can be told apart. Where
    lower is better, a negative difference is the good one.

    Args:
        metrics: The task's metrics.
        ours: The statistics of one set of answers. *Shape:* (rows, width)
        theirs: Those of the other, for the same rows in the same order. The same shape.
        seed: Seed of the resampling.
        resamples: How many draws each interval rests on.

    Raises:
        HeadwayError: No rows, or statistics that are not finite.
    """
    _require_rows(ours)
    _require_finite(ours)
    first, second = (metrics.values(each, _draws(len(ours), resamples, seed)) for each in (ours, theirs))
    differences = {info.name: _total(first[info.name]) - _total(second[info.name]) for info in metrics.infos}
    return {name: interval(float(values[0]), values[1:]) for name, values in differences.items()}


def in_batches(rows: int, draws: Iterable[IntArray]) -> Iterator[NDArray[np.float32]]:
    """Yield draws as weights (how often each row was drawn), as many at a time as memory allows.

    *Shape:* (rows, some draws) each.
    """
    iterator = iter(draws)
    while batch := list(islice(iterator, max(1, _WEIGHTS_AT_ONCE // rows))):
        yield np.stack([np.bincount(drawn, minlength=rows) for drawn in batch], axis=1).astype(np.float32)


def sums(statistics: FloatArray, draws: Iterable[IntArray]) -> FloatArray:
    """Sum the statistics of the rows of each draw. *Shape:* (draws, width)."""
    return np.concatenate([weights.T.astype(np.float64) @ statistics for weights in in_batches(len(statistics), draws)])


def ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Divide, with NaN for 0 / 0 and no warning."""
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _draws(rows: int, resamples: int, seed: int) -> Iterator[IntArray]:
    """The rows as they are, then the bootstrap draws."""
    return chain([np.arange(rows, dtype=np.int64)], resamples_of(rows, resamples, seed))


def _total(values: FloatArray) -> FloatArray:
    return np.abs(values).sum(axis=1) if values.ndim == 2 else values


def _interval(info: MetricInfo, values: FloatArray, rows: int) -> Interval:
    if values.ndim == 2:
        drawn, drift = _total(values), np.abs(values - values[0]).sum(axis=1)
        return gap_interval(float(drawn[0]), drawn[1:], drift[1:])
    # A metric that starts below 0 (a correlation) is a proportion at its best value only: its 0 is no bound.
    proportion = info.worst == 0 or values[0] == info.best
    return interval(float(values[0]), values[1:], trials=rows if proportion else 0, best=info.best)


def _require_rows(statistics: FloatArray) -> None:
    if not len(statistics):
        raise HeadwayError("There are no rows to score. Give a file with at least one row that has a target.")


def _require_finite(statistics: FloatArray) -> None:
    broken = int((~np.isfinite(statistics)).any(axis=1).sum())
    if broken:
        raise HeadwayError(
            f"The model's answers are not finite for {broken} of {len(statistics)} rows, so it cannot be scored. "
            "Its weights are damaged, or its training diverged: train again with a lower learning rate."
        )
