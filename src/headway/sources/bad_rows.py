"""Rows that cannot be used: an error, or skipped, counted and listed."""

from dataclasses import dataclass, field

from headway.errors import DataError

__all__ = ["BadRow", "BadRowPolicy", "BadRows", "place"]

LISTED = 100
"""So many bad rows are kept with their reasons; all are counted."""

_SKIP = "or leave such rows out with --skip-bad-rows"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was skipped, and why."""

    where: str
    reason: str
    number: int = 0
    """Its number within its file, counted from 1."""


@dataclass(frozen=True, slots=True)
class BadRows:
    """The rows that were skipped: how many in all, and the first hundred."""

    count: int = 0
    listed: tuple[BadRow, ...] = ()

    def all_of(self, name: str) -> DataError:
        """The error when these are all rows that there are."""
        first = self.listed[0]
        return DataError(
            f"{name}: none of the {self.count:,} rows can be used. The first: {first.where}: {first.reason}."
        )


@dataclass
class BadRowPolicy:
    """What happens to a row that cannot be used: an error, or, when asked for, it is skipped and remembered.

    It also takes down what readers found out about a file that the user should know.
    """

    skip: bool = False
    count: int = 0
    listed: list[BadRow] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def tell(self, note: str) -> None:
        """Take down what the user should know, once."""
        if note not in self.notes:
            self.notes.append(note)

    def report(self, where: str, reason: str, number: int = 0) -> None:
        """Remember row `number` of its file as bad, or raise a DataError when bad rows are not to be skipped."""
        if not self.skip:
            raise DataError(f"{where}: {reason}, {_SKIP}.")
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append(BadRow(where, reason, number))

    def seen(self) -> BadRows:
        """All bad rows so far."""
        return BadRows(self.count, tuple(self.listed))


def place(name: str, number: int, line: int) -> str:
    """How a row is called in messages: 'reviews.csv, row 17 (line 18)'."""
    return f"{name}, row {number} (line {line})" if line else f"{name}, row {number}"
