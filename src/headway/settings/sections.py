"""Every setting, by what it is about: the data, the training, the augmentation, the answers, the machine.

A name is unique over all sections, so that a user writes `learning_rate = 3e-5` and never a section. What is `auto`
follows from the data and the model: `headway.training.recipe` decides it, and says what it chose.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = [
    "AugmentationSettings",
    "Auto",
    "DataSettings",
    "GenerationSettings",
    "MachineSettings",
    "Section",
    "TrainingSettings",
]

Auto = Literal["auto"]
Positive = Annotated[float, Field(gt=0)]
AtLeastOne = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Settings that belong together; unknown names and impossible values are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class DataSettings(Section):
    """Which rows and columns are read, and how they are divided."""

    text_column: str | None = None
    """Column with the text; found by its name and contents when not given."""
    text_pair_column: str | None = None
    """Column with the second text, for pairs of texts."""
    image_column: str | None = None
    """Column with the image: a path, or bytes; found by its name and contents when not given."""
    label_column: str | None = None
    """Column with the label; several 0/1 columns, separated by commas, make a multi-label task."""
    target_column: str | None = None
    """Column with the text to answer with; several, separated by commas, hold several references."""
    validation_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    """Fraction of the rows kept for validation when no validation file is given (at most 10,000 rows)."""
    test_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    """Fraction of the rows kept for the final test when no test file is given (at most 10,000 rows)."""
    encoding: str | None = None
    """Encoding of text files that are not UTF-8, such as cp1252; told from the text when not given, and reported."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """What stands between the fields of a CSV; told from its header when not given."""
    skip_bad_rows: bool = False
    """Leave out rows that cannot be read, count and list them, instead of stopping at the first."""
    max_length: int | None = Field(default=None, ge=4)
    """Longest sequence in tokens; longer ones are cut and counted. The model's own maximum when not given."""

    @field_validator("delimiter")
    @classmethod
    def _can_delimit(cls, value: str | None) -> str | None:
        if value is not None and value in '"\r\n\\':
            raise ValueError("quotation marks, backslashes and line ends cannot stand between fields")
        return value

    @field_validator("label_column", mode="before")
    @classmethod
    def _several_columns(cls, value: object) -> object:
        """In Python, several columns may come as a list."""
        several = isinstance(value, list | tuple) and bool(value) and all(isinstance(name, str) for name in value)
        return ",".join(value) if several else value  # type: ignore[arg-type]


class TrainingSettings(Section):
    """How a model learns.

    The defaults are those that Mosbach et al. 2021 (https://arxiv.org/abs/2006.04884) found stable.
    """

    # --- optimisation ---------------------------------------------------------------------------------------------
    epochs: Positive | Auto = "auto"
    """Passes over the training data at most; early stopping may end sooner."""
    batch_size: AtLeastOne | Auto = "auto"
    """Examples in one step."""
    max_tokens: int | None = Field(default=None, ge=16)
    """Tokens in one step at most, instead of a number of examples."""
    micro_batches: int = Field(default=1, ge=1)
    """Parts that a step is computed in, to save memory; the result is that of the whole step."""
    learning_rate: Positive | Auto = "auto"
    """Peak of the schedule."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after the warm-up."""
    warmup_ratio: float = Field(default=0.1, ge=0, le=1)
    """Fraction of the steps in which the learning rate rises from zero."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled decay of the matrices (Loshchilov & Hutter 2019); biases and norms have none."""
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the first moment."""
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the second moment."""
    adam_eps: float = Field(default=1e-8, gt=0)
    """Added to the root of the second moment."""
    max_grad_norm: float | None = Field(default=1.0, gt=0)
    """Longer gradients are scaled down to this norm; no clipping when none."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """The learning rate of each block, relative to the block above it (Howard & Ruder 2018)."""
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
    """Share of the target that is spread over all labels (Szegedy et al. 2016)."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` weights each label by the inverse of its frequency."""

    # --- watching, stopping, saving -------------------------------------------------------------------------------
    metric: str | None = None
    """The metric that early stopping watches: one of the task's, or validation_loss."""
    evaluations_per_epoch: int = Field(default=2, ge=1)
    """Validations per epoch, at least one every 1,000 steps."""
    patience: AtLeastOne | Auto | None = "auto"
    """Validations without a better result before training stops; never when none."""
    validation_answers: int = Field(default=2000, ge=1)
    """Validation rows that generative tasks answer in full at each validation."""
    save_minutes: float = Field(default=5.0, ge=0)
    """Minutes between saved states that `--resume` can continue from; 0 saves after every step."""
    tensorboard: bool = False
    """Also write the learning curves as TensorBoard events."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of the split, the order of examples, new weights, augmentation and dropout."""

    @property
    def dropouts(self) -> dict[str, float]:
        """The dropout that the user asked for, by its name."""
        wanted = {name: getattr(self, name) for name in ("dropout", "attention_dropout", "head_dropout")}
        return {name: value for name, value in wanted.items() if value is not None}


class AugmentationSettings(Section):
    """How training images are varied: drawn from the seed, the epoch and the row."""

    crop: float = Field(default=0.0, ge=0, lt=1)
    """Random crops keep at least 1 minus this share of the image's area; 0 leaves images whole."""
    flip: bool = False
    """Mirror half of the images."""
    randaugment: int = Field(default=0, ge=0, le=4)
    """Random operations per image (RandAugment, Cubuk et al. 2020)."""
    randaugment_magnitude: float = Field(default=9.0, ge=0, le=10)
    """Strength of those operations."""
    mixup: float = Field(default=0.0, ge=0)
    """Alpha of mixup (Zhang et al. 2018); 0 is off."""
    cutmix: float = Field(default=0.0, ge=0)
    """Alpha of cutmix (Yun et al. 2019); 0 is off."""


class GenerationSettings(Section):
    """How a generative model answers."""

    max_new_tokens: int | None = Field(default=None, ge=1)
    """Longest answer in tokens; the model's maximum when not given."""


class MachineSettings(Section):
    """Where, and how precisely, to compute."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute: CUDA, Apple's GPU or the CPU, in this order."""
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """Of the matrix products; bfloat16 on GPUs that have it, otherwise float32. int8 only answers, on a CPU."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; all cores when not given."""
