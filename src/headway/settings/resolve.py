"""From what the user wrote to checked settings."""

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from headway.errors import SettingsError, reason_of
from headway.settings.sections import (
    AugmentationSettings,
    DataSettings,
    GenerationSettings,
    MachineSettings,
    Section,
    TrainingSettings,
)

__all__ = ["Settings", "load_settings_file", "parse_assignments", "resolve"]

_RENAMED = {  # names of version 0.1.0
    "validation_share": "validation_fraction",
    "test_share": "test_fraction",
    "warmup_share": "warmup_ratio",
    "freeze_blocks": "freeze_layers",
}


@dataclass(frozen=True)
class Settings:
    """All sections."""

    data: DataSettings = field(default_factory=DataSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    machine: MachineSettings = field(default_factory=MachineSettings)

    def flat(self) -> dict[str, Any]:
        """All settings by name, as JSON can hold them."""
        return {name: value for section in self.sections().values() for name, value in section.model_dump().items()}

    def given(self) -> dict[str, Any]:
        """The settings that were asked for by name, as JSON can hold them; the others are left to the defaults."""
        return {
            name: value
            for section in self.sections().values()
            for name, value in section.model_dump(exclude_unset=True).items()
        }

    def sections(self) -> dict[str, Section]:
        """The sections by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def with_training(self, **changes: Any) -> "Settings":
        """The same settings with other values in the training section."""
        return replace(self, training=self.training.model_copy(update=changes))

    @classmethod
    def describe(cls) -> Iterator[tuple[str, str, FieldInfo]]:
        """Section, name and field of every setting."""
        for section, kind in _KINDS.items():
            for name, info in kind.model_fields.items():
                yield section, name, info


_KINDS: dict[str, type[Section]] = {
    "data": DataSettings,
    "training": TrainingSettings,
    "augmentation": AugmentationSettings,
    "generation": GenerationSettings,
    "machine": MachineSettings,
}
_SECTION_OF = {name: section for section, kind in _KINDS.items() for name in kind.model_fields}


def resolve(*layers: Mapping[str, Any], only: Iterable[str] | None = None, command: str = "this command") -> Settings:
    """Merge settings, later layers winning, and check them.

    Args:
        layers: Settings by name, flat or in tables named after the sections.
        only: The names or sections that the command uses; others are refused rather than ignored. All when not given.
        command: What refuses them, for the message.

    Raises:
        SettingsError: An unknown name (the nearest one is suggested), an impossible value, or a setting that the
            command would ignore; all of them at once.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(_flattened(layer))
    problems = [_unknown(name) for name in merged if name not in _SECTION_OF]
    used = None if only is None else set(only)
    if used is not None:
        problems += [
            f"Setting {name} has no effect on {command}; leave it out."
            for name in merged
            if name in _SECTION_OF and name not in used and _SECTION_OF[name] not in used
        ]
    sections: dict[str, Any] = {}
    for section, kind in _KINDS.items():
        values = {name: value for name, value in merged.items() if _SECTION_OF.get(name) == section}
        try:
            sections[section] = kind.model_validate(values)
        except ValidationError as error:
            by_name = {item["loc"][:1]: dict(item) for item in reversed(error.errors())}
            problems += [_sentence(item) for item in by_name.values()]
    if problems:
        raise SettingsError(" ".join(problems))
    settings = Settings(**sections)
    length, tokens = settings.data.max_length, settings.training.max_tokens
    if length is not None and tokens is not None and tokens < length:
        raise SettingsError("max_tokens is smaller than max_length: the longest text would not fit into a step.")
    return settings


def _flattened(layer: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in layer.items():
        inside = _flattened(value) if name in _KINDS and isinstance(value, Mapping) else {name: value}
        flat.update({_RENAMED.get(key, key): item for key, item in inside.items()})
    return flat


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, _SECTION_OF, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`headway settings` lists them all."
    return f"There is no setting {name!r}: {hint}"


def _sentence(item: dict[str, Any]) -> str:
    name = str(item["loc"][0]) if item["loc"] else ""
    message = item["msg"].removeprefix("Value error, ")
    if item["loc"][1:]:  # one of the kinds that a setting may have, "auto" being the other
        message += ", or should be 'auto'"
    return f"Setting {name} = {item['input']!r}: {message}." if name else f"{message[:1].upper()}{message[1:]}."


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` words as they come from `--set`; values are written as in TOML, and quotes are optional.

    Raises:
        SettingsError: A word without `=`.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set {assignment}: write it as KEY=VALUE, for example --set learning_rate=3e-5.")
        values[name.strip()] = _parsed(value.strip())
    return values


def _parsed(value: str) -> Any:
    if value == "none":
        return None
    if value[:1] not in ('"', "'"):
        return value  # the section turns it into a number where one is wanted; a column may be called 3
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def load_settings_file(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings; by name, whatever section they stand in.

    Raises:
        SettingsError: It cannot be read or is not TOML.
    """
    try:
        return _flattened(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: could not be read: {reason_of(error)}. Give a file of settings.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}.") from None
