"""Token sequences become packed batches, in an order that a seed decides and a resumed run can find again."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.batching.text_encoder import TextEncoder
from headway.examples.examples import Examples
from headway.tokenizers.tokenizer import TokenSequence

__all__ = ["Batch", "collate", "epoch_order", "prefetch", "split_by_examples", "split_by_tokens", "training_batches"]

Positions = NDArray[np.int64]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """Sequences laid end to end, the shortest first, without padding."""

    input_ids: Tensor
    """*Shape:* (tokens,), int64."""

    lengths: tuple[int, ...]
    """Tokens of each sequence, ascending."""

    token_types: Tensor | None
    """*Shape:* (tokens,), int64; none when all texts are single."""

    labels: Tensor | None
    """*Shape:* (sequences,) int64 class indices, or (sequences, labels) float32 for multi-label."""

    order: Positions
    """Where each sequence stood in the list that was collated. *Shape:* (sequences,)."""

    @property
    def num_tokens(self) -> int:
        """Tokens of all sequences."""
        return sum(self.lengths)

    def to(self, device: torch.device) -> "Batch":
        """The same batch with its tensors on `device`."""
        if device.type == "cpu":
            return self

        def move(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.pin_memory().to(device, non_blocking=True)

        input_ids = move(self.input_ids)
        assert input_ids is not None
        return replace(self, input_ids=input_ids, token_types=move(self.token_types), labels=move(self.labels))


def collate(sequences: Sequence[TokenSequence], targets: NDArray[np.generic] | None = None) -> Batch:
    """Pack sequences, the shortest first: equal lengths become neighbours, which attention computes in one block."""
    lengths = np.array([len(sequence.input_ids) for sequence in sequences], dtype=np.int64)
    order = np.argsort(lengths, kind="stable")
    ordered = [sequences[position] for position in order]
    paired = any(sequence.token_types is not None for sequence in ordered)
    return Batch(
        input_ids=torch.from_numpy(np.concatenate([sequence.input_ids for sequence in ordered])),
        lengths=tuple(lengths[order].tolist()),
        token_types=torch.from_numpy(np.concatenate([_types(sequence) for sequence in ordered])) if paired else None,
        labels=None if targets is None else torch.from_numpy(targets[order]),
        order=order,
    )


def _types(sequence: TokenSequence) -> NDArray[np.int64]:
    return np.zeros_like(sequence.input_ids) if sequence.token_types is None else sequence.token_types


def epoch_order(num_examples: int, seed: int, epoch: int) -> Positions:
    """The order of the examples in an epoch: a function of the seed and the epoch, of nothing else."""
    return np.random.default_rng([seed, epoch]).permutation(num_examples)


def split_by_examples(order: Positions, batch_size: int) -> list[Positions]:
    """Steps of `batch_size` examples; the last may be smaller."""
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def split_by_tokens(order: Positions, lengths: NDArray[np.integer], max_tokens: int) -> list[Positions]:
    """Steps of as many examples as fit into `max_tokens` tokens, at least one.

    Args:
        order: The examples in the order in which they come.
        lengths: Tokens of each example, by its position in the data. *Shape:* (examples,)
        max_tokens: Token budget of a step.
    """
    steps: list[Positions] = []
    start = tokens = 0
    for index, length in enumerate(lengths[order].tolist()):
        if index > start and tokens + length > max_tokens:
            steps.append(order[start:index])
            start, tokens = index, 0
        tokens += length
    steps.append(order[start:])
    return steps


def training_batches(
    steps: Iterable[Positions],
    examples: Examples,
    encoder: TextEncoder,
    targets: NDArray[np.generic],
    micro_batches: int = 1,
) -> Iterator[list[Batch]]:
    """Fetch, encode and pack the examples of each step, each step in `micro_batches` parts."""
    for positions in steps:
        sequences = encoder.encode(examples.fetch(positions))
        parts = np.array_split(np.arange(len(positions)), min(micro_batches, len(positions)))
        yield [collate([sequences[index] for index in part], targets[positions[part]]) for part in parts]


def prefetch(items: Iterator[Item], ahead: int = 4) -> Iterator[Item]:
    """The same items, made in a thread of their own up to `ahead` before they are asked for."""
    end = object()
    worker = ThreadPoolExecutor(1, thread_name_prefix="headway-batches")
    try:
        pending = deque(worker.submit(next, items, end) for _ in range(ahead))
        while (item := pending.popleft().result()) is not end:
            pending.append(worker.submit(next, items, end))
            yield cast("Item", item)
    finally:
        worker.shutdown(cancel_futures=True)
