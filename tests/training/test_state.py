"""What a saved state holds beside the weights."""

from pathlib import Path

import pytest
import torch
from tests.training.recipes import training
from torch import nn

from headway.training.optimizer import Optimizer
from headway.training.state import StateFolder, TrainState


@pytest.fixture
def states(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


@pytest.mark.parametrize(
    ("present", "get", "put", "random"),
    [
        ("torch.backends.mps.is_available", "torch.mps.get_rng_state", "torch.mps.set_rng_state", torch.arange(4)),
        (
            "torch.cuda.is_available",
            "torch.cuda.get_rng_state_all",
            "torch.cuda.set_rng_state_all",
            [torch.arange(4), torch.arange(5)],
        ),
    ],
    ids=["mps", "cuda"],
)
def test_a_gpus_random_state_is_saved_and_put_back(
    states: StateFolder, monkeypatch: pytest.MonkeyPatch, present: str, get: str, put: str, random: object
) -> None:
    restored = []
    monkeypatch.setattr(present, lambda: True)
    monkeypatch.setattr(get, lambda: random)
    monkeypatch.setattr(put, restored.append)
    model = nn.Linear(2, 1)
    optimizer = Optimizer(model, training())
    states.save(model, optimizer, TrainState(step=3))
    assert states.load(model, optimizer) == TrainState(step=3)
    assert str(restored) == str([random])


def test_a_removed_state_leaves_no_folder_unless_the_user_put_something_there(states: StateFolder) -> None:
    model = nn.Linear(2, 1)
    for kept in ([], ["notes.txt"]):
        states.save(model, Optimizer(model, training()), TrainState())
        states.save_best(model, 5)
        (states.folder / ".state.pt.a1b2_c3d.tmp").write_text("half a state")
        for name in kept:
            (states.folder / name).write_text("")
        states.remove()
        assert [file.name for file in states.folder.glob("*")] == kept
    assert states.folder.exists()
