"""Generative models: a decoder, alone or with an encoder."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from headway.models.config import LMHeadConfig, ModelConfig
from headway.models.stack import Stack
from headway.nn.block import Memory
from headway.nn.cache import Cache
from headway.nn.layers import ACTIVATIONS, init_linear_normal, make_norm
from headway.nn.packing import Packing
from headway.nn.rows import Rows

__all__ = ["LMHead", "LanguageModel"]


class LMHead(nn.Module):
    """One score per token of the vocabulary, from each token's vector."""

    def __init__(self, d_model: int, vocabulary_size: int, head: LMHeadConfig, norm_eps: float) -> None:
        super().__init__()
        self.scale = head.scale
        self.dense = nn.Linear(d_model, d_model) if head.transform else None
        self.activation = ACTIVATIONS[head.transform] if head.transform else None
        self.norm = make_norm("layer", d_model, norm_eps, True) if head.transform else None
        self.weight = None if head.tied else nn.Parameter(torch.zeros(vocabulary_size, d_model))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size)) if head.bias else None

    def forward(self, hidden: Tensor, embedding: Tensor) -> Tensor:
        """*Shape:* hidden (tokens, d_model), embedding (vocabulary, d_model) → (tokens, vocabulary)."""
        if self.dense is not None and self.activation is not None and self.norm is not None:
            hidden = self.norm(self.activation(self.dense(hidden)))
        if self.scale != 1:
            hidden = hidden * self.scale
        return functional.linear(hidden, embedding if self.weight is None else self.weight, self.bias)


class LanguageModel(nn.Module):
    """Encodes a sequence or an image, if it has an encoder, and scores every next token."""

    def __init__(self, architecture: ModelConfig) -> None:
        super().__init__()
        a = architecture
        assert a.decoder is not None, "a generative model has a decoder"
        assert a.lm_head is not None, "a generative model has an lm_head"
        self.architecture = architecture
        self.encoder = None if a.encoder is None else Stack(a.encoder)
        shared = self.encoder.token_embedding if self.encoder is not None and a.shared_embedding else None
        self.decoder = Stack(a.decoder, shared)
        self.projection = None
        if a.encoder is not None and a.projected_memory:
            self.projection = nn.Linear(a.encoder.d_model, a.decoder.d_model)
        self.lm_head = LMHead(a.decoder.d_model, a.decoder.vocabulary_size, a.lm_head, a.decoder.norm_eps)

    def encode(self, input: Tensor, packing: Packing) -> Memory:
        """The memory of the decoder: one row per token of the input.

        *Shape:* ids (tokens,), or pixels (images, channels, height, width) → (tokens, width)
        """
        assert self.encoder is not None, "this model has no encoder"
        hidden = self.encoder(input, packing)
        return (hidden if self.projection is None else self.projection(hidden)), packing

    def decode(
        self,
        input_ids: Tensor,
        packing: Packing,
        memory: Memory | None = None,
        cache: Cache | None = None,
        *,
        rows: Rows | None = None,
    ) -> Tensor:
        """Scores of the token after each token, or after one chosen token per sequence.

        *Shape:* (tokens,) → (tokens, vocabulary), or (sequences, vocabulary) with `rows`

        Args:
            input_ids: The decoder's input; with a cache, the tokens after the cached ones.
            packing: Where the sequences start. They may be several times as many as the memory's, as beams are:
                neighbours share one.
            memory: What `encode` gave; not needed again once the cache has it.
            cache: What was read already.
            rows: The one token of each sequence whose next token is wanted: no other is scored.
        """
        hidden = self.decoder(input_ids, packing, memory=memory, cache=cache, rows=rows)
        return self.lm_head(hidden, self.decoder.token_embedding.weight)

    def new_cache(self, num_sequences: int) -> Cache:
        """An empty cache for generating `num_sequences` sequences together."""
        return Cache(self.decoder.settings.num_layers, num_sequences)

    def init_weights(self) -> None:
        """Initialise every weight from PyTorch's default generator, by the paper's rule."""
        self.apply(lambda module: init_linear_normal(module, self.architecture.initializer_std))
