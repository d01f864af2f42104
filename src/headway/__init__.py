"""Headway: from a file of examples to a trained, measured, usable transformer.

    import headway

    classifier = headway.train("reviews.csv", model="bert-base-uncased", output="runs/reviews")
    classifier.predict(["I love this product!", "This is terrible!"])

Importing this costs nothing: PyTorch is loaded when the first function is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.api import load as load
    from headway.api import train as train

    __version__: str

__all__ = ["__version__", "load", "train"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("headway")
    if name in ("load", "train"):
        from headway import api

        return getattr(api, name)
    raise AttributeError(f"module 'headway' has no attribute {name!r}")
