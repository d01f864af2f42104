"""Loading: from where images are to the numbers of a batch."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from headway.images.augmentation import Augmentation
from headway.images.decoding import ImageSource, image_name, open_image
from headway.images.pixel_cache import PixelCache
from headway.images.processor import ImageProcessor

__all__ = ["keep_pixels", "load_pixels"]

_KEPT_WHOLE = 4
"""An image that random crops are taken from is cached if it has at most so many times the pixels of the model's images;
photographs straight from a camera would fill any disk."""


def load_pixels(
    sources: Sequence[ImageSource],
    processor: ImageProcessor,
    augmentation: Augmentation | None = None,
    generators: Sequence[Generator] | None = None,
    *,
    names: Sequence[str] | None = None,
    cache: PixelCache | None = None,
    keys: Sequence[Hashable] | None = None,
) -> Tensor:
    """The numbers that a model reads of images.

    Without a random crop an image is first resized by the processor and then changed at random; with one, the crop
    takes the place of the processor's resizing and cropping.

    Args:
        sources: Where the images are.
        processor: How they become numbers.
        augmentation: Random changes of single images; `Augmentation.mix` is for the batch that comes out.
        generators: One per image, from `row_generator`; needed if the augmentation changes images.
        names: What to call the images in messages, such as "cats.csv, row 17: cat.jpg"; their paths if None.
        cache: Where pixels are kept that come out the same in each epoch. It serves one processor.
        keys: Under which numbers they are kept, such as the rows of a table; needed with a cache.

    Returns:
        float32, (images, channels, height, width).

    Raises:
        DataError: An image cannot be read or used; the message begins with its name.
    """
    if augmentation is not None and not augmentation.changes_images:
        augmentation = None
    if augmentation is not None and generators is None:
        raise ValueError("random changes of images need generators")
    if cache is not None and keys is None:
        raise ValueError("a cache needs keys")
    names = [image_name(source) for source in sources] if names is None else names
    whole = augmentation is not None and augmentation.crop_scale is not None
    pixels = []
    for index, source in enumerate(sources):
        kept = keep_pixels(source, processor, names[index], whole=whole, cache=cache, key=keys[index] if keys else None)
        if augmentation is not None and generators is not None:
            kept = processor.as_array(_augmented(_image(kept), processor, augmentation, generators[index]))
        pixels.append(kept)
    return processor.normalized(pixels, names)


def keep_pixels(
    source: ImageSource,
    processor: ImageProcessor,
    name: str,
    *,
    whole: bool,
    cache: PixelCache | None = None,
    key: Hashable = None,
) -> NDArray[np.uint8]:
    """What is the same in each epoch: an image's resized pixels or, where random crops follow, all that it has.

    Args:
        source: Where the image is.
        processor: How it becomes numbers.
        name: What to call it in messages.
        whole: Whether random crops follow.
        cache: Where it is looked for first, and kept if it is not too large.
        key: Under which key.

    Raises:
        DataError: The image cannot be read or used; the message begins with its name.
    """
    if cache is not None and (kept := cache.get((key, whole))) is not None:
        return kept
    if cache is not None and not whole and (kept := cache.get((key, True))) is not None:
        return processor.pixels(_image(kept))
    image = open_image(source, name)
    pixels = processor.as_array(processor.converted(image) if whole else processor.resized(image))
    if cache is not None and (not whole or _is_small(image, processor)):
        cache.put((key, whole), pixels)
    return pixels


def _is_small(image: Image.Image, processor: ImageProcessor) -> bool:
    size = processor.output_size
    return size is not None and image.width * image.height <= _KEPT_WHOLE * size[0] * size[1]


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _augmented(
    image: Image.Image, processor: ImageProcessor, augmentation: Augmentation, generator: Generator
) -> Image.Image:
    if augmentation.crop_scale is not None:
        box = augmentation.crop_box(image.size, generator)
        if processor.output_size is None:
            image = processor.resized(image.crop(box))
        else:
            height, width = processor.output_size
            image = image.resize((width, height), processor.resample, box=box)
    return augmentation.changed(image, generator)
