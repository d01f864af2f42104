"""A family's settings, from its `config.json` and back."""

from pathlib import Path
from typing import Any

from headway.checkpoints.family import family_of, read_architecture


def varied(value: Any) -> Any:
    """No share, epsilon or deviation has its default, which a key that is not written would get."""
    if isinstance(value, dict):
        return {key: varied(item) for key, item in value.items()}
    return 0.75 * value + 0.01 if isinstance(value, float) else value


def test_the_keys_that_a_family_writes_say_all_that_it_reads(random_config: dict[str, Any]) -> None:
    """Saving keeps what the source's file said, which hides a key that is not written; this has no source."""
    where, config = Path("config.json"), varied(random_config)
    family = family_of(config, where)
    architecture = read_architecture(family, config, where)
    written = {"model_type": config["model_type"], **family.config(architecture)}
    assert read_architecture(family, written, where) == architecture
