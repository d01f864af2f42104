"""The training loop: forward, backward, guard, update; validate, remember the best, save, stop in time."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from headway.errors import Interrupted, TrainingError
from headway.settings import Settings
from headway.training.events import Event, Listener
from headway.training.interruption import watch_signals
from headway.training.optimizer import Optimizer, freeze
from headway.training.state import StateFolder, TrainState

__all__ = ["Job", "planned_steps", "train"]

BatchType = TypeVar("BatchType")

EVENTS_PER_RUN = 200
"""Training events over a whole run: enough for a smooth curve, few enough to draw."""

MAX_STEPS_BETWEEN_EVALUATIONS = 1000
REFUSALS_IN_A_ROW = 25
"""After so many non-finite steps one after the other, training cannot recover by itself."""


@dataclass(frozen=True)
class Job(Generic[BatchType]):
    """What is trained, as callables: the loop knows neither the task nor the data."""

    model: nn.Module

    steps_in_epoch: Callable[[int], int]
    """How many steps an epoch has."""

    batches: Callable[[int, int], Iterator[list[BatchType]]]
    """(epoch, first step) → the micro-batches of each step from there to the epoch's end."""

    loss: Callable[[BatchType], Tensor]
    """Sum of a micro-batch's losses."""

    weight: Callable[[BatchType], float]
    """What the sum of losses is divided by, summed over the whole step's micro-batches: the exact mean, whatever
    the division into micro-batches."""

    tokens: Callable[[BatchType], int]
    """Tokens of a micro-batch, for the speed."""

    validate: Callable[[], dict[str, float]]
    """Figures on the validation data: validation_loss and the task's metrics."""

    metric: str
    """Which of them decides; the higher the better, but for validation_loss."""


def train(
    job: Job[BatchType],
    settings: Settings,
    states: StateFolder,
    listeners: Sequence[Listener],
    *,
    on_step: Callable[[int, float], None] = lambda step, tokens_per_second: None,
    resume: bool = False,
) -> TrainState:
    """Train until the planned epochs are done or validation has stopped improving, and restore the best weights.

    Args:
        job: What is trained.
        settings: How.
        states: Where the state is saved, and the best weights are kept.
        listeners: They are told every point of the learning curves.
        on_step: Is told every step and the tokens per second so far.
        resume: Go on from the saved state, if there is one.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        TrainingError: The loss or the gradient stays non-finite.
    """
    freeze(job.model, settings.freeze_layers)
    run = _Run(job, settings, states, listeners)
    if resume and states.exists():
        run.progress = states.load(job.model, run.optimizer)
    with watch_signals() as interruption:
        while not run.progress.finished:
            for micro_batches in job.batches(run.progress.epoch, run.progress.step_in_epoch):
                run.step(micro_batches)
                on_step(run.progress.step, run.tokens_per_second)
                if interruption.requested and not run.progress.finished:
                    run.save()
                    raise Interrupted(
                        f"Stopped after step {run.progress.step} of {run.total_steps}. The state is saved."
                    )
                if run.progress.finished:
                    break
            else:
                run.progress.epoch += 1
                run.progress.step_in_epoch = 0
    states.load_best(job.model, run.progress.best_step)
    job.model.eval()
    return run.progress


def planned_steps(job: Job[BatchType], epochs: float) -> int:
    """Steps in `epochs` passes over the data; a part of an epoch is rounded up."""
    whole = int(epochs)
    steps = sum(job.steps_in_epoch(epoch) for epoch in range(whole))
    return steps + math.ceil((epochs - whole) * job.steps_in_epoch(whole))


class _Run(Generic[BatchType]):
    """One training under way: the optimizer, how far it is, and what is due after each step."""

    def __init__(
        self, job: Job[BatchType], settings: Settings, states: StateFolder, listeners: Sequence[Listener]
    ) -> None:
        self.job, self.settings, self.states, self.listeners = job, settings, states, listeners
        self.optimizer = Optimizer(job.model, settings)
        self.progress = TrainState()
        self.total_steps = planned_steps(job, settings.epochs)
        per_epoch = math.ceil(job.steps_in_epoch(0) / settings.evaluations_per_epoch)
        self.evaluation_interval = max(1, min(per_epoch, MAX_STEPS_BETWEEN_EVALUATIONS))
        self.event_interval = max(1, self.total_steps // EVENTS_PER_RUN)
        self.last_save = time.monotonic()
        self.mark = time.perf_counter()
        self.tokens_since_event = 0
        self.seconds_since_event = 0.0

    def step(self, micro_batches: list[BatchType]) -> None:
        """Train on one step's micro-batches, then do whatever is due."""
        progress = self.progress
        learning_rate = self.optimizer.set_learning_rate(progress.step, self.total_steps)
        norm = self._update(micro_batches)
        tokens = sum(self.job.tokens(batch) for batch in micro_batches)
        # From the end of the last step, so that waiting for data counts.
        seconds = time.perf_counter() - self.mark
        progress.step += 1
        progress.step_in_epoch += 1
        progress.tokens += tokens
        progress.seconds += seconds
        self.tokens_since_event += tokens
        self.seconds_since_event += seconds
        last = progress.step >= self.total_steps
        if progress.step % self.event_interval == 0 or last:
            self._tell_training(learning_rate, norm)
        if progress.step % self.evaluation_interval == 0 or last:
            self._evaluate()
        progress.finished = last or progress.stopped_early
        if progress.finished or time.monotonic() - self.last_save >= 60 * self.settings.save_minutes:
            self.save()
        self.mark = time.perf_counter()

    @property
    def tokens_per_second(self) -> float:
        """Speed of the training steps so far, validation and saving left out."""
        return self.progress.tokens / self.progress.seconds if self.progress.seconds else 0.0

    def save(self) -> None:
        """Save the state."""
        self.states.save(self.job.model, self.optimizer, self.progress)
        self.last_save = time.monotonic()

    def _update(self, micro_batches: list[BatchType]) -> float:
        """One optimizer step on the mean loss over all micro-batches; returns the gradient's length.

        A non-finite loss or gradient is never applied.
        """
        self.job.model.train()
        weight = sum(self.job.weight(batch) for batch in micro_batches)
        losses = []
        for batch in micro_batches:
            mean = self.job.loss(batch) / weight
            mean.backward()
            losses.append(mean.detach())
        loss = float(torch.stack(losses).sum())
        norm = self.optimizer.gradient_norm()
        if math.isfinite(loss) and math.isfinite(norm):
            self.optimizer.step(norm)
            self.progress.refused_in_a_row = 0
            self.progress.loss_sum += loss * weight
            self.progress.loss_weight += weight
        else:
            self._refuse(loss, norm)
        self.optimizer.clear()
        return norm

    def _refuse(self, loss: float, norm: float) -> None:
        progress = self.progress
        progress.refused_steps += 1
        progress.refused_in_a_row += 1
        self._tell({"step": progress.step + 1, "epoch": self._epoch(), "refused": 1.0})
        if progress.refused_in_a_row >= REFUSALS_IN_A_ROW:
            raise TrainingError(
                f"The loss or its gradient was not finite for {REFUSALS_IN_A_ROW} steps in a row, up to step "
                f"{progress.step + 1} (loss {loss}, gradient length {norm}); none of these steps was applied. "
                "Lower the learning rate (--set learning_rate=…) or use --set precision=float32."
            )

    def _tell_training(self, learning_rate: float, norm: float) -> None:
        progress = self.progress
        event: Event = {"step": progress.step, "epoch": self._epoch(), "learning_rate": learning_rate}
        if progress.loss_weight:
            event["train_loss"] = progress.loss_sum / progress.loss_weight
        if math.isfinite(norm):
            event["gradient_norm"] = norm
        event["tokens"] = progress.tokens
        if self.seconds_since_event:
            event["tokens_per_second"] = self.tokens_since_event / self.seconds_since_event
        self._tell(event)
        progress.loss_sum = progress.loss_weight = 0.0
        self.tokens_since_event, self.seconds_since_event = 0, 0.0

    def _evaluate(self) -> None:
        self.job.model.eval()
        with torch.inference_mode():
            figures = self.job.validate()
        progress = self.progress
        self._tell({"step": progress.step, "epoch": self._epoch(), **figures})
        value = figures[self.job.metric] * (-1 if self.job.metric == "validation_loss" else 1)
        if math.isnan(value):
            value = -math.inf
        if progress.best_value is None or value > progress.best_value:
            progress.best_value, progress.best_step, progress.evaluations_since_best = value, progress.step, 0
            self.states.save_best(self.job.model, progress.step)
        else:
            progress.evaluations_since_best += 1
            patience = self.settings.patience
            progress.stopped_early = patience is not None and progress.evaluations_since_best >= patience

    def _epoch(self) -> float:
        """Passes over the data so far, in parts of an epoch."""
        return self.progress.epoch + self.progress.step_in_epoch / self.job.steps_in_epoch(self.progress.epoch)

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)
