"""A family of models: how its configuration maps to settings, and what its weights are called."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from headway.checkpoints import families
from headway.checkpoints.config_reader import ConfigReader, checkpoint_error, shown
from headway.checkpoints.rules import Rule, WeightTable
from headway.errors import CheckpointError
from headway.models.config import ModelConfig, PatchConfig
from headway.tokenizers.formats.base import TokenizerFormat
from headway.tokenizers.tokenizer import Tokenizer

__all__ = ["Family", "Size", "all_families", "family_of", "read_architecture", "sub_family"]


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a model from scratch."""

    num_layers: int
    """Of each stack."""
    d_model: int
    num_heads: int
    vocabulary_size: int = 0
    """Maximum size of the vocabulary of a text model; little text gives fewer tokens."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Everything that Headway knows about a family of models."""

    model_types: Mapping[str, str]
    """The `model_type`s of `config.json` that it answers to, and how the names of the ecosystem's classes begin."""

    architecture: Callable[[ConfigReader], ModelConfig]
    """`config.json` → settings. What is wrong or not supported is left with the reader."""

    config: Callable[[ModelConfig], dict[str, Any]]
    """And back: the keys that `architecture` reads."""

    weights: tuple[Rule, ...] | Callable[[ModelConfig], tuple[Rule, ...]]
    """The weights' names, both ways; a function where they depend on the settings."""

    classifier: str | Callable[[ModelConfig], str] = "ForSequenceClassification"
    """How the ecosystem's class of a classifier ends; a function where that depends on the settings."""

    generative: str = "ForConditionalGeneration"
    """How the ecosystem's class of a generative model ends."""

    fixed: Callable[[ModelConfig], dict[str, Tensor]] = lambda _: {}
    """Tensors that the format holds although their values are not learned, or not used."""

    image_processor: Mapping[str, Any] | None = None
    """For image models: what `preprocessor_config.json` means where it leaves keys out, by the same keys."""

    base: str = ""
    """The module that a classifier's names begin with and that a bare encoder's lack; wanted only of an encoder that
    can be a part of a composed model."""

    tokenizers: Mapping[str, Callable[[ConfigReader], TokenizerFormat]] = field(default_factory=dict)
    """Its tokenizer classes (without the ending Fast), the usual one first: `tokenizer_config.json` → its form."""

    text_part: str = ""
    """The part of a composed model's `config.json` whose family says which tokenizer is usual."""

    from_scratch: Mapping[str, Callable[[Size, Tokenizer], dict[str, Any]]] = field(default_factory=dict)
    """The tasks whose models from scratch take its shape: a size and its tokenizer's vocabulary → the keys of
    `config.json` that have no default."""

    from_scratch_images: Callable[[Size, PatchConfig], dict[str, Any]] | None = None
    """For the family whose shape image classifiers from scratch take: a size and the patches of an image → the keys of
    `config.json` that have no default."""

    def class_name(self, model_type: str, architecture: ModelConfig) -> str:
        """The ecosystem's class of a model that is built: it has one head."""
        ending = self.generative if architecture.head is None else self.classifier
        return self.model_types[model_type] + (ending(architecture) if callable(ending) else ending)

    def rules(self, architecture: ModelConfig) -> tuple[Rule, ...]:
        """The weights' names for these settings."""
        return self.weights(architecture) if callable(self.weights) else self.weights

    def table(self, architecture: ModelConfig) -> WeightTable:
        """The rules, ready to be asked."""
        return WeightTable(self.rules(architecture))


@cache
def all_families() -> dict[str, Family]:
    """`model_type` → family, for every module of `families/`."""
    found: dict[str, Family] = {}
    for module in pkgutil.iter_modules(families.__path__, f"{families.__name__}."):
        family: Family = importlib.import_module(module.name).FAMILY
        found.update(dict.fromkeys(family.model_types, family))
    return found


def family_of(config: Mapping[str, Any], where: Path) -> Family:
    """The family that a `config.json` belongs to.

    Raises:
        CheckpointError: It names no family, or one that is not supported.
    """
    supported = all_families()
    model_type = config.get("model_type")
    known = ", ".join(sorted(supported))
    if model_type is None:
        raise CheckpointError(
            f'{where}: has no "model_type", so its family is unknown. If it is one of {known}, add the line '
            f'"model_type": "…" to the file; if it belongs to another program, choose another model.'
        )
    if not isinstance(model_type, str) or model_type not in supported:
        close = difflib.get_close_matches(str(model_type)[:60], supported, n=1)
        hint = f" The nearest is {close[0]}." if close else ""
        raise CheckpointError(
            f"{where}: models of type {shown(model_type)} are not supported. Supported: {known}.{hint} "
            "Choose a model of a supported type."
        )
    return supported[model_type]


def read_architecture(family: Family, config: Mapping[str, Any], where: Path) -> ModelConfig:
    """The settings that a `config.json` describes.

    Raises:
        CheckpointError: Values are missing, wrong or not supported; all of them are listed.
    """
    reader = ConfigReader(config)
    reader.require("quantization_config", None, "quantized weights are not read; take the original model")
    try:
        architecture = family.architecture(reader)
    except RecursionError:
        raise CheckpointError(f"{where}: nests models inside models too deeply. Choose another model.") from None
    if reader.problems:
        raise checkpoint_error(where, reader.problems)
    return architecture


def sub_family(config: ConfigReader) -> Family:
    """The family of a part of a composed model, by the part's own `model_type`.

    Raises:
        CheckpointError: It names no family, or one that is not supported.
    """
    return family_of(config.config, Path("config.json"))
