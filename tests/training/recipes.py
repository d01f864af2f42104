"""Settings of training with a value in every place, as the loop gets them."""

from typing import Any

from headway.settings import Settings, TrainingSettings
from headway.training.recipe import resolve_recipe


def training(**chosen: Any) -> TrainingSettings:
    """The settings of fine-tuning, other than those that are chosen."""
    return resolve_recipe(Settings(training=TrainingSettings(**chosen)), from_scratch=False)[0].training
