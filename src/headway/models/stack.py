"""The stack: embeddings and blocks, as an encoder or a decoder."""

import torch
from torch import Tensor, nn

from headway.models.config import StackConfig
from headway.nn.attention.bias import AttentionBias
from headway.nn.attention.pattern import AttentionPattern
from headway.nn.block import Block, Memory
from headway.nn.cache import Cache, Step
from headway.nn.layers import (
    Embeddings,
    FeedForward,
    PatchEmbeddings,
    PositionEmbedding,
    SinusoidEmbedding,
    TokenEmbedding,
    make_norm,
)
from headway.nn.multi_head import CrossAttention, SelfAttention
from headway.nn.packing import Packing
from headway.nn.positions import RelativeBias, Rotation, rotation
from headway.nn.rows import Rows

__all__ = ["Stack"]


class Stack(nn.Module):
    """Gives each token of packed sequences a vector that depends on all that the token may attend to."""

    def __init__(self, settings: StackConfig, shared_token: TokenEmbedding | None = None) -> None:
        """Build the stack.

        Args:
            settings: What it is like.
            shared_token: A token embedding that belongs to another stack.
        """
        super().__init__()
        self.settings = s = settings
        self.embeddings = _patch_embeddings(s) if s.patches else _embeddings(s, shared_token)
        self.blocks = nn.ModuleList(_block(s, layer) for layer in range(s.distinct_blocks or s.num_layers))
        self.final_norm = _norm(s) if s.final_norm else None
        self.relative_bias = None
        if s.relative is not None:
            self.relative_bias = RelativeBias(
                s.num_heads, s.relative.num_buckets, s.relative.max_distance, causal=s.causal
            )

    @property
    def token_embedding(self) -> TokenEmbedding:
        """The token embedding."""
        assert isinstance(self.embeddings, Embeddings)
        return self.embeddings.token_embedding

    def forward(
        self,
        input: Tensor,
        packing: Packing,
        token_types: Tensor | None = None,
        *,
        memory: Memory | None = None,
        cache: Cache | None = None,
        rows: Rows | None = None,
    ) -> Tensor:
        """*Shape:* ids and token_types (tokens,), or pixels (images, channels, height, width) → (tokens, d_model).

        With `rows`, (sequences, d_model): the last block skips what nobody reads.

        Args:
            input: Token ids, or images.
            packing: Where the sequences start.
            token_types: Which text each token belongs to; the first when none.
            memory: What cross-attention reads; not needed again once the cache has it.
            cache: What this decoder has read already; the tokens given are the next ones.
            rows: The one row of each sequence that is wanted.
        """
        step = None if cache is None else cache.begin(packing, None if memory is None else memory[1])
        positions = packing.positions if step is None else step.positions
        hidden = self._embed(input, positions, packing.max_length if step is None else step.longest, token_types)
        rotations = self._rotations(positions)
        last, bias = self.settings.num_layers - 1, None
        for layer in range(last + 1):
            wanted = rows if layer == last else None
            if layer == 0 or wanted is not None:
                bias = self._bias(packing, step, wanted)
            hidden = self._block(layer)(
                hidden,
                packing,
                rotation=rotations[layer] if rotations else None,
                bias=bias,
                memory=memory,
                cache=None if cache is None or step is None else (cache.layers[layer], step),
                rows=wanted,
            )
        return hidden if self.final_norm is None else self.final_norm(hidden)

    def _embed(self, input: Tensor, positions: Tensor, longest: int, token_types: Tensor | None) -> Tensor:
        if isinstance(self.embeddings, PatchEmbeddings):
            return self.embeddings(input)
        return self.embeddings(input, positions, longest, token_types)

    def _bias(self, packing: Packing, step: Step | None, rows: Rows | None) -> AttentionBias | None:
        """What all layers add to their scores, or, with `rows`, the last one alone."""
        if self.relative_bias is None:
            return None
        if step is not None:
            return AttentionBias(self.relative_bias(step.query_positions(rows), step.keys))
        places = torch.arange(packing.max_length, device=packing.device)
        if rows is None:
            return AttentionBias(self.relative_bias(places, places))
        seen = rows.keys(self._block(self.settings.num_layers - 1).self_attention.pattern)
        starts = torch.tensor(seen.starts, device=packing.device)[:, None]
        return AttentionBias(self.relative_bias(rows.places[:, None], starts + places[: seen.packing.max_length]))

    def _block(self, layer: int) -> Block:
        block = self.blocks[layer * len(self.blocks) // self.settings.num_layers]
        assert isinstance(block, Block)
        return block

    def _rotations(self, positions: Tensor) -> list[Rotation] | None:
        """Each layer's angles; layers of one base share them."""
        s = self.settings
        if s.rotary_thetas is None:
            return None
        head_dim = s.head_dim or s.d_model // s.num_heads
        by_theta = {theta: rotation(positions, head_dim, theta) for theta in set(s.rotary_thetas)}
        return [by_theta[theta] for theta in s.rotary_thetas]


def _embeddings(s: StackConfig, shared_token: TokenEmbedding | None) -> Embeddings:
    width = s.embedding_size or s.d_model
    return Embeddings(
        TokenEmbedding(s.vocabulary_size, width) if shared_token is None else shared_token,
        position=_position_embedding(s, width),
        token_type=nn.Embedding(s.num_token_types, width) if s.num_token_types else None,
        scale=s.embedding_scale,
        norm=make_norm(s.norm, width, s.norm_eps, s.norm_bias) if s.embedding_norm else None,
        dropout=s.share("embedding_dropout"),
        projection=nn.Linear(width, s.d_model) if s.embedding_size else None,
        shared=shared_token is not None,
    )


def _position_embedding(s: StackConfig, width: int) -> PositionEmbedding | SinusoidEmbedding | None:
    if s.positions == "learned":
        return PositionEmbedding(s.max_positions, width, s.position_offset)
    if s.positions in ("sinusoidal", "sinusoidal_inclusive"):
        inclusive = s.positions == "sinusoidal_inclusive"
        return SinusoidEmbedding(s.max_positions, width, s.position_offset, inclusive=inclusive)
    return None


def _patch_embeddings(s: StackConfig) -> PatchEmbeddings:
    assert s.patches is not None
    return PatchEmbeddings(
        s.d_model,
        image_size=s.patches.image_size,
        patch_size=s.patches.patch_size,
        num_channels=s.patches.num_channels,
        leading=s.patches.leading_tokens,
        dropout=s.share("embedding_dropout"),
    )


def _block(s: StackConfig, layer: int) -> Block:
    output_bias = s.attention_bias if s.attention_output_bias is None else s.attention_output_bias
    self_attention = SelfAttention(
        s.d_model,
        s.num_heads,
        head_dim=s.head_dim,
        bias=s.attention_bias,
        output_bias=output_bias,
        pattern=AttentionPattern(s.causal, s.windows[layer] if s.windows else None),
        scale=s.attention_scale,
        dropout=s.attention_dropout,
    )
    cross_attention = None
    if s.memory_width is not None:
        cross_attention = CrossAttention(
            s.d_model,
            s.memory_width,
            s.num_heads,
            head_dim=s.head_dim,
            bias=s.attention_bias,
            output_bias=output_bias,
            scale=s.attention_scale,
            dropout=s.attention_dropout,
        )
    feed_forward = FeedForward(
        s.d_model,
        s.d_ff,
        s.activation,
        gated=s.gated,
        bias=s.feed_forward_bias,
        dropout=s.share("feed_forward_dropout"),
    )
    return Block(
        self_attention,
        cross_attention,
        feed_forward,
        lambda: _norm(s),
        pre_norm=s.pre_norm,
        first_norm=s.first_norm or layer > 0,
        attention_dropout=s.share("attention_output_dropout"),
        feed_forward_dropout=s.share("feed_forward_output_dropout"),
    )


def _norm(s: StackConfig) -> nn.Module:
    return make_norm(s.norm, s.d_model, s.norm_eps, s.norm_bias)
