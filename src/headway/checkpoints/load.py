"""From a model folder to a classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from headway.checkpoints.config_reader import checkpoint_error
from headway.checkpoints.family import Family, family_of, read_architecture
from headway.checkpoints.label_config import StoredLabels, is_classifier, read_labels
from headway.checkpoints.transfer import Checkpoint, load_weights
from headway.checkpoints.weights import find_weight_files, open_weights
from headway.errors import CheckpointError
from headway.files import read_json
from headway.models.classifier import Classifier
from headway.models.config import ModelConfig
from headway.models.language_model import LanguageModel
from headway.nn.layers import init_linear_normal

__all__ = [
    "Input",
    "LoadedClassifier",
    "LoadedLanguageModel",
    "classifier_architecture",
    "empty_classifier",
    "empty_language_model",
    "load_classifier",
    "load_language_model",
    "read_model_config",
]

Input = Literal["text", "image"]
"""What a classifier reads."""

_HEAD = "classification_head"
_POOLER = "pooler"


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier and what its folder says about it."""

    model: Classifier
    family: str
    """`model_type` of its `config.json`."""
    config: dict[str, Any]
    """The whole `config.json`."""
    label_names: tuple[str, ...]
    """In the order of the model's scores."""
    multi: bool
    """Whether several labels may be true at once."""
    fresh: tuple[str, ...]
    """Names of our weights that the checkpoint does not have and that were randomly initialised."""


def read_model_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder that has all its parts.

    Raises:
        CheckpointError: The folder, its `config.json` or its weights are missing; everything that is, is listed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: there is no such folder. Give a model folder, a hub name, or minilm.")
    problems = []
    if not (folder / "config.json").is_file():
        problems.append("no config.json, which says what kind of model it is.")
    problems += find_weight_files(folder)[1]
    if problems:
        raise checkpoint_error(folder, problems)
    return read_json(folder / "config.json")


def load_classifier(
    folder: Path,
    *,
    label_names: Sequence[str] | None = None,
    multi: bool = False,
    dropouts: Mapping[str, float] | None = None,
    allow_fresh_pooler: bool = True,
    input: Input = "text",
) -> LoadedClassifier:
    """Read a classifier, or a base model that is to become one.

    Without `label_names` the folder must hold a trained classifier, and its own labels are kept. With them, a head for
    exactly these labels is reused (its rows put in the order asked for); otherwise the head is randomly
    initialised from PyTorch's default generator.

    Args:
        folder: A model folder; see `headway.checkpoints.hub.locate`.
        label_names: The labels of the model, in the order of its scores.
        multi: Whether several labels may be true at once; read from the folder when `label_names` is None.
        dropouts: Dropout rates other than the checkpoint's; the arguments of `ModelConfig.with_dropout`.
        allow_fresh_pooler: Whether a missing pooler may be randomly initialised, with `label_names` given.
        input: What it reads.

    Raises:
        CheckpointError: The folder cannot be used; everything that is wrong with it is listed.
    """
    folder = Path(folder)
    config, family, architecture = _read_settings(folder, dropouts)
    _require_kind(folder, config, architecture, input)
    stored_labels = read_labels(config, folder / "config.json")
    architecture = architecture.classifying()
    checkpoint = Checkpoint.read(folder, family.table(architecture), open_weights(folder))
    names = stored_labels.names if label_names is None else tuple(label_names)
    model = empty_classifier(architecture, len(names))

    head, pooler = _weights_under(model, _HEAD), _weights_under(model, _POOLER)
    has_head = _has_any(checkpoint, head)
    fresh: list[str] = []
    if label_names is None:
        _require_classifier(folder, stored_labels, has_head)
    else:
        reusable = has_head and stored_labels.obstacle is None and set(stored_labels.names) == set(names)
        fresh += [] if reusable else head
        fresh += pooler if allow_fresh_pooler and not _has_any(checkpoint, pooler) else []
    load_weights(model, checkpoint, ignored=fresh, other_heads=set(head) <= set(fresh))
    _start_fresh(model, fresh)
    if label_names is not None and not set(head) & set(fresh):
        _reorder_head(model, stored_labels.names, names)
    return LoadedClassifier(
        model=model.eval(),
        family=str(config["model_type"]),
        config=config,
        label_names=names,
        multi=stored_labels.multi if label_names is None else multi,
        fresh=tuple(fresh),
    )


def classifier_architecture(folder: Path, input: Input = "text") -> ModelConfig:
    """The settings of a model that is to classify texts or images; its weights are not read.

    Raises:
        CheckpointError: The folder is not a model, or one that cannot classify such inputs.
    """
    config, _, architecture = _read_settings(folder, None)
    _require_kind(folder, config, architecture, input)
    return architecture.classifying()


class _WithoutDrawing(TorchFunctionMode):
    """Leaves tensors as they are where modules would fill them with random numbers.

    On the meta device there is nothing to fill, and asking for it makes PyTorch import its compiler: two seconds.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "").endswith(("normal_", "uniform_")):
            return None
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class LoadedLanguageModel:
    """A generative model, and what its folder says about it."""

    model: LanguageModel
    family: str
    """`model_type` of its `config.json`."""
    config: dict[str, Any]
    """The whole `config.json`."""


def load_language_model(folder: Path, *, dropouts: Mapping[str, float] | None = None) -> LoadedLanguageModel:
    """Read a generative model.

    Args:
        folder: A model folder; see `headway.checkpoints.hub.locate`.
        dropouts: As in `load_classifier`.

    Raises:
        CheckpointError: The folder cannot be used; everything that is wrong with it is listed.
    """
    folder = Path(folder)
    config, family, architecture = _read_settings(folder, dropouts)
    where = folder / "config.json"
    head = architecture.lm_head
    if architecture.decoder is None or head is None:
        raise CheckpointError(
            f"{where}: this model ({config['model_type']}) does not generate text. Choose one with a decoder, such as "
            "t5-small."
        )
    if is_classifier(config):
        raise CheckpointError(
            f"{folder}: is a classifier: its head predicts labels, not tokens, so it does not generate text. Choose "
            "the model that it was trained from, or another generative model."
        )
    architecture = architecture.generative()
    checkpoint = Checkpoint.read(folder, family.table(architecture), open_weights(folder))
    if head.tied and not _is_tied(checkpoint, architecture):
        architecture = replace(architecture, lm_head=replace(head, tied=False))
    model = empty_language_model(architecture)
    load_weights(model, checkpoint)
    return LoadedLanguageModel(model.eval(), str(config["model_type"]), config)


def _read_settings(folder: Path, dropouts: Mapping[str, float] | None) -> tuple[dict[str, Any], Family, ModelConfig]:
    """What the folder's `config.json` says: itself, its family, and the settings that it describes."""
    config = read_model_config(folder)
    where = folder / "config.json"
    family = family_of(config, where)
    return config, family, read_architecture(family, config, where).with_dropout(**(dropouts or {}))


def _is_tied(checkpoint: Checkpoint, architecture: ModelConfig) -> bool:
    """Whether `lm_head` shares the matrix of the token embedding: a stored matrix that differs means no."""
    with torch.device("meta"):
        probe = torch.empty(1, 1)
    [head] = checkpoint.table.views("lm_head.weight", probe)
    owner = "encoder" if architecture.shared_embedding else "decoder"
    [embedding] = checkpoint.table.views(f"{owner}.embeddings.token.weight", probe)
    if head not in checkpoint.tensors or embedding not in checkpoint.tensors:
        return True
    return torch.equal(checkpoint.tensors[head].read(), checkpoint.tensors[embedding].read())


def empty_classifier(architecture: ModelConfig, num_labels: int) -> Classifier:
    """A classifier without memory allocated yet: absurd sizes are noticed before they cost anything."""
    with torch.device("meta"), _WithoutDrawing():
        return Classifier(architecture, num_labels)


def empty_language_model(architecture: ModelConfig) -> LanguageModel:
    """A generative model without memory allocated yet."""
    with torch.device("meta"), _WithoutDrawing():
        return LanguageModel(architecture)


def _weights_under(model: Classifier, part: str) -> dict[str, Tensor]:
    return {name: weight for name, weight in model.state_dict(keep_vars=True).items() if name.startswith(f"{part}.")}


def _has_any(checkpoint: Checkpoint, weights: Mapping[str, Tensor]) -> bool:
    return any(checkpoint.has(name, weight) for name, weight in weights.items())


def _require_kind(folder: Path, config: Mapping[str, Any], architecture: ModelConfig, input: Input) -> None:
    if architecture.head is None:
        raise CheckpointError(
            f"{folder / 'config.json'}: this model ({config['model_type']}) generates text; classifying with it is not "
            "supported. Choose an encoder, such as bert-base-uncased."
        )
    actual: Input = "text" if architecture.input_stack.patches is None else "image"
    if actual != input:
        raise CheckpointError(f"{folder}: this model reads {actual}s, not {input}s. Choose another model.")


def _require_classifier(folder: Path, labels: StoredLabels, has_head: bool) -> None:
    obstacle = labels.obstacle if has_head else "it has no classification head"
    if obstacle is not None:
        raise CheckpointError(
            f"{folder}: is not a classifier: {obstacle}. Choose a classifier, or train it on your labels "
            f"(headway train DATA --model {folder})."
        )


def _start_fresh(model: Classifier, names: Sequence[str]) -> None:
    for part in {name.partition(".")[0]: None for name in names}:
        model.get_submodule(part).apply(lambda module: init_linear_normal(module, model.architecture.initializer_std))


def _reorder_head(model: Classifier, stored: Sequence[str], wanted: Sequence[str]) -> None:
    rows = torch.tensor([stored.index(name) for name in wanted])
    with torch.no_grad():
        for parameter in model.classification_head.parameters():
            parameter.copy_(parameter[rows])
