"""Norms, feed-forward layers and embeddings."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from headway.nn.dropout import Dropout
from headway.nn.packing import Packing

__all__ = ["ACTIVATIONS", "Activation", "Embeddings", "FeedForward", "TokenEmbedding", "init_linear_normal"]

Activation = Literal["gelu", "gelu_tanh", "relu", "silu"]

ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,  # Hendrycks & Gimpel 2016, with the exact error function
    "gelu_tanh": lambda input: functional.gelu(input, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
}


class FeedForward(nn.Module):
    """Two linear layers with an activation between: each token by itself (Vaswani et al. 2017, eq. 2)."""

    def __init__(self, d_model: int, d_ff: int, activation: Activation) -> None:
        super().__init__()
        self.up = nn.Linear(d_model, d_ff)
        self.down = nn.Linear(d_ff, d_model)
        self.activation = ACTIVATIONS[activation]

    def forward(self, input: Tensor) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model)."""
        return self.down(self.activation(self.up(input)))


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
        d_model: int,
        max_positions: int,
        num_token_types: int,
        norm_eps: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.token = TokenEmbedding(vocabulary_size, d_model)
        self.position = nn.Embedding(max_positions, d_model)
        self.token_type = nn.Embedding(num_token_types, d_model)
        self.norm = nn.LayerNorm(d_model, norm_eps)
        self.dropout = Dropout(dropout)

    def forward(self, input_ids: Tensor, token_types: Tensor | None, packing: Packing) -> Tensor:
        """*Shape:* input_ids and token_types (tokens,) → (tokens, d_model).

        Raises:
            ValueError: A sequence is longer than there are positions.
        """
        if packing.max_length > self.position.num_embeddings:
            raise ValueError(f"{packing.max_length} tokens, but only {self.position.num_embeddings} positions")
        types = self.token_type.weight[0] if token_types is None else self.token_type(token_types)
        embedded = self.token(input_ids) + self.position(packing.positions) + types
        return self.dropout(self.norm(embedded))


def init_linear_normal(module: nn.Module, std: float) -> None:
    """BERT's rule (Devlin et al. 2019): weights from a normal distribution, biases zero, norms the identity."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
