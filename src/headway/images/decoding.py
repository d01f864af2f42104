"""Decoding: from a file, or its bytes, to an upright image; and from an image of any mode to red, green and blue."""

import errno
import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile

from headway.errors import DataError

__all__ = [
    "MAX_PIXELS",
    "MAX_REDUCIBLE_PIXELS",
    "ImageSource",
    "image_name",
    "open_image",
    "to_grey",
    "to_rgb",
]

ImageSource = Path | str | bytes | Image.Image | NDArray[np.uint8] | Mapping[str, Any]
"""What stands for an image: a path, a file's bytes, an image, an array (height, width) or (height, width, channels) of
8-bit pixels, or the struct {"bytes", "path"} of Hugging Face data sets, of which one may be null."""

MAX_PIXELS = 2**30 // 12
"""The largest image that is decoded whole, in pixels. Like Pillow's own limit for images of unknown origin, it stands
for a quarter of a gigabyte of red, green and blue."""

MAX_REDUCIBLE_PIXELS = 2 * MAX_PIXELS
"""The largest image that is decoded at half, a quarter or an eighth of its width and height, which JPEG and JPEG 2000
allow without ever holding the whole. Pillow itself refuses more."""

# Not all that Pillow knows: it would start a program to draw an EPS file, and takes almost anything for a TGA file.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

_NO_IMAGES: dict[str, str] = {
    r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg": "it is an SVG drawing",
    r"\s*(<!--.*?-->\s*)?<(!doctype\s+)?html": "it is an HTML page, as failed downloads leave behind",
    r"....ftyp(heic|heix|hevc|heim|heis|mif1|msf1)": "it is a HEIC photo",
    r"%PDF-": "it is a PDF document",
    r"%!PS": "it is a PostScript drawing",
    r"version https://git-lfs": "it is a Git LFS pointer, and the file itself was never fetched",
    r"[\t\n\r\x20-\x7e]+\Z": "it is a text file",
}
"""How files begin (as Latin-1) that are found under the names of images, and what they are."""

_SNIFFED = 512
"""So many bytes of a file are looked at to say what it is."""

_QUIET = re.compile(r"PIL\.")
"""The modules whose warnings (about metadata and sizes, which are judged here) are ignored. That filter is installed
for good and not with `warnings.catch_warnings`, which is unsafe in threads: two that overlap keep each other's."""


def image_name(source: ImageSource) -> str:
    """What to call an image in a message: its path, if it has any."""
    if isinstance(source, Mapping):
        return str(source.get("path") or "An image")
    if isinstance(source, Path | str):
        return str(source)
    return str(getattr(source, "filename", "")) or "An image"


def open_image(source: ImageSource, name: str | None = None) -> Image.Image:
    """An image, read to its end and turned upright (cameras write how they were held into EXIF).

    It keeps its mode (`to_rgb` changes that); of an animation it is the first frame. A JPEG or JPEG 2000 file of more
    than `MAX_PIXELS` is decoded at the largest fraction of its size that has no more.

    Args:
        source: Where the image is, or itself.
        name: What to call it in messages; its path if None.

    Raises:
        DataError: There is no such file, it is not an image, it is damaged, or it would take too much memory.
    """
    name = name or image_name(source)
    try:
        image = _decoded(source, name)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(
            f"{name}: is not an image that can be read{_what_it_is(source)}. Save it as one of {', '.join(_FORMATS)}."
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(name, MAX_REDUCIBLE_PIXELS) from error
    except OSError as error:
        if error.strerror:
            raise DataError(f"{name}: cannot be read: {error.strerror}. Give the path of an image.") from error
        raise _damaged(name, error) from error
    except Exception as error:  # decoders raise whatever they stumble over
        raise _damaged(name, error) from error
    image.filename = name  # type: ignore[attr-defined]  # for the messages of later steps
    return image


def _decoded(source: ImageSource, name: str) -> Image.Image:
    """The image, or whatever error Pillow has."""
    if isinstance(source, Mapping):
        data, path = source.get("bytes"), source.get("path")
        if data is None and not path:
            raise DataError(f'{name} has neither "bytes" nor a "path". Leave it out.')
        source = str(path) if data is None else bytes(data)
    if isinstance(source, np.ndarray):
        return _from_array(source, name)
    if isinstance(source, Image.Image):
        source.load()
        image = source.copy()  # never the caller's own, which later steps would rename and turn
        _turn_upright(image)
        return image
    if isinstance(source, bytes):
        return _from_file(io.BytesIO(source), name)
    if not Path(source).is_file():
        raise FileNotFoundError(errno.ENOENT, "there is no such file")
    with Path(source).open("rb") as file:
        return _from_file(file, name)


def _from_file(file: Any, name: str) -> Image.Image:
    if not any(action == "ignore" and module == _QUIET for action, _, _, module, _ in warnings.filters):
        warnings.filterwarnings("ignore", module=_QUIET.pattern)
    with Image.open(file, formats=_FORMATS) as image:
        _reduce(image, name)
        image.load()
        if image.width * image.height > MAX_PIXELS:  # a frame can be larger than its animation says
            raise _too_large(name, MAX_PIXELS)
        if image.mode == "I" and image.format == "PPM":  # 16 bits, which Pillow keeps in 32 in this format alone
            return Image.fromarray(np.asarray(image).astype(np.uint16))
        _turn_upright(image)
    return image


def _from_array(pixels: NDArray[Any], name: str) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
        shape = " × ".join(str(side) for side in pixels.shape)
        raise DataError(
            f"{name} is an array of {shape} numbers ({pixels.dtype}). Give 8-bit pixels of the shape (height, width), "
            "or (height, width, channels) with 1, 3 or 4 channels."
        )
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _reduce(image: ImageFile.ImageFile, name: str) -> None:
    """Tell the decoder to make the image smaller, if it is too large and its format can."""
    factor = 1
    width, height = image.size
    while -(-width // factor) * -(-height // factor) > MAX_PIXELS:  # decoders round up
        factor *= 2
    if factor == 1:
        return
    if isinstance(image, JpegImageFile):
        image.draft(image.mode, (width // factor, height // factor))
    elif isinstance(image, Jpeg2KImageFile):
        image.reduce = factor.bit_length() - 1  # how Pillow wants it told
    else:
        raise _too_large(name, MAX_PIXELS)


def _turn_upright(image: Image.Image) -> None:
    """Turn the image itself, as its metadata say."""
    try:
        image.getexif()
    except Exception:  # damaged metadata of an image that is whole
        return
    ImageOps.exif_transpose(image, in_place=True)


def _what_it_is(source: ImageSource) -> str:
    """What a file that is no image is instead, as far as its first bytes tell."""
    if isinstance(source, Mapping):
        source = source["path"] if source.get("bytes") is None else source["bytes"]
    if isinstance(source, bytes):
        start = source[:_SNIFFED]
    else:
        with Path(str(source)).open("rb") as file:
            start = file.read(_SNIFFED)
    if not start:
        return ": it is empty (0 bytes)"
    text = start.decode("latin-1")
    found = (what for pattern, what in _NO_IMAGES.items() if re.match(pattern, text, re.IGNORECASE | re.DOTALL))
    return "".join(f": {what}" for what in [next(found, None)] if what)


def _too_large(name: str, limit: int) -> DataError:
    return DataError(f"{name}: has more than {limit:,} pixels, too many to read safely. Make it smaller.")


def _damaged(name: str, error: Exception) -> DataError:
    return DataError(f"{name}: is a damaged image ({error}). Fetch it again, or leave it out.")


def to_rgb(image: Image.Image, *, keep_rgb: bool = False) -> Image.Image:
    """The image in RGB, white where it is transparent.

    Args:
        image: An image of any mode.
        keep_rgb: Leave an image that is RGB already as it is, even if one of its colours stands for "transparent".

    Raises:
        DataError: Its pixels are 32-bit numbers of which it is unknown what is white.
    """
    if image.mode == "RGB" and (keep_rgb or image.info.get("transparency") is None):
        return image
    return _plain(image).convert("RGB")


def to_grey(image: Image.Image) -> Image.Image:
    """The image in 8 bits of grey (mode L), white where it is transparent.

    Colours become the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B.

    Raises:
        DataError: As for `to_rgb`.
    """
    return _plain(image).convert("L")


def _plain(image: Image.Image) -> Image.Image:
    """The image in a mode of 8 bits per channel that nothing shines through."""
    if image.mode == "F":
        return _from_fractions(image)
    if image.mode == "I":
        raise DataError(
            f"{image_name(image)} has 32-bit numbers for pixels (mode {image.mode}), and which of them is white is "
            "unknown. Save it with 8 bits a colour."
        )
    if image.mode.startswith("I;16"):
        # The upper byte, which is what Pillow itself takes of 16-bit colours. Its conversion would make everything
        # above 255 of 65535 white.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("La", "RGBa"):  # colours already multiplied by their opacity
        image = image.convert(image.mode.upper())
    if "A" not in image.getbands() and image.info.get("transparency") is None:
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _from_fractions(image: Image.Image) -> Image.Image:
    """A floating-point image whose black is 0 and whose white is 1, as is usual; any other is refused."""
    pixels = np.asarray(image)
    if not ((pixels >= 0) & (pixels <= 1)).all():
        raise DataError(
            f"{image_name(image)} has 32-bit numbers for pixels (mode F) that are not from 0 to 1, and which of them "
            "is white is unknown. Save it with 8 bits a colour."
        )
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
