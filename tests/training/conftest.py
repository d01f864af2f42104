"""A job small enough to follow by hand: a line through points."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from headway.training.loss import LossSum


@dataclass
class Points:
    x: Tensor
    y: Tensor


@dataclass
class LineFit:
    """Least squares in 4 dimensions, as the loop wants it."""

    steps: int = 8
    micro_batches: int = 1
    poison: frozenset[int] = frozenset()
    """Steps whose loss is not a number."""
    validation: Callable[[nn.Module, int], dict[str, float]] | None = None
    metric: str = "validation_loss"
    device: str = "cpu"
    network: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(3)
        self.network = nn.Linear(4, 1).to(self.device)
        self.calls = 0
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(self.steps, 6, 4, generator=generator)
        self.x, self.y = x.to(self.device), (x @ torch.tensor([1.0, -2.0, 0.5, 3.0])[:, None]).to(self.device)

    @property
    def higher_is_better(self) -> bool:
        return self.metric != "validation_loss"

    def steps_in_epoch(self, epoch: int) -> int:
        return self.steps

    def batches(self, epoch: int, first: int) -> Iterator[list[Points]]:
        # Parts of unequal size, so that a mean of means would differ; one of them is empty.
        parts = {1: [slice(0, 6)], 2: [slice(0, 1), slice(1, 6)], 3: [slice(0, 0), slice(0, 1), slice(1, 6)]}
        for step in range(first, self.steps):
            y = torch.full_like(self.y[step], float("nan")) if step in self.poison else self.y[step]
            yield [Points(self.x[step, part], y[part]) for part in parts[self.micro_batches]]

    def loss(self, batch: Points) -> LossSum:
        total = ((self.network(batch.x) - batch.y) ** 2).sum()
        return LossSum(total, total.detach(), float(len(batch.y)))

    def num_tokens(self, batch: Points) -> int:
        return batch.x.numel()

    def validate(self) -> dict[str, float]:
        self.calls += 1
        if self.validation is not None:
            return self.validation(self.network, self.calls)
        return {"validation_loss": float(((self.network(self.x[0]) - self.y[0]) ** 2).mean())}


@pytest.fixture
def make_job() -> type[LineFit]:
    """`make_job(steps=8, micro_batches=1, poison={step}, validation=[…])`."""
    return LineFit
