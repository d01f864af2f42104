"""The rows of a split as a model reads them, and the model at work on them, batch by batch."""

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
from headway.batching.sampling import split_by_tokens
from headway.examples.examples import Example, Examples
from headway.settings import Settings
from headway.tasks.task import Part, Task, TaskModel

__all__ = ["EncodedRows", "answer_examples", "answer_rows", "for_each_batch"]

TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65_536, "mps": 16_384}
"""On a CPU with one batch per core at a time, 2,048 was as fast as 4,096 and faster than 1,024."""

_CHUNK = 4096

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
            rows = self.examples.rows[positions]
            rngs = [np.random.default_rng([self._seed, epoch, int(row)]) for row in rows]
        return self.task.encode(self.model, self.examples.fetch(positions), targets=True, rngs=rngs)

    def batches(self, num_labels: int | None, positions: IntArray | None = None) -> Iterator[tuple[IntArray, Batch]]:
        """All rows, or those at `positions`, in batches of similar lengths: positions in the batch's order, and it."""
        chosen = np.arange(len(self)) if positions is None else positions
        order = chosen[np.argsort(self.lengths[chosen], kind="stable")]
        device = self.model.device
        budget = TOKENS_PER_BATCH[device.type]
        costs = self.lengths if self.store is not None else np.full(len(self), budget // 32)
        for part in split_by_tokens(order, costs, budget):
            batch = collate(self.fetch(part), device, num_labels)
            yield part[batch.positions], batch


def for_each_batch(
    model: TaskModel, batches: Iterator[tuple[IntArray, Batch]], work: Callable[[Batch], Result]
) -> list[tuple[IntArray, Result]]:
    """Do the work for each batch, without gradients: on a CPU one batch per core at a time, if there are enough.

    A core that works alone never waits for the others at the end of each operation: 10 to 15 % more texts per second on
    two cores, and less is lost to a busy neighbour.
    """
    model.network.eval()

    def inferred(item: tuple[IntArray, Batch]) -> tuple[IntArray, Result]:
        with torch.inference_mode():
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
        for place, part in zip(places.tolist(), parts, strict=True):
            answers[place] = task.join(Example({}), [part])
    return [answers[place] for place in chosen.tolist()]


def answer_examples(
    task: AnyTask, model: TaskModel, spec: Any, examples: Sequence[Example], settings: Settings
) -> list[Any]:
    """One answer per example, in their order: each in as many segments as the task wants, joined again."""
    if not examples:
        return []
    segmented = [task.segment(model, example, settings) for example in examples]
    segments = [segment for each in segmented for segment in each]
    encoded = task.encode(model, segments, targets=False)
    parts: list[Part] = [Part(None)] * len(segments)
    for places, answers in for_each_batch(
        model, _ordered_batches(encoded, model.device), lambda batch: task.answer(model, spec, batch, settings)
    ):
        for place, part in zip(places.tolist(), answers, strict=True):
            parts[place] = part
    ends = np.cumsum([len(each) for each in segmented])
    return [
        task.join(example, parts[end - len(each) : end])
        for example, each, end in zip(examples, segmented, ends.tolist(), strict=True)
    ]


def _ordered_batches(encoded: Sequence[Encoded], device: torch.device) -> Iterator[tuple[IntArray, Batch]]:
    budget = TOKENS_PER_BATCH[device.type]
    pixels = any(item.pixel_values is not None for item in encoded)
    lengths = np.array([budget // 32 if pixels else item.length for item in encoded], dtype=np.int64)
    for part in split_by_tokens(np.argsort(lengths, kind="stable"), lengths, budget):
        batch = collate([encoded[position] for position in part], device)
        yield part[batch.positions], batch
