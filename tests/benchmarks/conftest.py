"""The benchmarks lie beside `src`, in no installed package; the tests import them from the repository's root."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the benchmarks."""
    monkeypatch.setenv("HEADWAY_BENCHMARK_CACHE", str(tmp_path))
    return tmp_path
