"""Copies weights between a checkpoint and a model by a family's rules: all, or an error that lists the gaps."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from headway.checkpoints.config_reader import checkpoint_error
from headway.checkpoints.rules import WeightTable
from headway.checkpoints.weights import StoredTensor
from headway.errors import cut

__all__ = ["Checkpoint", "export_weights", "load_weights"]


@dataclass
class Checkpoint:
    """The stored tensors of a model folder, by the names that a checkpoint written today would use."""

    folder: Path
    table: WeightTable
    tensors: dict[str, StoredTensor]
    doubled: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path, table: WeightTable, stored: Mapping[str, StoredTensor]) -> "Checkpoint":
        """Give the stored tensors their current names and leave out what the table drops."""
        checkpoint = cls(folder, table, {})
        for name, tensor in stored.items():
            current = table.current_name(name)
            if current in checkpoint.tensors:
                checkpoint.doubled.append(name)
            elif current is not None:
                checkpoint.tensors[current] = tensor
        return checkpoint

    def has(self, ours: str, tensor: Tensor) -> bool:
        """Whether it holds any part of our weight called `ours`."""
        return any(name in self.tensors for name in self.table.views(ours, tensor))


def load_weights(
    model: nn.Module, checkpoint: Checkpoint, ignored: Collection[str] = (), *, other_heads: bool = False
) -> None:
    """Fill `model`, built on the meta device, as float32.

    One tensor of the checkpoint is in memory at a time, beside the model. Weights in `ignored` are skipped:
    they become zeros, for the caller to fill. With `other_heads`, modules of the checkpoint that hold
    none of the model's weights are left alone: they belong to another task.

    Raises:
        CheckpointError: Weights are missing, unknown, of another shape or kind, not finite, not equal to the weights
            that they should be tied to, or without a rule in the family's table; all are listed.
    """
    weights = _weights(model)
    views, unnamed = _views(weights, checkpoint.table)
    plan = {name: parts for name, parts in views.items() if name not in ignored}
    skipped = {theirs for name in views if name in ignored for theirs in views[name]}
    wanted = {theirs: view for parts in plan.values() for theirs, view in parts.items()}
    if other_heads:
        own = {_module(name) for name in wanted}
        skipped |= {name for name in checkpoint.tensors if _module(name) not in own}
    problems = _mismatches(checkpoint, wanted, skipped)
    if unnamed:
        problems.insert(
            0,
            f"the family's table has no rule for {len(unnamed)} of the model's own weights: {_listed(unnamed)}. "
            "The file of the family must name them.",
        )
    if problems:
        raise checkpoint_error(checkpoint.folder, problems)
    state = {name: torch.zeros(weight.shape) for name, weight in weights.items()}
    copies: dict[str, list[str]] = {}
    for name in checkpoint.tensors:
        copies.setdefault(checkpoint.table.original(name) or "", []).append(name)
    broken, other = [], []
    for name in plan:
        for theirs, view in checkpoint.table.views(name, state[name]).items():
            view.copy_(checkpoint.tensors[theirs].read())
            # Minimum and maximum are NaN where any value is, and need no second tensor of the weight's size.
            if not torch.stack(view.aminmax()).isfinite().all():
                broken.append(theirs)
            other += [name for name in copies.get(theirs, ()) if not _equal(view, checkpoint.tensors[name])]
    if broken:
        problem = f"weights contain NaN or infinity: {_listed(broken)}. Their training diverged; use another model."
        raise checkpoint_error(checkpoint.folder, [problem])
    if other:
        problem = (
            f"weights differ from those that they should be tied to: {_listed(other)}. A model with weights of "
            "its own in their place, such as an embedding for each stack, is not supported; use another model."
        )
        raise checkpoint_error(checkpoint.folder, [problem])
    model.load_state_dict(state, assign=True)


def export_weights(model: nn.Module, table: WeightTable) -> dict[str, Tensor]:
    """The model's weights under the checkpoint's names, float32, on the CPU.

    They share memory with the model where they can.
    """
    exported: dict[str, Tensor] = {}
    for name, weight in _weights(model).items():
        for theirs, view in table.views(name, weight.detach()).items():
            exported[theirs] = view.to("cpu", torch.float32).contiguous()
            # A file stores no memory twice: a copy needs its own.
            exported |= {copy: exported[theirs].clone() for copy in table.copies(theirs)}
    return exported


def _equal(view: Tensor, stored: StoredTensor) -> bool:
    return stored.readable and torch.equal(view, stored.read().to(view.dtype))


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.state_dict(keep_vars=True))


def _views(weights: Mapping[str, Tensor], table: WeightTable) -> tuple[dict[str, dict[str, Tensor]], list[str]]:
    """The table's views of our weights, and the names of those that it says nothing about."""
    views: dict[str, dict[str, Tensor]] = {}
    unnamed = []
    for name, weight in weights.items():
        try:
            views[name] = table.views(name, weight)
        except LookupError:
            unnamed.append(name)
    return views, unnamed


def _mismatches(checkpoint: Checkpoint, wanted: Mapping[str, Tensor], skipped: Collection[str]) -> list[str]:
    stored = checkpoint.tensors
    missing = [name for name in wanted if name not in stored]
    known = {*wanted, *skipped}
    unknown = [
        name
        for name in stored
        if not (name in known or checkpoint.table.is_spare(name) or checkpoint.table.original(name))
    ] + checkpoint.doubled
    present = {name: view for name, view in wanted.items() if name in stored}
    packed = [f"{name} ({stored[name].dtype})" for name in present if not stored[name].readable]
    misshapen = [
        f"{name} is {_shape(stored[name].shape)} instead of {_shape(view.shape)}"
        for name, view in present.items()
        if stored[name].shape != view.shape
    ]
    problems = []
    if missing:
        problems.append(
            f"{len(missing)} of {len(wanted)} weights are missing: {_listed(missing)}. Fetch the whole model."
        )
    if misshapen:
        problems.append(
            f"{_counted(misshapen)} another shape than config.json says: {_listed(misshapen)}. "
            "config.json and the weights must come from the same model."
        )
    if packed:
        problems.append(f"{_counted(packed)} quantized numbers: {_listed(packed)}. Take the original model.")
    if unknown:
        problems.append(
            f"{_counted(unknown)} no place in the model: {_listed(unknown)}. It has parts that config.json does not "
            "name; leaving them out would change its answers."
        )
    return problems


def _module(name: str) -> str:
    """The outermost module that contains a weight."""
    return name.partition(".")[0]


def _shape(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "a single number"


def _counted(names: Sequence[str]) -> str:
    return "1 weight has" if len(names) == 1 else f"{len(names)} weights have"


def _listed(names: Iterable[str], most: int = 6) -> str:
    """Names; those that differ only in the number of their block are merged."""
    blocks: dict[str, list[int]] = {}
    for name in names:
        number = re.search(r"\.(\d+)\.", name)
        pattern = f"{name[: number.start()]}.{{}}.{name[number.end() :]}" if number else name
        blocks.setdefault(pattern, []).extend([int(number[1])] if number else [])
    shown = [pattern.replace("{}", _span(numbers)) if numbers else pattern for pattern, numbers in blocks.items()]
    rest = len(shown) - most
    return ", ".join(cut(name, 120) for name in shown[:most]) + (f" and {rest} more kinds" if rest > 0 else "")


def _span(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    if sorted(numbers) == list(range(min(numbers), max(numbers) + 1)):
        return f"{{{min(numbers)}–{max(numbers)}}}"
    return f"{{{','.join(map(str, sorted(numbers)[:8]))}{',…' if numbers[8:] else ''}}}"
