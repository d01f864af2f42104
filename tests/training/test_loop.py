import itertools
import math
from pathlib import Path

import pytest
import torch
from tests.training.recipes import training
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from headway.errors import TrainingError
from headway.training.loop import planned_steps, train
from headway.training.state import StateFolder


def run(job, folder: Path, **settings):
    events = []
    chosen = {"epochs": 2, "learning_rate": 0.05, "save_minutes": 100, **settings}
    progress = train(job, training(**chosen), StateFolder(folder), [events.append])
    return progress, events


def mean_loss(job, batch):
    loss = job.loss(batch)
    return loss.objective / loss.divisor


@pytest.mark.parametrize("micro_batches", [2, 3], ids=["of unequal size", "the first without anything to learn"])
def test_micro_batches_give_the_whole_steps_result(make_job, tmp_path, micro_batches):
    whole, parts = make_job(), make_job(micro_batches=micro_batches)
    _, told = run(whole, tmp_path / "a")
    _, told_of_parts = run(parts, tmp_path / "b")
    torch.testing.assert_close(whole.network.weight, parts.network.weight, atol=1e-6, rtol=0)
    for one, other in zip(told, told_of_parts, strict=True):
        for name in one.keys() - {"tokens_per_second"}:
            assert one[name] == pytest.approx(other[name], rel=1e-5), name


def test_first_step_is_adam_with_decoupled_decay_and_bias_correction(make_job, tmp_path):
    job = make_job(steps=1)
    weight = job.network.weight.detach().clone()
    (batch,) = next(job.batches(0, 0))
    gradient = torch.autograd.grad(mean_loss(job, batch), job.network.weight)[0]
    run(job, tmp_path, epochs=1, warmup_ratio=0, learning_rate=0.1, weight_decay=0.3, max_grad_norm=None)
    # After one step the bias-corrected moments are g and g², so the update is lr·sign(g) beside lr·decay·w.
    expected = weight * (1 - 0.1 * 0.3) - 0.1 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(job.network.weight.detach(), expected, atol=1e-6, rtol=0)


def test_a_long_gradient_is_cut_to_its_maximum_and_told_as_it_was(make_job, tmp_path):
    job = make_job(steps=1)
    (batch,) = next(job.batches(0, 0))
    gradients = torch.autograd.grad(mean_loss(job, batch), list(job.network.parameters()))
    norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
    _, events = run(job, tmp_path, epochs=1)
    assert events[0]["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    assert norm > 1


def test_a_non_finite_step_is_not_applied_and_is_told(make_job, tmp_path):
    poisoned, clean = make_job(poison=frozenset({2})), make_job()
    progress, events = run(poisoned, tmp_path / "a", epochs=1)
    assert progress.refused_steps == 1
    assert {"step": 3, "epoch": 3 / 8, "refused": 1.0} in events
    assert all(math.isfinite(value) for event in events for value in event.values())
    assert torch.isfinite(poisoned.network.weight).all()
    # The first two steps are the same as without the poison.
    run(clean, tmp_path / "b", epochs=1)
    assert not torch.equal(poisoned.network.weight, clean.network.weight)


def test_refused_steps_are_told_with_their_numbers_before_what_came_after_them(make_job, tmp_path):
    job = make_job(steps=600, poison=frozenset({4, 5, 9}))
    progress, events = run(job, tmp_path, epochs=1)
    assert [event["step"] for event in events if "refused" in event] == [5, 6, 10]
    assert [event["step"] for event in events] == sorted(event["step"] for event in events)
    assert (progress.refused_steps, progress.refused_in_a_row) == (3, 0)
    # An event comes every third step: the mean is that of the steps that were applied.
    assert [event["step"] for event in events if "train_loss" in event][:4] == [3, 6, 9, 12]


def test_training_that_stays_non_finite_stops_with_a_remedy(make_job, tmp_path):
    job = make_job(steps=40, poison=frozenset(range(40)))
    before = job.network.weight.detach().clone()
    with pytest.raises(TrainingError, match=r"25 steps in a row, up to step 25 .*learning_rate"):
        run(job, tmp_path)
    assert torch.equal(job.network.weight, before)


def test_a_long_run_that_stays_non_finite_ends_at_the_next_reading(make_job, tmp_path):
    job = make_job(steps=100_000, poison=frozenset(range(100_000)))
    done = []
    settings = training(epochs=1, save_minutes=100)
    with pytest.raises(TrainingError, match="up to step 25 "):
        train(job, settings, StateFolder(tmp_path), [], on_step=lambda step, speed: done.append(step))
    assert len(done) < 1000


class HostReads(TorchFunctionMode):
    """Counts what makes the host wait for a tensor's value: here by the methods, below by the operations."""

    METHODS = frozenset(
        getattr(torch.Tensor, name)
        for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "__format__")
    )

    def __init__(self):
        super().__init__()
        self.count = 0
        self.operations = HostReadOperations(self)

    def __torch_function__(self, function, types, arguments=(), options=None):
        self.count += function in self.METHODS
        return function(*arguments, **(options or {}))


class HostReadOperations(TorchDispatchMode):
    OPERATIONS = frozenset(
        {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default, torch.ops.aten.is_nonzero.default}
    )

    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.reads.count += function in self.OPERATIONS
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_an_ordinary_step_reads_nothing_on_the_host(make_job, tmp_path, micro_batches):
    """Events are due every third step here, validations every three hundredth; in between the host may run ahead."""
    job = make_job(steps=600, micro_batches=micro_batches, poison=frozenset({4, 7}))
    reads, counts = HostReads(), [0]
    with reads, reads.operations:
        train(
            job,
            training(epochs=1, save_minutes=100),
            StateFolder(tmp_path),
            [],
            on_step=lambda step, speed: counts.append(reads.count),
        )
    per_step = [after - before for before, after in itertools.pairwise(counts)]
    ordinary = [count for step, count in enumerate(per_step, start=1) if step % 3]
    assert ordinary == [0] * 400
    assert [count for step, count in enumerate(per_step, start=1) if step % 3 == 0 and step % 300] == [1] * 198


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_an_ordinary_step_never_waits_for_the_gpu(make_job, tmp_path):
    job = make_job(steps=600, device="cuda")

    def watch(step, speed):
        # What follows until the next call is step `step + 1`.
        torch.cuda.set_sync_debug_mode("error" if step > 3 and (step + 1) % 3 else "default")

    try:
        train(job, training(epochs=1, save_minutes=100), StateFolder(tmp_path), [], on_step=watch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_early_stopping_restores_the_best_weights(make_job, tmp_path):
    seen = []

    def validation(model, call):
        seen.append(model.weight.detach().clone())
        return {"validation_loss": [3.0, 1.0, 2.0, 2.0, 0.5][call - 1]}

    job = make_job(validation=validation)
    progress, _ = run(job, tmp_path, evaluations_per_epoch=4, patience=2)
    assert progress.stopped_early
    assert (progress.best_step, progress.step) == (4, 8)
    assert torch.equal(job.network.weight, seen[1])


def test_the_higher_metric_wins_and_nan_never_does(make_job, tmp_path):
    values = [float("nan"), 0.5, float("nan"), 0.9, 0.7, 0.1, 0.2, 0.3]
    job = make_job(validation=lambda model, call: {"macro_f1": values[call - 1]}, metric="macro_f1")
    progress, _ = run(job, tmp_path, evaluations_per_epoch=4, patience=None)
    assert not progress.stopped_early
    assert progress.best_step == 8


def test_without_patience_every_planned_step_is_done(make_job, tmp_path):
    job = make_job(validation=lambda model, call: {"validation_loss": float(call)})
    progress, _ = run(job, tmp_path, patience=None, epochs=2.5)
    assert progress.step == planned_steps(job, 2.5) == 20
    assert progress.best_step == 4


@pytest.mark.parametrize("stop_after", [1, 5, 8, 11])
def test_a_saved_state_continues_bit_for_bit(make_job, tmp_path, stop_after):
    settings = training(epochs=2, learning_rate=0.05, save_minutes=0)
    straight = make_job()
    train(straight, settings, StateFolder(tmp_path / "a"), [])

    class KilledError(Exception):
        pass

    def kill(step, speed):
        if step == stop_after:
            raise KilledError

    states = StateFolder(tmp_path / "b")
    with pytest.raises(KilledError):
        train(make_job(), settings, states, [], on_step=kill)
    resumed = make_job()
    torch.manual_seed(999)
    train(resumed, settings, states, [], resume=True)
    assert torch.equal(straight.network.weight, resumed.network.weight)
    assert torch.equal(straight.network.bias, resumed.network.bias)
