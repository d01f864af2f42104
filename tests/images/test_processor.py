"""From images to numbers: sizes, channels, and the one place that normalizes."""

import numpy as np
import pytest
import torch
from PIL import Image

from headway.errors import DataError
from headway.images.processor import ImageProcessor, ShortestEdge

PLAIN = ImageProcessor(kind="ViTImageProcessor", resize=None, scale=1.0)
"""Leaves pixels as they are."""


@pytest.mark.parametrize("scale", [1 / 255, 1 / 127.5, 0.37])
def test_every_value_of_a_pixel_by_the_formula(scale: float) -> None:
    """Case 14: one formula, rounded to float32 after each step as the ecosystem does."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    processor = ImageProcessor(kind="ViTImageProcessor", resize=None, scale=scale, mean=mean, std=std)
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    scaled = (pixels.astype(np.float64) * scale).astype(np.float32)
    expected = (scaled - np.array(mean, dtype=np.float32)) / np.array(std, dtype=np.float32)
    assert torch.equal(processor([Image.fromarray(pixels)]), torch.from_numpy(expected.transpose(2, 0, 1)[None]))
    assert torch.equal(processor.normalized([pixels]), processor([Image.fromarray(pixels)]))


def test_one_channel() -> None:
    processor = ImageProcessor(kind="ViTImageProcessor", resize=None, mean=(0.5,), std=(0.25,), channels=1)
    grey = np.array([[0, 51, 255]], dtype=np.uint8)
    expected = torch.tensor([[[[-2.0, -1.2, 2.0]]]])
    torch.testing.assert_close(processor([Image.fromarray(grey)]), expected)
    torch.testing.assert_close(processor([Image.fromarray(grey).convert("RGB")]), expected)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_images_without_pixels(size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="has no pixels"):
        PLAIN([Image.new("RGB", size)])


def test_a_thread_of_an_image_does_not_take_all_the_memory() -> None:
    resized = ImageProcessor(kind="ViTImageProcessor", resize=ShortestEdge(224))
    with pytest.raises(DataError, match="too narrow for this model: its 100,000 × 1 pixels would become 22,400,000"):
        resized([Image.new("RGB", (100_000, 1))])


def test_a_thread_that_would_vanish_is_refused() -> None:
    resized = ImageProcessor(kind="ViTImageProcessor", resize=ShortestEdge(7, longest=60))
    assert resized([Image.new("RGB", (2, 238))]).shape == (1, 3, 60, 1)
    with pytest.raises(DataError, match="its 1 × 150 pixels would become 0 × 60"):
        resized([Image.new("RGB", (1, 150))])
