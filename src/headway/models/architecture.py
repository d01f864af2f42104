"""What makes one transformer differ from another, as plain settings."""

from dataclasses import dataclass

from headway.nn.layers import Activation

__all__ = ["Architecture"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The settings of a transformer encoder with a classification head.

    A setting enters only together with the model family and the parity test that need it.
    """

    vocabulary_size: int
    """Rows of the token embedding."""

    d_model: int
    """Width of a token's vector between blocks."""

    d_ff: int
    """Width inside the feed-forward layer."""

    num_layers: int
    """Blocks in the stack."""

    num_heads: int
    """Attention heads; each is d_model / num_heads wide."""

    max_positions: int
    """Longest sequence, in tokens."""

    num_token_types: int = 2
    """Kinds of tokens: the first and the second text of a pair."""

    activation: Activation = "gelu"
    """Of the feed-forward layer."""

    norm_eps: float = 1e-12
    """Added to the variance in every layer norm."""

    dropout: float = 0.1
    """Share of elements zeroed after the embeddings and after each sublayer, in training."""

    attention_dropout: float = 0.1
    """Share of attention weights zeroed, in training."""

    head_dropout: float = 0.1
    """Share of the pooled vector zeroed before the classification head, in training."""

    initializer_std: float = 0.02
    """Standard deviation of weights that no checkpoint gives."""

    pad_id: int = 0
    """Id of the padding token: unused here, kept for the tools that read the saved folder."""
