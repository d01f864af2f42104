"""A classifier's training as callables for the loop."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headway.batching.batches import (
    Batch,
    Positions,
    epoch_order,
    prefetch,
    split_by_examples,
    split_by_tokens,
    training_batches,
)
from headway.batching.text_encoder import TextEncoder
from headway.errors import Interrupted, SettingsError
from headway.evaluation.metrics.labels import LabelMetrics
from headway.evaluation.metrics.metric import compute_metrics
from headway.examples.examples import Example, Examples
from headway.settings import Settings
from headway.tasks.classification.data import ClassificationData
from headway.tasks.classification.engine import Engine, probabilities
from headway.tasks.classification.loss import Loss, balanced_weights
from headway.tasks.folder import RunFolder
from headway.tasks.reporter import Reporter
from headway.training.events import CurveFile, Event, TensorBoardListener
from headway.training.loop import Job, planned_steps, train
from headway.training.state import TrainState

__all__ = ["Outcome", "check_metric", "choose_metric", "fit"]

METRICS = {
    False: ("macro_f1", "accuracy", "mcc", "validation_loss"),
    True: ("micro_f1", "macro_f1", "mean_average_precision", "subset_accuracy", "validation_loss"),
}
"""What early stopping can watch, the default first; for single labels and for multi-label."""

_CHUNK = 4096


@dataclass(frozen=True)
class Outcome:
    """How a training went."""

    progress: TrainState
    total_steps: int
    events: tuple[Event, ...]
    metric: str


def fit(
    engine: Engine,
    data: ClassificationData,
    settings: Settings,
    metric: str,
    folder: RunFolder,
    reporter: Reporter,
    *,
    resume: bool = False,
) -> Outcome:
    """Train the engine's model in place, from the folder's saved state if `resume`; the best weights are in it after.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved, and the message says how to go on.
        TrainingError: The loss or the gradient stays non-finite.
    """
    job = _build_job(engine, data, settings, metric)
    total_steps = planned_steps(job, settings.epochs)
    start = folder.states.peek().step if resume and folder.states.exists() else 0
    curves = CurveFile(folder.curves)
    curves.truncate_after(start)
    board = TensorBoardListener(folder.tensorboard, start)
    reporter.training_starts(total_steps, start)
    try:
        progress = train(
            job, settings, folder.states, [curves, board, reporter.event], on_step=reporter.step, resume=resume
        )
    except Interrupted as interruption:
        raise Interrupted(
            f"{interruption} Go on with: headway train --resume --output {folder.folder}"
        ) from interruption
    finally:
        reporter.training_ends()
        board.close()
    return Outcome(progress, total_steps, tuple(curves.read()), metric)


def check_metric(wanted: str | None) -> None:
    """Before the data has told which kind of task it is: refuse what neither kind has.

    Raises:
        SettingsError: There is no such figure.
    """
    known = dict.fromkeys(name for names in METRICS.values() for name in names)
    if wanted is not None and wanted not in known:
        raise SettingsError(f"metric = {wanted!r}: there is no such figure, only {', '.join(known)}.")


def choose_metric(wanted: str | None, multi: bool) -> str:
    """What early stopping watches.

    Raises:
        SettingsError: The task has no such figure.
    """
    if wanted is None:
        return METRICS[multi][0]
    if wanted not in METRICS[multi]:
        raise SettingsError(f"metric = {wanted!r}: this task has {', '.join(METRICS[multi])}.")
    return wanted


def _build_job(engine: Engine, data: ClassificationData, settings: Settings, metric: str) -> Job[Batch]:
    train_examples, targets = data.splits.train, data.splits.train.targets()
    weights = None
    if settings.class_weights == "balanced":
        weights = balanced_weights(targets, len(data.labels.names), data.labels.multi).to(engine.device)
    loss = Loss(data.labels.multi, settings.label_smoothing, weights)
    plan = _plan_steps(train_examples, engine.encoder, settings)

    def batches(epoch: int, first: int) -> Iterator[list[Batch]]:
        made = training_batches(
            plan(epoch)[first:], train_examples, engine.encoder, targets, micro_batches=settings.micro_batches
        )
        return prefetch(made)

    def batch_loss(batch: Batch) -> Tensor:
        moved = batch.to(engine.device)
        assert moved.labels is not None
        return loss.total(engine.forward(moved), moved.labels)

    return Job(
        model=engine.model,
        steps_in_epoch=lambda epoch: len(plan(epoch)),
        batches=batches,
        loss=batch_loss,
        weight=lambda batch: loss.weight(_labels(batch)),
        tokens=lambda batch: batch.num_tokens,
        validate=lambda: _validate(engine, data),
        metric=metric,
    )


def _labels(batch: Batch) -> Tensor:
    assert batch.labels is not None
    return batch.labels


def _plan_steps(examples: Examples, encoder: TextEncoder, settings: Settings) -> Callable[[int], list[Positions]]:
    """The steps of each epoch, as positions of examples: a function of the seed and the epoch."""
    budget = settings.max_tokens
    lengths = None if budget is None else _lengths(examples, encoder)

    @lru_cache(maxsize=2)
    def plan(epoch: int) -> list[Positions]:
        order = epoch_order(len(examples), settings.seed, epoch)
        if budget is None or lengths is None:
            return split_by_examples(order, settings.batch_size)
        return split_by_tokens(order, lengths, budget)

    return plan


def _chunks(examples: Examples) -> Iterator[list[Example]]:
    for start in range(0, len(examples), _CHUNK):
        yield examples.fetch(range(start, min(start + _CHUNK, len(examples))))


def _lengths(examples: Examples, encoder: TextEncoder) -> NDArray[np.int64]:
    """Tokens of every example. *Shape:* (examples,)."""
    return np.array([len(s.input_ids) for chunk in _chunks(examples) for s in encoder.encode(chunk)], dtype=np.int64)


def _validate(engine: Engine, data: ClassificationData) -> dict[str, float]:
    """Loss and metrics on the validation rows; the loss is plain cross-entropy, without smoothing or weights."""
    targets, multi = data.splits.validation.targets(), data.labels.multi
    logits = np.concatenate([engine.logits(chunk) for chunk in _chunks(data.splits.validation)])
    plain, labels = Loss(multi), torch.from_numpy(targets)
    loss = float(plain.total(torch.from_numpy(logits), labels)) / plain.weight(labels)
    if not np.isfinite(logits).all():
        return dict.fromkeys(METRICS[multi], math.nan) | {"validation_loss": loss}
    metrics = LabelMetrics(data.labels.names, multi)
    statistics = metrics.statistics_of(targets, probabilities(logits, multi))
    return {"validation_loss": loss, **compute_metrics(metrics, statistics)}
