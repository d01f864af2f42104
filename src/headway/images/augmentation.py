"""Augmentation: training images changed at random, each in a way that leaves its label true.

Whatever is random comes from a generator that the caller makes of the seed, the epoch and the row (`row_generator`), so
that an image's pixels depend neither on the worker that prepares it nor on the batch that it is in.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torch import Tensor

from headway.errors import SettingsError

__all__ = ["Augmentation", "Mixed", "row_generator"]

MAX_MAGNITUDE = 10.0
"""RandAugment's scale ends here (Cubuk et al. 2020, section 4)."""

_CROP_TRIES = 10
_GREY = 128
"""What fills the corners that rotating and shifting leave empty, as where RandAugment comes from."""


def row_generator(seed: int, epoch: int, row: int) -> Generator:
    """The generator of one row in one epoch (or, for `Augmentation.mix`, of one batch)."""
    return default_rng((seed, epoch, row))


class Mixed(NamedTuple):
    """A batch of which every image was mixed with another one of the same batch."""

    pixels: Tensor
    """(images, channels, height, width)."""

    labels: Tensor
    """(images,), what the images were."""

    other_labels: Tensor
    """(images,), what they were mixed with."""

    weight: float
    """How much of `labels` there still is, from 0 to 1; the rest is `other_labels`. The loss is
    weight · loss(labels) + (1 - weight) · loss(other_labels)."""

    def targets(self, num_labels: int) -> Tensor:
        """The same as one distribution per image: float32, (images, num_labels)."""
        one_hot = torch.eye(num_labels, device=self.labels.device)
        return self.weight * one_hot[self.labels] + (1 - self.weight) * one_hot[self.other_labels]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Which random changes are made; as it stands, none."""

    crop_scale: tuple[float, float] | None = None
    """The least and the greatest share of an image's area that is cut out and enlarged to the size of the model's
    images (Szegedy et al. 2015, https://arxiv.org/abs/1409.4842, section 6). None: images are not cropped at random."""

    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """The least and the greatest width of what is cut out, divided by its height."""

    horizontal_flip: float = 0.0
    """How likely an image is mirrored, left for right. It changes the meaning of letters, digits and directions."""

    rand_augment_ops: int = 0
    """How many operations of RandAugment (Cubuk et al. 2020, https://arxiv.org/abs/1909.13719) follow one another."""

    rand_augment_magnitude: float = 9.0
    """How strong they are, from 0 to 10."""

    mixup: float = 0.0
    """α of mixup (Zhang et al. 2018, https://arxiv.org/abs/1710.09412); 0: no mixup."""

    cutmix: float = 0.0
    """α of CutMix (Yun et al. 2019, https://arxiv.org/abs/1905.04899); 0: no CutMix. With both, each batch is as likely
    to have the one as the other."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        low, high = self.crop_scale or (1.0, 1.0)
        if not 0 < low <= high <= 1:
            raise SettingsError(f"crop_scale is {low:g} to {high:g}, but must rise and lie above 0 and up to 1.")
        low, high = self.crop_ratio
        if not 0 < low <= high < math.inf:
            raise SettingsError(f"crop_ratio is {low:g} to {high:g}, but must rise and lie above 0.")
        if not 0 <= self.horizontal_flip <= 1:
            raise SettingsError(f"horizontal_flip is {self.horizontal_flip:g}, but must be a probability, 0 to 1.")
        if self.rand_augment_ops < 0:
            raise SettingsError(f"rand_augment_ops is {self.rand_augment_ops}, but must be 0 or more.")
        if not 0 <= self.rand_augment_magnitude <= MAX_MAGNITUDE:
            raise SettingsError(f"rand_augment_magnitude is {self.rand_augment_magnitude:g}, but must be 0 to 10.")
        for name, alpha in (("mixup", self.mixup), ("cutmix", self.cutmix)):
            if not 0 <= alpha < math.inf:
                raise SettingsError(f"{name} is {alpha:g}, but must be 0 or more.")

    @property
    def changes_images(self) -> bool:
        """Whether single images are changed."""
        return bool(self.crop_scale or self.horizontal_flip or self.rand_augment_ops)

    @property
    def mixes_batches(self) -> bool:
        """Whether images of one batch are mixed with each other."""
        return bool(self.mixup or self.cutmix)

    def crop_box(self, size: tuple[int, int], generator: Generator) -> tuple[int, int, int, int]:
        """What is cut out of an image of this width and height: left, top, right, bottom.

        Area and proportions are drawn, A ~ U(crop_scale) · width · height and log r ~ U(log crop_ratio), which gives
        the width √(A · r) and the height √(A / r), until both fit into the image; a narrow image keeps its middle.
        """
        assert self.crop_scale is not None
        width, height = size
        low, high = math.log(self.crop_ratio[0]), math.log(self.crop_ratio[1])
        for _ in range(_CROP_TRIES):
            area = generator.uniform(*self.crop_scale) * width * height
            ratio = math.exp(generator.uniform(low, high))
            across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < across <= width and 0 < down <= height:
                left = int(generator.integers(width - across + 1))
                top = int(generator.integers(height - down + 1))
                return left, top, left + across, top + down
        across = min(width, max(1, round(height * self.crop_ratio[1])))
        down = min(height, max(1, round(width / self.crop_ratio[0])))
        left, top = (width - across) // 2, (height - down) // 2
        return left, top, left + across, top + down

    def changed(self, image: Image.Image, generator: Generator) -> Image.Image:
        """The image (mode RGB or L) mirrored and put through RandAugment, in its own size."""
        if self.horizontal_flip and generator.random() < self.horizontal_flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for operation in generator.integers(len(_OPERATIONS), size=self.rand_augment_ops):
            strength = self.rand_augment_magnitude / MAX_MAGNITUDE
            sign = 1 if generator.random() < 0.5 else -1
            image = _OPERATIONS[operation](image, strength, sign)
        return image

    def mix(self, pixels: Tensor, labels: Tensor, generator: Generator) -> Mixed:
        """A batch in which each image x is mixed with another one x' by a share λ ~ Beta(α, α), one for the batch.

        Mixup: λ · x + (1 - λ) · x'. CutMix: x, with a box of x' in the same place whose sides are √(1 - λ) times the
        image's; the box is cut off at the borders, and λ becomes the share of x that is left.

        Args:
            pixels: Normalized, (images, channels, height, width).
            labels: int64, (images,).
            generator: Of the seed, the epoch and the number of the batch.
        """
        if not self.mixes_batches:
            return Mixed(pixels, labels, labels, 1.0)
        cuts = bool(self.cutmix) and (not self.mixup or generator.random() < 0.5)
        alpha = self.cutmix if cuts else self.mixup
        weight = float(generator.beta(alpha, alpha))
        partners = torch.from_numpy(generator.permutation(len(pixels))).to(pixels.device)
        if cuts:
            top, bottom, left, right = _mixing_box(pixels.shape[-2:], weight, generator)
            mixed = pixels.clone()
            mixed[:, :, top:bottom, left:right] = pixels[partners, :, top:bottom, left:right]
            weight = 1 - (bottom - top) * (right - left) / (pixels.shape[-2] * pixels.shape[-1])
        else:
            mixed = torch.lerp(pixels[partners], pixels, weight)
        return Mixed(mixed, labels, labels[partners.to(labels.device)], weight)


def _mixing_box(size: Sequence[int], weight: float, generator: Generator) -> tuple[int, int, int, int]:
    """CutMix's box, with its centre anywhere: top, bottom, left, right."""
    borders: list[int] = []
    for side in size:
        half = side * math.sqrt(1 - weight) / 2
        centre = generator.uniform(0, side)
        borders += max(0, round(centre - half)), min(side, round(centre + half))
    top, bottom, left, right = borders
    return top, bottom, left, right


# --- RandAugment's operations: an image, a strength from 0 to 1, and a sign for those that go both ways ---------------

_Operation = Callable[[Image.Image, float, int], Image.Image]

_MOST_DEGREES = 30
_MOST_SHEAR = 0.3
_MOST_SHIFT = 0.3
"""Of the image's width or height."""
_MOST_ENHANCED = 0.9
"""How far a factor of brightness, colour, contrast or sharpness is from 1."""
_MOST_BITS_LOST = 4


def _affine(image: Image.Image, across: tuple[float, float, float], down: tuple[float, float, float]) -> Image.Image:
    """Each pixel (x, y) taken from (a·x + b·y + c, d·x + e·y + f)."""
    fill = (_GREY,) * len(image.getbands())
    return image.transform(
        image.size, Image.Transform.AFFINE, (*across, *down), Image.Resampling.BILINEAR, fillcolor=fill
    )


def _shear_x(image: Image.Image, strength: float, sign: int) -> Image.Image:
    return _affine(image, (1, sign * strength * _MOST_SHEAR, 0), (0, 1, 0))


def _shear_y(image: Image.Image, strength: float, sign: int) -> Image.Image:
    return _affine(image, (1, 0, 0), (sign * strength * _MOST_SHEAR, 1, 0))


def _translate_x(image: Image.Image, strength: float, sign: int) -> Image.Image:
    return _affine(image, (1, 0, sign * strength * _MOST_SHIFT * image.width), (0, 1, 0))


def _translate_y(image: Image.Image, strength: float, sign: int) -> Image.Image:
    return _affine(image, (1, 0, 0), (0, 1, sign * strength * _MOST_SHIFT * image.height))


def _rotate(image: Image.Image, strength: float, sign: int) -> Image.Image:
    fill = (_GREY,) * len(image.getbands())
    return image.rotate(sign * strength * _MOST_DEGREES, Image.Resampling.BILINEAR, fillcolor=fill)


def _enhance(enhancer: Callable[[Image.Image], ImageEnhance._Enhance]) -> _Operation:
    return lambda image, strength, sign: enhancer(image).enhance(1 + sign * strength * _MOST_ENHANCED)


def _on_pixels(change: Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]) -> _Operation:
    """An operation on shades. Pillow has them too, but spends half a millisecond on the table of even a tiny image."""
    return lambda image, strength, _sign: Image.fromarray(change(np.asarray(image), strength))


def _solarize(pixels: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """All shades from a threshold on inverted."""
    return np.where(pixels < round(256 * (1 - strength)), pixels, 255 - pixels).astype(np.uint8)


def _posterize(pixels: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """The last bits of each shade cleared."""
    return pixels & np.uint8(256 - 2 ** round(strength * _MOST_BITS_LOST))


def _autocontrast(pixels: NDArray[np.uint8], _strength: float) -> NDArray[np.uint8]:
    """Each channel stretched from black to white, if it has two shades."""
    low, high = pixels.min(axis=(0, 1)).astype(np.int32), pixels.max(axis=(0, 1)).astype(np.int32)
    stretched = (pixels - low) * 255 / np.maximum(high - low, 1)
    return np.where(high > low, np.rint(stretched), pixels).astype(np.uint8)


def _equalize(pixels: NDArray[np.uint8], _strength: float) -> NDArray[np.uint8]:
    """Each channel with its shades about equally frequent: shade s becomes (count of darker + step / 2) / step."""
    channels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    equalized = channels.copy()
    for channel in range(channels.shape[2]):
        counts = np.bincount(channels[:, :, channel].ravel(), minlength=256)
        step = int(counts.sum() - counts[counts.nonzero()[0][-1]]) // 255
        if step:
            darker = np.cumsum(counts) - counts
            table = np.minimum((darker + step // 2) // step, 255).astype(np.uint8)
            equalized[:, :, channel] = table[channels[:, :, channel]]
    return equalized.reshape(pixels.shape)


_OPERATIONS: tuple[_Operation, ...] = (
    lambda image, _strength, _sign: image,
    _on_pixels(_autocontrast),
    _on_pixels(_equalize),
    _rotate,
    _on_pixels(_solarize),
    _enhance(ImageEnhance.Color),
    _on_pixels(_posterize),
    _enhance(ImageEnhance.Contrast),
    _enhance(ImageEnhance.Brightness),
    _enhance(ImageEnhance.Sharpness),
    _shear_x,
    _shear_y,
    _translate_x,
    _translate_y,
)
"""The fourteen of table 6 of the paper's appendix, each as likely as the others."""
