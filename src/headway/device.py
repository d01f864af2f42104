"""Where to compute, how precisely, and how memory is kept."""

import ctypes
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch

from headway.errors import SettingsError

__all__ = ["Precision", "autocast", "choose_device", "choose_precision", "describe_device", "peak_memory"]

Precision = Literal["float32", "bfloat16", "int8"]


def choose_device(wanted: str = "auto") -> torch.device:
    """The wanted device, or the first of CUDA, Apple's GPU and the CPU; prepared for work.

    Raises:
        SettingsError: The wanted device is not available.
    """
    device = _find_device(wanted)
    if device.type == "cpu":
        _keep_freed_memory()
    return device


def _find_device(wanted: str) -> torch.device:
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present.get(wanted, False):
        there = ", ".join(name for name, is_there in present.items() if is_there)
        raise SettingsError(
            f"device = {wanted!r}: not available on this machine (found: {there}). "
            "Leave the setting out to choose automatically."
        )
    return torch.device(wanted)


def choose_precision(wanted: str, device: torch.device) -> Precision:
    """The wanted precision, or bfloat16 on GPUs that support it, otherwise float32.

    Raises:
        SettingsError: The precision is unknown, or int8 is wanted on a GPU.
    """
    if wanted == "auto":
        # Older GPUs only emulate it, slower than float32.
        has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if has_it else "float32"
    if wanted == "int8":
        if device.type != "cpu":
            raise SettingsError("precision = 'int8' runs on the CPU only; use device = 'cpu' or bfloat16.")
        return "int8"
    if wanted not in ("bfloat16", "float32"):
        raise SettingsError(f"precision = {wanted!r}: unknown precision; choose from auto, float32, bfloat16, int8.")
    return "bfloat16" if wanted == "bfloat16" else "float32"


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Matrix products in bfloat16 where asked for; sums, norms and the loss stay in float32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def describe_device(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return {"mps": "Apple GPU", "cpu": f"CPU, {torch.get_num_threads()} threads"}[device.type]


def peak_memory() -> float:
    """The peak main memory of this process, in bytes."""
    if sys.platform == "win32":
        return _peak_memory_on_windows()
    status = Path("/proc/self/status")
    if status.exists():  # getrusage on Linux counts what the parent held when it started this process
        held = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), None)
        if held is not None:
            return 1024.0 * int(held.split()[1])
    import resource  # Unix only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def _peak_memory_on_windows() -> float:
    """The peak working set, or 0 where the system does not say."""
    kernel: Any = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined, unused-ignore]
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.K32GetProcessMemoryInfo.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong)
    counters = _ProcessMemoryCounters()
    size = counters.cb = ctypes.sizeof(counters)
    told = kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), size)
    return float(counters.peak_working_set) if told else 0.0


class _ProcessMemoryCounters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of the Windows API."""

    _fields_ = (
        ("cb", ctypes.c_ulong),
        ("page_faults", ctypes.c_ulong),
        ("peak_working_set", ctypes.c_size_t),
        *((f"unused_{index}", ctypes.c_size_t) for index in range(7)),
    )


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next step instead of giving it back to the system.

    Otherwise every tensor of more than 128 KiB is mapped again, and the system first fills each page with zeros: up to
    a third of a training step on a CPU. Does nothing where the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)
        mallopt(m_top_pad, 64 * 2**20)
