"""What reads the images of a run: prepared one way, decoded once, and those that cannot be read found beforehand."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from headway.errors import DataError
from headway.images.augmentation import Augmentation
from headway.images.decoding import ImageSource
from headway.images.loading import keep_pixels, load_pixels
from headway.images.pixel_cache import PixelCache
from headway.images.processor import ImageProcessor

__all__ = ["ImageReader", "NamedImage"]


class NamedImage(NamedTuple):
    """An image, what to call it in messages, and under which key its pixels are kept."""

    source: ImageSource
    name: str
    key: Hashable = None


@dataclass(frozen=True)
class ImageReader:
    """How images become numbers, and where those that are read again and again are kept."""

    processor: ImageProcessor
    augmentation: Augmentation | None = None
    """How training images are varied."""
    cache: PixelCache | None = None
    """Where decoded images are kept; none for images that are read once."""

    def pixels(self, images: Sequence[NamedImage], generators: Sequence[Generator] | None = None) -> Tensor:
        """The numbers of images, varied where generators are given. *Shape:* (images, channels, height, width).

        Raises:
            DataError: An image cannot be read or used.
        """
        return load_pixels(
            [image.source for image in images],
            self.processor,
            self.augmentation if generators is not None else None,
            generators,
            names=[image.name for image in images],
            cache=self.cache,
            keys=None if self.cache is None else [image.key for image in images],
        )

    def kept(self, images: Iterable[NamedImage]) -> Iterator[NDArray[np.uint8]]:
        """The pixels of whole images, (height, width, channels), as large as the model reads them.

        Raises:
            DataError: An image cannot be read or used.
        """
        for one in images:
            yield keep_pixels(one.source, self.processor, one.name, whole=False, cache=self.cache, key=one.key)

    def fault(self, image: NamedImage) -> str | None:
        """Decode an image and keep its pixels: what is wrong with it, or None."""
        whole = self.augmentation is not None and self.augmentation.crop_scale is not None
        try:
            keep_pixels(image.source, self.processor, image.name, whole=whole, cache=self.cache, key=image.key)
        except DataError as error:
            return str(error).removeprefix(image.name).lstrip(": ").partition(". ")[0]
        return None
