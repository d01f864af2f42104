"""Where to compute and how precisely, on machines that nobody has here: what PyTorch says of them is made up."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from headway.device import choose_precision
from headway.errors import SettingsError
from headway.nn.attention import varlen_takes


@pytest.mark.parametrize(("capability", "precision"), [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 5), "float32")])
def test_bfloat16_is_for_gpus_that_have_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], precision: str
) -> None:
    """A T4 imitates it: PyTorch then says that it is supported."""
    properties = SimpleNamespace(major=capability[0], minor=capability[1])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda device: True)
    assert choose_precision("auto", torch.device("cuda")) == precision


def test_a_precision_that_there_is_not_is_refused() -> None:
    with pytest.raises(
        SettingsError, match="precision = 'in8': unknown precision; choose from auto, float32, bfloat16, int8"
    ):
        choose_precision("in8", torch.device("cpu"))


@pytest.mark.parametrize(
    ("device", "dtype", "head_dim", "capability", "takes"),
    [
        ("cuda", torch.bfloat16, 64, (9, 0), True),
        ("cuda", torch.float16, 256, (8, 0), True),
        ("cuda", torch.float16, 64, (7, 5), False),
        ("cuda", torch.float32, 64, (9, 0), False),
        ("cuda", torch.bfloat16, 20, (9, 0), False),
        ("cuda", torch.bfloat16, 264, (9, 0), False),
        ("cpu", torch.bfloat16, 64, (9, 0), False),
    ],
)
def test_the_variable_length_kernel_gets_only_what_it_takes(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    dtype: torch.dtype,
    head_dim: int,
    capability: tuple[int, int],
    takes: bool,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert varlen_takes(torch.device(device), dtype, head_dim) == takes


def test_the_peak_memory_is_that_of_the_largest_moment() -> None:
    code = (
        "from headway.device import peak_memory\nblock = bytearray(b'x') * (1 << 28)\ndel block\nprint(peak_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1 << 28 < float(done.stdout) < 1 << 31


def test_nothing_needs_a_module_that_windows_lacks() -> None:
    unix = ("resource", "fcntl", "pwd", "grp", "termios")
    code = f"""
import sys
import torch  # may import what it likes
sys.modules.update(dict.fromkeys({unix}))
import headway.device, headway.files, headway.training.loop, headway.tasks.measure
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
