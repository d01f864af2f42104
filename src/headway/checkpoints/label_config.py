"""The label names in a `config.json`. Their order is the order of the scores; it is never guessed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headway.checkpoints.config_reader import shown
from headway.errors import CheckpointError, cut

__all__ = ["StoredLabels", "is_classifier", "label_config", "read_labels"]

_CLASSIFIERS = ("ForSequenceClassification", "ForImageClassification")
"""What the names of the ecosystem's classification classes contain."""
_MULTI = "multi_label_classification"
_SINGLE = "single_label_classification"


@dataclass(frozen=True)
class StoredLabels:
    """What a `config.json` says about a classification head."""

    names: tuple[str, ...]
    multi: bool
    obstacle: str | None
    """Why the head, if there is one, does not classify; None where it does."""


def is_classifier(config: Mapping[str, Any]) -> bool:
    """Whether it was saved as a classifier, by the name of its class."""
    return any(part in kind for kind in _kinds(config) for part in _CLASSIFIERS)


def read_labels(config: Mapping[str, Any], where: Path) -> StoredLabels:
    """The names in the order of the scores, and whether several may be true at once.

    Raises:
        CheckpointError: The table of labels contradicts itself.
    """
    names = _names(config, where)
    kinds = _kinds(config)
    obstacle = None
    if kinds and not is_classifier(config):
        obstacle = f"it was saved as {', '.join(map(cut, kinds[:3]))}"
    elif config.get("problem_type") == "regression" or len(names) == 1:
        obstacle = "its head predicts one number (regression), not classes"
    return StoredLabels(names, config.get("problem_type") == _MULTI, obstacle)


def label_config(names: Sequence[str], multi: bool) -> dict[str, Any]:
    """The keys of `config.json` that describe it."""
    return {
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
        "problem_type": _MULTI if multi else _SINGLE,
    }


def _kinds(config: Mapping[str, Any]) -> list[str]:
    """The ecosystem's names of the classes that it was saved as."""
    architectures = config.get("architectures")
    return [kind for kind in architectures if isinstance(kind, str)] if isinstance(architectures, list) else []


def _names(config: Mapping[str, Any], where: Path) -> tuple[str, ...]:
    table = config.get("id2label")
    if table is None:
        count = config.get("num_labels", 2)
        if not isinstance(count, int) or not 1 <= count <= 1_000_000:
            raise CheckpointError(f'{where}: "num_labels" is {shown(count)}, but should be a whole number from 1.')
        return tuple(f"LABEL_{index}" for index in range(count))
    if not isinstance(table, dict) or not table:
        raise CheckpointError(f'{where}: "id2label" should be an object of numbers to names.')
    wanted = [str(index) for index in range(len(table))]
    if sorted(table, key=lambda key: (len(key), key)) != wanted:
        raise CheckpointError(f'{where}: the numbers in "id2label" should be 0 to {len(table) - 1}, each once.')
    names = tuple(str(table[index]) for index in wanted)
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise CheckpointError(
            f'{where}: "id2label" gives the same name to several classes: {", ".join(map(cut, doubled[:5]))}.'
        )
    return names
