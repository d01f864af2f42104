import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from benchmarks.gpu import SHAPES, measure, table
from benchmarks.gpu_attention import time_attention
from torch.nn.functional import scaled_dot_product_attention

from benchmarks import gpu_checks, lengths, pairs
from headway.nn.attention import attention


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("case", gpu_checks.CASES, ids=str)
def test_attention_is_within_its_tolerance(dtype, case):
    checks = gpu_checks.check_attention("cpu", dtype, case, num_heads=1)
    assert len(checks) == (5 if case.biased else 4)
    assert all(check.passed for check in checks), checks


@pytest.mark.parametrize("drops", [True, False])
def test_dropout_that_drops_nothing_fails_the_checks(monkeypatch, drops):
    if not drops:
        monkeypatch.setattr(
            "benchmarks.gpu_checks.attention",
            lambda *rows, dropout_probability, **rest: attention(*rows, **rest),
        )
    assert gpu_checks.check_dropout("cpu", torch.float32, gpu_checks.CASES[0], num_heads=1).passed == drops


@pytest.mark.parametrize("bends", [False, True])
def test_a_family_that_is_not_itself_fails_the_checks(monkeypatch, bends):
    monkeypatch.setattr(pairs, "FAMILIES", {"T5": pairs.FAMILIES["T5"]})
    if bends:
        monkeypatch.setattr("headway.nn.positions.RelativeBias.buckets", lambda self, distances: 0 * distances)
    (logits,) = gpu_checks.check_families("cpu", torch.float32)
    assert logits.passed != bends


def test_half_precision_is_checked_against_float32(monkeypatch):
    monkeypatch.setattr(pairs, "FAMILIES", {"DistilBERT": pairs.FAMILIES["DistilBERT"]})
    logits, gradient = gpu_checks.check_families("cpu", torch.bfloat16)
    assert 0 < logits.error < logits.tolerance
    assert 0 < gradient.error < gradient.tolerance


def test_every_kernel_is_timed_with_all_that_it_can(monkeypatch):
    monkeypatch.setattr("benchmarks.gpu_attention.LENGTHS", {"Rotten Tomatoes": None})
    head, *lines = time_attention("cpu", num_texts=2, repeats=1)
    assert len(lines) == 4 * 2  # FlexAttention is for CUDA
    assert all(line.count("|") == head.splitlines()[0].count("|") for line in lines)


def blind_attention(query, key, value, queries, keys, **_):
    """Every text looks at the whole batch."""
    return scaled_dot_product_attention(*(rows.transpose(0, 1) for rows in (query, key, value))).transpose(0, 1)


def test_a_kernel_that_looks_beyond_its_text_fails_the_checks(monkeypatch):
    monkeypatch.setattr("benchmarks.gpu_checks.attention", blind_attention)
    monkeypatch.setattr("headway.nn.multi_head.attention", blind_attention)
    assert not any(
        check.passed for check in gpu_checks.check_attention("cpu", torch.float32, gpu_checks.CASES[0], num_heads=2)
    )
    assert not gpu_checks.check_packing(SHAPES["tiny"], "cpu", torch.float32).passed


def test_an_error_that_is_no_number_does_not_pass():
    assert not gpu_checks.Check("broken", float("nan"), 1e-2).passed


@pytest.mark.parametrize(("name", "mean"), [("Rotten Tomatoes", 27.4), ("IMDB", 276.9)])
def test_drawn_lengths_follow_the_real_ones(name, mean):
    drawn = lengths.draw_lengths(name, 5_000, seed=0)
    assert statistics.mean(drawn) == pytest.approx(mean, rel=0.05)
    assert (min(drawn), max(drawn)) <= (lengths.LENGTHS[name][0] + 5, lengths.LENGTHS[name][-1])


def test_every_arm_is_timed_on_every_kind_of_text():
    rows = measure(SHAPES["tiny"], "cpu", batch_size=1, steps=1, rounds=1)
    ours = {(row["texts"], row["work"]) for row in rows if row["arm"].startswith("Headway")}
    assert ours == {(texts, work) for texts in lengths.LENGTHS for work in ("training", "inference")}
    assert all(row["tokens_per_second"] > 0 for row in rows)
    assert len(table(rows).splitlines()) == 2 + len(rows)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_without_cuda_it_says_so():
    command = [sys.executable, "-m", "benchmarks.gpu"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: PyTorch sees no CUDA device here; --device cpu runs the same logic on a CPU.\n"
