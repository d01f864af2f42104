"""What the checks look at, and what they answer: the examples of all splits in, findings out."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from headway.examples.examples import Example
from headway.examples.splits import Splits

__all__ = ["SHOWN", "AllRows", "Finding", "Severity", "count_rows"]

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


class AllRows:
    """The examples of all splits, one after the other."""

    def __init__(self, splits: Splits) -> None:
        self.parts = splits.parts()
        self.starts = np.cumsum([0, *map(len, self.parts.values())])
        self.exact = np.concatenate([part.keys.exact for part in self.parts.values()])
        self.normal = np.concatenate([part.keys.normal for part in self.parts.values()])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def exactly(self) -> str:
        """How two inputs of that kind are the same."""
        return "byte for byte" if self.noun == "image" else "word for word"

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
        return tuple(self.show_one(example) for example in self.fetch(np.sort(rows[:SHOWN])))

    def show_one(self, example: Example) -> str:
        """An example's inputs as 'reviews.csv, row 17: "text…"'; an image by its path."""
        shown = []
        for name in self.input_names:
            value = example.get(name)
            if isinstance(value, str):
                shown.append(f'"{_cut(" ".join(value.split()))}"')
            elif isinstance(value, Path) and not (example.table and example.table.places.rows_are_files):
                shown.append(_cut(str(value)))
        return f"{example.where}: {' / '.join(shown)}" if shown else example.where

    def sample(self, size: int) -> np.ndarray:
        """All rows, or `size` of them drawn by chance (always the same ones), sorted."""
        if len(self) <= size:
            return np.arange(len(self))
        return np.sort(np.random.default_rng(0).choice(len(self), size, replace=False))

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The fields that the model is given."""
        return tuple(one.name for one in self.parts["train"].fields if one.role == "input")

    @property
    def noun(self) -> str:
        """What an input is called: "text" or "image"."""
        kinds = {one.kind for one in self.parts["train"].fields if one.role == "input"}
        return "image" if "image" in kinds else "text"


def _cut(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def count_rows(count: int) -> str:
    """'1 row', '1,234 rows'."""
    return f"{count:,} row{'' if count == 1 else 's'}"
