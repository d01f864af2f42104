"""Models that no checkpoint gives: `scratch:tiny`, `scratch:small` and `scratch:base`, in the shape of a family."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headway.checkpoints.family import Family, Size, all_families, read_architecture
from headway.checkpoints.load import LoadedClassifier, LoadedLanguageModel
from headway.checkpoints.tokenizer_files import learn_tokenizer
from headway.errors import CheckpointError
from headway.images.processor import ImageProcessor
from headway.models.classifier import Classifier
from headway.models.config import ModelConfig
from headway.models.language_model import LanguageModel
from headway.tokenizers.tokenizer import Tokenizer

__all__ = ["SIZES", "is_scratch", "new_architecture", "new_classifier", "new_image_classifier", "new_language_model"]

_PREFIX = "scratch:"

SIZES = {
    "tiny": Size(num_layers=2, d_model=128, num_heads=2, vocabulary_size=2**13),
    "small": Size(num_layers=4, d_model=512, num_heads=8, vocabulary_size=2**14),
    "base": Size(num_layers=12, d_model=768, num_heads=12, vocabulary_size=2**15),
}
"""Of texts: the first two as in Turc et al. 2019 (https://arxiv.org/abs/1908.08962), base as in Devlin et al. 2019."""


IMAGE_SIZES = {
    "tiny": Size(num_layers=6, d_model=128, num_heads=4),
    "small": Size(num_layers=12, d_model=384, num_heads=6),
    "base": Size(num_layers=12, d_model=768, num_heads=12),
}
"""Of images. The last two as in Touvron et al. 2021 (https://arxiv.org/abs/2012.12877)."""


def is_scratch(model: str | Path) -> bool:
    """Whether the user asks for a model from scratch."""
    return str(model).startswith(_PREFIX)


def new_architecture(model: str, task: str) -> ModelConfig:
    """The settings of a model from scratch before there is any data, and so with a vocabulary of next to nothing.

    Raises:
        CheckpointError: There is no such size.
    """
    if task == "image_classification":
        return _new_of_images(model, 224, 3, None)[1]
    return _new(model, task, ("a",), None)[1]


def new_classifier(
    model: str,
    task: str,
    texts: Iterable[str],
    *,
    label_names: Sequence[str],
    multi: bool,
    dropouts: Mapping[str, float] | None = None,
) -> tuple[LoadedClassifier, Tokenizer]:
    """A classifier with weights drawn by its family's rule from PyTorch's default generator, and a new tokenizer.

    Args:
        model: `scratch:` and a size.
        task: What it is for, which decides the family.
        texts: What the tokenizer is learned from.
        label_names: The labels that it shall tell apart, in the order of its scores.
        multi: Whether several labels may be true at once.
        dropouts: As in `load_classifier`.

    Raises:
        CheckpointError: There is no such size, or too little text.
    """
    config, architecture, tokenizer = _new(model, task, texts, dropouts)
    network = Classifier(architecture.classifying(), len(label_names))
    network.init_weights()
    loaded = LoadedClassifier(network.eval(), config["model_type"], config, tuple(label_names), multi, fresh=())
    return loaded, tokenizer


def new_language_model(
    model: str, task: str, texts: Iterable[str], *, dropouts: Mapping[str, float] | None = None
) -> tuple[LoadedLanguageModel, Tokenizer]:
    """A model that writes text, made as `new_classifier` does."""
    config, architecture, tokenizer = _new(model, task, texts, dropouts)
    network = LanguageModel(architecture.generative())
    network.init_weights()
    return LoadedLanguageModel(network.eval(), config["model_type"], config), tokenizer


def new_image_classifier(
    model: str,
    *,
    image_size: int,
    num_channels: int,
    label_names: Sequence[str],
    multi: bool,
    dropouts: Mapping[str, float] | None = None,
) -> tuple[LoadedClassifier, ImageProcessor]:
    """A classifier of images with weights drawn by its family's rule, and what prepares its images.

    Args:
        model: `scratch:` and a size.
        image_size: Height and width of the images that it reads, in pixels.
        num_channels: Their colours: 3, or 1 for grey.
        label_names: As in `new_classifier`.
        multi: As in `new_classifier`.
        dropouts: As in `load_classifier`.

    Raises:
        CheckpointError: There is no such size.
    """
    config, architecture = _new_of_images(model, image_size, num_channels, dropouts)
    network = Classifier(architecture.classifying(), len(label_names))
    network.init_weights()
    loaded = LoadedClassifier(network.eval(), config["model_type"], config, tuple(label_names), multi, fresh=())
    half = (0.5,) * num_channels
    processor = ImageProcessor(
        kind="ViTImageProcessor", resize=(image_size, image_size), mean=half, std=half, channels=num_channels
    )
    return loaded, processor


def _new_of_images(
    model: str, image_size: int, num_channels: int, dropouts: Mapping[str, float] | None
) -> tuple[dict[str, Any], ModelConfig]:
    size = _size(model, IMAGE_SIZES)
    model_type, family = next((name, one) for name, one in all_families().items() if one.images_from_scratch)
    assert family.images_from_scratch is not None
    config = {"model_type": model_type, **family.images_from_scratch(size, image_size, num_channels)}
    return config, read_architecture(family, config, Path("config.json")).with_dropout(**(dropouts or {}))


def _new(
    model: str, task: str, texts: Iterable[str], dropouts: Mapping[str, float] | None
) -> tuple[dict[str, Any], ModelConfig, Tokenizer]:
    size = _size(model, SIZES)
    model_type, family = _family_for(task)
    tokenizer = learn_tokenizer(next(iter(family.tokenizers)), texts, size.vocabulary_size)
    config = {"model_type": model_type, **family.from_scratch[task](size, tokenizer)}
    architecture = read_architecture(family, config, Path("config.json")).with_dropout(**(dropouts or {}))
    return config, architecture, tokenizer


def _family_for(task: str) -> tuple[str, Family]:
    """The `model_type` and the family that a new model for the task takes the shape of."""
    return next((name, family) for name, family in all_families().items() if task in family.from_scratch)


def _size(model: str, sizes: Mapping[str, Size]) -> Size:
    name = model.removeprefix(_PREFIX)
    if name not in sizes:
        close = difflib.get_close_matches(name, sizes, n=1)
        hint = f" Did you mean {_PREFIX}{close[0]}?" if close else ""
        raise CheckpointError(f"{model}: unknown size; choose from {', '.join(sizes)}.{hint}")
    return sizes[name]
