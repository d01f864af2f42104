"""What makes one transformer differ from another, as plain settings."""

from dataclasses import dataclass
from typing import Literal

from headway.nn.layers import Activation

__all__ = ["Architecture", "Pooling"]

Pooling = Literal["first", "mean"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The settings of a transformer encoder with a classification head.

    A setting enters only together with the model family and the parity test that need it.
    """

    # --- embeddings -----------------------------------------------------------------------------------------------
    vocabulary_size: int
    """Rows of the token embedding."""

    max_positions: int
    """Longest sequence, in tokens."""

    learned_positions: bool = True
    """Whether each position has a learned vector that is added to the token's."""

    position_offset: int = 0
    """Rows of the position table before the one of the first token."""

    num_token_types: int = 2
    """Kinds of tokens: the first and the second text of a pair. 0: tokens have no types."""

    embedding_size: int | None = None
    """Width of the embeddings, projected to d_model after their norm; none: they have d_model and no projection."""

    # --- blocks ---------------------------------------------------------------------------------------------------
    d_model: int
    """Width of a token's vector between blocks."""

    d_ff: int
    """Width inside the feed-forward layer."""

    num_layers: int
    """Blocks that a token goes through."""

    num_heads: int
    """Attention heads; each is d_model / num_heads wide."""

    distinct_blocks: int | None = None
    """Blocks with weights of their own, each used for the same number of neighbouring layers (Lan et al. 2020, §3.1);
    none: every layer has its own."""

    pre_norm: bool = False
    """Sublayers read a normalised copy of their input, and the stack ends with a norm (Xiong et al. 2020); otherwise
    each sublayer's sum with its input is normalised (Vaswani et al. 2017)."""

    first_norm: bool = True
    """Whether the first block normalises what its attention reads; only with `pre_norm`."""

    activation: Activation = "gelu"
    """Of the feed-forward layer."""

    gated: bool = False
    """Half of the feed-forward layer's inner width gates the other half (Shazeer 2020)."""

    attention_bias: bool = True
    """Whether the attention's projections have biases."""

    feed_forward_bias: bool = True
    """Whether the feed-forward layer's projections have biases."""

    norm_bias: bool = True
    """Whether the layer norms have biases."""

    norm_eps: float = 1e-12
    """Added to the variance in every layer norm."""

    rotary_thetas: tuple[float, ...] | None = None
    """Base of each layer's rotary positions (Su et al. 2021); none: queries and keys are not rotated."""

    windows: tuple[int | None, ...] | None = None
    """How far each layer's tokens see to either side, none meaning everywhere; none: all of them everywhere."""

    # --- classification head --------------------------------------------------------------------------------------
    pooling: Pooling = "first"
    """What the head reads: the first token, or the mean of all."""

    pooler_activation: Activation = "tanh"
    """Between the dense layer that pools and the classification head."""

    pooler_bias: bool = True
    """Whether the pooler's dense layer has a bias."""

    pooler_norm: bool = False
    """Whether a norm follows the pooler's activation."""

    # --- training -------------------------------------------------------------------------------------------------
    dropout: float = 0.1
    """Share of elements zeroed after the embeddings and after each sublayer, in training."""

    embedding_dropout: float | None = None
    """The same, after the embeddings only; as `dropout` when none."""

    attention_output_dropout: float | None = None
    """The same, after attention only; as `dropout` when none."""

    feed_forward_output_dropout: float | None = None
    """The same, after the feed-forward layer only; as `dropout` when none."""

    feed_forward_dropout: float = 0.0
    """Share of the feed-forward layer's inner elements zeroed, in training."""

    attention_dropout: float = 0.1
    """Share of attention weights zeroed, in training."""

    head_dropout: float = 0.1
    """Share of the pooled vector zeroed before the classification head, in training."""

    dropout_before_pooler: bool = False
    """Whether the pooler's input too loses that share."""

    initializer_std: float = 0.02
    """Standard deviation of weights that no checkpoint gives."""

    # --- kept for the tools that read the saved folder --------------------------------------------------------------
    pad_id: int = 0
    """Id of the padding token, unused here."""
