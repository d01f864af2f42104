"""Every setting of a run: a TOML file, `--set KEY=VALUE`, flags and keyword arguments all fill these sections."""

from headway.settings.resolve import Settings, load_settings_file, parse_assignments, resolve
from headway.settings.sections import (
    AugmentationSettings,
    Auto,
    DataSettings,
    GenerationSettings,
    MachineSettings,
    Section,
    TrainingSettings,
)

__all__ = [
    "AugmentationSettings",
    "Auto",
    "DataSettings",
    "GenerationSettings",
    "MachineSettings",
    "Section",
    "Settings",
    "TrainingSettings",
    "load_settings_file",
    "parse_assignments",
    "resolve",
]
