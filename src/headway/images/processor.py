"""Images: from a file to an upright image, and from images to the numbers that a model reads."""

import errno
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from headway.errors import DataError

__all__ = ["MAX_SIDE", "ImageProcessor", "ShortestEdge", "open_image"]

MAX_SIDE = 2**13
"""The longest side that a model may ask for, in pixels. A broken file shall not ask for all the memory."""

# Not all that Pillow knows: it would start a program to draw an EPS file, and takes almost anything for a TGA file.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")


def open_image(path: Path | str) -> Image.Image:
    """An image from a file, read to its end and turned upright (cameras write how they were held into EXIF).

    Raises:
        DataError: There is no such file, it is not an image, it is damaged, or it would take too much memory.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise FileNotFoundError(errno.ENOENT, "there is no such file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata that nobody asked for
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                image.load()
                _turn_upright(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: has more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels, too many to read safely. Make it smaller."
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path}: is not an image that can be read. Save it as one of {', '.join(_FORMATS)}."
        ) from error
    except OSError as error:
        if error.strerror:
            raise DataError(f"{path}: cannot be read: {error.strerror}. Give the path of an image.") from error
        raise _damaged(path, error) from error
    except Exception as error:  # decoders raise whatever they stumble over
        raise _damaged(path, error) from error
    return image


def _turn_upright(image: Image.Image) -> None:
    try:
        image.getexif()
    except Exception:  # damaged metadata of an image that is whole
        return
    ImageOps.exif_transpose(image, in_place=True)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: is a damaged image ({error}). Fetch it again, or leave it out.")


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
    """How images become numbers: resized, cropped at their middle, each colour (scale · pixel - mean) / std."""

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
    """Of red, green and blue, after `scale`."""

    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    """Standard deviations, likewise."""

    convert_rgb: bool = True
    """Whether a colour that stands for "transparent" in an RGB image becomes white; all other modes always become RGB
    on white."""

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
            return bool(np.isfinite(self._numbers(np.array([[[0] * 3, [255] * 3]], dtype=np.uint8))).all())

    def __call__(self, images: Sequence[Image.Image]) -> Tensor:
        """The numbers of one or more images of any mode, taken as they lie (`open_image` turns them upright).

        Returns:
            float32, (images, 3, height, width).

        Raises:
            DataError: An image has no pixels, none that can be understood, or is too narrow; or their sizes differ and
                the settings leave it so.
        """
        if not images:
            raise ValueError("no images")
        prepared = [self._cropped(self._resized(image)) for image in images]
        width, height = prepared[0].size
        pixels = np.empty((len(images), 3, height, width), dtype=np.float32)
        for row, image, original in zip(pixels, prepared, images, strict=True):
            if image.size != (width, height):
                raise DataError(
                    f"{_name(original)} becomes {_shown(image)} pixels and another one {_shown(prepared[0])}, but only "
                    "images of one size go together. Give them one at a time, or in one size."
                )
            row[:] = self._numbers(np.asarray(image)).transpose(2, 0, 1)
        return torch.from_numpy(pixels)

    def _resized(self, image: Image.Image) -> Image.Image:
        """The image in RGB and in its new size."""
        if 0 in image.size:
            raise DataError(f"{_name(image)} has no pixels ({_shown(image)}). Leave it out.")
        rgb = image if image.mode == "RGB" and not self.convert_rgb else _on_white(image)
        if self.resize is None:
            return rgb
        size = self.resize.size(image.height, image.width) if isinstance(self.resize, ShortestEdge) else self.resize
        height, width = size
        if not 0 < height * width <= MAX_SIDE**2:
            raise DataError(
                f"{_name(image)} is too narrow for this model: its {_shown(image)} pixels would become "
                f"{width:,} × {height:,}. Cut it into pieces, or leave it out."
            )
        return rgb.resize((width, height), self.resample)

    def _cropped(self, image: Image.Image) -> Image.Image:
        if self.crop is None:
            return image
        height, width = self.crop
        # Rounded down, also below zero, where the image is smaller than the crop and black lies around it.
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))

    def _numbers(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The formula, on (height, width, 3). Rounded in between as the ecosystem does, for the very same numbers."""
        mean, std = np.array(self.mean, dtype=np.float32), np.array(self.std, dtype=np.float32)
        scaled: NDArray[np.float32] = (pixels.astype(np.float64) * self.scale).astype(np.float32)
        numbers: NDArray[np.float32] = (scaled - mean) / std
        return numbers


def _on_white(image: Image.Image) -> Image.Image:
    """The image in RGB, white where it is transparent."""
    if image.mode in ("I", "F"):
        raise DataError(
            f"{_name(image)} has 32-bit numbers for pixels (mode {image.mode}), and which of them is white is unknown. "
            "Save it with 8 bits a colour."
        )
    if image.mode.startswith("I;16"):
        # The upper byte, which is what Pillow itself takes of 16-bit colours. Its conversion would make everything
        # above 255 of 65535 white.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("La", "RGBa"):  # colours already multiplied by their opacity
        image = image.convert(image.mode.upper())
    if "A" not in image.getbands() and image.info.get("transparency") is None:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _name(image: Image.Image) -> str:
    return str(getattr(image, "filename", "")) or "An image"


def _shown(image: Image.Image) -> str:
    return f"{image.width:,} × {image.height:,}"
