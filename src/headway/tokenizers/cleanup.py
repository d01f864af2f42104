"""Decoded texts without the spaces that tokens leave before punctuation."""

from collections.abc import Mapping
from typing import Any

__all__ = ["tidied"]

_TIDIED = [(f" {mark}", mark) for mark in ".?!,"] + [(" ' ", "'")]
_TIDIED += [(f" {ending}", ending) for ending in ("n't", "'m", "'s", "'ve", "'re")]


def tidied(texts: list[str], config: Mapping[str, Any]) -> list[str]:
    """Texts without spaces before punctuation and English endings, where the config asks for it."""
    if config.get("clean_up_tokenization_spaces") is not True:
        return texts
    for old, new in _TIDIED:
        texts = [text.replace(old, new) for text in texts]
    return texts
