"""Loading: from where images are to the numbers of a batch, ahead of the training."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from headway.images.augmentation import Augmentation
from headway.images.decoding import ImageSource, image_name, open_image
from headway.images.pixel_cache import PixelCache
from headway.images.processor import ImageProcessor

__all__ = ["load_pixels", "map_ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")

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
        key = (keys[index], whole) if keys else None
        kept = None if cache is None else cache.get(key)
        if kept is not None and augmentation is None:
            pixels.append(kept)
            continue
        image = _stable(open_image(source, names[index]), processor, whole=whole) if kept is None else _image(kept)
        if cache is not None and kept is None and (not whole or _is_small(image, processor)):
            cache.put(key, processor.as_array(image))
        if augmentation is not None and generators is not None:
            image = _augmented(image, processor, augmentation, generators[index])
        pixels.append(processor.as_array(image))
    return processor.normalized(pixels, names)


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int = 2, ahead: int = 4
) -> Iterator[Result]:
    """`map`, computed ahead by threads: while one result is used, the next ones are being made.

    Threads, since Pillow lets others run while it decodes and resizes: they need neither start-up nor copies, unlike
    processes. One item should be a batch, not an image: tiny images take less time than handing them over.

    Args:
        function: Such as `load_pixels` with the settings bound.
        items: Drawn by the thread that takes the results, as far ahead as is needed.
        workers: The number of threads. 0: everything is computed when its turn comes.
        ahead: So many results are made or being made beyond the one that is asked for; this bounds the memory.

    Yields:
        The results, in the order of the items. An error comes in place of its result and ends the work.
    """
    if workers <= 0:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="headway-images") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # after an error, or when no more results are wanted
            for future in waiting:
                future.cancel()


def _stable(image: Image.Image, processor: ImageProcessor, *, whole: bool) -> Image.Image:
    """What is the same in each epoch: the resized image or, where random crops follow, all that it has."""
    return processor.converted(image) if whole else processor.resized(image)


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
