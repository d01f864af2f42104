"""Which tokens of a text, or of a pair of texts, are removed when it is too long."""

from collections.abc import Mapping
from typing import Any

__all__ = ["cut_part", "shortened"]


def cut_part(count: int, length: int, config: Mapping[str, Any], start: int = 0) -> slice:
    """Which of the `count` tokens of a text from `start` on are removed to leave `length`; see `Tokenizer.encode`."""
    if config.get("truncation_side") == "left":
        return slice(start, start + count - length)
    return slice(start + length, start + count)


def shortened(lengths: list[int], limit: int) -> list[int]:
    """The lengths of one or two texts, truncated to at most `limit` together.

    The longer text is truncated to the length of the shorter before both are.
    """
    if sum(lengths) <= limit:
        return lengths
    if len(lengths) == 1:
        return [limit]
    shorter = min(*lengths, limit // 2)
    return [shorter, limit - shorter] if lengths[0] <= lengths[1] else [limit - shorter, shorter]
