"""One block of the transformer: attention, then the feed-forward layer, each with its residual and norm."""

from torch import Tensor, nn

from headway.nn.attention import SelfAttention
from headway.nn.dropout import Dropout
from headway.nn.layers import Activation, FeedForward
from headway.nn.packing import Packing

__all__ = ["Block"]


class Block(nn.Module):
    """A post-norm block: each sublayer's output is added to its input, then normalised (Vaswani et al. 2017, §3.1)."""

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        num_heads: int,
        activation: Activation,
        norm_eps: float,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        self.self_attention = SelfAttention(d_model, num_heads, attention_dropout)
        self.self_attention_norm = nn.LayerNorm(d_model, norm_eps)
        self.feed_forward = FeedForward(d_model, d_ff, activation)
        self.feed_forward_norm = nn.LayerNorm(d_model, norm_eps)
        self.dropout = Dropout(dropout)

    def forward(self, input: Tensor, packing: Packing) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model)."""
        return self._finish(input, self.self_attention(input, packing))

    def forward_firsts(self, input: Tensor, packing: Packing) -> Tensor:
        """The rows of `forward` that belong to first tokens. A head that reads nothing else saves the work on the rest.

        *Shape:* (tokens, d_model) → (sequences, d_model)
        """
        return self._finish(packing.first_rows(input), self.self_attention.forward_firsts(input, packing))

    def _finish(self, residual: Tensor, attended: Tensor) -> Tensor:
        hidden = self.self_attention_norm(residual + self.dropout(attended))
        return self.feed_forward_norm(hidden + self.dropout(self.feed_forward(hidden)))
