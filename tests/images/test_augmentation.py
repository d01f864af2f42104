"""Random changes: what they may do to an image, and that they depend on nothing but seed, epoch and row."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from headway.errors import SettingsError
from headway.images.augmentation import Augmentation, row_generator

EVERYTHING = Augmentation(crop_scale=(0.3, 1.0), horizontal_flip=0.5, rand_augment_ops=2)


def noise(width: int = 28, height: int = 28, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def test_the_same_row_in_the_same_epoch_is_the_same() -> None:
    draws = {key: row_generator(*key).integers(2**60) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]}
    assert len(set(draws.values())) == 4
    assert row_generator(3, 2, 1).integers(2**60) == row_generator(3, 2, 1).integers(2**60)


def test_none_is_the_default() -> None:
    plain = Augmentation()
    assert not plain.changes_images
    assert not plain.mixes_batches
    assert np.array_equal(np.asarray(plain.changed(noise(), row_generator(0, 0, 0))), np.asarray(noise()))
    pixels, labels = torch.rand(2, 3, 4, 4), torch.tensor([0, 1])
    mixed = plain.mix(pixels, labels, row_generator(0, 0, 0))
    assert torch.equal(mixed.pixels, pixels)
    assert torch.equal(mixed.targets(2), torch.eye(2))


@pytest.mark.parametrize("size", [(28, 28), (300, 40), (40, 300), (1, 1), (1, 200), (3, 2)])
def test_a_crop_lies_in_the_image_and_has_the_area(size: tuple[int, int]) -> None:
    augmentation = Augmentation(crop_scale=(0.2, 0.6))
    for row in range(300):
        left, top, right, bottom = augmentation.crop_box(size, row_generator(0, 0, row))
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        if size == (28, 28):  # as far as whole pixels allow
            assert 0.14 < (right - left) * (bottom - top) / 28**2 < 0.68
            assert 0.68 < (right - left) / (bottom - top) < 1.47


def test_crops_reach_everywhere() -> None:
    boxes = [Augmentation(crop_scale=(0.2, 0.6)).crop_box((64, 64), row_generator(0, 0, row)) for row in range(200)]
    assert min(box[0] for box in boxes) == 0 == min(box[1] for box in boxes)
    assert max(box[2] for box in boxes) == 64 == max(box[3] for box in boxes)


def test_flips_are_as_likely_as_said() -> None:
    image, mirrored = noise(), noise().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    augmentation = Augmentation(horizontal_flip=0.25)
    changed = [np.asarray(augmentation.changed(image, row_generator(0, 0, row))) for row in range(800)]
    flipped = [np.array_equal(pixels, np.asarray(mirrored)) for pixels in changed]
    assert sum(np.array_equal(pixels, np.asarray(image)) for pixels in changed) == 800 - sum(flipped)
    assert 0.2 < sum(flipped) / 800 < 0.3


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("magnitude", [0.0, 5.0, 10.0])
def test_rand_augment_keeps_size_and_mode(mode: str, magnitude: float) -> None:
    augmentation = Augmentation(rand_augment_ops=1, rand_augment_magnitude=magnitude)
    image = noise(31, 20, mode)
    results = set()
    for row in range(150):
        changed = augmentation.changed(image, row_generator(0, 0, row))
        assert (changed.size, changed.mode) == (image.size, image.mode)
        results.add(changed.tobytes())
    # Fourteen operations, ten of them both ways except without strength; in grey, colour changes nothing.
    assert len(results) >= (3 if magnitude == 0 else 20)


def test_rand_augment_moves_by_its_magnitude() -> None:
    """At full strength an edge in the middle is shifted by 3/10 of the width; what slides in is 6 pixels of a shear,
    which is 3/10 of the row's number."""
    edge = np.zeros((40, 40), dtype=np.uint8)
    edge[:, 20:] = 255
    augmentation = Augmentation(rand_augment_ops=1, rand_augment_magnitude=10)
    places: set[int] = set()
    for row in range(150):
        changed = np.asarray(augmentation.changed(Image.fromarray(edge), row_generator(0, 0, row)))
        places |= set((np.flatnonzero(np.abs(np.diff(changed[20].astype(int))) > 60) + 1).tolist())
    assert {20 - 12, 20 + 12} <= places
    assert (min(places), max(places)) == (6, 40 - 6)


def test_changes_of_shades_are_those_of_pillow() -> None:
    """Made here with arrays, since Pillow goes through its tables number by number."""
    image = Image.fromarray(np.asarray(noise(50, 40)) // 2 + 30)
    augmentation = Augmentation(rand_augment_ops=1, rand_augment_magnitude=6)
    changed = {augmentation.changed(image, row_generator(0, 0, row)).tobytes() for row in range(200)}
    for expected in (ImageOps.solarize(image, 102), ImageOps.posterize(image, 6), ImageOps.equalize(image)):
        assert expected.tobytes() in changed
    stretched = np.asarray(ImageOps.autocontrast(image)).astype(int)  # which Pillow rounds down and not to the nearest
    assert min(np.abs(np.frombuffer(data, np.uint8) - stretched.ravel()).max() for data in changed) <= 1


@pytest.mark.parametrize("settings", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}])
def test_the_weight_is_what_is_left_of_an_image(settings: dict[str, float]) -> None:
    """Of images that are constant, each its own number, the mean of a mixed one is weight and partner exactly."""
    values = torch.arange(1.0, 9.0)
    pixels, labels = values[:, None, None, None].expand(8, 3, 20, 30), torch.arange(8)
    cut = blended = 0
    for batch in range(60):
        mixed = Augmentation(**settings).mix(pixels, labels, row_generator(1, 2, batch))
        assert mixed.pixels.shape == pixels.shape
        assert 0 <= mixed.weight <= 1
        assert torch.equal(mixed.labels, labels)
        assert sorted(mixed.other_labels.tolist()) == labels.tolist()
        expected = mixed.weight * values + (1 - mixed.weight) * values[mixed.other_labels]
        torch.testing.assert_close(mixed.pixels.mean(dim=(1, 2, 3)), expected)
        targets = mixed.targets(8)
        torch.testing.assert_close(targets @ values, expected)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(8))
        found = {round(value, 4) for value in mixed.pixels.unique().tolist()}
        is_cut = found <= {float(value) for value in values}
        cut, blended = cut + is_cut, blended + (not is_cut)
    assert (blended > 0) == ("mixup" in settings)
    assert (cut > 10) == ("cutmix" in settings)
    assert torch.equal(pixels[:, 0, 0, 0], values)


def test_mixing_is_the_same_for_the_same_batch() -> None:
    pixels, labels = torch.rand(6, 1, 8, 8), torch.arange(6)
    first, second = (Augmentation(mixup=0.3, cutmix=1.0).mix(pixels, labels, row_generator(0, 1, 7)) for _ in range(2))
    assert torch.equal(first.pixels, second.pixels)
    assert first.weight == second.weight


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop_scale": (0.0, 1.0)}, "crop_scale is 0 to 1, but must rise and lie above 0 and up to 1"),
        ({"crop_scale": (0.5, 0.2)}, "crop_scale is 0.5 to 0.2"),
        ({"crop_scale": (0.5, math.nan)}, "crop_scale"),
        ({"crop_ratio": (0.0, 1.0)}, "crop_ratio is 0 to 1"),
        ({"horizontal_flip": 1.5}, "horizontal_flip is 1.5, but must be a probability"),
        ({"rand_augment_ops": -1}, "rand_augment_ops is -1"),
        ({"rand_augment_magnitude": 11}, "rand_augment_magnitude is 11, but must be 0 to 10"),
        ({"mixup": -0.1}, "mixup is -0.1, but must be 0 or more"),
        ({"cutmix": math.nan}, "cutmix is nan"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Augmentation(**settings)
