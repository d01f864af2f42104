"""What the names of files and folders tell: a split, an image, or litter."""

import re
from pathlib import Path

__all__ = ["SPLITS", "is_image_name", "is_litter", "split_of"]

SPLITS = ("train", "validation", "test")
_SPLIT_NAMES = {"train": "train", "valid": "validation", "dev": "validation", "val": "validation", "test": "test"}
_IMAGE_SUFFIXES = {  # of what `images` opens
    *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
}
_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "__pycache__"})


def split_of(name: str) -> str | None:
    """The split that a name begins with: "train-00001.csv" is of "train", "testimonials.csv" of none."""
    match = re.match(r"(train|valid|dev|val|test)(ing|ation|elopment|set|data)?(?![a-z])", name.lower())
    return _SPLIT_NAMES[match.group(1)] if match else None


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or one that an operating system leaves behind."""
    return name.startswith(".") or name.lower() in _LITTER


def is_image_name(name: str | Path) -> bool:
    """Whether a file is an image by its name."""
    return Path(name).suffix.lower() in _IMAGE_SUFFIXES
