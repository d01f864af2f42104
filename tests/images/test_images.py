"""Image files, whole and broken, and what becomes of images that no model was meant for."""

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from headway.errors import DataError
from headway.images.processor import ImageProcessor, ShortestEdge, open_image

ORIENTATION = 0x0112
PLAIN = ImageProcessor(kind="ViTImageProcessor", resize=None, scale=1.0)
"""Leaves pixels as they are."""


def image(width: int = 40, height: int = 30) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def encoded(format: str, image: Image.Image | None = None, **settings: object) -> bytes:
    buffer = io.BytesIO()
    (image or image()).save(buffer, format, **settings)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, lines: bytes = b"") -> bytes:
    """A PNG that claims these sides, whatever it holds."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_a_file_gives_its_pixels(format: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(encoded(format))
    assert np.array_equal(np.asarray(open_image(tmp_path / "x")), np.asarray(image()))


@pytest.mark.parametrize("format", ["JPEG", "GIF", "WEBP", "JPEG2000", "AVIF"])
def test_formats_that_lose_something_open_too(format: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(encoded(format))
    assert PLAIN([open_image(tmp_path / "x")]).shape == (1, 3, 30, 40)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(orientation: int, format: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(format, exif=exif)
    (tmp_path / "x").write_bytes(data)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert expected.size == ((30, 40) if orientation > 4 else (40, 30))
    assert np.array_equal(np.asarray(open_image(tmp_path / "x")), np.asarray(expected))


def test_damaged_metadata_does_not_spoil_a_image(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(encoded("JPEG", exif=b"Exif\0\0XX*\0\x08\0\0\0rubbish"))
    assert open_image(tmp_path / "x").size == (40, 30)


def test_the_handle_is_closed_and_the_image_stays(tmp_path: Path) -> None:
    (tmp_path / "x.gif").write_bytes(encoded("GIF"))
    image = open_image(tmp_path / "x.gif")
    (tmp_path / "x.gif").unlink()
    assert image.convert("RGB").resize((3, 3)).size == (3, 3)


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is not an image that can be read"),
    "text": (lambda: b"a,b\n1,2\n", "is not an image that can be read. Save it as one of AVIF"),
    "a drawing that a program would have to be started for": (
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        "is not an image that can be read",
    ),
    "cut JPEG": (lambda: encoded("JPEG")[:900], "is a damaged image"),
    "cut PNG": (lambda: encoded("PNG")[:900], "is a damaged image"),
    "cut WEBP": (lambda: encoded("WEBP")[:100], "is "),
    "PNG without pixels": (lambda: png(5, 5), "is a damaged image"),
    "PNG that is 0 wide": (lambda: png(0, 5), "is "),
    "PPM that is 0 wide": (lambda: b"P6 0 5 255\n", "is "),
    "bomb": (lambda: png(60_000, 60_000), "has more than 89,478,485 pixels, too many to read safely"),
    "half a bomb": (lambda: png(10_000, 9_000), "has more than 89,478,485 pixels, too many to read safely"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    make, message = BROKEN[name]
    file = tmp_path / "image.png"
    file.write_bytes(make())
    with pytest.raises(DataError) as caught:
        open_image(file)
    assert f"{file}: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(DataError, match="there is no such file"):
            open_image(path)
    with pytest.raises(DataError, match="File name too long"):
        open_image("what is on this image? " * 99)


def test_what_pillow_remarks_on_is_no_error(tmp_path: Path) -> None:
    whole = encoded("PNG")
    start = whole.index(b"IDAT") - 4
    (tmp_path / "x.png").write_bytes(whole[:start] + chunk(b"acTL", bytes(8)) + whole[start:])
    with pytest.warns(UserWarning, match="APNG"):
        Image.open(tmp_path / "x.png").close()
    with warnings.catch_warnings(record=True, action="always") as remarks:
        image = open_image(tmp_path / "x.png")
    assert not remarks
    assert np.array_equal(np.asarray(image), np.asarray(image()))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_random_damage_gives_a_image_or_one_sentence(format: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    exif = {} if format in ("BMP", "PPM", "GIF", "JPEG2000") else {"exif": Image.Exif()}
    whole = np.frombuffer(encoded(format, **exif), dtype=np.uint8)
    file = tmp_path / "x"
    for _ in range(40):
        damaged = whole.copy()
        places = generator.integers(0, generator.choice([60, len(whole)]), 4)
        damaged[places] = generator.integers(0, 256, 4)
        file.write_bytes(damaged[: generator.choice([len(whole), generator.integers(len(whole))])].tobytes())
        with contextlib.suppress(DataError):  # and no other error
            assert PLAIN([open_image(file)]).numel() > 0


# --- pixels that transformers leaves undefined, or spoils -------------------------------------------------------------


def test_sixteen_bits_keep_their_shades() -> None:
    shades = np.array([[0, 255, 256, 32_768, 65_535]], dtype=np.uint16)
    expected = torch.tensor([0.0, 0.0, 1.0, 128.0, 255.0])
    assert torch.equal(PLAIN([Image.fromarray(shades)]), expected.expand(1, 3, 1, 5))
    big_endian = Image.frombytes("I;16B", (5, 1), shades.astype(">u2").tobytes())
    assert torch.equal(PLAIN([big_endian]), expected.expand(1, 3, 1, 5))


def test_sixteen_bits_from_a_file(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65_535, 900, dtype=np.uint16).reshape(30, 30)
    Image.fromarray(ramp).save(tmp_path / "x.png")
    assert torch.equal(PLAIN([open_image(tmp_path / "x.png")])[0, 1], torch.tensor(ramp >> 8, dtype=torch.float32))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_whose_white_is_unknown_are_refused(mode: str) -> None:
    with pytest.raises(DataError, match=f"32-bit numbers for pixels .mode {mode}"):
        PLAIN([Image.new(mode, (3, 3))])


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_colours_multiplied_by_their_opacity(mode: str) -> None:
    half_black = Image.new(mode.upper(), (2, 2), (0, 128) if mode == "La" else (0, 0, 0, 128)).convert(mode)
    assert torch.equal(PLAIN([half_black]), torch.full((1, 3, 2, 2), 127.0))


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_images_without_pixels(size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="has no pixels"):
        PLAIN([Image.new("RGB", size)])


def test_a_thread_of_a_image_does_not_take_all_the_memory() -> None:
    resized = ImageProcessor(kind="ViTImageProcessor", resize=ShortestEdge(224))
    with pytest.raises(DataError, match="too narrow for this model: its 100,000 × 1 pixels would become 22,400,000"):
        resized([Image.new("RGB", (100_000, 1))])


def test_a_thread_that_would_vanish_is_refused() -> None:
    resized = ImageProcessor(kind="ViTImageProcessor", resize=ShortestEdge(7, longest=60))
    assert resized([Image.new("RGB", (2, 238))]).shape == (1, 3, 60, 1)
    with pytest.raises(DataError, match="its 1 × 150 pixels would become 0 × 60"):
        resized([Image.new("RGB", (1, 150))])


def test_a_refused_image_is_named(tmp_path: Path) -> None:
    Image.new("F", (3, 3)).save(tmp_path / "x.tiff")
    with pytest.raises(DataError, match=r"x.tiff has 32-bit"):
        PLAIN([open_image(tmp_path / "x.tiff")])
