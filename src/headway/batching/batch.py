"""What a task makes of an example, and a packed batch of it on the device."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.nn.packing import Packing

__all__ = ["Batch", "Encoded", "collate"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One example, or a part of a long one, as the model reads it; each task fills what its model needs."""

    input_ids: IntArray | None = None
    """Token ids of the input. *Shape:* (length,)."""

    token_types: IntArray | None = None
    """0 in the first text, 1 in the second, for models that tell them apart. *Shape:* (length,)."""

    pixel_values: NDArray[np.float32] | None = None
    """*Shape:* (channels, height, width)."""

    target_ids: IntArray | None = None
    """Token ids of the answer to learn. *Shape:* (target length,)."""

    label: int | tuple[int, ...] | None = None
    """The class to learn; for multi-label, all of them."""

    full_length: int = 0
    """Tokens of the input before it was cut."""

    num_unknown: int = 0
    """Tokens of the input that the vocabulary lacks."""

    @property
    def length(self) -> int:
        """Tokens of the input and the answer: what it costs."""
        return sum(ids.size for ids in (self.input_ids, self.target_ids) if ids is not None) or 1


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Sequences laid end to end, the shortest first, without padding.

    Attributes:
        positions: Where each sequence stood in the list that was collated. *Shape:* (sequences,)
        num_tokens: What the batch costs, in tokens.
        input_ids: *Shape:* (tokens,), int64.
        packing: Where each input starts.
        token_types: *Shape:* (tokens,), int64; none when all inputs are single texts.
        pixel_values: *Shape:* (images, channels, height, width), float32.
        target_ids: *Shape:* (target tokens,), int64.
        target_packing: Where each target starts.
        labels: Class indices, (sequences,) int64; or for multi-label, or mixed labels, shares, (sequences, labels)
            float32.
    """

    positions: IntArray
    num_tokens: int
    input_ids: Tensor | None = None
    packing: Packing | None = None
    token_types: Tensor | None = None
    pixel_values: Tensor | None = None
    target_ids: Tensor | None = None
    target_packing: Packing | None = None
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def to(self, device: torch.device) -> "Batch":
        """The same batch with its tensors on `device`."""
        if device.type == "cpu":
            return self
        moved: dict[str, Any] = {}
        for name in ("input_ids", "token_types", "pixel_values", "target_ids", "labels"):
            tensor: Tensor | None = getattr(self, name)
            if tensor is not None:
                tensor = tensor.pin_memory() if device.type == "cuda" else tensor
                moved[name] = tensor.to(device, non_blocking=True)
        for name in ("packing", "target_packing"):
            packing: Packing | None = getattr(self, name)
            if packing is not None:
                moved[name] = packing.to(device)
        return replace(self, **moved)


def collate(items: Sequence[Encoded], device: torch.device | None = None, num_labels: int | None = None) -> Batch:
    """Pack sequences, the shortest first: equal lengths become neighbours, which attention computes in one block.

    Args:
        items: What a task has made of some examples.
        device: Where the batch shall lie; the CPU when not given.
        num_labels: For multi-label: how many labels there are.
    """
    lengths = np.array([0 if item.input_ids is None else item.input_ids.size for item in items], dtype=np.int64)
    order = np.argsort(lengths, kind="stable")
    ordered = [items[position] for position in order]
    batch = Batch(
        positions=order,
        num_tokens=sum(item.length for item in items),
        **_inputs(ordered),
        **_targets(ordered, num_labels),
    )
    return batch if device is None else batch.to(device)


def _inputs(items: Sequence[Encoded]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ids = [item.input_ids for item in items if item.input_ids is not None]
    if ids:
        found |= {"input_ids": _laid(ids), "packing": Packing(len(each) for each in ids)}
    if any(item.token_types is not None for item in items):
        types = [np.zeros(len(each), np.int64) if t is None else t for each, t in zip(ids, _types(items), strict=True)]
        found["token_types"] = _laid(types)
    pixels = [item.pixel_values for item in items if item.pixel_values is not None]
    if pixels:
        found["pixel_values"] = torch.from_numpy(np.stack(pixels))
    return found


def _targets(items: Sequence[Encoded], num_labels: int | None) -> dict[str, Any]:
    targets = [item.target_ids for item in items if item.target_ids is not None]
    if targets:
        return {"target_ids": _laid(targets), "target_packing": Packing(len(each) for each in targets)}
    labels = [item.label for item in items if item.label is not None]
    if not labels:
        return {}
    if num_labels is None:
        return {"labels": torch.tensor(labels, dtype=torch.int64)}
    matrix = np.zeros((len(labels), num_labels), dtype=np.float32)
    for row, label in zip(matrix, labels, strict=True):
        row[list(label) if isinstance(label, tuple) else label] = 1
    return {"labels": torch.from_numpy(matrix)}


def _laid(sequences: Sequence[IntArray]) -> Tensor:
    return torch.from_numpy(np.concatenate(sequences).astype(np.int64, copy=False))


def _types(items: Sequence[Encoded]) -> list[IntArray | None]:
    return [item.token_types for item in items if item.input_ids is not None]
