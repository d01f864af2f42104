"""Thumbnails for reports."""

import base64
import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from headway.images.decoding import open_image
from headway.images.sheet import thumbnail_uri


def decoded(uri: str) -> Image.Image:
    kind, data = uri.split(",")
    assert kind == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (112, 84)),
        ((10, 2000), (1, 112)),
        ((28, 28), (112, 112)),
        ((50, 20), (100, 40)),
        ((80, 80), (80, 80)),
    ],
)
def test_sizes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (200, 30, 30))
    assert decoded(thumbnail_uri(image)).size == expected
    assert image.size == size


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode(mode: str) -> None:
    image = Image.new("I;16", (30, 20), 65_535) if mode == "I;16" else Image.new("RGB", (30, 20), "white").convert(mode)
    assert np.asarray(decoded(thumbnail_uri(image, 30))).min() > 250


def test_it_is_small_and_says_nothing_about_where_it_came_from() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "taken at home " * 500)
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG", pnginfo=text)
    opened = open_image(file.getvalue())
    opened.info["comment"] = b"taken at home"
    uri = thumbnail_uri(opened)
    assert len(uri) < 10_000
    assert b"taken at home" not in base64.b64decode(uri.split(",")[1])
    assert "comment" in opened.info
