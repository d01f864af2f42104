"""Whatever happens to a file, the answer is a model or one clear error: never a traceback, never a crash."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from headway.checkpoints.load import load_classifier
from headway.checkpoints.tokenizer_files import load_tokenizer
from headway.errors import CheckpointError


@pytest.fixture(params=["safetensors", "bin"])
def stored(request: pytest.FixtureRequest, folder: Path) -> Path:
    if request.param == "bin":
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return folder


@pytest.mark.parametrize("seed", range(20))
def test_damaged_bytes_are_refused_or_harmless(stored: Path, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    damaged = Path(shutil.copytree(stored, tmp_path / "damaged"))
    file = draw.choice(sorted(damaged.iterdir()))
    content = bytearray(file.read_bytes())
    reach = min(len(content), draw.choice([100, 10_000, len(content)]))
    for _ in range(draw.choice([1, 3, 20])):
        content[draw.randrange(reach)] = draw.randrange(256)
    file.write_bytes(content[: draw.choice([len(content), draw.randrange(len(content))])])
    for message in (refusal(load_classifier, damaged), refusal(load_tokenizer, damaged)):
        assert message is None or str(damaged) in message


def refusal(read: Callable[[Path], object], folder: Path) -> str | None:
    try:
        read(folder)
    except CheckpointError as error:
        return str(error)
    return None
