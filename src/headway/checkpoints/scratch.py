"""Models that no checkpoint gives: `scratch:tiny`, `scratch:small` and `scratch:base`, in the shape of a family."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headway.checkpoints.family import Family, Size, all_families, read_architecture
from headway.checkpoints.load import LoadedClassifier, LoadedLanguageModel
from headway.checkpoints.tokenizer_files import learn_tokenizer
from headway.errors import CheckpointError
from headway.models.classifier import Classifier
from headway.models.config import ModelConfig
from headway.models.language_model import LanguageModel
from headway.tokenizers.tokenizer import Tokenizer

__all__ = ["SIZES", "is_scratch", "new_architecture", "new_classifier", "new_language_model"]

_PREFIX = "scratch:"

SIZES = {
    "tiny": Size(num_layers=2, d_model=128, num_heads=2, vocabulary_size=2**13),
    "small": Size(num_layers=4, d_model=512, num_heads=8, vocabulary_size=2**14),
    "base": Size(num_layers=12, d_model=768, num_heads=12, vocabulary_size=2**15),
}
"""The first two as in Turc et al. 2019 (https://arxiv.org/abs/1908.08962), the last as in Devlin et al. 2019."""


def is_scratch(model: str | Path) -> bool:
    """Whether the user asks for a model from scratch."""
    return str(model).startswith(_PREFIX)


def new_architecture(model: str, task: str) -> ModelConfig:
    """The settings of a model from scratch before there is any data, and so with a vocabulary of next to nothing.

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


def _new(
    model: str, task: str, texts: Iterable[str], dropouts: Mapping[str, float] | None
) -> tuple[dict[str, Any], ModelConfig, Tokenizer]:
    name = model.removeprefix(_PREFIX)
    if name not in SIZES:
        close = difflib.get_close_matches(name, SIZES, n=1)
        hint = f" Did you mean {_PREFIX}{close[0]}?" if close else ""
        raise CheckpointError(f"{model}: there is no such size, only {', '.join(SIZES)}.{hint}")
    model_type, family = _family_for(task)
    tokenizer = learn_tokenizer(next(iter(family.tokenizers)), texts, SIZES[name].vocabulary_size)
    config = {"model_type": model_type, **family.from_scratch[task](SIZES[name], tokenizer)}
    architecture = read_architecture(family, config, Path("config.json")).with_dropout(**(dropouts or {}))
    return config, architecture, tokenizer


def _family_for(task: str) -> tuple[str, Family]:
    """The `model_type` and the family that a new model for the task takes the shape of."""
    return next((name, family) for name, family in all_families().items() if task in family.from_scratch)
