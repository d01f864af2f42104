"""How long a command takes to answer, and what an import costs: `python -m benchmarks.startup`."""

import argparse
import importlib.util
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import environment
from headway.files import write_atomically

__all__ = ["main", "measure"]

# Seconds that Headway promises not to exceed.
PROMISES = {"headway --help": 0.3, "import headway": 0.2}


def measure(command: list[str], repeats: int) -> float:
    """The median time of `command` in seconds, from start to exit; the first run, which fills the caches, is not one.

    A command that fails ends the benchmark, with what it said: how fast it failed is no figure.
    """
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"error: {' '.join(command)} failed: {done.stderr.strip().splitlines()[-1]}")
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _commands() -> dict[str, list[str]]:
    headway = shutil.which("headway", path=str(Path(sys.executable).parent)) or shutil.which("headway")
    commands = {
        "python, nothing imported": [sys.executable, "-c", ""],
        "import headway": [sys.executable, "-c", "import headway"],
        "import torch": [sys.executable, "-c", "import torch"],
    }
    if headway is not None:
        commands = {"headway --help": [headway, "--help"], **commands}
    if importlib.util.find_spec("transformers") is not None:
        commands["import transformers"] = [sys.executable, "-c", "import transformers"]
        # The package is lazy: what its users wait for is the class.
        commands["import transformers.Trainer"] = [sys.executable, "-c", "from transformers import Trainer"]
    return commands


def main() -> None:
    """Measure, print a table, and write JSON where --output says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=Path, help="folder for startup.json")
    options = parser.parse_args()
    seconds = {title: measure(command, options.repeats) for title, command in _commands().items()}
    # Python's own start is the machine's, not the package's.
    idle = seconds["python, nothing imported"]
    print("| | seconds | over Python's own start | promised |\n|---|---|---|---|")
    for title, value in seconds.items():
        promise = f"under {PROMISES[title]}" if title in PROMISES else ""
        print(f"| {title} | {value:.3f} | {value - idle:.3f} | {promise} |")
    if options.output:
        result = {"environment": environment(threads=1), "seconds": seconds}
        write_atomically(options.output / "startup.json", json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
