"""From images to the numbers that a model reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from headway.errors import DataError
from headway.images.decoding import image_name, to_grey, to_rgb

__all__ = ["MAX_SIDE", "ImageProcessor", "ShortestEdge"]

MAX_SIDE = 2**13
"""The longest side that a model may ask for, in pixels. A broken file must not ask for all the memory."""


@dataclass(frozen=True)
class ShortestEdge:
    """A size that keeps an image's proportions."""

    shortest: int
    """Pixels of the shorter side."""

    longest: int | None = None
    """Pixels that the longer side may have at most; where it would have more, both are shorter."""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """The new height and width of an image."""
        short, long = sorted((height, width))
        exact: float = self.shortest
        if self.longest is not None and long / short * self.shortest > self.longest:
            exact = self.longest * short / long
        edge = round(exact)
        # The longer side is cut to a whole number and not rounded: the ecosystem's models were trained so.
        other = long if edge == short else int(exact * long / short)
        return (edge, other) if height <= width else (other, edge)


@dataclass(frozen=True, kw_only=True)
class ImageProcessor:
    """How images become numbers: resized, cropped at their middle, each channel (scale · pixel - mean) / std."""

    kind: str
    """What the ecosystem calls this way of preparing images; kept for the way back."""

    resize: tuple[int, int] | ShortestEdge | None
    """To which height and width; None leaves images as large as they are."""

    resample: Image.Resampling = Image.Resampling.BILINEAR
    """From which pixels a new one is computed, and how."""

    crop: tuple[int, int] | None = None
    """Height and width of the middle that is kept, with black around an image that is smaller."""

    scale: float = 1 / 255
    """What pixels, from 0 to 255, are multiplied by."""

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Of each channel, after `scale`."""

    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    """Standard deviations, likewise."""

    convert_rgb: bool = True
    """Whether a colour that stands for "transparent" in an RGB image becomes white; all other modes always become RGB
    on white."""

    channels: int = 3
    """3 for red, green and blue; 1 for models that see only grey, and then `mean` and `std` have one number each."""

    @property
    def output_size(self) -> tuple[int, int] | None:
        """Height and width of what it makes; None if they depend on the image."""
        return self.crop or (self.resize if isinstance(self.resize, tuple) else None)

    @property
    def is_finite(self) -> bool:
        """Whether no pixel, and no setting in the precision of pixels, is infinite or undefined."""
        with np.errstate(all="ignore"):
            if not np.isfinite(np.array([*self.mean, *self.std]).astype(np.float32)).all():
                return False
            return bool(np.isfinite(self._table).all())

    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        """The numbers of one or more images of any mode, taken as they lie (`open_image` turns them upright).

        Returns:
            float32, (images, channels, height, width).

        Raises:
            DataError: As for `pixels` and `normalized`.
        """
        return self.normalized([self.pixels(image) for image in images], [image_name(image) for image in images])

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """The pixels of `resized`, (height, width, channels)."""
        return self.as_array(self.resized(image))

    def resized(self, image: Image.Image) -> Image.Image:
        """An image of any mode converted, resized and cropped, as it is before it becomes numbers.

        Raises:
            DataError: The image has no pixels, none that can be understood, or is too narrow.
        """
        return self._cropped(self._resized(self.converted(image), image_name(image)))

    def normalized(self, images: Sequence[NDArray[np.uint8]], names: Sequence[str] | None = None) -> Tensor:
        """The formula, pixel by pixel. This is the only place that has it.

        Args:
            images: Each (height, width, channels), as from `pixels`.
            names: What to call them in messages.

        Returns:
            float32, (images, channels, height, width).

        Raises:
            DataError: The sizes differ.
        """
        if not images:
            raise ValueError("no images")
        height, width, _ = images[0].shape
        numbers = np.empty((len(images), self.channels, height, width), dtype=np.float32)
        for index, image in enumerate(images):
            if image.shape[:2] != (height, width):
                raise DataError(
                    f"{names[index] if names else 'An image'} becomes {_shown(image.shape)} pixels and another one "
                    f"{_shown((height, width))}, but only images of one size go together. Give them one at a time, or "
                    "in one size."
                )
            for channel in range(self.channels):
                # Pixels are never outside the table; "clip" only spares a copy.
                np.take(self._table[channel], image[:, :, channel], out=numbers[index, channel], mode="clip")
        return torch.from_numpy(numbers)

    def converted(self, image: Image.Image) -> Image.Image:
        """The image in as many channels as the model sees (mode RGB or L), in its own size.

        Raises:
            DataError: The image has no pixels, or none that can be understood.
        """
        if 0 in image.size:
            raise DataError(f"{image_name(image)} has no pixels ({_shown(image.size[::-1])}). Leave it out.")
        return to_grey(image) if self.channels == 1 else to_rgb(image, keep_rgb=not self.convert_rgb)

    def as_array(self, image: Image.Image) -> NDArray[np.uint8]:
        """The pixels of an image that `converted` or `resized` made, (height, width, channels)."""
        pixels = np.asarray(image)
        return pixels[:, :, None] if pixels.ndim == 2 else pixels

    def _resized(self, image: Image.Image, name: str) -> Image.Image:
        if self.resize is None:
            return image
        size = self.resize.size(image.height, image.width) if isinstance(self.resize, ShortestEdge) else self.resize
        height, width = size
        if not 0 < height * width <= MAX_SIDE**2:
            raise DataError(
                f"{name} is too narrow for this model: its {_shown(image.size[::-1])} pixels would become "
                f"{width:,} × {height:,}. Cut it into pieces, or leave it out."
            )
        return image.resize((width, height), self.resample)

    def _cropped(self, image: Image.Image) -> Image.Image:
        if self.crop is None:
            return image
        height, width = self.crop
        # Rounded down, also below zero, where the image is smaller than the crop and black lies around it.
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        """What each of the 256 values of a pixel becomes in each channel: (channels, 256).

        Rounded in between as the ecosystem does, for the very same numbers.
        """
        mean, std = (np.array(numbers, dtype=np.float32)[:, None] for numbers in (self.mean, self.std))
        scaled = (np.arange(256, dtype=np.float64) * self.scale).astype(np.float32)
        table: NDArray[np.float32] = (scaled - mean) / std
        return table


def _shown(size: tuple[int, ...]) -> str:
    height, width, *_ = size
    return f"{width:,} × {height:,}"
