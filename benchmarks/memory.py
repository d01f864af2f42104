"""A file of gigabytes: how much memory its first training steps take.

`python -m benchmarks.memory [--gigabytes 2]` writes a CSV of made-up texts, trains a few steps on it with the real
MiniLM weights, and samples the process's own memory (anonymous pages: without those of the file, which the system may
drop at any time). Beside it stands the same for a file of a twentieth of the size: memory that does not grow with the
file is flat. The baseline that the model is measured against learns from a bounded sample; its peak stands apart.
"""

import argparse
import csv
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import psutil

WORDS_PER_TEXT = 220
STEPS = 3
HELD_OUT_ROWS = 500


def write_file(path: Path, size: int) -> int:
    """Write rows of different texts until the file has `size` bytes; return how many."""
    draw = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(20_000)]
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        while file.tell() < size:
            chunk = [(" ".join(draw.choices(words, k=WORDS_PER_TEXT)), draw.choice(("no", "yes"))) for _ in range(1000)]
            writer.writerows(chunk)
            rows += len(chunk)
    return rows


def own_memory(process: psutil.Popen) -> int:
    """Bytes that belong to the process alone and to no file."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return int(process.memory_full_info().uss)
    line = next((line for line in status.read_text().splitlines() if line.startswith("RssAnon")), "RssAnon: 0 kB")
    return 1024 * int(line.split()[1])


def train(path: Path, rows: int, folder: Path) -> tuple[float, float, float]:
    """Train the first steps on `path`; return the seconds, and the peak memory in MiB until the measuring and in it."""
    share = HELD_OUT_ROWS / rows
    settings = {
        "epochs": STEPS * 32 / (rows - 2 * HELD_OUT_ROWS),
        "validation_fraction": share,
        "test_fraction": share,
        "max_length": 64,
    }
    assignments = [word for key, value in settings.items() for word in ("--set", f"{key}={value!r}")]
    command = [sys.executable, "-c", "from headway.cli.main import run; run()", "train", str(path)]
    environment = {**os.environ, "HF_DATASETS_CACHE": str(folder / "cache")}
    started = time.perf_counter()
    with (folder / "log").open("w") as log:
        output = ["--model", "minilm", "--output", str(folder / "run")]
        process = psutil.Popen([*command, *output, *assignments], stderr=log, env=environment)
        peaks = {"training": 0, "measuring": 0}
        while process.poll() is None:
            stage = "measuring" if "Measuring" in (folder / "log").read_text() else "training"
            try:
                peaks[stage] = max(peaks[stage], own_memory(process))
            except (psutil.Error, OSError):
                break
            time.sleep(0.25)
    if process.wait() != 0:
        raise SystemExit((folder / "log").read_text())
    return time.perf_counter() - started, peaks["training"] / 2**20, peaks["measuring"] / 2**20


def main() -> None:
    """Train on a small file and on a large one, and print both peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the large file")
    size = int(parser.parse_args().gigabytes * 1e9)
    print("| file | rows | seconds in all | peak: reading, checks, training | peak: measuring |\n|---|---|---|---|---|")
    for bytes_wanted in (size // 20, size):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rows = write_file(folder / "data.csv", bytes_wanted)
            seconds, *peaks = train(folder / "data.csv", rows, folder)
        shown = " | ".join(f"{peak:,.0f} MiB" for peak in peaks)
        print(f"| {bytes_wanted / 1e9:.1f} GB | {rows:,} | {seconds:.0f} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
