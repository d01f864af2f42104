"""The simple alternatives to training a transformer, scored on the same rows.

A model that is not clearly better than these is not worth its electricity; the report says so.
"""

from headway.evaluation.metrics.metric import AnswerT, FloatArray, Metrics, paired_difference, score
from headway.evaluation.record import Baseline

__all__ = ["score_baseline"]


def score_baseline(
    name: str,
    description: str,
    metrics: Metrics[AnswerT],
    statistics: FloatArray,
    *,
    ours: FloatArray | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Baseline:
    """Score a baseline's answers exactly as the model's are scored.

    Args:
        name: Such as "majority class".
        description: What it does, as the end of "It …": "counts words and fits a linear classifier".
        metrics: The task's metrics.
        statistics: Those of the baseline's answers. *Shape:* (rows, width)
        ours: Those of the model's answers for the same rows, for its paired lead; without them there is none.
        seed: Seed of the resampling, the same as for the model's scores.
        resamples: How many draws each interval rests on.
    """
    lead = {}
    if ours is not None:
        lead = paired_difference(metrics, ours, statistics, seed=seed, resamples=resamples)
    return Baseline(name, description, score(metrics, statistics, seed=seed, resamples=resamples), lead)
