"""Thumbnails that a page of HTML carries in itself, for sheets of images in reports."""

import base64
import io

from PIL import Image

from headway.images.decoding import to_rgb

__all__ = ["thumbnail_uri"]

_QUALITY = 80


def thumbnail_uri(image: Image.Image, size: int = 112) -> str:
    """A small JPEG of an image of any mode, as a data URI for `<img src="…">`.

    Args:
        image: Upright, as from `open_image`.
        size: Pixels of the longer side at most. An image that has at most half as many grows by a whole factor, with
            its pixels as squares.
    """
    thumbnail = to_rgb(image)
    factor = size // max(thumbnail.size)
    if factor > 1:
        thumbnail = thumbnail.resize((thumbnail.width * factor, thumbnail.height * factor), Image.Resampling.NEAREST)
    else:
        thumbnail = thumbnail.copy()
        thumbnail.thumbnail((size, size), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    thumbnail.info.clear()  # of comments and the like, which are nobody's business
    thumbnail.save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
