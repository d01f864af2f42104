"""A family's settings, from its `config.json` and back."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headway.checkpoints.family import family_of, read_architecture
from headway.errors import CheckpointError


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


@pytest.mark.parametrize(
    ("family", "change", "words"),
    [
        ("vit", {"image_size": 8, "patch_size": 9}, '"patch_size" is 9, but should be a whole number from 1 to 8.'),
        (
            "modernbert",
            {"hidden_size": 9, "num_attention_heads": 3},
            '"hidden_size" 9 is not divisible by 2 × "num_attention_heads" 3.',
        ),
        ("t5", {"dense_act_fn": "softmax"}, '"dense_act_fn" is "softmax", but should be one of '),
    ],
)
def test_settings_that_no_model_can_have_are_named(
    draw_config: Callable[[str, random.Random], Any], family: str, change: dict[str, Any], words: str
) -> None:
    config = draw_config(family, random.Random(0)).to_dict() | change
    with pytest.raises(CheckpointError, match=re.escape(words)):
        read_architecture(family_of(config, Path("config.json")), config, Path("config.json"))
