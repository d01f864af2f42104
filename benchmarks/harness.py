"""Running arms side by side: fresh processes, interleaved rounds, paired ratios."""

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Arm", "Comparison", "Figures", "environment", "run_arm", "run_rounds"]

ROOT = Path(__file__).parents[1]
PEERS = ("torch", "transformers", "accelerate", "tokenizers", "onnxruntime", "onnx", "ctranslate2", "openvino", "numpy")

Result = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """One thing to measure: the function of that `name` in `benchmarks.arm`, with its arguments.

    `rounds` bounds how often it runs where a run is long and its figure bears no verdict.
    """

    title: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    rounds: int | None = None


@dataclass(frozen=True)
class Comparison:
    """How many times the rate of `ours` is that of `theirs`, and what was promised, if anything was."""

    ours: str
    theirs: str
    promise: float | None
    # Which of their figures is meant; a ceiling has two.
    figure: str = "rate"


class Figures:
    """What the arms of one section measured, round by round."""

    def __init__(self) -> None:
        self.rounds: dict[str, list[Result]] = {}

    def add(self, arm: str, result: Result) -> None:
        """Note one run of `arm`; a result with `error` is a run that failed."""
        self.rounds.setdefault(arm, []).append(result)

    def values(self, arm: str, figure: str = "rate") -> list[float]:
        """That figure in each round that measured it."""
        return [result[figure] for result in self.rounds.get(arm, []) if figure in result]

    def middle(self, arm: str, figure: str = "rate") -> float | None:
        """The median over the rounds, None where the arm never ran through."""
        values = self.values(arm, figure)
        return statistics.median(values) if values else None

    def ratios(self, comparison: Comparison) -> list[float]:
        """Ours over theirs, each within one round, so that a slow minute of the machine slows both."""
        pairs = zip(self.rounds.get(comparison.ours, []), self.rounds.get(comparison.theirs, []), strict=False)
        return [
            ours["rate"] / theirs[comparison.figure]
            for ours, theirs in pairs
            if "rate" in ours and comparison.figure in theirs
        ]

    def errors(self) -> dict[str, str]:
        """The last failure of each arm that failed."""
        return {arm: run["error"] for arm, runs in self.rounds.items() for run in runs if "error" in run}


def run_rounds(arms: Sequence[Arm], rounds: int, threads: int, say: Callable[[str], None]) -> Figures:
    """Run every arm once, then every arm again, `rounds` times; `seed` differs by round in arms that take one."""
    figures = Figures()
    for number in range(rounds):
        for arm in arms:
            if arm.rounds is not None and number >= arm.rounds:
                continue
            arguments = dict(arm.arguments)
            if "seed" in arguments:
                arguments["seed"] += number
            result = run_arm(arm.name, arguments, threads)
            figures.add(arm.title, result)
            outcome = f"{result['rate']:,.1f}" if "rate" in result else f"failed: {result['error']}"
            say(f"round {number + 1} of {rounds} · {arm.title} · {outcome}")
    return figures


def run_arm(name: str, arguments: dict[str, Any], threads: int) -> Result:
    """Run one arm in a fresh process with `threads` threads; a failure becomes `{"error": its last line}`."""
    # This process must stay small: a child's peak memory starts at what its parent held.
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-m", "benchmarks.arm", name, json.dumps(arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else f"exit status {done.returncode}"}
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def environment(threads: int) -> dict[str, str]:
    """Machine, versions and date, for whoever reads the figures later."""
    versions = {}
    for name in ("headway", *PEERS):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "CPU": _cpu_name(),
        "cores": str(os.cpu_count()),
        "threads": str(threads),
        "load before the run": f"{os.getloadavg()[0]:.2f}",
        "system": platform.platform(),
        "python": platform.python_version(),
        **versions,
    }


def _cpu_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
