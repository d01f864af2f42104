"""The metrics of each kind of answer, and how any of them is scored."""

from headway.evaluation.metrics.metric import (
    FloatArray,
    IntArray,
    MetricInfo,
    Metrics,
    compute_metrics,
    in_prose,
    paired_difference,
    score,
    sums,
)

__all__ = [
    "FloatArray",
    "IntArray",
    "MetricInfo",
    "Metrics",
    "compute_metrics",
    "in_prose",
    "paired_difference",
    "score",
    "sums",
]
