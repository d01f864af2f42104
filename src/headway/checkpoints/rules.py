"""How a checkpoint's weight names and layouts map to ours: rules that are read in both directions.

A pattern names a tensor, or a module and everything in it. `{n}` stands for one part of a dotted name, `{path*}` for
one or more; what a placeholder matched in one pattern is substituted in the other. The first rule that matches counts.

A mapping rule never copies values itself. It says where each of the checkpoint's tensors is inside ours, as a view of
our memory: loading copies into the view, saving copies out of it, and so one table serves both ways.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from torch import Tensor

__all__ = [
    "Alias",
    "Concat",
    "Copy",
    "Drop",
    "Optional",
    "Rename",
    "Rule",
    "Transpose",
    "Unsqueeze",
    "WeightTable",
    "nested",
]


@dataclass(frozen=True)
class Rename:
    """The same tensor under another name."""

    theirs: str
    ours: str

    def names(self) -> tuple[str, ...]:
        """Their patterns, in the order of `views`."""
        return (self.theirs,)

    def views(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """*Shape:* (…) → one of (…)."""
        return (tensor,)


@dataclass(frozen=True)
class Transpose(Rename):
    """The same matrix, stored with inputs as rows; vectors stay as they are."""

    def views(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """*Shape:* (a, b) → one of (b, a)."""
        return (tensor.t(),)


@dataclass(frozen=True)
class Unsqueeze(Rename):
    """The same vector, stored as a matrix of one row; or the same tensor, stored with one more leading dimension."""

    def views(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """*Shape:* (…) → one of (1, …)."""
        return (tensor[None],)


@dataclass(frozen=True)
class Concat:
    """Several of their tensors, concatenated, are one of ours: joined on loading, split on saving."""

    theirs: tuple[str, ...]
    ours: str

    def names(self) -> tuple[str, ...]:
        """Their patterns, in the order of `views`."""
        return self.theirs

    def views(self, tensor: Tensor) -> tuple[Tensor, ...]:
        """*Shape:* (parts·a, …) → one of (a, …) per part."""
        return tensor.chunk(len(self.theirs))


@dataclass(frozen=True)
class Drop:
    """Something in the checkpoint that Headway has no use for. Not written back."""

    pattern: str


@dataclass(frozen=True)
class Alias:
    """A name that older checkpoints, or those of a bare encoder, use for `new`. Never written."""

    old: str
    new: str


@dataclass(frozen=True)
class Optional:
    """What a checkpoint may hold and this model may have no place for: a copy of a tied weight, another task's head."""

    pattern: str


@dataclass(frozen=True)
class Copy:
    """A module that a checkpoint may hold and whose weights must equal those of another one."""

    name: str
    of: str
    written: bool = False
    """Whether it is written too: for programs that do not tie the two. With `Optional` beside it, it may differ."""


Rule = Rename | Transpose | Unsqueeze | Concat | Drop | Optional | Copy | Alias


def nested(rules: Sequence[Rule], *, base: str, prefix: str, stack: str = "{stack}") -> tuple[Rule, ...]:
    """The rules of a model that is part of another.

    Args:
        rules: Of the model when it stands alone.
        base: A prefix that its names lose as a part, such as `vit.`.
        prefix: The prefix that they get instead.
        stack: What it is in ours, `encoder` or `decoder`; either when not given.
    """

    def theirs(pattern: str) -> str:
        return prefix + pattern.replace("{stack}", stack).removeprefix(base)

    def ours(pattern: str) -> str:
        return pattern.replace("{stack}", stack)

    changed: list[Rule] = []
    for rule in rules:
        match rule:
            case Alias(old, new) if theirs(old) != theirs(new):
                changed.append(Alias(theirs(old), theirs(new)))
            case Drop(pattern) | Optional(pattern):
                changed.append(type(rule)(theirs(pattern)))
            case Copy(name, of):
                changed.append(replace(rule, name=theirs(name), of=theirs(of)))
            case Concat(names, name):
                changed.append(Concat(tuple(theirs(each) for each in names), ours(name)))
            case Rename(old, new):
                changed.append(type(rule)(theirs(old), ours(new)))
    return tuple(changed)


_PLACEHOLDER = re.compile(r"\{(\w+)(\*?)\}")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # With one group in the expression, split gives text, name, star, text, name, star, …, text.
    pieces = _PLACEHOLDER.split(pattern)
    expression = re.escape(pieces[0])
    for name, star, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        expression += f"(?P<{name}>{'.+' if star else '[^.]+'})" + re.escape(text)
    return re.compile(rf"{expression}(?P<inside>(?:\..+)?)")


def _translated(name: str, source: str, target: str) -> str | None:
    """`name` carried from the pattern `source` to the pattern `target`; None where it does not match."""
    match = _compiled(source).fullmatch(name)
    if match is None:
        return None
    return _PLACEHOLDER.sub(lambda placeholder: match[placeholder[1]], target) + match["inside"]


class WeightTable:
    """A family's rules, ready to be asked in either direction."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._mappings = [rule for rule in rules if isinstance(rule, Rename | Concat)]
        self._drops = [rule for rule in rules if isinstance(rule, Drop)]
        self._aliases = [rule for rule in rules if isinstance(rule, Alias)]
        self._spares = [rule for rule in rules if isinstance(rule, Optional)]
        self._copies = [rule for rule in rules if isinstance(rule, Copy)]

    def current_name(self, stored: str) -> str | None:
        """The name that a checkpoint written today has for the weight called `stored`; None for what is dropped."""
        name = stored
        for alias in self._aliases:
            name = _translated(name, alias.old, alias.new) or name
        if any(_compiled(drop.pattern).fullmatch(name) for drop in self._drops):
            return None
        return name

    def is_spare(self, name: str) -> bool:
        """Whether the weight with this current name may be left out where the model has no place for it."""
        return any(_compiled(spare.pattern).fullmatch(name) for spare in self._spares)

    def original(self, name: str) -> str | None:
        """The weight that the one with this current name must equal; None where there is none."""
        originals = (_translated(name, copy.name, copy.of) for copy in self._copies if not self.is_spare(name))
        return next((original for original in originals if original), None)

    def copies(self, name: str) -> list[str]:
        """The names under which the weight with this current name is also written."""
        copies = (_translated(name, copy.of, copy.name) for copy in self._copies if copy.written)
        return [copy for copy in copies if copy]

    def views(self, ours: str, tensor: Tensor) -> dict[str, Tensor]:
        """Where the checkpoint's tensors are in `tensor`, our weight called `ours`: their name → a view of it.

        Raises:
            LookupError: The family's table says nothing about `ours`.
        """
        for rule in self._mappings:
            names = [_translated(ours, rule.ours, theirs) for theirs in rule.names()]
            if None not in names:
                return dict(zip([name for name in names if name], rule.views(tensor), strict=True))
        raise LookupError(f"no rule for the weight {ours}")
