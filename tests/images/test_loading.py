"""Batches of pixels: which image an error is about, the same pixels by every way, and work done ahead in order."""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import headway.images.loading
from headway.batching.prefetch import map_ahead
from headway.errors import DataError
from headway.images.augmentation import Augmentation, row_generator
from headway.images.decoding import open_image
from headway.images.loading import load_pixels
from headway.images.pixel_cache import PixelCache
from headway.images.processor import ImageProcessor, ShortestEdge

PROCESSOR = ImageProcessor(kind="ViTImageProcessor", resize=(24, 32), mean=(0.5,) * 3, std=(0.25,) * 3)
GREY = ImageProcessor(kind="ViTImageProcessor", resize=(28, 28), mean=(0.5,), std=(0.25,), channels=1)
AUGMENTATIONS = {
    "none": None,
    "flip": Augmentation(horizontal_flip=0.5, rand_augment_ops=1),
    "crop": Augmentation(crop_scale=(0.3, 1.0), horizontal_flip=0.5, rand_augment_ops=2),
}


def encoded(row: int, format: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    noise = np.random.default_rng(row).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, format)
    return file.getvalue()


def generators(rows: range | list[int], epoch: int = 0) -> list[np.random.Generator]:
    return [row_generator(3, epoch, row) for row in rows]


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The names of the images that were decoded since."""
    names: list[str | None] = []

    def counted(source: object, name: str | None = None) -> Image.Image:
        names.append(name)
        return open_image(source, name)

    monkeypatch.setattr(headway.images.loading, "open_image", counted)
    return names


def test_without_augmentation_it_is_the_processor() -> None:
    sources = [encoded(row) for row in range(3)]
    expected = PROCESSOR([open_image(source) for source in sources])
    assert torch.equal(load_pixels(sources, PROCESSOR), expected)
    assert torch.equal(load_pixels(sources, PROCESSOR, Augmentation(mixup=1.0)), expected)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_sideways_photos_are_as_upright_ones(orientation: int, format: str) -> None:
    """Case 01 of the issue."""
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # Pillow's operations that undo what the tag tells
    upright = open_image(encoded(1))
    upright.paste(255, (0, 0, 20, 10))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    upright.transpose(Image.Transpose(turn)).save(file, format, exif=exif)
    difference = load_pixels([file.getvalue()], PROCESSOR) - load_pixels([upright], PROCESSOR)
    assert difference.abs().mean() <= (0 if format == "PNG" else 0.4)


@pytest.mark.parametrize("augmentation", ["flip", "crop"])
@pytest.mark.parametrize("processor", [PROCESSOR, GREY], ids=["colours", "grey"])
def test_pixels_depend_on_seed_epoch_and_row_alone(augmentation: str, processor: ImageProcessor) -> None:
    chosen = AUGMENTATIONS[augmentation]
    sources = [encoded(row) for row in range(12)]

    def batch(rows: list[int]) -> torch.Tensor:
        return load_pixels([sources[row] for row in rows], processor, chosen, generators(rows))

    whole = batch(list(range(12)))
    assert torch.equal(torch.cat(list(map_ahead(batch, [[row] for row in range(12)]))), whole)
    assert torch.equal(batch([7, 2, 11]), whole[[7, 2, 11]])
    another = load_pixels(sources, processor, chosen, generators(range(12), epoch=1))
    assert another.shape == whole.shape
    assert (another != whole).flatten(1).any(dim=1).sum() >= 6


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize("memory", [0, 5_000, 10**9])
@pytest.mark.parametrize("processor", [PROCESSOR, GREY], ids=["colours", "grey"])
def test_a_cache_changes_no_pixel_and_decodes_once(
    augmentation: str, memory: int, processor: ImageProcessor, tmp_path: Path, decodings: list[str | None]
) -> None:
    sources, chosen = [encoded(row) for row in range(5)], AUGMENTATIONS[augmentation]
    batches = [[0, 1, 2], [3, 4], [4, 0]]

    def epochs(cache: PixelCache | None) -> Iterator[torch.Tensor]:
        for epoch in range(3):
            for rows in batches:
                part, keys = [sources[row] for row in rows], None if cache is None else rows
                yield load_pixels(part, processor, chosen, generators(rows, epoch), cache=cache, keys=keys)

    expected = list(epochs(None))
    decodings.clear()
    cache = PixelCache(memory_bytes=memory, folder=tmp_path)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(epochs(cache), expected, strict=True))
    assert len(decodings) == cache.num_kept == 5
    assert not list(tmp_path.iterdir())  # the file has no name
    cache.close()
    assert cache.num_kept == 0


def test_what_does_not_fit_is_decoded_anew(decodings: list[str | None], tmp_path: Path) -> None:
    for cache in (PixelCache(memory_bytes=0, disk_bytes=0), PixelCache(memory_bytes=0, folder=tmp_path / "absent")):
        decodings.clear()
        first, second = (load_pixels([encoded(1)], PROCESSOR, cache=cache, keys=[1]) for _ in range(2))
        assert torch.equal(first, second)
        assert len(decodings) == 2
        assert cache.num_kept == 0


def test_large_images_are_not_kept_for_crops(decodings: list[str | None]) -> None:
    cache = PixelCache()
    large = encoded(1, size=(400, 300))
    for _ in range(2):
        load_pixels([large], PROCESSOR, AUGMENTATIONS["crop"], generators(range(1)), cache=cache, keys=[0])
    assert len(decodings) == 2


def test_pixels_for_crops_and_others_are_not_confused() -> None:
    cache = PixelCache()
    load_pixels([encoded(1)], PROCESSOR, AUGMENTATIONS["crop"], generators(range(1)), cache=cache, keys=[0])
    plain = load_pixels([encoded(1)], PROCESSOR, cache=cache, keys=[0])
    assert torch.equal(plain, load_pixels([encoded(1)], PROCESSOR))


def test_crops_for_a_processor_without_a_size() -> None:
    processor = ImageProcessor(kind="ViTImageProcessor", resize=ShortestEdge(16))
    assert min(load_pixels([encoded(1)], processor, AUGMENTATIONS["crop"], generators(range(1))).shape[2:]) == 16


@pytest.mark.parametrize("damaged", [encoded(1)[:400], b"", b"<html>404</html>", b"not an image\n"])
def test_an_error_names_the_image(damaged: bytes, tmp_path: Path) -> None:
    """Case 06."""
    (tmp_path / "cut.jpg").write_bytes(damaged)
    with pytest.raises(DataError, match=r"cut.jpg: is "):
        load_pixels([encoded(1), tmp_path / "cut.jpg"], PROCESSOR)
    names = ["a.csv, row 1", "a.csv, row 2"]
    with pytest.raises(DataError, match=r"^a.csv, row 2: is "):
        load_pixels([encoded(1), {"bytes": damaged, "path": None}], PROCESSOR, names=names)
    narrow = ImageProcessor(kind="ViTImageProcessor", resize=ShortestEdge(7, longest=60))
    with pytest.raises(DataError, match=r"^a.csv, row 2 is too narrow"):
        load_pixels([encoded(1, size=(60, 7)), encoded(1, size=(1, 150))], narrow, names=names)


def test_what_the_caller_forgot() -> None:
    with pytest.raises(ValueError, match="generators"):
        load_pixels([encoded(1)], PROCESSOR, AUGMENTATIONS["flip"])
    with pytest.raises(ValueError, match="keys"):
        load_pixels([encoded(1)], PROCESSOR, cache=PixelCache())


# --- ahead --------------------------------------------------------------------------------------------------------


def test_an_error_comes_in_its_place() -> None:
    sources = [encoded(row) for row in range(9)]
    sources[5] = b""
    results = map_ahead(lambda row: load_pixels([sources[row]], PROCESSOR, names=[f"row {row + 1}"]), range(9))
    assert len([next(results) for _ in range(5)]) == 5
    with pytest.raises(DataError, match="row 6: is not an image"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_threads_leave_the_filters_of_warnings_alone() -> None:
    """`warnings.catch_warnings` in two threads leaves the filters of one behind in the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_image(encoded(0))
        before = list(warnings.filters)
        for _ in map_ahead(open_image, [encoded(row) for row in range(40)], workers=4):
            pass
        assert list(warnings.filters) == before
        with pytest.raises(UserWarning, match="of another"):
            warnings.warn("of another", UserWarning, stacklevel=1)
