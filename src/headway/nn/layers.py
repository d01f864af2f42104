"""Norms, feed-forward layers and embeddings."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from headway.nn.dropout import Dropout
from headway.nn.packing import Packing

__all__ = ["ACTIVATIONS", "Activation", "Embeddings", "FeedForward", "TokenEmbedding", "init_linear_normal"]

Activation = Literal["gelu", "gelu_tanh", "relu", "silu", "tanh"]

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,  # Hendrycks & Gimpel 2016, with the exact error function
    "gelu_tanh": lambda input: functional.gelu(input, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}


class FeedForward(nn.Module):
    """Two linear layers with an activation between: each token by itself (Vaswani et al. 2017, eq. 2).

    When `gated`, the first layer gives twice the width, and the second half multiplies the activated first (Shazeer
    2020, https://arxiv.org/abs/2002.05202).
    """

    def __init__(
        self, d_model: int, d_ff: int, activation: Activation, *, gated: bool, bias: bool, dropout: float
    ) -> None:
        super().__init__()
        self.gated = gated
        self.up = nn.Linear(d_model, 2 * d_ff if gated else d_ff, bias)
        self.down = nn.Linear(d_ff, d_model, bias)
        self.activation = ACTIVATIONS[activation]
        self.dropout = Dropout(dropout)

    def forward(self, input: Tensor) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model)."""
        inner = self.up(input)
        if self.gated:
            inner, gate = inner.chunk(2, -1)
            inner = self.activation(inner) * gate
        else:
            inner = self.activation(inner)
        return self.down(self.dropout(inner))


class TokenEmbedding(nn.Embedding):
    """A vector for each id of a vocabulary.

    On a processor the gradient holds only the rows that were looked up (a sparse tensor): a batch reads some hundred
    of the many thousand, and filling the others with zeros takes longer than the lookup itself.
    """

    def forward(self, input: Tensor) -> Tensor:
        """*Shape:* (tokens,) → (tokens, d_model)."""
        return functional.embedding(input, self.weight, sparse=self.weight.device.type == "cpu")


class Embeddings(nn.Module):
    """What a token is, plus where it stands, plus which of two texts it belongs to; normalised."""

    def __init__(
        self,
        vocabulary_size: int,
        size: int,
        d_model: int,
        *,
        positions: int,
        position_offset: int,
        num_token_types: int,
        norm_eps: float,
        norm_bias: bool,
        dropout: float,
        projected: bool,
    ) -> None:
        """Make the tables.

        Args:
            vocabulary_size: Rows of the token table.
            size: Width of the tables.
            d_model: Width of what comes out.
            positions: Positions that have a learned vector; 0 when the model knows them in another way.
            position_offset: Unused rows before the first position's.
            num_token_types: Rows of the table of token types; 0 for none.
            norm_eps: Added to the variance in the norm.
            norm_bias: Whether the norm has a bias.
            dropout: Share of elements zeroed in training.
            projected: Whether a linear layer leads from `size` to `d_model`.
        """
        super().__init__()
        self.position_offset = position_offset
        self.token = TokenEmbedding(vocabulary_size, size)
        self.position = nn.Embedding(positions + position_offset, size) if positions else None
        self.token_type = nn.Embedding(num_token_types, size) if num_token_types else None
        self.norm = nn.LayerNorm(size, norm_eps, bias=norm_bias)
        self.dropout = Dropout(dropout)
        self.projection = nn.Linear(size, d_model) if projected else None

    def forward(self, input_ids: Tensor, token_types: Tensor | None, packing: Packing) -> Tensor:
        """*Shape:* input_ids and token_types (tokens,) → (tokens, d_model).

        Raises:
            ValueError: A sequence is longer than there are positions.
        """
        embedded = self.token(input_ids)
        if self.position is not None:
            longest = self.position.num_embeddings - self.position_offset
            if packing.max_length > longest:
                raise ValueError(f"{packing.max_length} tokens, but only {longest} positions")
            embedded = embedded + self.position(packing.positions + self.position_offset)
        if self.token_type is not None:
            only_one = token_types is None or self.token_type.num_embeddings == 1
            embedded = embedded + (self.token_type.weight[0] if only_one else self.token_type(token_types))
        embedded = self.dropout(self.norm(embedded))
        return embedded if self.projection is None else self.projection(embedded)


def init_linear_normal(module: nn.Module, std: float) -> None:
    """BERT's rule (Devlin et al. 2019): weights from a normal distribution, biases zero, norms the identity."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
