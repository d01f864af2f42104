"""A sequence classifier: an encoder, the pooled first token, and one score a label."""

import torch
from torch import Tensor, nn

from headway.models.architecture import Architecture
from headway.models.encoder import Encoder
from headway.nn.dropout import Dropout
from headway.nn.layers import init_linear_normal
from headway.nn.packing import Packing

__all__ = ["Classifier", "Pooler"]


class Pooler(nn.Module):
    """The first token's vector through a dense layer and tanh (Devlin et al. 2019, as released)."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.dense = nn.Linear(d_model, d_model)

    def forward(self, first: Tensor) -> Tensor:
        """*Shape:* (sequences, d_model) → (sequences, d_model)."""
        return torch.tanh(self.dense(first))


class Classifier(nn.Module):
    """Packed sequences in, one score a label out."""

    def __init__(self, architecture: Architecture, num_labels: int) -> None:
        super().__init__()
        self.architecture = architecture
        self.num_labels = num_labels
        self.encoder = Encoder(architecture)
        self.pooler = Pooler(architecture.d_model)
        self.head_dropout = Dropout(architecture.head_dropout)
        self.classification_head = nn.Linear(architecture.d_model, num_labels)

    def forward(self, input_ids: Tensor, packing: Packing, token_types: Tensor | None = None) -> Tensor:
        """Logits.

        *Shape:* input_ids and token_types (tokens,) → (sequences, num_labels)
        """
        first = self.encoder.forward_firsts(input_ids, packing, token_types)
        return self.classification_head(self.head_dropout(self.pooler(first)))

    def init_weights(self) -> None:
        """Draw every weight from PyTorch's default generator, by the paper's rule."""
        self.apply(lambda module: init_linear_normal(module, self.architecture.initializer_std))
