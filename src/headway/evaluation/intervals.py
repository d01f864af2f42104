"""95 % intervals by the percentile bootstrap.

The rows are drawn anew, with replacement, as many times as `resamples` says; the figure is computed on every draw; the
interval runs from the 2.5 % to the 97.5 % quantile of what came out (Efron and Tibshirani, *An Introduction to the
Bootstrap*, 1993, chapter 13). The same number of rows and the same seed give the same draws, so two sets of
predictions for the same rows can be compared draw by draw.

Where every draw gives the same proportion (all right, or all wrong) the bootstrap would claim certainty. There the
exact binomial bound stands in its place (Clopper and Pearson, Biometrika 26, 1934): 3 of 3 right is 1.0 with the
interval 0.29 to 1.0.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from headway.evaluation.record import Interval

__all__ = ["interval", "resamples_of"]

TAIL = 0.025

FloatArray = NDArray[np.float64]


def resamples_of(rows: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield `resamples` draws of `rows` row numbers out of `rows`, with replacement. *Shape:* (rows,) each."""
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        yield generator.integers(rows, size=rows, dtype=np.int64)


def interval(value: float, drawn: FloatArray, trials: int = 0) -> Interval:
    """Return `value` with the interval that its resampled values span.

    Args:
        value: The figure on all rows; NaN where it is undefined (0 of 0).
        drawn: The figure on every resample; NaN where it is undefined there. *Shape:* (resamples,)
        trials: For a proportion, out of how many. When all draws agree on 0 or 1, the exact binomial bound is used.

    Undefined draws are left out. When none is left the interval is 0 to 1, and an undefined value is 0. The interval
    always holds the value, which the percentile method alone does not promise for a biased figure such as ECE.
    """
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not drawn.size:
        return Interval(float(np.nan_to_num(value)), 0.0, 1.0)
    low, high = (float(end) for end in np.quantile(drawn, (TAIL, 1 - TAIL)))
    low, high = min(low, value), max(high, value)
    if trials and low == high:
        bound = TAIL ** (1 / trials)
        low, high = {0.0: (0.0, 1 - bound), 1.0: (bound, 1.0)}.get(value, (low, high))
    return Interval(float(value), low, high)
