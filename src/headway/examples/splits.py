"""Training, validation and test rows from one file: strata in proportion, the same input never on two sides."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import heapreplace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.errors import DataError
from headway.examples.examples import Examples

__all__ = ["MIN_ROWS", "Splits", "label_strata", "make_folds", "make_splits"]

IntArray = NDArray[np.int64]

MIN_ROWS = 10
"""Fewer rows are not split."""


@dataclass(frozen=True)
class Splits:
    """The examples to learn from, to watch the training with, and to measure the result on.

    Attributes:
        train: The training rows.
        validation: The validation rows.
        test: The test rows.
        description: How they came about, in one sentence.
        folds: For cross-validation, the fold that each row of `train` is held out in; none for a single split.
    """

    train: Examples
    validation: Examples
    test: Examples
    description: str
    folds: IntArray | None = None

    def parts(self) -> dict[str, Examples]:
        """The splits by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


Divide = Callable[[Examples], IntArray]
"""Examples -> a number for each. *Shape:* (examples,)."""


def make_splits(
    train: Examples,
    validation: Examples | None = None,
    test: Examples | None = None,
    *,
    groups: Divide,
    strata: Callable[[Examples], IntArray | None] = lambda examples: None,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> Splits:
    """Take what was given, and take what is missing out of the training rows.

    Rows of one group stay together, each stratum is shared out in proportion and keeps a row to train on. The same rows
    and seed give the same splits.

    Args:
        train: The rows to divide.
        validation: Validation rows, if there are any; otherwise `validation_fraction` of `train` is taken.
        test: Test rows, if there are any; otherwise `test_fraction` of `train` is taken.
        groups: Gives rows that must not be parted the same number: those with the same input, say.
        strata: Gives the kind of each row, of which every split gets its share: its label, say.
        validation_fraction: Between 0 and 1, both excluded.
        test_fraction: Between 0 and 1, both excluded.
        seed: Decides which rows are taken.

    Raises:
        DataError: There are too few rows, or too few different inputs, to divide.
    """
    given = {name: part for name, part in (("test", test), ("validation", validation)) if part is not None}
    wanted = {"test": test_fraction, "validation": validation_fraction}
    fractions = {name: fraction for name, fraction in wanted.items() if name not in given}
    taken: dict[str, Examples] = {}
    rest = train
    stratum = strata(train)
    if fractions:
        if len(train) < MIN_ROWS:
            raise DataError(
                f"{train.table.source} has only {len(train)} usable rows, too few to set some "
                f"aside for {' and '.join(reversed(fractions))}: at least {MIN_ROWS} are needed."
            )
        part_of = _assign(groups(train), stratum, tuple(fractions.values()), np.random.default_rng(seed))
        taken = {name: train.select(np.flatnonzero(part_of == part)) for part, name in enumerate(fractions)}
        rest = train.select(np.flatnonzero(part_of == len(fractions)))
        if not all(map(len, taken.values())):
            raise DataError(
                f"{train.table.source} has too few different inputs to set some aside for "
                f"{' and '.join(reversed(fractions))}. Add rows, or give files with --validation and --test."
            )
    parts = taken | given
    splits = Splits(rest, parts["validation"], parts["test"], "")
    return replace(splits, description=_describe(splits, train, tuple(fractions), seed, stratum is not None))


def make_folds(
    examples: Examples,
    count: int,
    *,
    groups: Divide,
    strata: Callable[[Examples], IntArray | None] = lambda examples: None,
    seed: int = 0,
) -> IntArray:
    """The fold that each example is held out in: groups together, strata in proportion. *Shape:* (examples,).

    Stratum by stratum, the largest group first, each goes to the fold that has the fewest rows of its stratum, and of
    those to the smallest.

    Raises:
        DataError: There are fewer different inputs than folds.
    """
    first, group_of, sizes = _groups(groups(examples))
    if len(sizes) < count:
        raise DataError(f"{examples.table.source} has too few different inputs for {count} folds. Add rows.")
    stratum = _strata_of(strata(examples), first)
    order = np.lexsort((np.random.default_rng(seed).random(len(sizes)), -sizes, stratum))
    fold_of = np.empty(len(sizes), dtype=np.int64)
    totals, folds, now = [0] * count, list[tuple[int, int, int]](), -1
    for group, size, kind in zip(order.tolist(), sizes[order].tolist(), stratum[order].tolist(), strict=True):
        if kind != now:
            folds, now = sorted((0, total, fold) for fold, total in enumerate(totals)), kind
        rows, total, fold = folds[0]
        heapreplace(folds, (rows + size, total + size, fold))
        totals[fold] = total + size
        fold_of[group] = fold
    return fold_of[group_of]


def label_strata(targets: NDArray[Any]) -> IntArray:
    """What each row counts as: its class; for multi-label the rarest of its labels, or nothing (an index of its own).

    *Shape:* targets (rows,) or (rows, labels) → (rows,)
    """
    if targets.ndim == 1:
        return np.unique(targets, return_inverse=True)[1].reshape(-1)
    rarest_first = np.argsort(targets.sum(axis=0), kind="stable")
    rarest = rarest_first[targets[:, rarest_first].argmax(axis=1)]
    counted_as = np.where(targets.any(axis=1), rarest, targets.shape[1])
    return np.unique(counted_as, return_inverse=True)[1].reshape(-1)


def _assign(
    groups: NDArray[Any],
    strata: IntArray | None,
    shares: tuple[float, ...],
    rng: np.random.Generator,
) -> IntArray:
    """(rows,): the part, in the order of `shares`, that each row goes to; len(shares) is the rest, for training."""
    first, group_of, sizes = _groups(groups)
    stratum = _strata_of(strata, first)
    rows_in = np.bincount(stratum, weights=sizes).astype(np.int64)
    quotas = np.zeros((len(shares), len(rows_in)), dtype=np.int64)
    for part, share in enumerate(shares):
        quotas[part] = _quotas(rows_in, share, rng)
    # Within each stratum: large groups last, so that none fills a whole part; otherwise by chance.
    large = sizes > np.maximum(1, quotas.min(axis=0) // 4)[stratum]
    order = np.lexsort((rng.random(len(sizes)), large, stratum))
    in_order, ends = stratum[order], np.cumsum(sizes[order])
    before = np.concatenate([[0], np.cumsum(rows_in)])[in_order]
    middles = ends - before - sizes[order] / 2
    limits = np.cumsum(quotas, axis=0)
    part_in_order = (middles[None, :] >= limits[:, in_order]).sum(axis=0)
    last = np.append(in_order[1:] != in_order[:-1], True)
    part_in_order[last] = len(shares)  # every label keeps something to train on
    for part in range(len(shares)):  # and no part stays empty while another label could give it something
        spare = np.flatnonzero((part_in_order == len(shares)) & ~last)
        if not (part_in_order == part).any() and len(spare):
            part_in_order[spare[sizes[order][spare].argmin()]] = part
    part_of_group = np.empty_like(part_in_order)
    part_of_group[order] = part_in_order
    return part_of_group[group_of]


def _groups(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First row of each group of equal keys, group of each row, size of each group; groups in order of appearance.

    The order must not come from the keys: they are other numbers in every process.
    """
    _, first, group_of, sizes = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[group_of.reshape(-1)], sizes[order]


def _strata_of(strata: IntArray | None, first: IntArray) -> IntArray:
    """The stratum of each group: that of its first row."""
    return np.zeros(len(first), dtype=np.int64) if strata is None else strata[first]


def _quotas(rows_in: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """How many rows of each stratum make up a share of the whole: rounded down, the rest to the largest remainders."""
    exact = rows_in * share
    quotas = np.floor(exact).astype(np.int64)
    lacking = max(1, round(share * int(rows_in.sum()))) - int(quotas.sum())
    by_remainder = np.lexsort((rng.random(len(exact)), quotas - exact))
    quotas[by_remainder[: max(0, lacking)]] += 1
    return quotas


def _describe(splits: Splits, whole: Examples, made: tuple[str, ...], seed: int, stratified: bool) -> str:
    sizes = {name: len(part) for name, part in splits.parts().items()}
    counts = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
    if not made:
        return f"The splits were used as given: {counts} rows."
    given = [name for name in sizes if name not in made and name != "train"]
    note = f"; the {given[0]} rows were used as given" if given else ""
    return (
        f"{' and '.join(reversed(made)).capitalize()} rows were drawn from {whole.table.source} with seed {seed}, "
        f"{'every label in proportion and ' if stratified else ''}rows with the same input on the same side{note}: "
        f"{counts} rows."
    )
