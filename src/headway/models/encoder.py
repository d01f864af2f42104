"""The encoder: embeddings and a stack of blocks."""

from torch import Tensor, nn

from headway.models.architecture import Architecture
from headway.nn.attention import SelfAttention
from headway.nn.block import Block
from headway.nn.layers import Embeddings, FeedForward
from headway.nn.packing import Packing
from headway.nn.positions import Rotation, rotation

__all__ = ["Encoder"]


class Encoder(nn.Module):
    """Reads packed sequences and gives each token a vector that knows its whole sequence."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = a = architecture
        self.embeddings = Embeddings(
            a.vocabulary_size,
            a.embedding_size or a.d_model,
            a.d_model,
            positions=a.max_positions if a.learned_positions else 0,
            position_offset=a.position_offset,
            num_token_types=a.num_token_types,
            norm_eps=a.norm_eps,
            norm_bias=a.norm_bias,
            dropout=_first_set(a.embedding_dropout, a.dropout),
            projected=a.embedding_size is not None,
        )
        self.blocks = nn.ModuleList(_block(a, layer) for layer in range(a.distinct_blocks or a.num_layers))
        self.final_norm = nn.LayerNorm(a.d_model, a.norm_eps, bias=a.norm_bias) if a.pre_norm else None

    def forward(self, input_ids: Tensor, packing: Packing, token_types: Tensor | None = None) -> Tensor:
        """*Shape:* input_ids and token_types (tokens,) → (tokens, d_model)."""
        hidden = self.embeddings(input_ids, token_types, packing)
        for layer in range(self.architecture.num_layers):
            hidden = self._block(layer)(hidden, packing, self._rotation(layer, packing))
        return hidden if self.final_norm is None else self.final_norm(hidden)

    def forward_firsts(self, input_ids: Tensor, packing: Packing, token_types: Tensor | None = None) -> Tensor:
        """The vectors of the first tokens only: the last block skips what nobody reads. Exactly the same numbers.

        *Shape:* input_ids and token_types (tokens,) → (sequences, d_model)
        """
        hidden = self.embeddings(input_ids, token_types, packing)
        last = self.architecture.num_layers - 1
        for layer in range(last):
            hidden = self._block(layer)(hidden, packing, self._rotation(layer, packing))
        hidden = self._block(last).forward_firsts(hidden, packing, self._rotation(last, packing))
        return hidden if self.final_norm is None else self.final_norm(hidden)

    def _block(self, layer: int) -> Block:
        block = self.blocks[layer * len(self.blocks) // self.architecture.num_layers]
        assert isinstance(block, Block)
        return block

    def _rotation(self, layer: int, packing: Packing) -> Rotation | None:
        a = self.architecture
        return None if a.rotary_thetas is None else rotation(packing, a.d_model // a.num_heads, a.rotary_thetas[layer])


def _block(a: Architecture, layer: int) -> Block:
    attention = SelfAttention(
        a.d_model,
        a.num_heads,
        bias=a.attention_bias,
        window=a.windows[layer] if a.windows else None,
        dropout=a.attention_dropout,
    )
    feed_forward = FeedForward(
        a.d_model, a.d_ff, a.activation, gated=a.gated, bias=a.feed_forward_bias, dropout=a.feed_forward_dropout
    )
    norms = [nn.LayerNorm(a.d_model, a.norm_eps, bias=a.norm_bias) for _ in range(2)]
    first: nn.Module = norms[0] if layer or a.first_norm else nn.Identity()
    dropouts = (
        _first_set(a.attention_output_dropout, a.dropout),
        _first_set(a.feed_forward_output_dropout, a.dropout),
    )
    return Block(attention, feed_forward, (first, norms[1]), dropouts, pre_norm=a.pre_norm)


def _first_set(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
