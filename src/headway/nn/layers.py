"""Norms, feed-forward layers and embeddings."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from headway.nn.dropout import Dropout
from headway.nn.positions import sinusoids

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Embeddings",
    "FeedForward",
    "NormKind",
    "PatchEmbeddings",
    "PositionEmbedding",
    "SinusoidEmbedding",
    "TokenEmbedding",
    "init_linear_normal",
    "make_norm",
]

Activation = Literal["gelu", "gelu_tanh", "relu", "silu", "tanh"]

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,  # Hendrycks & Gimpel 2016, with the exact error function
    "gelu_tanh": lambda input: functional.gelu(input, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}

IN_PLACE: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": torch.ops.aten.gelu_,
    "gelu_tanh": lambda input: torch.ops.aten.gelu_(input, approximate="tanh"),
    "relu": torch.relu_,
    "silu": lambda input: functional.silu(input, inplace=True),
    "tanh": torch.tanh_,
}

LOWEST: dict[Activation, float] = {"gelu": -0.17, "gelu_tanh": -0.1701, "relu": 0.0, "silu": -0.2785, "tanh": -1.0}
"""The minimum of each."""


class FeedForward(nn.Module):
    """Two linear layers with an activation between: each token independently (Vaswani et al. 2017, eq. 2).

    When `gated`, the first layer has twice the width, and its second half multiplies the activated first (Shazeer
    2020, https://arxiv.org/abs/2002.05202).
    """

    def __init__(
        self, d_model: int, d_ff: int, activation: Activation, *, gated: bool, bias: bool, dropout: float
    ) -> None:
        super().__init__()
        self.gated = gated
        self.up = nn.Linear(d_model, 2 * d_ff if gated else d_ff, bias)
        self.down = nn.Linear(d_ff, d_model, bias)
        self.activation = activation
        self.dropout = Dropout(dropout)

    @property
    def lowest(self) -> float | None:
        """Lower bound of the second layer's inputs, if there is one."""
        return None if self.gated else LOWEST[self.activation]

    def forward(self, input: Tensor) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model)."""
        inner = self.up(input)
        # Without a gradient the inputs are not needed again: no second matrix of the inner width goes through memory.
        activate = (ACTIVATIONS if inner.requires_grad else IN_PLACE)[self.activation]
        if self.gated:
            inner, gate = inner.chunk(2, -1)
            inner = activate(inner) * gate
        else:
            inner = activate(inner)
        return self.down(self.dropout(inner))


NormKind = Literal["layer", "rms"]


def make_norm(kind: NormKind, d_model: int, eps: float, bias: bool) -> nn.Module:
    """A norm over each token's vector."""
    return nn.LayerNorm(d_model, eps, bias=bias) if kind == "layer" else nn.RMSNorm(d_model, eps)


class PositionEmbedding(nn.Embedding):
    """A learned vector for each position; the first `offset` rows of the table are unused."""

    def __init__(self, num_positions: int, d_model: int, offset: int = 0) -> None:
        super().__init__(num_positions + offset, d_model)
        self.num_positions, self.offset = num_positions, offset

    def forward(self, input: Tensor) -> Tensor:
        """*Shape:* (tokens,) → (tokens, d_model)."""
        return super().forward(input + self.offset if self.offset else input)


class SinusoidEmbedding(nn.Module):
    """A fixed vector for each position (Vaswani et al. 2017, §3.5)."""

    def __init__(self, num_positions: int, d_model: int, offset: int = 0, *, inclusive: bool = False) -> None:
        super().__init__()
        self.num_positions, self.d_model, self.offset, self.inclusive = num_positions, d_model, offset, inclusive

    def forward(self, input: Tensor) -> Tensor:
        """*Shape:* (tokens,) → (tokens, d_model)."""
        return sinusoids(input + self.offset, self.d_model, inclusive=self.inclusive)


class TokenEmbedding(nn.Embedding):
    """A vector for each id of a vocabulary.

    On a CPU the gradient holds only the rows that were looked up (a sparse tensor): a batch reads some hundred
    of the many thousand, and filling the others with zeros takes longer than the lookup itself.
    """

    def forward(self, input: Tensor) -> Tensor:
        """*Shape:* (tokens,) → (tokens, d_model)."""
        return functional.embedding(input, self.weight, sparse=self.weight.device.type == "cpu")


class Embeddings(nn.Module):
    """The sum of token, position and token type embeddings."""

    def __init__(
        self,
        token: TokenEmbedding,
        *,
        position: PositionEmbedding | SinusoidEmbedding | None,
        token_type: nn.Embedding | None,
        scale: float,
        norm: nn.Module | None,
        dropout: float,
        projection: nn.Linear | None,
        shared: bool = False,
    ) -> None:
        """Combine the tables.

        Args:
            token: A vector for each id.
            position: A vector for each position; none when the model represents positions in another way.
            token_type: A vector for each token type; none if there are no types.
            scale: Factor of the token's vector.
            norm: Of the sum.
            dropout: Of the sum.
            projection: From the tables' width to the model's, where they differ.
            shared: Whether `token` belongs to another module, which saves and trains it.
        """
        super().__init__()
        # A list hides a module from PyTorch: a shared table is registered once.
        self._shared = [token] if shared else []
        self.token = None if shared else token
        self.position = position
        self.token_type = token_type
        self.scale = scale
        self.norm = norm
        self.dropout = Dropout(dropout)
        self.projection = projection

    @property
    def token_embedding(self) -> TokenEmbedding:
        """The token embedding, wherever it is registered."""
        return self._shared[0] if self.token is None else self.token

    def forward(self, input_ids: Tensor, positions: Tensor, longest: int, token_types: Tensor | None) -> Tensor:
        """*Shape:* input_ids, positions and token_types (tokens,) → (tokens, d_model).

        Args:
            input_ids: Token ids.
            positions: Positions in their sequences, from 0.
            longest: The length of the longest sequence, known without asking the device.
            token_types: Which text it belongs to; the first when none.

        Raises:
            ValueError: A sequence is longer than there are positions.
        """
        embedded = self.token_embedding(input_ids)
        if self.scale != 1:
            embedded = embedded * self.scale
        if self.position is not None:
            if longest > self.position.num_positions:
                raise ValueError(f"{longest} tokens, but only {self.position.num_positions} positions")
            embedded = embedded + self.position(positions)
        if self.token_type is not None:
            only_one = token_types is None or self.token_type.num_embeddings == 1
            embedded = embedded + (self.token_type.weight[0] if only_one else self.token_type(token_types))
        if self.norm is not None:
            embedded = self.norm(embedded)
        embedded = self.dropout(embedded)
        return embedded if self.projection is None else self.projection(embedded)


class PatchEmbeddings(nn.Module):
    """Images as sequences: learned tokens first, then the patches of the image, row by row, each with its position."""

    def __init__(
        self,
        d_model: int,
        *,
        image_size: int,
        patch_size: int,
        num_channels: int,
        leading: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.image_size, self.num_channels = image_size, num_channels
        self.num_tokens = leading + (image_size // patch_size) ** 2
        self.patch = nn.Conv2d(num_channels, d_model, patch_size, stride=patch_size)
        self.leading = nn.Parameter(torch.zeros(leading, 1, d_model))
        self.position = nn.Parameter(torch.zeros(1, self.num_tokens, d_model))
        self.dropout = Dropout(dropout)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """*Shape:* (images, channels, height, width) → (images · num_tokens, d_model).

        Raises:
            ValueError: The images have another size than the model's.
        """
        wanted = (self.num_channels, self.image_size, self.image_size)
        if tuple(pixel_values.shape[1:]) != wanted:
            raise ValueError(f"images of {tuple(pixel_values.shape[1:])}, but the model reads {wanted}")
        patches = self.patch(pixel_values).flatten(2).transpose(1, 2)
        leading = self.leading.transpose(0, 1).expand(len(patches), -1, -1)
        tokens = torch.cat((leading, patches), 1) + self.position
        return self.dropout(tokens.flatten(0, 1))


def init_linear_normal(module: nn.Module, std: float) -> None:
    """BERT's rule (Devlin et al. 2019): weights from a normal distribution, biases zero, norms the identity."""
    if isinstance(module, nn.Linear | nn.Embedding | nn.Conv2d):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        nn.init.ones_(module.weight)
    if isinstance(module, nn.LayerNorm) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, PatchEmbeddings):
        nn.init.normal_(module.leading, std=std)
        nn.init.normal_(module.position, std=std)
