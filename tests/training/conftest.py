"""A job small enough to follow by hand: a line through points."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from headway.training.loop import Job


@dataclass
class Points:
    x: Tensor
    y: Tensor


@pytest.fixture
def make_job() -> Callable[..., Job[Points]]:
    """`make_job(steps=8, micro_batches=1, poison={step}, validation=[…])`: least squares in 4 dimensions."""

    def make(
        steps: int = 8,
        micro_batches: int = 1,
        poison: frozenset[int] = frozenset(),
        validation: Callable[[nn.Module, int], dict[str, float]] | None = None,
        metric: str = "validation_loss",
    ) -> Job[Points]:
        torch.manual_seed(3)
        model = nn.Linear(4, 1)
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(steps, 6, 4, generator=generator)
        y = x @ torch.tensor([1.0, -2.0, 0.5, 3.0])[:, None]
        calls = 0

        def batches(epoch: int, first: int) -> Iterator[list[Points]]:
            for step in range(first, steps):
                bad = torch.full_like(y[step], float("nan")) if step in poison else y[step]
                # Parts of unequal size, so that a mean of means would differ.
                parts = [slice(0, 1), slice(1, 6)] if micro_batches == 2 else [slice(0, 6)]
                yield [Points(x[step, part], bad[part]) for part in parts]

        def validate() -> dict[str, float]:
            nonlocal calls
            calls += 1
            if validation is not None:
                return validation(model, calls)
            return {"validation_loss": float(((model(x[0]) - y[0]) ** 2).mean())}

        return Job(
            model=model,
            steps_in_epoch=lambda epoch: steps,
            batches=batches,
            loss=lambda batch: ((model(batch.x) - batch.y) ** 2).sum(),
            weight=lambda batch: float(len(batch.y)),
            tokens=lambda batch: batch.x.numel(),
            validate=validate,
            metric=metric,
        )

    return make
