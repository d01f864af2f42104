"""A file larger than memory is the disk's business."""

import subprocess
import sys

import psutil
import pytest

CODE = """
import sys, psutil
from headway.data.readers import read, stream
from headway.data.columns import find_columns
from headway.data.labels import find_labels
from headway.data.examples import make_examples
from headway.data.splits import make_splits
import numpy as np

def own():
    memory = psutil.Process().memory_info()
    return (memory.rss - memory.shared) / 1e6

path, small = sys.argv[1:]
def work(path):
    table = read(path)["train"]
    columns = find_columns(table)
    splits = make_splits(make_examples(table, columns, find_labels(table, columns)))
    rng = np.random.default_rng(0)
    for _ in range(50):
        splits.train.fetch(rng.integers(0, len(splits.train), 32))
    for row in stream(path):
        pass
    return len(table)

work(small)
before = own()
rows = work(path)
print(rows, own() - before)
"""


@pytest.mark.skipif(not psutil.LINUX, reason="memory shared with files is told apart on Linux only")
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_file(tmp_path, own_cache, kind):
    sizes = {"large": 60_000, "small": 1000}
    for name, count in sizes.items():
        with (tmp_path / f"{name}.{kind}").open("w") as file:
            file.write("text,label\n" if kind == "csv" else "")
            for i in range(count):
                text = f"a review number {i} " + "of many words that says nothing at all " * 25
                file.write(f"{text},{i % 3}\n" if kind == "csv" else f'{{"text": "{text}", "label": {i % 3}}}\n')
    large = tmp_path / f"large.{kind}"
    assert large.stat().st_size > 55e6
    command = [sys.executable, "-c", CODE, str(large), str(tmp_path / f"small.{kind}")]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment(own_cache))
    rows, growth = run.stdout.split()
    assert int(rows) == 60_000
    assert float(growth) < 45  # megabytes: one batch of rows, not the file


def _environment(cache):
    import os

    return os.environ | {"HF_DATASETS_CACHE": str(cache)}
