import math
from pathlib import Path

import pytest
import torch

from headway.errors import TrainingError
from headway.settings import Settings
from headway.training.loop import planned_steps, train
from headway.training.state import StateFolder


def run(job, folder: Path, **settings):
    events = []
    chosen = {"epochs": 2, "learning_rate": 0.05, "save_minutes": 100, **settings}
    progress = train(job, Settings(**chosen), StateFolder(folder), [events.append])
    return progress, events


def test_micro_batches_of_unequal_size_give_the_whole_steps_result(make_job, tmp_path):
    whole, parts = make_job(), make_job(micro_batches=2)
    run(whole, tmp_path / "a")
    run(parts, tmp_path / "b")
    torch.testing.assert_close(whole.model.weight, parts.model.weight, atol=1e-6, rtol=0)


def test_first_step_is_adam_with_decoupled_decay_and_bias_correction(make_job, tmp_path):
    job = make_job(steps=1)
    weight = job.model.weight.detach().clone()
    (batch,) = next(job.batches(0, 0))
    gradient = torch.autograd.grad(job.loss(batch) / job.weight(batch), job.model.weight)[0]
    run(job, tmp_path, epochs=1, warmup_ratio=0, learning_rate=0.1, weight_decay=0.3, max_grad_norm=None)
    # After one step the bias-corrected moments are g and g², so the update is lr·sign(g) beside lr·decay·w.
    expected = weight * (1 - 0.1 * 0.3) - 0.1 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(job.model.weight.detach(), expected, atol=1e-6, rtol=0)


def test_a_long_gradient_is_cut_to_its_maximum_and_told_as_it_was(make_job, tmp_path):
    job = make_job(steps=1)
    (batch,) = next(job.batches(0, 0))
    gradients = torch.autograd.grad(job.loss(batch) / job.weight(batch), list(job.model.parameters()))
    norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
    _, events = run(job, tmp_path, epochs=1)
    assert events[0]["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    assert norm > 1


def test_a_non_finite_step_is_not_applied_and_is_told(make_job, tmp_path):
    poisoned, clean = make_job(poison=frozenset({2})), make_job()
    progress, events = run(poisoned, tmp_path / "a", epochs=1)
    assert progress.refused_steps == 1
    assert {"step": 3, "epoch": 2 / 8, "refused": 1.0} in events
    assert all(math.isfinite(value) for event in events for value in event.values())
    assert torch.isfinite(poisoned.model.weight).all()
    # The first two steps are the same as without the poison.
    run(clean, tmp_path / "b", epochs=1)
    assert not torch.equal(poisoned.model.weight, clean.model.weight)


def test_training_that_stays_non_finite_stops_with_a_remedy(make_job, tmp_path):
    job = make_job(steps=40, poison=frozenset(range(40)))
    before = job.model.weight.detach().clone()
    with pytest.raises(TrainingError, match="learning_rate"):
        run(job, tmp_path)
    assert torch.equal(job.model.weight, before)


def test_early_stopping_restores_the_best_weights(make_job, tmp_path):
    seen = []

    def validation(model, call):
        seen.append(model.weight.detach().clone())
        return {"validation_loss": [3.0, 1.0, 2.0, 2.0, 0.5][call - 1]}

    job = make_job(validation=validation)
    progress, _ = run(job, tmp_path, evaluations_per_epoch=4, patience=2)
    assert progress.stopped_early
    assert (progress.best_step, progress.step) == (4, 8)
    assert torch.equal(job.model.weight, seen[1])


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
    settings = Settings(epochs=2, learning_rate=0.05, save_minutes=0)
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
    assert torch.equal(straight.model.weight, resumed.model.weight)
    assert torch.equal(straight.model.bias, resumed.model.bias)
