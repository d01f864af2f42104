"""What makes one transformer differ from another, as plain settings."""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from headway.nn.layers import Activation, NormKind

__all__ = [
    "ClassificationHeadConfig",
    "LMHeadConfig",
    "ModelConfig",
    "PatchConfig",
    "PlaceDropout",
    "Pooling",
    "Positions",
    "RelativePositions",
    "StackConfig",
]

DropoutPlace = Literal[
    "embedding_dropout", "attention_output_dropout", "feed_forward_output_dropout", "feed_forward_dropout"
]
Pooling = Literal["first", "first_two", "mean", "last"]
PlaceDropout = float | Literal["absent"] | None
"""The dropout of one place; none: the stack's `dropout`. Where a family has no such place, it is 0."""
Positions = Literal["learned", "sinusoidal", "sinusoidal_inclusive", "rotary", "relative"]


@dataclass(frozen=True, kw_only=True)
class PatchConfig:
    """How an image becomes tokens: patches, each through one linear map (Dosovitskiy et al. 2021, §3.1)."""

    image_size: int
    """Height and width of the image, in pixels."""

    patch_size: int
    """Height and width of a patch, in pixels."""

    num_channels: int = 3
    """Colours."""

    leading_tokens: int = 1
    """Learned tokens before the patches: the one that a classifier reads, and, for DeiT, the distillation token."""

    @property
    def num_tokens(self) -> int:
        """Tokens of one image."""
        return self.leading_tokens + (self.image_size // self.patch_size) ** 2


@dataclass(frozen=True, kw_only=True)
class RelativePositions:
    """A learned bias on scores for each distance between query and key, in buckets that widen (Raffel et al. 2020)."""

    num_buckets: int
    """Number of buckets."""

    max_distance: int
    """From here on all distances share a bucket."""


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """The settings of an encoder or a decoder: embeddings and blocks.

    A setting enters only together with the model family and the parity test that need it.
    """

    # --- embeddings -----------------------------------------------------------------------------------------------
    vocabulary_size: int = 0
    """Rows of the token embedding; 0 for a stack that reads images."""

    patches: PatchConfig | None = None
    """How images are read; none for a stack that reads text."""

    max_positions: int
    """Longest sequence, in tokens."""

    positions: Positions = "learned"
    """How positions are represented: a learned or sinusoidal vector added to it (the sinusoids' lowest frequency may be
    included or not), rotated queries and keys, or a bias on the scores."""

    position_offset: int = 0
    """Row of the position table for the first token."""

    relative: RelativePositions | None = None
    """The buckets, where `positions` is `relative`."""

    num_token_types: int = 0
    """Number of token types, as for the first and the second text of a pair; 0 for none."""

    embedding_size: int | None = None
    """Width of the embeddings, projected to d_model after their norm; none: they have d_model and no projection."""

    embedding_scale: float = 1.0
    """Factor of the token's vector."""

    embedding_norm: bool = True
    """Whether the sum of the embeddings is normalised."""

    # --- blocks ---------------------------------------------------------------------------------------------------
    d_model: int
    """Width of a token's vector between blocks."""

    d_ff: int
    """Width inside the feed-forward layer."""

    num_layers: int
    """Number of blocks that a token passes through."""

    num_heads: int
    """Attention heads."""

    head_dim: int | None = None
    """Width of a head; d_model / num_heads when none."""

    distinct_blocks: int | None = None
    """Blocks with weights of their own, each used for the same number of neighbouring layers (Lan et al. 2020, §3.1);
    none: every layer has its own."""

    causal: bool = False
    """No token sees a later one: a decoder."""

    memory_width: int | None = None
    """Width of the vectors that cross-attention reads; none: the blocks have no cross-attention."""

    pre_norm: bool = False
    """Sublayers read a normalised copy of their input (Xiong et al. 2020); otherwise each sublayer's sum with its input
    is normalised (Vaswani et al. 2017)."""

    first_norm: bool = True
    """Whether the first block normalises what its attention reads; only with `pre_norm`."""

    final_norm: bool = False
    """Whether a norm ends the stack."""

    norm: NormKind = "layer"
    """Layer norm, or division by the root mean square alone (Zhang & Sennrich 2019)."""

    norm_bias: bool = True
    """Whether layer norms have biases."""

    norm_eps: float = 1e-12
    """Added to the variance in every norm."""

    activation: Activation = "gelu"
    """Of the feed-forward layer."""

    gated: bool = False
    """A second linear map of the input gates the feed-forward layer (Shazeer 2020)."""

    attention_bias: bool = True
    """Whether queries, keys and values have biases."""

    attention_output_bias: bool | None = None
    """Whether the attention's output has a bias; as `attention_bias` when none."""

    feed_forward_bias: bool = True
    """Whether the feed-forward layer's maps have biases."""

    attention_scale: float | None = None
    """Factor of Q·Kᵀ; 1/√head_dim when none."""

    rotary_thetas: tuple[float, ...] | None = None
    """Base of each layer's rotary positions (Su et al. 2021), where `positions` is `rotary`."""

    windows: tuple[int | None, ...] | None = None
    """How far each layer's tokens attend to either side, none meaning everywhere; none: no layer has a window."""

    # --- training -------------------------------------------------------------------------------------------------
    dropout: float = 0.1
    """Dropout after the embeddings and after each sublayer."""

    embedding_dropout: PlaceDropout = None
    """The same, after the embeddings only; as `dropout` when none."""

    attention_output_dropout: PlaceDropout = None
    """The same, after attention only; as `dropout` when none."""

    feed_forward_output_dropout: PlaceDropout = None
    """The same, after the feed-forward layer only; as `dropout` when none."""

    feed_forward_dropout: PlaceDropout = "absent"
    """The same, between the feed-forward layer's two maps; as `dropout` when none."""

    attention_dropout: float = 0.1
    """Dropout of the attention weights."""

    def share(self, place: DropoutPlace) -> float:
        """The dropout of one place."""
        share: PlaceDropout = getattr(self, place)
        if share == "absent":
            return 0.0
        return self.dropout if share is None else share

    def with_dropout(self, dropout: float | None, attention_dropout: float | None) -> "StackConfig":
        """The same stack with other dropout, as `ModelConfig.with_dropout` says."""
        changes: dict[str, Any] = {}
        if dropout is not None:
            places = get_args(DropoutPlace)
            changes = dict.fromkeys((place for place in places if getattr(self, place) != "absent"), None)
            changes["dropout"] = dropout
        if attention_dropout is not None:
            changes["attention_dropout"] = attention_dropout
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class ClassificationHeadConfig:
    """From a sequence's vectors to one score per label."""

    pooling: Pooling = "first"
    """Which vector is read: the first token's, the last one's, or the mean of all. With `first_two`, those of the first
    and of the second token have a layer each that scores, and the mean of both scores counts."""

    end_id: int | None = None
    """With `last` pooling: the last token of this id is read, where the sequence has one; none: the last token."""

    pooler: bool = True
    """Whether a dense layer comes before the one that scores."""

    activation: Activation = "tanh"
    """Of the pooler."""

    pooler_bias: bool = True
    """Whether the pooler's dense layer has a bias."""

    pooler_norm: bool = False
    """Whether a norm follows the pooler's activation."""

    bias: bool = True
    """Whether the layer that scores has a bias."""

    dropout: float = 0.1
    """Dropout of the pooled vector before it is scored."""

    dropout_before_pooler: bool = False
    """Whether the pooler's input has that dropout too."""


@dataclass(frozen=True, kw_only=True)
class LMHeadConfig:
    """From a token's vector to one score per token of the vocabulary."""

    tied: bool = True
    """Whether the matrix is the token embedding."""

    bias: bool = False
    """Whether each token of the vocabulary has a bias."""

    scale: float = 1.0
    """Factor of the vector, applied first."""

    transform: Activation | None = None
    """Activation of a dense layer with a norm that comes before; none: there is no such layer."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A whole model: an encoder, a decoder or both, and the heads on their last vectors.

    A family whose models can do both describes both heads; a model that is built has one.
    """

    encoder: StackConfig | None = None
    decoder: StackConfig | None = None
    head: ClassificationHeadConfig | None = None
    """For classification."""
    lm_head: LMHeadConfig | None = None
    """For generation."""
    shared_embedding: bool = False
    """Whether encoder and decoder have one token embedding."""
    projected_memory: bool = False
    """Whether a linear map leads from the encoder's width to the decoder's."""
    initializer_std: float = 0.02
    """Standard deviation of randomly initialised weights."""
    pad_id: int = 0
    """Id of the padding token: unused here, kept for the tools that read the saved folder."""
    start_id: int | None = None
    """Id of the decoder's start token."""
    starts_with_last: bool = False
    """Whether the decoder, given a whole text to read, begins with that text's last token instead of `start_id`."""
    decoder_pad_id: int | None = None
    """The padding's id to the decoder of a composed model, likewise; `pad_id` when none."""
    part_types: tuple[str, str] | None = None
    """What the files of a composed model call its encoder and its decoder: unused here, kept for saving."""

    @property
    def padding_id(self) -> int | None:
        """`pad_id` where the vocabulary has it: a family's usual one may be beyond a small vocabulary."""
        stacks = [stack for stack in (self.encoder, self.decoder) if stack is not None and stack.patches is None]
        return self.pad_id if all(self.pad_id < stack.vocabulary_size for stack in stacks) else None

    @property
    def input_stack(self) -> StackConfig:
        """The stack that reads the user's input: the encoder, or a decoder without one."""
        stack = self.encoder or self.decoder
        assert stack is not None, "a model has a stack"
        return stack

    def classifying(self) -> "ModelConfig":
        """The same stacks with only the classification head."""
        return replace(self, lm_head=None)

    def generative(self) -> "ModelConfig":
        """The same stacks with only the language modelling head."""
        return replace(self, head=None)

    def with_dropout(
        self,
        dropout: float | None = None,
        attention_dropout: float | None = None,
        head_dropout: float | None = None,
    ) -> "ModelConfig":
        """The same model with other dropout; none leaves it as it is.

        Args:
            dropout: After the embeddings, after attention, after the feed-forward layer and inside it, wherever the
                family has such a place, even if its own dropout there is 0.
            attention_dropout: Of the attention weights.
            head_dropout: Of the vector that a classifier scores.
        """
        return replace(
            self,
            encoder=self.encoder.with_dropout(dropout, attention_dropout) if self.encoder else None,
            decoder=self.decoder.with_dropout(dropout, attention_dropout) if self.decoder else None,
            head=replace(self.head, dropout=head_dropout) if self.head and head_dropout is not None else self.head,
        )
