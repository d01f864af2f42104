"""`config.json`: read completely or refused, with everything that is wrong reported at once."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from headway.errors import CheckpointError, cut
from headway.nn.layers import Activation

__all__ = ["ACTIVATIONS", "ACTIVATION_NAMES", "ConfigReader", "checkpoint_error", "shown"]

T = TypeVar("T")

ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""What `config.json` calls the activations; nearly all families share the names."""

ACTIVATION_NAMES: dict[Activation, str] = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "relu": "relu",
    "silu": "silu",
    "tanh": "tanh",
}


def checkpoint_error(where: Path | str, problems: Sequence[str]) -> CheckpointError:
    """One error for everything that is wrong with `where`."""
    if len(problems) == 1:
        return CheckpointError(f"{where}: {problems[0]}")
    return CheckpointError("\n".join([f"{where}: {len(problems)} problems:", *(f"  - {item}" for item in problems)]))


class ConfigReader:
    """Takes typed values out of a `config.json` and collects everything that is wrong, to report it at once.

    A key that is missing, or null, has its default: older checkpoints leave out what newer versions added.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.problems: list[str] = []

    def size(self, key: str, default: int, most: int, least: int = 1) -> int:
        """A whole number from `least` to `most`. The bound keeps a broken file from asking for all the memory."""
        value = self._get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        return self._wrong(key, value, f"a whole number from {least} to {most:,}", min(default, most))

    def width(
        self, key: str, default: int, heads_key: str, default_heads: int, *, paired: bool = False
    ) -> tuple[int, int]:
        """The width of a model and its number of attention heads, which divides it; if `paired`, into even widths."""
        wrong = len(self.problems)
        d_model = self.size(key, default, most=2**16)
        num_heads = self.size(heads_key, default_heads, most=2**12)
        if d_model % (num_heads * (2 if paired else 1)) and len(self.problems) == wrong:
            twice = "2 × " if paired else ""
            self.problems.append(f'"{key}" {d_model} is not divisible by {twice}"{heads_key}" {num_heads}.')
        return d_model, num_heads

    def index(self, key: str, default: int) -> int:
        """A whole number from 0: the place of a token in the vocabulary."""
        return self.size(key, default, most=2**24, least=0)

    def first_index(self, key: str, default: int) -> int:
        """The same, or the first of a list of them: generated text may end in several ways."""
        value = self._get(key, default)
        reader = ConfigReader({key: value[0] if isinstance(value, list) and value else value})
        reader.problems = self.problems
        return reader.index(key, default)

    def share(self, key: str, default: float) -> float:
        """A number of at least 0 and below 1."""
        return self._number(key, default, 0.0, 1.0, "a number of at least 0 and below 1")

    def positive(self, key: str, default: float) -> float:
        """A finite number above 0; whole numbers that no float holds are refused too."""
        return self._number(key, default, math.ulp(0.0), sys.float_info.max, "a number above 0")

    def numbers(self, key: str, default: float, length: int, *, above: float = -math.inf) -> tuple[float, ...]:
        """`length` finite numbers above `above`; or one, which then counts for all of them."""
        value = self._get(key, default)
        items = value if isinstance(value, list) else [value] * length
        numbers = tuple(float(item) for item in items if _is_finite(item) and item > above)
        if len(numbers) == len(items) == length:
            return numbers
        more = "" if above == -math.inf else f" above {above:g}"
        return self._wrong(key, value, f"a number{more}, or a list of {length}", (default,) * length)

    def choice(self, key: str, default: str, choices: Mapping[str, T]) -> T:
        """One of the keys of `choices`, translated to its value."""
        value = self._get(key, default)
        if isinstance(value, str) and value in choices:
            return choices[value]
        return self._wrong(key, value, f"one of {', '.join(choices)}", choices[default])

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._get(key, default)
        return value if isinstance(value, bool) else self._wrong(key, value, "true or false", default)

    def stated_flag(self, key: str) -> bool | None:
        """True or false, where null is false; none where the key is missing."""
        return self.flag(key, False) if key in self.config else None

    def activation(self, key: str, default: str) -> Activation:
        """An activation, by one of its names in these files."""
        return self.choice(key, default, ACTIVATIONS)

    def listed(self, key: str, default: list[str], length: int) -> list[str]:
        """A list of `length` strings."""
        value = self._get(key, default)
        if isinstance(value, list) and len(value) == length and all(isinstance(item, str) for item in value):
            return value
        return self._wrong(key, value, f"a list of {length} names", default)

    def inside(self, key: str) -> "ConfigReader":
        """A reader of the object under `key`, or of none, that leaves its problems here."""
        value = self._get(key, {})
        inner = ConfigReader(value if isinstance(value, dict) else self._wrong(key, value, "an object", {}))
        inner.problems = self.problems
        return inner

    def assuming(self, **defaults: object) -> "ConfigReader":
        """A reader of the same file with other defaults for these keys; its problems are left here."""
        reader = ConfigReader(defaults | {key: value for key, value in self.config.items() if value is not None})
        reader.problems = self.problems
        return reader

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self.config.get(key) is not None

    def require(self, key: str, value: object, reason: str) -> None:
        """Refuse a setting that changes the computation in a way that Headway does not have."""
        found = self._get(key, value)
        if found != value:
            self.problems.append(f'"{key}" is {shown(found)}: {reason}.')

    def _get(self, key: str, default: object) -> object:
        value = self.config.get(key)
        return default if value is None else value

    def _number(self, key: str, default: float, least: float, below: float, wanted: str) -> float:
        value = self._get(key, default)
        if _is_finite(value) and least <= value < below:
            return float(value)
        return self._wrong(key, value, wanted, default)

    def _wrong(self, key: str, value: object, wanted: str, default: T) -> T:
        problem = f'"{key}" is {shown(value)}, but should be {wanted}.'
        if problem not in self.problems:  # some keys are read twice
            self.problems.append(problem)
        return default


def _is_finite(value: object) -> TypeGuard[int | float]:
    """JSON has whole numbers that no float holds, and Python's reader takes NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def shown(value: object) -> str:
    """A value of a file for a message, cut to a readable length."""
    return cut(json.dumps(value, ensure_ascii=False))
