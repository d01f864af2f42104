"""What a run needs to go on exactly where it stopped, in one file that is replaced in one piece."""

import pickle
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from headway.errors import CheckpointError
from headway.files import remove_leftovers, replacing
from headway.training.optimizer import Optimizer

__all__ = ["StateFolder", "TrainState", "seed_everything"]


@dataclass
class TrainState:
    """How far a run has come."""

    step: int = 0
    """Steps done, refused ones counted."""
    epoch: int = 0
    step_in_epoch: int = 0
    """The sampler's position: the next step of the current epoch."""
    best_value: float | None = None
    best_step: int = 0
    evaluations_since_best: int = 0
    refused_steps: int = 0
    refused_in_a_row: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Time spent in training steps, over all sittings."""
    loss_sum: float = 0.0
    loss_weight: float = 0.0
    """Training loss since the last event, so that a resumed run logs the same curve."""
    finished: bool = False
    stopped_early: bool = False


class StateFolder:
    """`state.pt` (model, optimizer, progress, random states) and `best-STEP.safetensors` in one folder.

    A crash at any moment leaves a pair that fits: the best weights carry their step in their name, and older ones go
    only after a state that names the newer ones is safely on disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state_file = folder / "state.pt"

    def exists(self) -> bool:
        """Whether there is a state to go on from."""
        return self.state_file.is_file()

    def save(self, model: nn.Module, optimizer: Optimizer, progress: TrainState) -> None:
        """Write the state and forget best weights that it no longer needs."""
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "progress": asdict(progress),
            "random": _random_states(),
        }
        # Through Python's own file, so that a full disk is told as one.
        with replacing(self.state_file) as temporary, temporary.open("wb") as written:
            torch.save(state, written)
        for file in self.folder.glob("best-*.safetensors"):
            if file != self._best_file(progress.best_step):
                file.unlink(missing_ok=True)

    def load(self, model: nn.Module, optimizer: Optimizer) -> TrainState:
        """Put a saved state back, random generators included.

        Raises:
            CheckpointError: The file is damaged or belongs to another model.
        """
        state = self._read()
        try:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            _restore_random_states(state["random"])
            return TrainState(**state["progress"])
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(error) from error

    def peek(self) -> TrainState:
        """How far the saved run had come.

        Raises:
            CheckpointError: The file is damaged.
        """
        return TrainState(**self._read(mmap=True)["progress"])

    def save_best(self, model: nn.Module, step: int) -> None:
        """Keep the weights of the best validation so far."""
        weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        with replacing(self._best_file(step)) as temporary:
            save_file(weights, temporary)

    def load_best(self, model: nn.Module, step: int) -> None:
        """Restore the weights of the best validation."""
        weights: Mapping[str, Tensor] = load_file(self._best_file(step))
        model.load_state_dict(dict(weights))

    def remove(self) -> None:
        """Forget the state of a finished run; it is three times as large as the model."""
        self.state_file.unlink(missing_ok=True)
        for file in self.folder.glob("best-*.safetensors"):
            file.unlink(missing_ok=True)
        remove_leftovers(self.folder)
        with suppress(OSError):  # not there, or something of the user's is in it
            self.folder.rmdir()

    def _read(self, *, mmap: bool = False) -> dict[str, Any]:
        try:
            state: dict[str, Any] = torch.load(self.state_file, map_location="cpu", mmap=mmap, weights_only=True)
        except (RuntimeError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._damaged(error) from error
        return state

    def _damaged(self, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"{self.state_file}: this state cannot be continued ({str(error).splitlines()[0]}). "
            "Start again without --resume, into another folder or with --overwrite."
        )

    def _best_file(self, step: int) -> Path:
        return self.folder / f"best-{step}.safetensors"


def seed_everything(seed: int) -> None:
    """Seed every random generator that training draws from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _random_states() -> dict[str, Any]:
    states: dict[str, Any] = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def _restore_random_states(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
    if "mps" in states and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"])
