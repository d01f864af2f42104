"""A classifier: a transformer, one pooled vector per sequence, and one score per label."""

import torch
from torch import Tensor, nn

from headway.models.config import ClassificationHeadConfig, ModelConfig
from headway.models.shift import shift_right
from headway.models.stack import Stack
from headway.nn.dropout import Dropout
from headway.nn.layers import ACTIVATIONS, init_linear_normal, make_norm
from headway.nn.packing import Packing
from headway.nn.rows import Rows

__all__ = ["Classifier", "DistilledHead", "Pooler"]


class Pooler(nn.Module):
    """One vector per sequence through a dense layer and an activation (Devlin et al. 2019, as released: tanh)."""

    def __init__(self, d_model: int, head: ClassificationHeadConfig, norm_eps: float, norm_bias: bool) -> None:
        super().__init__()
        self.dropout = Dropout(head.dropout if head.dropout_before_pooler else 0.0)
        self.dense = nn.Linear(d_model, d_model, head.pooler_bias)
        self.activation = ACTIVATIONS[head.activation]
        self.norm = make_norm("layer", d_model, norm_eps, norm_bias) if head.pooler_norm else None

    def forward(self, sequence: Tensor) -> Tensor:
        """*Shape:* (sequences, d_model) → (sequences, d_model)."""
        pooled = self.activation(self.dense(self.dropout(sequence)))
        return pooled if self.norm is None else self.norm(pooled)


class DistilledHead(nn.Module):
    """The mean of two layers' scores: of the class token, and of the distillation token.

    Source: Touvron et al. 2021, §4, "Classification with our approach".
    """

    def __init__(self, d_model: int, num_labels: int, bias: bool) -> None:
        super().__init__()
        self.first = nn.Linear(d_model, num_labels, bias)
        self.second = nn.Linear(d_model, num_labels, bias)

    def forward(self, pair: Tensor) -> Tensor:
        """*Shape:* (sequences, 2, d_model) → (sequences, num_labels)."""
        scores: Tensor = self.first(pair[:, 0]) + self.second(pair[:, 1])
        return scores / 2


class Classifier(nn.Module):
    """Packed sequences in, one score per label out.

    Where the config has both an encoder and a decoder, the decoder reads the same sequence again, shifted right,
    with the encoder's vectors as its memory, and the head reads the decoder (Lewis et al. 2020, §3.1) at the row of the
    sequence's last end token (`ClassificationHeadConfig.end_id`). Tokenizers end each text with one, and pairs have
    more. How many the other sequences of a batch have does not matter (`transformers` wants the same number of each). A
    sequence without any (which `transformers` refuses) is read at its last token.
    """

    def __init__(self, architecture: ModelConfig, num_labels: int) -> None:
        super().__init__()
        head, stack = architecture.head, architecture.input_stack
        assert head is not None, "a classifier has a head"
        self.architecture = architecture
        self.head = head
        self.num_labels = num_labels
        self.encoder = Stack(stack)
        self.decoder = None
        if architecture.encoder is not None and architecture.decoder is not None:
            shared = self.encoder.token_embedding if architecture.shared_embedding else None
            stack = architecture.decoder
            assert architecture.starts_with_last or architecture.start_id is not None, "a decoder has a start token"
            self.decoder = Stack(stack, shared)
        self._start_id = None if architecture.starts_with_last else architecture.start_id
        self.pooler = Pooler(stack.d_model, head, stack.norm_eps, stack.norm_bias) if head.pooler else None
        self.head_dropout = Dropout(head.dropout)
        score = DistilledHead if head.pooling == "first_two" else nn.Linear
        self.classification_head = score(stack.d_model, num_labels, head.bias)

    def forward(self, input: Tensor, packing: Packing, token_types: Tensor | None = None) -> Tensor:
        """Logits.

        *Shape:* ids and token_types (tokens,), or pixels (images, channels, height, width) → (sequences, num_labels)
        """
        pooled = self._pool(input, packing, token_types)
        if self.pooler is not None:
            pooled = self.pooler(pooled)
        return self.classification_head(self.head_dropout(pooled))

    def init_weights(self) -> None:
        """Initialise every weight from PyTorch's default generator, by the paper's rule."""
        self.apply(lambda module: init_linear_normal(module, self.architecture.initializer_std))

    def _pool(self, input: Tensor, packing: Packing, token_types: Tensor | None) -> Tensor:
        rows = self._rows(input, packing)
        if self.decoder is None:
            hidden = self.encoder(input, packing, token_types, rows=rows)
        else:
            memory = self.encoder(input, packing, token_types)
            again = shift_right(input, packing, self._start_id)
            hidden = self.decoder(again, packing, memory=(memory, packing), rows=rows)
        if self.head.pooling == "first_two":
            firsts = packing.offsets[:-1].long()
            return torch.stack((hidden[firsts], hidden[firsts + 1]), dim=1)
        return packing.means(hidden) if rows is None else hidden

    def _rows(self, input: Tensor, packing: Packing) -> Rows | None:
        """The row of each sequence that the head reads; none where it reads several."""
        if self.head.pooling in ("mean", "first_two"):
            return None
        if self.head.pooling == "first":
            return Rows.first(packing)
        return Rows.last(packing, None if self.head.end_id is None else input == self.head.end_id)
