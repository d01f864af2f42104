"""What a model is and costs, read from its configuration without loading a weight."""

import math
import re
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headway.checkpoints.family import family_of, read_architecture
from headway.checkpoints.label_config import is_classifier, read_labels
from headway.checkpoints.load import empty_classifier, empty_language_model, read_model_config
from headway.models.config import ModelConfig
from headway.models.stack import Stack

__all__ = ["ModelFacts", "Part", "inspect_model", "settings_in_use"]


@dataclass(frozen=True)
class Part:
    """One weight, or the weights of one kind over all blocks."""

    name: str
    shape: str
    parameters: int


@dataclass(frozen=True)
class ModelFacts:
    """A model in numbers."""

    family: str
    label_names: tuple[str, ...]
    """Empty for a base model."""
    generates: bool
    """Whether it generates text instead of classifying."""
    can_classify: bool
    """Whether it classifies, or can be trained to."""
    max_positions: int
    """Longest sequence that it reads, in tokens."""
    architecture: dict[str, Any]
    """Its settings, `encoder.d_model` and so on; those that are off are left out."""
    parameters: int
    image_tokens: int
    """Tokens of one image; 0 where the model reads texts."""
    flop_per_token: int
    """Of the matrix products of a forward pass: two for each weight that a token passes through."""
    weight_bytes: int
    training_bytes: int
    """Weights, gradients and Adam's two moments, in float32."""
    parts: tuple[Part, ...]


def inspect_model(folder: Path) -> ModelFacts:
    """Read a model's facts.

    Raises:
        CheckpointError: The folder is not a model, or of an unknown family.
    """
    config = read_model_config(folder)
    where = folder / "config.json"
    family = family_of(config, where)
    architecture = read_architecture(family, config, where)
    labels = read_labels(config, where)
    can_classify = architecture.head is not None
    generates = architecture.lm_head is not None and not is_classifier(config)
    architecture = architecture.generative() if generates else architecture.classifying()
    model = empty_language_model(architecture) if generates else empty_classifier(architecture, len(labels.names))
    patches = architecture.input_stack.patches
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    parameters = sum(parameter.numel() for parameter in model.parameters())
    # Each generated token is scored against the whole vocabulary.
    decoder = architecture.decoder
    scores = decoder.vocabulary_size * decoder.d_model if generates and decoder else 0
    return ModelFacts(
        family=str(config["model_type"]),
        label_names=labels.names if is_classifier(config) else (),
        generates=generates,
        can_classify=can_classify,
        max_positions=architecture.input_stack.max_positions,
        architecture=settings_in_use(architecture),
        parameters=parameters,
        image_tokens=patches.num_tokens if patches is not None else 0,
        flop_per_token=2 * (sum(_matrices(stack) for stack in model.modules() if isinstance(stack, Stack)) + scores),
        weight_bytes=4 * parameters,
        training_bytes=16 * parameters,
        parts=_parts(shapes),
    )


def settings_in_use(architecture: ModelConfig) -> dict[str, Any]:
    """The settings in one level, `encoder.d_model` and so on; those that are off or empty are left out."""
    return _flattened(asdict(architecture))


def _flattened(settings: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        inside = _flattened(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
        flat |= {key: item for key, item in inside.items() if item}
    return flat


def _matrices(stack: Stack) -> int:
    """Numbers in the matrices that a token of the stack passes through."""
    own = sum(parameter.numel() for parameter in stack.blocks.parameters() if parameter.ndim == 2)
    return own * stack.settings.num_layers // len(stack.blocks)


def _parts(shapes: dict[str, tuple[int, ...]]) -> tuple[Part, ...]:
    """The weights, those of the blocks once with their numbers."""
    blocks: dict[str, list[int]] = defaultdict(list)
    sizes: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        block = re.search(r"\.blocks\.(\d+)\.", name)
        kind = name if block is None else name.replace(block[0], ".blocks.{}.")
        sizes.setdefault(kind, shape)
        blocks[kind] += [] if block is None else [int(block[1])]
    parts = []
    for kind, shape in sizes.items():
        numbers = blocks[kind]
        span = f"{numbers[0]}–{numbers[-1]}" if len(numbers) > 1 else str(*numbers)
        shown = " × ".join(str(length) for length in shape)
        parts.append(Part(kind.replace("{}", span), shown, max(1, len(numbers)) * math.prod(shape)))
    return tuple(parts)
