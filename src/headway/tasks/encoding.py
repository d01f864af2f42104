"""The rows of a split as a model reads them, and the model at work on them, batch by batch."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from headway.batching.batch import Batch, Encoded, collate
from headway.batching.encoded_store import EncodedStore
from headway.batching.prefetch import map_ahead
from headway.batching.sampling import RowGenerators, split_by_tokens
from headway.device import autocast
from headway.examples.examples import Example, Examples
from headway.settings import Settings
from headway.tasks.task import Part, Task, TaskModel

__all__ = ["EncodedRows", "answer_examples", "answer_rows", "for_each_batch", "num_workers"]

TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65_536, "mps": 16_384}
"""On a CPU with one batch per core at a time, 2,048 was as fast as 4,096 and faster than 1,024."""

_CHUNK = 4096
_MAX_WORKERS = 8

AnyTask = Task[Any, Any, Any]
IntArray = NDArray[np.int64]
Result = TypeVar("Result")


class EncodedRows:
    """The examples of a split, encoded: once for the whole run, or, where the task varies its input, when asked.

    Attributes:
        lengths: What each example costs, in tokens. *Shape:* (examples,)
        store: What was encoded once; none where the task encodes when asked.
    """

    def __init__(self, task: AnyTask, model: TaskModel, examples: Examples, *, seed: int = 0) -> None:
        self.task, self.model, self.examples, self._seed = task, model, examples, seed
        self.store: EncodedStore | None = None
        if not task.varies:
            self.store = EncodedStore(task.encode(model, chunk, targets=True) for chunk in examples.chunks(_CHUNK))
        self.lengths = np.ones(len(examples), dtype=np.int64) if self.store is None else self.store.lengths

    def __len__(self) -> int:
        return len(self.examples)

    def fetch(self, positions: IntArray, epoch: int | None = None) -> list[Encoded]:
        """The encoded examples at `positions`; augmented when an `epoch` of training is given."""
        if self.store is not None:
            return self.store.fetch(positions)
        rngs = None
        if epoch is not None:
            rngs = RowGenerators(self._seed, epoch, self.examples.rows[positions])
        return self.task.encode(self.model, self.examples.fetch(positions), targets=True, rngs=rngs)

    def batches(self, num_labels: int | None, positions: IntArray | None = None) -> Iterator[tuple[IntArray, Batch]]:
        """All rows, or those at `positions`, in batches of similar lengths: positions in the batch's order, and it."""
        chosen = np.arange(len(self)) if positions is None else positions
        order = chosen[np.argsort(self.lengths[chosen], kind="stable")]
        device = self.model.device
        budget = TOKENS_PER_BATCH[device.type]
        costs = self.lengths if self.store is not None else np.full(len(self), budget // 32)

        def made(part: IntArray) -> tuple[IntArray, Batch]:
            batch = collate(self.fetch(part), device, num_labels)
            return part[batch.positions], batch

        return map_ahead(made, split_by_tokens(order, costs, budget), workers=num_workers(self.task))


def num_workers(task: AnyTask) -> int:
    """How many threads encode ahead: several where encoding decodes images."""
    return min(_MAX_WORKERS, os.cpu_count() or 1) if task.varies else 1


def for_each_batch(
    model: TaskModel, batches: Iterator[tuple[IntArray, Batch]], work: Callable[[Batch], Result]
) -> list[tuple[IntArray, Result]]:
    """Do the work for each batch, without gradients: on a CPU one batch per core at a time, if there are enough.

    A core that works alone never waits for the others at the end of each operation: 10 to 15 % more texts per second on
    two cores, and less is lost to a busy neighbour.
    """
    model.network.eval()

    def inferred(item: tuple[IntArray, Batch]) -> tuple[IntArray, Result]:
        with torch.inference_mode(), autocast(model.device, model.precision):
            return item[0], work(item[1])

    cores = torch.get_num_threads()
    first = list(islice(batches, 2 * cores))
    if model.device.type != "cpu" or len(first) < 2 * cores or cores == 1:
        return [inferred(item) for item in chain(first, batches)]
    done: list[tuple[IntArray, Result]] = []
    waiting: deque[Future[tuple[IntArray, Result]]] = deque()
    try:
        with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for item in chain(first, batches):
                waiting.append(pool.submit(inferred, item))
                if len(waiting) > 2 * cores:  # so that not all batches lie in memory at once
                    done.append(waiting.popleft().result())
            done += [future.result() for future in waiting]
    finally:
        torch.set_num_threads(cores)
    return done


def answer_rows(
    task: AnyTask, model: TaskModel, spec: Any, rows: EncodedRows, settings: Settings, positions: IntArray | None = None
) -> list[Any]:
    """One answer per row of a split, or per row at `positions`, in their order.

    Rows that were cut when they were encoded are answered in segments, where the task has any.
    """
    chosen = np.arange(len(rows)) if positions is None else positions
    is_long = np.zeros(len(rows), dtype=bool)
    if task.segments and rows.store is not None:
        is_long = rows.store.full_lengths > rows.store.input_lengths
    long = chosen[is_long[chosen]]
    answers = dict(
        zip(long.tolist(), answer_examples(task, model, spec, rows.examples.fetch(long), settings), strict=True)
    )
    work = for_each_batch(
        model,
        rows.batches(task.num_labels(spec), chosen[~is_long[chosen]]),
        lambda batch: task.answer(model, spec, batch, settings),
    )
    for places, parts in work:
        # Only what comes in segments is joined by what its example says; others need not be read again.
        examples = rows.examples.fetch(places) if task.segments else [Example({})] * len(places)
        for place, example, part in zip(places.tolist(), examples, parts, strict=True):
            answers[place] = task.join(example, [part])
    return [answers[place] for place in chosen.tolist()]


def answer_examples(
    task: AnyTask, model: TaskModel, spec: Any, examples: Sequence[Example], settings: Settings
) -> list[Any]:
    """One answer per example, in their order: each in as many segments as the task wants, joined again."""
    if not examples:
        return []
    segmented = [task.segment(model, example, settings) for example in examples]
    segments = [segment for each in segmented for segment in each]
    parts: list[Part] = [Part(None)] * len(segments)
    for places, answers in for_each_batch(
        model, _ordered_batches(task, model, segments), lambda batch: task.answer(model, spec, batch, settings)
    ):
        for place, part in zip(places.tolist(), answers, strict=True):
            parts[place] = part
    ends = np.cumsum([len(each) for each in segmented])
    return [
        task.join(example, parts[end - len(each) : end])
        for example, each, end in zip(examples, segmented, ends.tolist(), strict=True)
    ]


def _ordered_batches(task: AnyTask, model: TaskModel, segments: Sequence[Example]) -> Iterator[tuple[IntArray, Batch]]:
    """Segments in batches of similar lengths; images, of which many would fill the memory, are decoded as they come."""
    budget = TOKENS_PER_BATCH[model.device.type]
    encoded = None if task.varies else task.encode(model, segments, targets=False)
    if encoded is None:
        lengths = np.full(len(segments), budget // 32)
    else:
        lengths = np.array([item.length for item in encoded], dtype=np.int64)

    def made(part: IntArray) -> tuple[IntArray, Batch]:
        if encoded is None:
            items = task.encode(model, [segments[position] for position in part], targets=False)
        else:
            items = [encoded[position] for position in part]
        batch = collate(items, model.device)
        return part[batch.positions], batch

    parts = split_by_tokens(np.argsort(lengths, kind="stable"), lengths, budget)
    return map_ahead(made, parts, workers=num_workers(task))
