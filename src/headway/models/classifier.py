"""A sequence classifier: an encoder, one pooled vector a sequence, and one score a label."""

from torch import Tensor, nn

from headway.models.architecture import Architecture
from headway.models.encoder import Encoder
from headway.nn.dropout import Dropout
from headway.nn.layers import ACTIVATIONS, init_linear_normal
from headway.nn.packing import Packing

__all__ = ["Classifier", "Pooler"]


class Pooler(nn.Module):
    """One vector a sequence through a dense layer and an activation (Devlin et al. 2019, as released: tanh)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        self.dropout = Dropout(a.head_dropout if a.dropout_before_pooler else 0.0)
        self.dense = nn.Linear(a.d_model, a.d_model, a.pooler_bias)
        self.activation = ACTIVATIONS[a.pooler_activation]
        self.norm = nn.LayerNorm(a.d_model, a.norm_eps, bias=a.norm_bias) if a.pooler_norm else None

    def forward(self, sequence: Tensor) -> Tensor:
        """*Shape:* (sequences, d_model) → (sequences, d_model)."""
        pooled = self.activation(self.dense(self.dropout(sequence)))
        return pooled if self.norm is None else self.norm(pooled)


class Classifier(nn.Module):
    """Packed sequences in, one score a label out."""

    def __init__(self, architecture: Architecture, num_labels: int) -> None:
        super().__init__()
        self.architecture = architecture
        self.num_labels = num_labels
        self.encoder = Encoder(architecture)
        self.pooler = Pooler(architecture)
        self.head_dropout = Dropout(architecture.head_dropout)
        self.classification_head = nn.Linear(architecture.d_model, num_labels)

    def forward(self, input_ids: Tensor, packing: Packing, token_types: Tensor | None = None) -> Tensor:
        """Logits.

        *Shape:* input_ids and token_types (tokens,) → (sequences, num_labels)
        """
        if self.architecture.pooling == "first":
            sequence = self.encoder.forward_firsts(input_ids, packing, token_types)
        else:
            sequence = packing.means(self.encoder(input_ids, packing, token_types))
        return self.classification_head(self.head_dropout(self.pooler(sequence)))

    def init_weights(self) -> None:
        """Draw every weight from PyTorch's default generator, by the paper's rule."""
        self.apply(lambda module: init_linear_normal(module, self.architecture.initializer_std))
