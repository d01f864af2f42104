"""From a classifier to a model folder that the whole ecosystem opens."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tokenizers import Tokenizer

from headway.checkpoints.family import family_of
from headway.checkpoints.labels import label_config
from headway.checkpoints.load import empty_classifier
from headway.checkpoints.tokenizer import load_tokenizer, save_tokenizer
from headway.checkpoints.transfer import export_weights
from headway.files import replacing, write_atomically
from headway.models.classifier import Classifier

__all__ = ["save_classifier"]

# What a source's config.json says about another file, another machine, or a way of loading that no longer holds.
_STALE = ("_name_or_path", "transformers_version", "torch_dtype", "num_labels", "auto_map", "finetuning_task")


def save_classifier(
    folder: Path,
    model: Classifier,
    *,
    config: Mapping[str, Any],
    label_names: Sequence[str],
    multi: bool,
    tokenizer: Path | Tokenizer,
) -> None:
    """Write `config.json`, `model.safetensors` (float32) and the tokenizer's files.

    Each file is replaced at once, `config.json` last: a crash leaves old files or new ones, never half of one.

    Args:
        folder: Where to; made if need be.
        model: What to.
        config: The `config.json` that the model came from, or at least its `model_type`. What it says beyond the
            family's own keys is kept.
        label_names: In the order of the model's scores.
        multi: Whether several labels may be true at once.
        tokenizer: The model's tokenizer, or the folder that it is to be copied from.

    Raises:
        CheckpointError: `config` names no supported family, or the tokenizer's folder has none.
        HeadwayError: The disk is full or the folder may not be written.
    """
    folder = Path(folder)
    if len(label_names) != model.num_labels:
        raise ValueError(f"{len(label_names)} label names for a model with {model.num_labels} scores")
    if model.state_dict().keys() != empty_classifier(model.architecture, model.num_labels).state_dict().keys():
        raise ValueError("only a model in float can be saved; this one was changed, for instance by quantizing it")
    family = family_of(config, folder / "config.json")
    kept = {key: value for key, value in config.items() if key not in _STALE}
    written = {
        **kept,
        **family.config(model.architecture),
        **label_config(label_names, multi),
        "architectures": [family.model_types[config["model_type"]]],
        "dtype": "float32",
    }

    source = tokenizer if isinstance(tokenizer, Path) else None
    loaded = load_tokenizer(tokenizer) if isinstance(tokenizer, Path) else tokenizer
    with replacing(folder / "model.safetensors") as temporary:
        save_file(export_weights(model, family.table), temporary, metadata={"format": "pt"})
    save_tokenizer(folder, loaded, model.architecture.max_positions, source)
    write_atomically(folder / "config.json", json.dumps(written, ensure_ascii=False, indent=2, sort_keys=True) + "\n")
