"""One block of the transformer: attention, then the feed-forward layer, each with its residual and norm."""

from torch import Tensor, nn

from headway.nn.attention import SelfAttention
from headway.nn.dropout import Dropout
from headway.nn.layers import FeedForward
from headway.nn.packing import Packing
from headway.nn.positions import Rotation

__all__ = ["Block"]


class Block(nn.Module):
    """Two sublayers, each added to its input.

    Post-norm: norm(x + sublayer(x)) (Vaswani et al. 2017, §3.1). Pre-norm: x + sublayer(norm(x)) (Xiong et al. 2020,
    https://arxiv.org/abs/2002.04745); then the stack needs a norm at its end.
    """

    def __init__(
        self,
        self_attention: SelfAttention,
        feed_forward: FeedForward,
        norms: tuple[nn.Module, nn.Module],
        dropouts: tuple[float, float],
        *,
        pre_norm: bool,
    ) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.self_attention = self_attention
        self.feed_forward = feed_forward
        self.self_attention_norm, self.feed_forward_norm = norms
        self.self_attention_dropout, self.feed_forward_dropout = (Dropout(dropout) for dropout in dropouts)

    def forward(self, input: Tensor, packing: Packing, rotation: Rotation | None = None) -> Tensor:
        """*Shape:* (tokens, d_model) → (tokens, d_model)."""
        attended = self.self_attention(self._before(self.self_attention_norm, input), packing, rotation)
        return self._finish(input, attended)

    def forward_firsts(self, input: Tensor, packing: Packing, rotation: Rotation | None = None) -> Tensor:
        """The rows of `forward` that belong to first tokens. A head that reads nothing else saves the work on the rest.

        *Shape:* (tokens, d_model) → (sequences, d_model)
        """
        normed = self._before(self.self_attention_norm, input)
        attended = self.self_attention.forward_firsts(normed, packing, rotation)
        return self._finish(packing.first_rows(input), attended)

    def _finish(self, residual: Tensor, attended: Tensor) -> Tensor:
        hidden = self._after(self.self_attention_norm, residual + self.self_attention_dropout(attended))
        fed = self.feed_forward(self._before(self.feed_forward_norm, hidden))
        return self._after(self.feed_forward_norm, hidden + self.feed_forward_dropout(fed))

    def _before(self, norm: nn.Module, input: Tensor) -> Tensor:
        return norm(input) if self.pre_norm else input

    def _after(self, norm: nn.Module, sum: Tensor) -> Tensor:
        return sum if self.pre_norm else norm(sum)
