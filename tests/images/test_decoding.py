"""Image files, whole and damaged, under any name and in any encoding, and what becomes of their colours."""

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
from headway.files import is_image_name
from headway.images.decoding import MAX_PIXELS, open_image, to_grey, to_rgb
from headway.images.processor import ImageProcessor

ORIENTATION = 0x0112
PLAIN = ImageProcessor(kind="ViTImageProcessor", resize=None, scale=1.0)
"""Leaves pixels as they are."""


def noise(width: int = 40, height: int = 30) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(format: str, image: Image.Image | None = None, **settings: object) -> bytes:
    buffer = io.BytesIO()
    (image or noise()).save(buffer, format, **settings)
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
    assert np.array_equal(np.asarray(open_image(tmp_path / "x")), np.asarray(noise()))


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


def test_damaged_metadata_does_not_spoil_an_image(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(encoded("JPEG", exif=b"Exif\0\0XX*\0\x08\0\0\0rubbish"))
    assert open_image(tmp_path / "x").size == (40, 30)


def test_the_handle_is_closed_and_the_image_stays(tmp_path: Path) -> None:
    (tmp_path / "x.gif").write_bytes(encoded("GIF"))
    image = open_image(tmp_path / "x.gif")
    (tmp_path / "x.gif").unlink()
    assert image.convert("RGB").resize((3, 3)).size == (3, 3)


def drawing(width: int = 32, height: int = 32) -> Image.Image:
    """A few flat colours, which every lossless encoding keeps."""
    image = Image.new("RGB", (width, height), (250, 250, 250))
    image.paste((220, 30, 30), (6, 4, 20, 28))
    image.paste((40, 60, 220), (10, 8, 30, 14))
    return image


def test_one_image_in_many_encodings() -> None:
    """Case 02 of the issue."""
    rgb = drawing()
    alike = {
        "palette": encoded("PNG", rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=4)),
        "opaque": encoded("PNG", rgb.convert("RGBA")),
        "bmp": encoded("BMP", rgb),
        "webp": encoded("WEBP", rgb, lossless=True),
        "gif": encoded("GIF", rgb),
        "tiff": encoded("TIFF", rgb, compression="tiff_lzw"),
    }
    for name, data in alike.items():
        assert torch.equal(PLAIN([open_image(data)]), PLAIN([rgb])), name
    grey = rgb.convert("L")
    for mode in ("LA", "P", "RGB"):
        assert torch.equal(PLAIN([open_image(encoded("PNG", grey.convert(mode)))]), PLAIN([grey])), mode
    assert PLAIN([open_image(encoded("PNG", rgb.convert("1")))]).unique().tolist() == [0.0, 255.0]


def test_transparent_becomes_white() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 9, 9, 220, 30, 30])
    palette.putpixel((1, 0), 1)
    data = encoded("PNG", palette, transparency=0)
    assert PLAIN([open_image(data)])[0, :, 0].T.tolist() == [[255.0, 255.0, 255.0], [220.0, 30.0, 30.0]]


def test_a_name_that_lies_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "really.jpg").write_bytes(encoded("PNG", drawing()))
    assert np.array_equal(np.asarray(open_image(tmp_path / "really.jpg")), np.asarray(drawing()))


@pytest.mark.parametrize("marker", [True, False])
def test_ink_becomes_light(marker: bool) -> None:
    """Case 04: JPEGs in CMYK store how little ink there is, whether or not Adobe's marker says so."""
    data = encoded("JPEG", drawing().convert("CMYK"), quality=95)
    start = data.index(b"\xff\xee")
    assert data[start + 4 : start + 9] == b"Adobe"
    if not marker:
        data = data[:start] + data[start + 2 + int.from_bytes(data[start + 2 : start + 4], "big") :]
    opened = open_image(data)
    assert opened.mode == "CMYK"
    assert (PLAIN([opened]) - PLAIN([drawing()])).abs().mean() < 3


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_its_first_frame(format: str) -> None:
    later = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green")]
    settings = {"lossless": True} if format == "WEBP" else {}
    data = encoded(format, drawing(), save_all=True, append_images=later, **settings)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 3
    assert np.array_equal(np.asarray(to_rgb(open_image(data))), np.asarray(drawing()))


def test_every_kind_of_source(tmp_path: Path) -> None:
    data, expected = encoded("PNG"), np.asarray(noise())
    (tmp_path / "x.png").write_bytes(data)
    sources = [
        tmp_path / "x.png",
        str(tmp_path / "x.png"),
        data,
        {"bytes": data, "path": None},
        {"bytes": data, "path": "gone.png"},
        {"bytes": None, "path": str(tmp_path / "x.png")},
        noise(),
        expected,
    ]
    for source in sources:
        assert np.array_equal(np.asarray(open_image(source)), expected)
    assert open_image(expected[:, :, :1]).mode == open_image(expected[:, :, 0]).mode == "L"


def test_sources_that_are_no_images() -> None:
    with pytest.raises(DataError, match='row 3 has neither "bytes" nor a "path"'):
        open_image({"bytes": None, "path": None}, "row 3")
    with pytest.raises(DataError, match="row 3: is not an image that can be read: it is a text file"):
        open_image({"bytes": b"text", "path": "a.png"}, "row 3")
    with pytest.raises(DataError, match=r"gone.png: cannot be read: there is no such file"):
        open_image({"bytes": None, "path": "gone.png"})
    for array in (np.zeros((3, 3)), np.zeros((3, 3, 2), dtype=np.uint8), np.zeros(3, dtype=np.uint8)):
        with pytest.raises(DataError, match=r"row 3 is an array of 3.*Give 8-bit pixels"):
            open_image(array, "row 3")


def test_an_image_of_the_caller_stays_as_it_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    (tmp_path / "x.jpg").write_bytes(encoded("JPEG", exif=exif))
    with Image.open(tmp_path / "x.jpg") as theirs:
        assert open_image(theirs, "mine").size == (30, 40)
        assert theirs.size == (40, 30)
        assert theirs.filename == str(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("a.jpg", "b/A.JPEG", "x.webp", "x.heic", "x.tif")),
        *((name, False) for name in ("._0.png", ".DS_Store", "Thumbs.db", "readme.txt", "png")),
    ],
)
def test_names_of_images(name: str, expected: bool) -> None:
    assert is_image_name(name) is expected
    assert is_image_name(Path(name)) is expected


# --- large images -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["JPEG", "JPEG2000"])
def test_formats_that_can_be_reduced_are(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = drawing(400, 300)
    data = encoded(format, whole)
    assert open_image(data).size == (400, 300)
    monkeypatch.setattr("headway.images.decoding.MAX_PIXELS", 100 * 99)
    reduced = open_image(data)
    assert reduced.size == (100, 75)
    smaller = np.asarray(whole.resize((100, 75), Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(reduced).astype(int) - smaller).mean() < 3
    with pytest.raises(DataError, match="has more than 9,900 pixels"):
        open_image(encoded("PNG", whole))


@pytest.mark.slow
def test_a_photo_of_a_hundred_megapixels() -> None:
    """Larger than what is decoded whole; Pillow's own limit would make a warning of it."""
    data = encoded("JPEG", Image.new("L", (11_000, 9_000), 77))
    opened = open_image(data)
    assert opened.size == (5_500, 4_500)
    assert opened.width * opened.height <= MAX_PIXELS
    assert opened.getpixel((5_000, 4_000)) == 77


# --- damage -------------------------------------------------------------------------------------------------------


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is not an image that can be read: it is empty (0 bytes). Save it as one of AVIF"),
    "zeros": (lambda: bytes(99), "is not an image that can be read. Save it as one of AVIF"),
    "text": (lambda: b"a,b\n1,2\n", "is not an image that can be read: it is a text file. Save"),
    "page": (lambda: b"<!DOCTYPE html>\n<html>404</html>", "is not an image that can be read: it is an HTML page, as"),
    "svg": (lambda: b'<?xml version="1.0"?>\n<svg/>', "is not an image that can be read: it is an SVG drawing. Save"),
    "HEIC": (lambda: b"\0\0\0\x18ftypheic" + bytes(90), "is not an image that can be read: it is a HEIC photo. Save"),
    "pointer": (
        lambda: b"version https://git-lfs.github.com/spec/v1\n",
        "is not an image that can be read: it is a Git",
    ),
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
    "bomb": (lambda: png(60_000, 60_000), "has more than 178,956,970 pixels, too many to read safely"),
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
    assert np.array_equal(np.asarray(image), np.asarray(noise()))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF"])
def test_random_damage_gives_an_image_or_one_sentence(format: str, tmp_path: Path) -> None:
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


def test_sixteen_bits_of_a_pgm() -> None:
    """Pillow keeps them in 32 bits, of which it is unknown elsewhere what is white."""
    data = b"P5 3 1 65535\n" + np.array([0, 256, 65_535], dtype=">u2").tobytes()
    assert PLAIN([open_image(data)])[0, 2].tolist() == [[0.0, 1.0, 255.0]]


def test_fractions_from_black_to_white() -> None:
    image = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    assert PLAIN([open_image(encoded("TIFF", image))])[0, 1].tolist() == [[0.0, 128.0, 255.0]]


@pytest.mark.parametrize("image", [Image.new("I", (3, 3)), Image.new("F", (3, 3), 2), Image.new("F", (3, 3), np.nan)])
def test_pixels_whose_white_is_unknown_are_refused(image: Image.Image) -> None:
    with pytest.raises(DataError, match=f"32-bit numbers for pixels .mode {image.mode}"):
        PLAIN([image])


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_colours_multiplied_by_their_opacity(mode: str) -> None:
    half_black = Image.new(mode.upper(), (2, 2), (0, 128) if mode == "La" else (0, 0, 0, 128)).convert(mode)
    assert torch.equal(PLAIN([half_black]), torch.full((1, 3, 2, 2), 127.0))


def test_a_refused_image_is_named(tmp_path: Path) -> None:
    Image.new("F", (3, 3), 7).save(tmp_path / "x.tiff")
    with pytest.raises(DataError, match=r"x.tiff has 32-bit"):
        PLAIN([open_image(tmp_path / "x.tiff")])


def test_grey_is_luma_on_white() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 7, 7]]], dtype=np.uint8)
    assert np.asarray(to_grey(Image.fromarray(colours))).tolist() == [[76, 150, 29, 7]]
    assert np.asarray(to_grey(Image.new("LA", (1, 1), (0, 0)))).tolist() == [[255]]
    assert np.asarray(to_grey(Image.fromarray(np.array([[256]], dtype=np.uint16)))).tolist() == [[1]]
