"""Examples in, logits and probabilities out."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.batching.batches import Batch, collate, split_by_tokens
from headway.batching.text_encoder import TextEncoder
from headway.device import Precision, autocast
from headway.errors import SettingsError
from headway.examples.examples import Example
from headway.models.classifier import Classifier
from headway.models.config import ModelConfig
from headway.nn.packing import Packing

__all__ = ["Engine", "probabilities", "sequence_limit"]

FloatArray = NDArray[np.float32]
Item = TypeVar("Item")

TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65_536, "mps": 16_384}
"""On a CPU with a batch a core at a time, 2,048 was as fast as 4,096 and faster than 1,024."""


@dataclass(frozen=True)
class Engine:
    """A model, the encoder of its texts, and where and how precisely it computes."""

    model: Classifier
    encoder: TextEncoder
    device: torch.device
    precision: Precision

    def forward(self, batch: Batch) -> Tensor:
        """Logits of a packed batch. *Shape:* (sequences, num_labels), float32."""
        packing = Packing(batch.lengths, self.device)
        with autocast(self.device, self.precision):
            logits = self.model(batch.input_ids, packing, batch.token_types)
        return logits.float()

    def logits(self, examples: Sequence[Example]) -> FloatArray:
        """Logits in the order of the examples; computed in the order of their lengths, without gradients.

        *Shape:* (examples, num_labels)
        """
        logits = np.empty((len(examples), self.model.num_labels), dtype=np.float32)
        self.model.eval()

        def answer(item: tuple[NDArray[np.int64], Batch]) -> None:
            positions, batch = item
            with torch.inference_mode():
                logits[positions[batch.order]] = self.forward(batch.to(self.device)).cpu().numpy()

        self._for_each(list(self._batches(examples)), answer)
        return logits

    def _for_each(self, items: list[Item], work: Callable[[Item], None]) -> None:
        """Do the work for each item: on a CPU one item a core at a time, if there are enough of them.

        A core that works alone never waits for the others at the end of each operation: 10 to 15 % more texts per
        second on two cores, and less is lost to a busy neighbour.
        """
        cores = torch.get_num_threads()
        if self.device.type != "cpu" or len(items) < 2 * cores or cores == 1:
            for item in items:
                work(item)
            return
        try:
            with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                list(pool.map(work, items))
        finally:
            torch.set_num_threads(cores)

    def _batches(self, examples: Sequence[Example]) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        if not examples:
            return
        sequences = self.encoder.encode(examples)
        lengths = np.array([len(sequence.input_ids) for sequence in sequences], dtype=np.int64)
        order = np.argsort(lengths, kind="stable")
        for positions in split_by_tokens(order, lengths, TOKENS_PER_BATCH[self.device.type]):
            yield positions, collate([sequences[position] for position in positions])


def probabilities(logits: FloatArray, multi: bool) -> FloatArray:
    """Softmax over the labels, or one sigmoid a label. *Shape:* (rows, num_labels) → the same."""
    tensor = torch.from_numpy(logits)
    return (tensor.sigmoid() if multi else tensor.softmax(-1)).numpy()


def sequence_limit(architecture: ModelConfig, wanted: int | None) -> int:
    """The longest sequence in tokens: the model's maximum, or less if that is wanted.

    Raises:
        SettingsError: More is wanted than the model has positions.
    """
    longest = architecture.input_stack.max_positions
    if wanted is not None and wanted > longest:
        raise SettingsError(
            f"max_length = {wanted}: this model reads at most {longest} tokens. Ask for less, or leave the setting out."
        )
    return wanted or longest
