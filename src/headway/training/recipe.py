"""The recipe: what the user left at `auto` follows from the data and the model.

Fine-tuning starts from the defaults that Mosbach et al. 2021 (https://arxiv.org/abs/2006.04884) found stable; new
weights have more to learn: a higher rate, more epochs, more patience.
"""

from typing import Any

from headway.settings import Settings, TrainingSettings

__all__ = ["resolve_recipe"]

FINE_TUNING = {"epochs": 4.0, "batch_size": 32, "learning_rate": 5e-5, "patience": 4}
FROM_SCRATCH = {"epochs": 20.0, "batch_size": 32, "learning_rate": 5e-4, "patience": 8}


def resolve_recipe(
    settings: Settings, *, from_scratch: bool, preferred: dict[str, Any] | None = None
) -> tuple[Settings, tuple[str, ...]]:
    """The settings with a value in every place.

    Args:
        settings: What the user asked for.
        from_scratch: Whether the weights are new.
        preferred: What the task prefers for its models, over the general recipe.

    Returns:
        The settings, and what was chosen and why, in sentences.
    """
    recipe = (FROM_SCRATCH if from_scratch else FINE_TUNING) | (preferred or {})
    given = settings.training.model_fields_set
    chosen = {
        name: value
        for name, value in recipe.items()
        if getattr(settings.training, name) == "auto" or (name not in given and not _may_be_auto(name))
    }
    if not chosen:
        return settings, ()
    reason = "new weights" if from_scratch else "a pretrained model"
    listed = ", ".join(f"{name} = {_shown(value)}" for name, value in chosen.items())
    return settings.with_training(**chosen), (f"Chosen for {reason}: {listed}.",)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _may_be_auto(name: str) -> bool:
    return TrainingSettings.model_fields[name].default == "auto"
