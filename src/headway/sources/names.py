"""What the names of files and folders tell: a split, or litter."""

import re

__all__ = ["SPLITS", "is_litter", "split_of"]

SPLITS = ("train", "validation", "test")
_SPLIT_NAMES = {"train": "train", "valid": "validation", "dev": "validation", "val": "validation", "test": "test"}
_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "__pycache__"})


def split_of(name: str) -> str | None:
    """The split that a name begins with: "train-00001.csv" is of "train", "testimonials.csv" of none."""
    match = re.match(r"(train|valid|dev|val|test)(ing|ation|elopment|set|data)?(?![a-z])", name.lower())
    return _SPLIT_NAMES[match.group(1)] if match else None


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or one that an operating system leaves behind."""
    return name.startswith(".") or name.lower() in _LITTER
