"""The training loop: forward, backward, guard, update; validate, remember the best, save, stop in time."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from headway.errors import Interrupted, TrainingError
from headway.settings import TrainingSettings
from headway.training.events import Event, Listener
from headway.training.interruption import watch_signals
from headway.training.loss import LossSum
from headway.training.optimizer import Optimizer, freeze
from headway.training.state import StateFolder, TrainState
from headway.training.step_log import StepFigures, StepLog

__all__ = ["Trainable", "planned_steps", "train"]

BatchType = TypeVar("BatchType")

EVENTS_PER_RUN = 200
"""Training events over a whole run: enough for a smooth curve, few enough to draw."""

MAX_STEPS_BETWEEN_EVALUATIONS = 1000
REFUSALS_IN_A_ROW = 25
"""After this many consecutive non-finite steps training cannot recover by itself."""


class Trainable(Protocol[BatchType]):
    """What is trained: the loop knows neither the task nor the data."""

    @property
    def network(self) -> nn.Module:
        """The weights that are trained."""

    @property
    def metric(self) -> str:
        """Which of the validation's figures decides which weights are the best."""

    @property
    def higher_is_better(self) -> bool:
        """Of that figure."""

    def steps_in_epoch(self, epoch: int) -> int:
        """How many steps an epoch has."""

    def batches(self, epoch: int, first: int) -> Iterator[list[BatchType]]:
        """The micro-batches of each step from step `first` to the epoch's end, already on the device."""

    def loss(self, batch: BatchType) -> LossSum:
        """The loss of a micro-batch; must not read anything from the device."""

    def num_tokens(self, batch: BatchType) -> int:
        """Tokens of a micro-batch, for the speed."""

    def validate(self) -> dict[str, float]:
        """Figures on the validation data: validation_loss and the task's metrics."""


def train(
    job: Trainable[BatchType],
    settings: TrainingSettings,
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
    freeze(job.network, settings.freeze_layers)
    run = _Run(job, settings, states, listeners)
    if resume and states.exists():
        run.progress = states.load(job.network, run.optimizer)
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
    states.load_best(job.network, run.progress.best_step)
    job.network.eval()
    return run.progress


def planned_steps(job: Trainable[BatchType], epochs: float) -> int:
    """Steps in `epochs` passes over the data; a part of an epoch is rounded up."""
    whole = int(epochs)
    steps = sum(job.steps_in_epoch(epoch) for epoch in range(whole))
    return steps + math.ceil((epochs - whole) * job.steps_in_epoch(whole))


class _Run(Generic[BatchType]):
    """One training under way: the optimizer, how far it is, and what is due after each step.

    An ordinary step only queues work for the device. The host reads the figures of the steps, and thereby waits for
    the device, when an event, a validation or a save is due.
    """

    def __init__(
        self, job: Trainable[BatchType], settings: TrainingSettings, states: StateFolder, listeners: Sequence[Listener]
    ) -> None:
        self.job, self.settings, self.states, self.listeners = job, settings, states, listeners
        self.optimizer = Optimizer(job.network, settings)
        self.progress = TrainState()
        self.log = StepLog()
        self.total_steps = planned_steps(job, float(settings.epochs))
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
        progress.step += 1
        progress.step_in_epoch += 1
        self._update(micro_batches)
        last = progress.step >= self.total_steps
        event_due = last or progress.step % self.event_interval == 0
        evaluation_due = last or progress.step % self.evaluation_interval == 0
        save_due = last or time.monotonic() - self.last_save >= 60 * self.settings.save_minutes
        # Read before the clock is: the device's work belongs to the steps that queued it.
        steps = self.log.read() if event_due or evaluation_due or save_due else []
        self._count_work(sum(self.job.num_tokens(batch) for batch in micro_batches))
        self._account(steps)
        if event_due:
            self._tell_training(learning_rate, steps[-1].gradient_norm)
        if evaluation_due:
            self._evaluate()
        progress.finished = last or progress.stopped_early
        if progress.finished or save_due:
            self.save()
        self.mark = time.perf_counter()

    @property
    def tokens_per_second(self) -> float:
        """Speed of the training steps so far, validation and saving left out."""
        return self.progress.tokens / self.progress.seconds if self.progress.seconds else 0.0

    def save(self) -> None:
        """Save the state."""
        self._account(self.log.read())
        self.states.save(self.job.network, self.optimizer, self.progress)
        self.last_save = time.monotonic()

    def _update(self, micro_batches: list[BatchType]) -> None:
        """One optimizer step on the mean loss over all micro-batches; a non-finite one is never applied."""
        self.job.network.train()
        objective, divisor, scale = _backward(self.job, micro_batches)
        loss = objective / divisor
        # The gradient of the mean is the gradient at hand times scale / divisor.
        remaining = divisor / scale
        norm = self.optimizer.gradient_norm() / remaining
        finite = torch.isfinite(loss) & torch.isfinite(norm)
        self.optimizer.step(norm, apply=finite, divisor=remaining)
        self.optimizer.clear()
        self.log.add(self.progress.step, self._epoch(), loss=loss, divisor=divisor, gradient_norm=norm, applied=finite)

    def _count_work(self, tokens: int) -> None:
        # From the end of the last step, so that waiting for data counts.
        seconds = time.perf_counter() - self.mark
        self.progress.tokens += tokens
        self.progress.seconds += seconds
        self.tokens_since_event += tokens
        self.seconds_since_event += seconds

    def _account(self, steps: list[StepFigures]) -> None:
        """Add up what was read; tell the refused steps, and give up when they do not end.

        Raises:
            TrainingError: Too many steps in a row were refused.
        """
        progress = self.progress
        for figures in steps:
            if figures.applied:
                progress.refused_in_a_row = 0
                progress.loss_sum += figures.loss * figures.divisor
                progress.loss_weight += figures.divisor
                continue
            progress.refused_steps += 1
            progress.refused_in_a_row += 1
            self._tell({"step": figures.step, "epoch": figures.epoch, "refused": 1.0})
            if progress.refused_in_a_row >= REFUSALS_IN_A_ROW:
                raise TrainingError(
                    f"The loss or its gradient was not finite for {REFUSALS_IN_A_ROW} steps in a row, up to step "
                    f"{figures.step} (loss {figures.loss}, gradient norm {figures.gradient_norm}); none of these steps "
                    "was applied. Lower the learning rate (--set learning_rate=…) or use --set precision=float32."
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
        self.job.network.eval()
        with torch.inference_mode():
            figures = self.job.validate()
        progress = self.progress
        self._tell({"step": progress.step, "epoch": self._epoch(), **figures})
        value = figures[self.job.metric] * (1 if self.job.higher_is_better else -1)
        if math.isnan(value):
            value = -math.inf
        if progress.best_value is None or value > progress.best_value:
            progress.best_value, progress.best_step, progress.evaluations_since_best = value, progress.step, 0
            self.states.save_best(self.job.network, progress.step)
        else:
            progress.evaluations_since_best += 1
            patience = self.settings.patience
            assert patience != "auto", "the recipe decides"
            progress.stopped_early = patience is not None and progress.evaluations_since_best >= patience

    def _epoch(self) -> float:
        """Passes over the data so far, in parts of an epoch."""
        return self.progress.epoch + self.progress.step_in_epoch / self.job.steps_in_epoch(self.progress.epoch)

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)


def _backward(job: Trainable[BatchType], micro_batches: list[BatchType]) -> tuple[Tensor, Tensor, Tensor]:
    """Add up the gradient of a step, micro-batch by micro-batch.

    The step's divisor is known only after its last micro-batch. Until then each is divided by an estimate made from the
    first, which keeps the gradient in its usual range; the optimizer divides by what is left, which for a single
    micro-batch is exactly 1.

    Returns:
        The sum of the objective, its divisor, and what the gradient has been divided by. *Shape:* each ().
    """
    objectives, divisors, scale = [], [], None
    for batch in micro_batches:
        loss = job.loss(batch)
        divisor = loss.divisor_tensor()
        if scale is None:
            # A micro-batch may have nothing to learn from; the others must not be divided by its zero.
            scale = divisor.masked_fill(divisor <= 0, 1) * len(micro_batches)
        (loss.objective / scale).backward()
        objectives.append(loss.objective.detach())
        divisors.append(divisor)
    assert scale is not None
    return torch.stack(objectives).sum(), torch.stack(divisors).sum(), scale
