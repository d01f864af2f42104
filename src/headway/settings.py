"""Every setting of a run, in one place: the TOML file, `--set KEY=VALUE` and keyword arguments all fill this model.

The resolved settings are written into the model folder and rerun the same training.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from headway.errors import SettingsError, reason_of

__all__ = ["Settings", "for_new_weights", "load_settings_file", "parse_assignments", "resolve"]


class Settings(BaseModel):
    """What a training run can be told.

    The defaults are the ones found stable by Mosbach et al. 2021 (https://arxiv.org/abs/2006.04884).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    # --- data -----------------------------------------------------------------------------------------------------
    text_column: str | None = None
    """Column with the text; found by name and content when not given."""
    text_pair_column: str | None = None
    """Column with the second text, for pairs of sentences."""
    label_column: str | None = None
    """Column with the label; several 0/1 columns, separated by commas, make a multi-label task."""
    validation_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of the rows kept for validation when no validation file is given (at most 10,000 rows)."""
    test_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    """Share of the rows kept for the final test when no test file is given (at most 10,000 rows)."""
    skip_bad_rows: bool = False
    """Leave out rows that cannot be read, count them and list them, instead of stopping at the first."""
    max_length: int | None = Field(default=None, ge=4)
    """Longest sequence in tokens; longer ones are cut and counted. The model's own maximum when not given."""

    # --- optimisation ---------------------------------------------------------------------------------------------
    epochs: float = Field(default=4, gt=0)
    """Passes over the training data at most; early stopping may end sooner. From scratch, 20 when not given."""
    batch_size: int = Field(default=32, ge=1)
    """Examples in one step."""
    max_tokens: int | None = Field(default=None, ge=16)
    """Tokens in one step at most, instead of a number of examples."""
    micro_batches: int = Field(default=1, ge=1)
    """Parts that a step is computed in, to save memory; the result is that of the whole step."""
    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak of the schedule. From scratch, 5e-4 when not given."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after the warm-up."""
    warmup_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps in which the learning rate rises from zero."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled decay of the matrices (Loshchilov & Hutter 2019); biases and norms have none."""
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the first moment."""
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the second moment."""
    adam_eps: float = Field(default=1e-8, gt=0)
    """Added to the root of the second moment."""
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    """Gradients longer than this are shortened to it; no clipping when none."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Each block learns this many times as fast as the one above it (Howard & Ruder 2018)."""
    freeze_layers: int = Field(default=0, ge=0)
    """Embeddings and this many of the lowest blocks keep their weights."""

    # --- regularisation -------------------------------------------------------------------------------------------
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Of embeddings and sublayers; the checkpoint's own when not given."""
    attention_dropout: float | None = Field(default=None, ge=0, lt=1)
    """Of attention weights; the checkpoint's own when not given."""
    head_dropout: float | None = Field(default=None, ge=0, lt=1)
    """Before the classification head; the checkpoint's own when not given."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread over all labels (Szegedy et al. 2016)."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` weighs each label by the inverse of its frequency."""

    # --- watching, stopping, saving -------------------------------------------------------------------------------
    metric: str | None = None
    """What early stopping watches: macro_f1 (the default), accuracy, mcc or validation_loss; for multi-label micro_f1
    (the default), macro_f1, mean_average_precision, subset_accuracy or validation_loss."""
    evaluations_per_epoch: int = Field(default=2, ge=1)
    """Validations per epoch, at least one every 1,000 steps."""
    patience: int | None = Field(default=4, ge=1)
    """Validations without a better result before training stops; never when none. From scratch, 8 when not given."""
    save_minutes: float = Field(default=5.0, ge=0)
    """Minutes between saved states that `--resume` can continue from; 0 saves after every step."""
    tensorboard: bool = False
    """Write the learning curves as TensorBoard events too, into `headway/tensorboard`."""

    # --- machine --------------------------------------------------------------------------------------------------
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of the split, the order of examples, new weights and dropout."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute: CUDA, Apple's GPU or the CPU, in this order."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the matrix products; bfloat16 on GPUs that have it, otherwise float32."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; all cores when not given."""

    @model_validator(mode="after")
    def _contradictions(self) -> "Settings":
        if self.max_tokens is not None and self.max_length is not None and self.max_tokens < self.max_length:
            raise ValueError("max_tokens is smaller than max_length: the longest text would not fit into a step")
        return self


def resolve(*layers: Mapping[str, Any]) -> Settings:
    """Merge settings, later layers winning, and check them.

    Raises:
        SettingsError: An unknown key (the nearest one is named) or an impossible value; all of them at once.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(layer)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError(" ".join(_sentence(dict(item)) for item in error.errors())) from None


def _sentence(item: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, Settings.model_fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`headway settings` lists them all."
        return f"There is no setting {key!r}: {hint}"
    message = item["msg"].removeprefix("Value error, ")
    return f"Setting {key} = {item['input']!r}: {message}." if key else f"The settings contradict: {message}."


def for_new_weights(settings: Settings) -> Settings:
    """The same settings, with what a model from scratch wants where the user left the choice: it has more to learn."""
    wanted: dict[str, Any] = {"learning_rate": 5e-4, "epochs": 20.0, "patience": 8}
    return settings.model_copy(update={key: wanted[key] for key in wanted if key not in settings.model_fields_set})


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` words as they come from `--set`; values are written as in TOML, quotes being optional.

    Raises:
        SettingsError: A word without `=`.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set {assignment}: write it as KEY=VALUE, for example --set learning_rate=3e-5.")
        values[key.strip()] = None if value.strip() == "none" else value.strip()
    return values


def load_settings_file(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings.

    Raises:
        SettingsError: It cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: could not be read: {reason_of(error)}. Give a file of settings.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}.") from None
