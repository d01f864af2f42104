"""A file larger than memory is the disk's business."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

CODE = """
import sys, psutil
from headway.sources.read import read, stream
from headway.examples.splits import label_strata, make_splits
from tests.tables import labelled
import numpy as np

def own():
    memory = psutil.Process().memory_info()
    return (memory.rss - memory.shared) / 1e6

path, small = sys.argv[1:]
def work(path):
    table = read(path)["train"]
    splits = make_splits(
        labelled(table), groups=lambda rows: rows.keys.normal, strata=lambda rows: label_strata(rows.targets())
    )
    rng = np.random.default_rng(0)
    for _ in range(50):
        splits.train.fetch(rng.integers(0, len(splits.train), 32))
    for block in stream(path):
        pass
    return len(table)

work(small)
before = own()
rows = work(path)
print(rows, own() - before)
"""


@pytest.mark.skipif(not psutil.LINUX, reason="memory shared with files is told apart on Linux only")
def test_memory_does_not_grow_with_the_file(tmp_path, own_cache):
    sizes = {"large": 60_000, "small": 1000}
    for name, count in sizes.items():
        with (tmp_path / f"{name}.csv").open("w") as file:
            file.write("text,label\n")
            for i in range(count):
                file.write(f"a review number {i} {'of many words that says nothing at all ' * 25},{i % 3}\n")
    large = tmp_path / "large.csv"
    assert large.stat().st_size > 55e6
    command = [sys.executable, "-c", CODE, str(large), str(tmp_path / "small.csv")]
    environment = os.environ | {"HF_DATASETS_CACHE": str(own_cache)}
    root = Path(__file__).parents[2]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=root)
    rows, growth = run.stdout.split()
    assert int(rows) == 60_000
    assert float(growth) < 45  # megabytes: one batch of rows, not the file
