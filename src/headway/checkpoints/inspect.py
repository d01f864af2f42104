"""What a model is and costs, read off its configuration without loading a weight."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headway.checkpoints.family import family_of, read_architecture
from headway.checkpoints.labels import read_labels
from headway.checkpoints.load import empty_classifier, read_model_config

__all__ = ["ModelFacts", "Part", "inspect_model"]


@dataclass(frozen=True)
class Part:
    """One weight, or the weights of one kind over all blocks."""

    name: str
    shape: str
    parameters: int


@dataclass(frozen=True)
class ModelFacts:
    """A model in figures."""

    family: str
    label_names: tuple[str, ...]
    """Empty for a base model."""
    architecture: dict[str, Any]
    parameters: int
    flop_per_token: int
    """Of the matrix products of a forward pass: two for each weight that a token meets."""
    weight_bytes: int
    training_bytes: int
    """Weights, gradients and Adam's two moments, in float32."""
    parts: tuple[Part, ...]


def inspect_model(folder: Path) -> ModelFacts:
    """Read a model's facts.

    Raises:
        CheckpointError: The folder is no model, or of an unknown family.
    """
    config = read_model_config(folder)
    where = folder / "config.json"
    family = family_of(config, where)
    architecture = read_architecture(family, config, where)
    labels = read_labels(config, where)
    is_classifier = any(name.endswith("SequenceClassification") for name in config.get("architectures") or ())
    model = empty_classifier(architecture, len(labels.names))
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    parameters = sum(parameter.numel() for parameter in model.parameters())
    matrices = sum(p.numel() for name, p in model.encoder.blocks.named_parameters() if p.ndim == 2)
    uses = architecture.num_layers // len(model.encoder.blocks)
    return ModelFacts(
        family=str(config["model_type"]),
        label_names=labels.names if is_classifier else (),
        architecture=asdict(architecture),
        parameters=parameters,
        flop_per_token=2 * matrices * uses,
        weight_bytes=4 * parameters,
        training_bytes=16 * parameters,
        parts=_parts(shapes, len(model.encoder.blocks)),
    )


def _parts(shapes: dict[str, tuple[int, ...]], num_layers: int) -> tuple[Part, ...]:
    """The weights, those of the blocks once with their number."""
    parts = []
    for name, shape in shapes.items():
        copies = 1
        if ".blocks." in name:
            if ".blocks.0." not in name:
                continue
            name, copies = name.replace(".blocks.0.", f".blocks.0–{num_layers - 1}."), num_layers
        size = copies
        for length in shape:
            size *= length
        parts.append(Part(name, " × ".join(str(length) for length in shape), size))
    return tuple(parts)
