"""What only the record of a task that writes text has: some of its answers beside their references."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headway.evaluation.metrics.metric import FloatArray, Metrics
from headway.examples.examples import Example, Examples, joined

__all__ = ["TextAnswer", "TextDetails", "text_details"]

SHOWN = 10
"""Answers in each list."""

_MAX_TEXT = 2000


@dataclass(frozen=True)
class TextAnswer:
    """One answer.

    Attributes:
        where: The file and row.
        input: The texts that were answered; "" for an image.
        answer: What the model wrote.
        references: What the data says.
        score: The headline metric on this row alone.
    """

    where: str
    input: str
    answer: str
    references: tuple[str, ...]
    score: float


@dataclass(frozen=True)
class TextDetails:
    """The details of a record whose task writes text.

    Attributes:
        samples: Answers evenly spaced over the scored rows: what is usual.
        worst: Those that the headline metric likes least, the worst first, without perfect ones.
    """

    samples: tuple[TextAnswer, ...]
    worst: tuple[TextAnswer, ...]


def text_details(metrics: Metrics[Any], scored: Examples, answers: Sequence[str]) -> TextDetails:
    """Choose the answers that the report shows.

    Args:
        metrics: The task's metrics; the first one tells good from bad.
        scored: The rows.
        answers: The texts that the model wrote for them.
    """
    headline, context = metrics.infos[0], metrics.context(scored)
    scores = np.zeros(len(scored))
    for row, (answer, example) in enumerate(zip(answers, _targets(scored), strict=True)):
        scores[row] = _alone(metrics, metrics.statistics(answer, example, context))
    badness = -scores if headline.higher_is_better else scores
    worst = np.argsort(-badness, kind="stable")[:SHOWN]
    samples = np.unique(np.linspace(0, len(scored) - 1, min(SHOWN, len(scored))).astype(np.int64))
    inputs = [one.name for one in scored.fields if one.role == "input" and one.kind == "text"]
    targets = [one.name for one in scored.fields if one.role == "target"]

    def shown(row: int, example: Example) -> TextAnswer:
        return TextAnswer(
            where=example.where,
            input=joined(example, inputs)[:_MAX_TEXT],
            answer=answers[row][:_MAX_TEXT],
            references=tuple(text[:_MAX_TEXT] for name in targets for text in _texts(example[name])),
            score=float(np.nan_to_num(scores[row])),
        )

    def chosen(rows: Sequence[int]) -> tuple[TextAnswer, ...]:
        return tuple(shown(row, example) for row, example in zip(rows, scored.fetch(rows), strict=True))

    wrong = [row for row in worst.tolist() if scores[row] != headline.best]
    return TextDetails(chosen(samples.tolist()), chosen(wrong))


def _targets(scored: Examples) -> list[Example]:
    return scored.fetch(range(len(scored)), role="target")


def _alone(metrics: Metrics[Any], statistics: FloatArray) -> float:
    """The headline metric as if there were no other row."""
    values = metrics.values(statistics[None], [np.zeros(1, dtype=np.int64)])
    return float(values[metrics.infos[0].name][0])


def _texts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
