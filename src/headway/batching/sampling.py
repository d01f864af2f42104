"""Which examples make up each step: an order that a seed decides and a resumed run finds again."""

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = ["Positions", "RowGenerators", "epoch_order", "split_by_examples", "split_by_tokens"]

Positions = NDArray[np.int64]


def epoch_order(num_examples: int, seed: int, epoch: int) -> Positions:
    """The order of the examples in an epoch: a function of the seed and the epoch, of nothing else."""
    return np.random.default_rng([seed, epoch]).permutation(num_examples)


def split_by_examples(order: Positions, batch_size: int) -> list[Positions]:
    """Steps of `batch_size` examples; the last may be smaller."""
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def split_by_tokens(order: Positions, lengths: NDArray[np.integer], max_tokens: int) -> list[Positions]:
    """Steps of as many examples as fit into `max_tokens` tokens, at least one.

    Args:
        order: The examples in the order in which they come.
        lengths: Tokens of each example, by its position in the data. *Shape:* (examples,)
        max_tokens: Token budget of a step.
    """
    steps: list[Positions] = []
    start = tokens = 0
    for index, length in enumerate(lengths[order].tolist()):
        if index > start and tokens + length > max_tokens:
            steps.append(order[start:index])
            start, tokens = index, 0
        tokens += length
    if len(order):
        steps.append(order[start:])
    return steps


class RowGenerators(Sequence[Generator]):
    """A random generator for each row in an epoch, of which nothing else decides; made when it is asked for."""

    def __init__(self, seed: int, epoch: int, rows: Positions) -> None:
        self._seed, self._epoch, self._rows = seed, epoch, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Generator: ...

    @overload
    def __getitem__(self, index: slice) -> "RowGenerators": ...

    def __getitem__(self, index: int | slice) -> "Generator | RowGenerators":
        if isinstance(index, slice):
            return RowGenerators(self._seed, self._epoch, self._rows[index])
        return np.random.default_rng([self._seed, self._epoch, int(self._rows[index])])
