"""From a classifier to a model folder that the whole ecosystem opens."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from headway.checkpoints.family import Family, family_of
from headway.checkpoints.label_config import label_config
from headway.checkpoints.load import empty_classifier, empty_language_model
from headway.checkpoints.preprocessor_config import save_image_processor
from headway.checkpoints.tokenizer_files import load_tokenizer, save_tokenizer
from headway.checkpoints.transfer import export_weights
from headway.files import replacing, write_atomically
from headway.images.processor import ImageProcessor
from headway.models.classifier import Classifier
from headway.models.config import ModelConfig
from headway.models.language_model import LanguageModel
from headway.tokenizers.tokenizer import Tokenizer

__all__ = ["save_classifier", "save_language_model"]

# What the source's config.json says about another file, another machine, or a way of loading that no longer applies.
_STALE = ("_name_or_path", "transformers_version", "torch_dtype", "num_labels", "auto_map", "finetuning_task")


def save_classifier(
    folder: Path,
    model: Classifier,
    *,
    config: Mapping[str, Any],
    label_names: Sequence[str],
    multi: bool,
    tokenizer: Path | Tokenizer | None = None,
    max_length: int | None = None,
    image_processor: ImageProcessor | None = None,
) -> None:
    """Write `config.json`, `model.safetensors` (float32), and what prepares the model's input.

    Each file is replaced atomically, `config.json` last: a crash leaves old files or new ones, never a partial one.

    Args:
        folder: Destination folder; created if needed.
        model: The model to write.
        config: The `config.json` that the model came from, or at least its `model_type`. What it says beyond the
            family's own keys is kept.
        label_names: In the order of the model's scores.
        multi: Whether several labels may be true at once.
        tokenizer: Of a text model: its tokenizer, or the folder to copy it from.
        max_length: Longest text in tokens, longer ones are truncated; the model's number of positions when not given.
        image_processor: Of an image model: how images are prepared.

    Raises:
        CheckpointError: `config` names no supported family, or the tokenizer's folder has none.
        HeadwayError: The disk is full or the folder may not be written.
    """
    if len(label_names) != model.num_labels:
        raise ValueError(f"{len(label_names)} label names for a model with {model.num_labels} scores")
    _require_float(model, empty_classifier(model.architecture, model.num_labels))
    family = family_of(config, Path(folder) / "config.json")
    _save_inputs(Path(folder), model.architecture, tokenizer, image_processor, max_length)
    _save(Path(folder), model, family, config, label_config(label_names, multi))


def save_language_model(
    folder: Path,
    model: LanguageModel,
    *,
    config: Mapping[str, Any],
    tokenizer: Path | Tokenizer,
    image_processor: ImageProcessor | None = None,
) -> None:
    """Write a generative model, as `save_classifier` does."""
    _require_float(model, empty_language_model(model.architecture))
    family = family_of(config, Path(folder) / "config.json")
    _save_inputs(Path(folder), model.architecture, tokenizer, image_processor)
    _save(Path(folder), model, family, config, {})


def _require_float(model: nn.Module, empty: nn.Module) -> None:
    if model.state_dict().keys() != empty.state_dict().keys():
        raise ValueError("only a float model can be saved; this one was changed, for instance by quantizing it")


def _save(
    folder: Path,
    model: Classifier | LanguageModel,
    family: Family,
    config: Mapping[str, Any],
    task: Mapping[str, Any],
) -> None:
    architecture = model.architecture
    kept = {key: value for key, value in config.items() if key not in _STALE}
    written = {
        **_merged(kept, family.config(architecture)),
        **task,
        "architectures": [family.class_name(config["model_type"], architecture)],
        "dtype": "float32",
    }
    with replacing(folder / "model.safetensors") as temporary:
        weights = export_weights(model, family.table(architecture)) | family.fixed(architecture)
        save_file(weights, temporary, metadata={"format": "pt"})
    write_atomically(folder / "config.json", json.dumps(written, ensure_ascii=False, indent=2, sort_keys=True) + "\n")


def _save_inputs(
    folder: Path,
    architecture: ModelConfig,
    tokenizer: Path | Tokenizer | None,
    image_processor: ImageProcessor | None,
    max_length: int | None = None,
) -> None:
    if tokenizer is not None:
        texts = architecture.input_stack if architecture.input_stack.patches is None else architecture.decoder
        loaded = load_tokenizer(tokenizer) if isinstance(tokenizer, Path) else tokenizer
        save_tokenizer(folder, loaded, max_length or (texts or architecture.input_stack).max_positions)
    if image_processor is not None:
        save_image_processor(folder, image_processor)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The two merged recursively; new values win."""
    inside = {
        key: _merged(old[key], value)
        for key, value in new.items()
        if isinstance(value, dict) and isinstance(old.get(key), dict)
    }
    return {**old, **new, **inside}
