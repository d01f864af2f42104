"""Models without a checkpoint: `scratch:tiny`, `scratch:small` and `scratch:base`, in the shape of a family."""

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
from headway.models.config import ModelConfig, PatchConfig
from headway.models.language_model import LanguageModel
from headway.tokenizers.tokenizer import Tokenizer

__all__ = [
    "IMAGE_SIZES",
    "SIZES",
    "is_scratch",
    "new_architecture",
    "new_classifier",
    "new_image_architecture",
    "new_image_classifier",
    "new_image_processor",
    "new_language_model",
]

_PREFIX = "scratch:"

SIZES = {
    "tiny": Size(num_layers=2, d_model=128, num_heads=2, vocabulary_size=2**13),
    "small": Size(num_layers=4, d_model=512, num_heads=8, vocabulary_size=2**14),
    "base": Size(num_layers=12, d_model=768, num_heads=12, vocabulary_size=2**15),
}
"""The first two as in Turc et al. 2019 (https://arxiv.org/abs/1908.08962), the last as in Devlin et al. 2019."""


IMAGE_SIZES = {
    "tiny": Size(num_layers=6, d_model=128, num_heads=4),
    "small": Size(num_layers=12, d_model=384, num_heads=6),
    "base": Size(num_layers=12, d_model=768, num_heads=12),
}
"""Of image classifiers. The first learns small images in minutes on a CPU; the others are as in Touvron et al. 2021
(https://arxiv.org/abs/2012.12877)."""

_GRIDS = ((32, 4), (64, 8))  # (longest side, patches across) of small images; all others are resized to 224
_LARGE = PatchConfig(image_size=224, patch_size=16)


def is_scratch(model: str | Path) -> bool:
    """Whether the user asks for a model from scratch."""
    return str(model).startswith(_PREFIX)


def new_architecture(model: str, task: str) -> ModelConfig:
    """The settings of a model from scratch before there is any data, with a placeholder vocabulary.

    Raises:
        CheckpointError: There is no such size.
    """
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
    """A classifier with weights initialised by its family's rule from PyTorch's default generator, and a new tokenizer.

    Args:
        model: `scratch:` and a size.
        task: What it is for, which decides the family.
        texts: What the tokenizer is learned from.
        label_names: Its labels, in the order of its scores.
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


def new_image_processor(model: str, side: int) -> ImageProcessor:
    """What prepares images for a model from scratch.

    Small images keep their size and are split into small patches; larger ones are resized to 224 pixels.

    Args:
        model: `scratch:` and a size.
        side: Longest side of the training images, in pixels.

    Raises:
        CheckpointError: There is no such size.
    """
    config, _ = _new_image_config(model, side)
    model_type, size = config["model_type"], config["image_size"]
    return ImageProcessor(
        kind=f"{all_families()[model_type].model_types[model_type]}ImageProcessor",
        resize=(size, size),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )


def new_image_classifier(
    model: str,
    processor: ImageProcessor,
    *,
    label_names: Sequence[str],
    multi: bool = False,
    dropouts: Mapping[str, float] | None = None,
) -> LoadedClassifier:
    """An image classifier, initialised as by `new_classifier`.

    Args:
        model: `scratch:` and a size.
        processor: What prepares its images, of `new_image_processor`.
        label_names: Its labels, in the order of its scores.
        multi: Whether several labels may be true at once.
        dropouts: As in `load_classifier`.

    Raises:
        CheckpointError: There is no such size.
    """
    config, architecture = _new_image_config(model, max(processor.output_size or (0,)))
    network = Classifier(architecture.with_dropout(**(dropouts or {})).classifying(), len(label_names))
    network.init_weights()
    return LoadedClassifier(network.eval(), config["model_type"], config, tuple(label_names), multi, fresh=())


def new_image_architecture(model: str, side: int) -> ModelConfig:
    """The settings of an image classifier from scratch, for images of which the longest side has `side` pixels.

    Raises:
        CheckpointError: There is no such size.
    """
    return _new_image_config(model, side)[1]


def new_language_model(
    model: str, task: str, texts: Iterable[str], *, dropouts: Mapping[str, float] | None = None
) -> tuple[LoadedLanguageModel, Tokenizer]:
    """A generative model, made as `new_classifier` does."""
    config, architecture, tokenizer = _new(model, task, texts, dropouts)
    network = LanguageModel(architecture.generative())
    network.init_weights()
    return LoadedLanguageModel(network.eval(), config["model_type"], config), tokenizer


def _new(
    model: str, task: str, texts: Iterable[str], dropouts: Mapping[str, float] | None
) -> tuple[dict[str, Any], ModelConfig, Tokenizer]:
    size = _size(model, SIZES)
    model_type, family = _family_for(task)
    tokenizer = learn_tokenizer(next(iter(family.tokenizers)), texts, size.vocabulary_size)
    config = {"model_type": model_type, **family.from_scratch[task](size, tokenizer)}
    architecture = read_architecture(family, config, Path("config.json")).with_dropout(**(dropouts or {}))
    return config, architecture, tokenizer


def _new_image_config(model: str, side: int) -> tuple[dict[str, Any], ModelConfig]:
    size, patches = _size(model, IMAGE_SIZES), _patches_for(side)
    model_type, keys = next(
        (name, family.from_scratch_images(size, patches))
        for name, family in all_families().items()
        if family.from_scratch_images is not None
    )
    config = {"model_type": model_type, **keys}
    return config, read_architecture(all_families()[model_type], config, Path("config.json"))


def _patches_for(side: int) -> PatchConfig:
    """The patches of an image: small enough for detail, few enough to be learned quickly."""
    for longest, across in _GRIDS:
        if side <= longest:
            patch = max(1, -(-side // across))
            return PatchConfig(image_size=across * patch, patch_size=patch)
    return _LARGE


def _size(model: str, sizes: Mapping[str, Size]) -> Size:
    name = model.removeprefix(_PREFIX)
    if name not in sizes:
        close = difflib.get_close_matches(name, sizes, n=1)
        hint = f" Did you mean {_PREFIX}{close[0]}?" if close else ""
        raise CheckpointError(f"{model}: unknown size; choose from {', '.join(sizes)}.{hint}")
    return sizes[name]


def _family_for(task: str) -> tuple[str, Family]:
    """The `model_type` and the family that a new model for the task takes the shape of."""
    return next((name, family) for name, family in all_families().items() if task in family.from_scratch)
