"""The encoder: embeddings and a stack of blocks."""

from torch import Tensor, nn

from headway.models.architecture import Architecture
from headway.nn.block import Block
from headway.nn.layers import Embeddings
from headway.nn.packing import Packing

__all__ = ["Encoder"]


class Encoder(nn.Module):
    """Reads packed sequences and gives each token a vector that knows its whole sequence."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.embeddings = Embeddings(
            a.vocabulary_size, a.d_model, a.max_positions, a.num_token_types, a.norm_eps, a.dropout
        )
        self.blocks = nn.ModuleList(
            Block(a.d_model, a.d_ff, a.num_heads, a.activation, a.norm_eps, a.dropout, a.attention_dropout)
            for _ in range(a.num_layers)
        )

    def forward(self, input_ids: Tensor, packing: Packing, token_types: Tensor | None = None) -> Tensor:
        """*Shape:* input_ids and token_types (tokens,) → (tokens, d_model)."""
        hidden = self.embeddings(input_ids, token_types, packing)
        for block in self.blocks:
            hidden = block(hidden, packing)
        return hidden

    def forward_firsts(self, input_ids: Tensor, packing: Packing, token_types: Tensor | None = None) -> Tensor:
        """The vectors of the first tokens only: the last block skips what nobody reads. Exactly the same numbers.

        *Shape:* input_ids and token_types (tokens,) → (sequences, d_model)
        """
        hidden = self.embeddings(input_ids, token_types, packing)
        *body, last = self.blocks
        for block in body:
            hidden = block(hidden, packing)
        assert isinstance(last, Block)
        return last.forward_firsts(hidden, packing)
