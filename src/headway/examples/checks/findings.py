"""What the checks look at, and what they answer: all rows of all splits in, findings out."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from headway.examples.examples import Example
from headway.examples.splits import Splits

__all__ = ["SHOWN", "Finding", "Pool", "Severity", "count_rows", "shown_example"]

Severity = Literal["ok", "note", "warning"]

SHOWN = 5
"""So many rows are shown of each finding."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for in the data.

    Attributes:
        name: What was looked for: "exact_duplicates", "leak_train_test", …
        severity: "ok": nothing is wrong; "note": good to know; "warning": the result will suffer.
        message: One sentence or two with counts, what they mean and what to do.
        count: How many rows (or labels) are concerned.
        share: The share of the rows that were looked at.
        examples: Up to five, 'reviews.csv, row 17: "text…"'.
    """

    name: str
    severity: Severity
    message: str
    count: int = 0
    share: float = 0.0
    examples: tuple[str, ...] = ()


class Pool:
    """All rows of all splits, one after the other."""

    def __init__(self, splits: Splits) -> None:
        self.parts = splits.parts()
        self.labels = splits.train.labels
        self.starts = np.cumsum([0, *map(len, self.parts.values())])
        self.exact = np.concatenate([part.keys.exact for part in self.parts.values()])
        self.normal = np.concatenate([part.keys.normal for part in self.parts.values()])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def fetch(self, rows: np.ndarray) -> list[Example]:
        """The examples of some rows (sorted), read from their files."""
        found: list[Example] = []
        for part, start, end in zip(self.parts.values(), self.starts[:-1], self.starts[1:], strict=True):
            found.extend(part.fetch(rows[(rows >= start) & (rows < end)] - start))
        return found

    def split_of(self, rows: np.ndarray) -> np.ndarray:
        """The number of the split that each row is in."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def show(self, rows: np.ndarray) -> tuple[str, ...]:
        """Up to five rows as 'reviews.csv, row 17: "text…"'."""
        return tuple(shown_example(example) for example in self.fetch(np.sort(rows[:SHOWN])))

    def sample(self, size: int) -> np.ndarray:
        """All rows, or `size` of them drawn by chance (always the same ones), sorted."""
        if len(self) <= size:
            return np.arange(len(self))
        return np.sort(np.random.default_rng(0).choice(len(self), size, replace=False))

    @cached_property
    def classes(self) -> np.ndarray:
        """(rows,) a number for each row's label, or set of labels."""
        targets = np.concatenate([part.targets() for part in self.parts.values()])
        if targets.ndim == 1:
            return targets
        bits = np.packbits(targets.astype(bool), axis=1)
        keys = np.ascontiguousarray(bits).view(np.dtype((np.void, bits.shape[1]))).reshape(-1)
        return np.unique(keys, return_inverse=True)[1].reshape(-1)


def shown_example(example: Example) -> str:
    """An example as 'reviews.csv, row 17: "text…"'."""
    text = " ".join(example.text.split())
    pair = f' / "{_cut(" ".join(example.text_pair.split()))}"' if example.text_pair is not None else ""
    return f'{example.where}: "{_cut(text)}"{pair}'


def _cut(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def count_rows(count: int) -> str:
    """'1 row', '1,234 rows'."""
    return f"{count:,} row{'' if count == 1 else 's'}"
