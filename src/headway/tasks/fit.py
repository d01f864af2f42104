"""A task's training, as the loop wants it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headway.batching.batch import Batch, collate
from headway.batching.prefetch import map_ahead
from headway.batching.sampling import Positions, epoch_order, split_by_examples, split_by_tokens
from headway.device import autocast
from headway.errors import Interrupted, SettingsError
from headway.evaluation.metrics import compute_metrics
from headway.settings import Settings
from headway.tasks.encoding import EncodedRows, answer_rows, for_each_batch, num_workers
from headway.tasks.folder import RunFolder
from headway.tasks.reporter import Reporter
from headway.tasks.task import Part, Task, TaskModel
from headway.training.events import CurveFile, Event, Listener, TensorBoardListener
from headway.training.loop import planned_steps, train
from headway.training.loss import LossSum
from headway.training.state import TrainState

__all__ = ["Outcome", "choose_metric", "fit", "statistics_of"]

AnyTask = Task[Any, Any, Any]
FloatArray = NDArray[np.float64]

VALIDATION_LOSS = "validation_loss"


@dataclass(frozen=True)
class Outcome:
    """How a training went."""

    state: TrainState
    total_steps: int
    events: tuple[Event, ...]
    metric: str


def choose_metric(task: AnyTask, spec: Any, wanted: str | None) -> tuple[str, bool]:
    """What early stopping watches, and whether higher is better.

    Raises:
        SettingsError: The task has no such metric.
    """
    infos = {info.name: info for info in task.metrics(spec).infos}
    if wanted == VALIDATION_LOSS:
        return wanted, False
    if wanted is not None and wanted not in infos:
        raise SettingsError(f"metric = {wanted!r}: unknown metric; choose from {', '.join(infos)}, {VALIDATION_LOSS}.")
    name = wanted or task.watched_metric(spec)
    return name, infos[name].higher_is_better


def fit(
    task: AnyTask,
    model: TaskModel,
    spec: Any,
    rows: dict[str, EncodedRows],
    settings: Settings,
    folder: RunFolder,
    reporter: Reporter,
    *,
    resume: bool = False,
) -> Outcome:
    """Train the model in place, from the folder's saved state if `resume`; it has the best weights afterwards.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved, and the message says how to go on.
        TrainingError: The loss or the gradient stays non-finite.
    """
    metric, higher = choose_metric(task, spec, settings.training.metric)
    job = _Job(task, model, spec, rows, settings, metric, higher)
    total_steps = planned_steps(job, float(settings.training.epochs))
    start = folder.states.peek().step if resume and folder.states.exists() else 0
    curves = CurveFile(folder.curves)
    curves.truncate_after(start)
    board = TensorBoardListener(folder.tensorboard, start) if settings.training.tensorboard else None
    listeners: list[Listener] = [curves, *([board] if board else []), reporter.event]
    reporter.training_starts(total_steps, start)
    try:
        state = train(job, settings.training, folder.states, listeners, on_step=reporter.step, resume=resume)
    except Interrupted as interruption:
        raise Interrupted(
            f"{interruption} Continue with: headway train --resume --output {folder.folder}"
        ) from interruption
    finally:
        reporter.training_ends()
        if board is not None:
            board.close()
    return Outcome(state, total_steps, tuple(curves.read()), metric)


def statistics_of(
    task: AnyTask, spec: Any, rows: EncodedRows, answers: list[Any], positions: Positions | None = None
) -> FloatArray:
    """What the metrics are computed from. *Shape:* (rows, width)."""
    metrics = task.metrics(spec)
    context = metrics.context(rows.examples)
    chosen = np.arange(len(rows)) if positions is None else positions
    examples = rows.examples.fetch(chosen, role="target")
    return np.stack(
        [metrics.statistics(answer, example, context) for answer, example in zip(answers, examples, strict=True)]
    )


class _Job:
    """What the training loop asks for; see `headway.training.loop.Trainable`."""

    def __init__(
        self,
        task: AnyTask,
        model: TaskModel,
        spec: Any,
        rows: dict[str, EncodedRows],
        settings: Settings,
        metric: str,
        higher_is_better: bool,
    ) -> None:
        self.task, self.model, self.spec, self.settings = task, model, spec, settings
        self.metric, self.higher_is_better = metric, higher_is_better
        self.network = model.network
        self.rows, self.validation = rows["train"], rows["validation"]
        self.num_labels = task.num_labels(spec)
        self.plan = lru_cache(maxsize=2)(self._plan)

    def steps_in_epoch(self, epoch: int) -> int:
        """How many steps an epoch has."""
        return len(self.plan(epoch))

    def batches(self, epoch: int, first: int) -> Iterator[list[Batch]]:
        """The micro-batches of each step from step `first` on, made ahead."""
        steps = list(enumerate(self.plan(epoch)))[first:]
        return map_ahead(partial(self._step, epoch), steps, workers=num_workers(self.task))

    def loss(self, batch: Batch) -> LossSum:
        """The loss of a micro-batch."""
        with autocast(self.model.device, self.model.precision):
            return self.task.loss(self.model, batch)

    def num_tokens(self, batch: Batch) -> int:
        """Tokens of a micro-batch."""
        return batch.num_tokens

    def validate(self) -> dict[str, float]:
        """Loss and metrics on the validation rows; the loss is the plain one, without smoothing or weights."""
        metrics = self.task.metrics(self.spec)
        answers: dict[int, Any] = {}
        losses = for_each_batch(self.model, self.validation.batches(self.num_labels), self._validate)
        nll = torch.stack([loss.nll.double().cpu() for _, (loss, _) in losses]).sum()
        count = sum(float(loss.count) for _, (loss, _) in losses)
        figures = {VALIDATION_LOSS: float(nll) / max(count, 1e-9)}
        chosen = np.arange(len(self.validation))
        if metrics.needs_answers:
            most = self.settings.training.validation_answers
            chosen = np.unique(np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(np.int64))
            given = answer_rows(self.task, self.model, self.spec, self.validation, self.settings, chosen)
        else:
            for places, (_, parts) in losses:
                answers.update(zip(places.tolist(), parts, strict=True))
            given = [answers[place].value for place in chosen.tolist()]
        if not np.isfinite(figures[VALIDATION_LOSS]):
            return figures | dict.fromkeys((info.name for info in metrics.infos), float("nan"))
        statistics = statistics_of(self.task, self.spec, self.validation, given, chosen)
        return figures | compute_metrics(metrics, statistics)

    def _validate(self, batch: Batch) -> tuple[LossSum, list[Part]]:
        loss = self.loss(batch)
        if self.task.metrics(self.spec).needs_answers:
            return replace(loss, outputs=None), []
        parts = self.task.answer(self.model, self.spec, batch, self.settings, loss.outputs)
        return replace(loss, outputs=None), list(parts)

    def _plan(self, epoch: int) -> list[Positions]:
        """The steps of an epoch, as positions of examples: a function of the seed and the epoch."""
        training = self.settings.training
        order = epoch_order(len(self.rows), training.seed, epoch)
        if training.max_tokens is None:
            return split_by_examples(order, int(training.batch_size))
        return split_by_tokens(order, self.rows.lengths, training.max_tokens)

    def _step(self, epoch: int, step: tuple[int, Positions]) -> list[Batch]:
        """The micro-batches of a step: a function of the seed, the epoch and the step."""
        training, (number, positions) = self.settings.training, step
        encoded = self.rows.fetch(positions, epoch)
        rng = np.random.default_rng([training.seed, epoch, number, 1])
        parts = np.array_split(np.arange(len(positions)), min(training.micro_batches, len(positions)))
        made = (collate([encoded[index] for index in part], self.model.device, self.num_labels) for part in parts)
        return [self.task.mix(self.model, batch, self.settings, rng) for batch in made]
