import json

import numpy as np
import pytest
from benchmarks.arm import ARMS, run
from PIL import Image

from benchmarks import fashion_mnist, images

SHAPE = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "image_size": 32,
    "patch_size": 16,
}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    run("draw_vit", {"output": str(folder), "shape": SHAPE, "labels": ["dark", "light"]})
    return folder


@pytest.fixture
def folder(tmp_path):
    """Six images in two class folders."""
    source = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 128)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(3):
            pixels = source.integers(low, low + 128, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.jpg")
    return tmp_path / "images"


@pytest.mark.parametrize("decode", [False, True])
def test_the_trainer_is_timed_from_arrays_and_from_files(model, folder, decode):
    same = {"model": str(model), "folder": str(folder), "decode": decode}
    figures = run("trainer_images", same | {"steps": 2, "warm_steps": 1, "seed": 0, "batch_size": 2})
    assert figures["rate"] > 0


def test_every_comparison_names_arms_of_its_section(model, folder):
    for section in images.sections(model, folder, threads=2, quick=True):
        titles = [arm.title for arm in section.arms]
        assert len(set(titles)) == len(titles)
        assert {name for c in section.comparisons for name in (c.ours, c.theirs)} <= set(titles)
        assert all(arm.name in ARMS for arm in section.arms)
        assert len({json.dumps(arm.arguments["decode"]) for arm in section.arms}) == 1


@pytest.mark.parametrize(("value", "verdict"), [(0.91, "reached"), (0.89, "enough"), (0.87, "**missed**")])
def test_accuracy_comes_first_with_its_verdict_and_its_curve(value, verdict):
    record = {
        "scores": {"metrics": {"accuracy": {"value": value, "low": value - 0.01, "high": value + 0.01}}},
        "curves": [
            {"step": 1000, "epoch": 1.0, "train_loss": 0.9},
            {"step": 1000, "epoch": 1.0, "validation_loss": 0.5, "accuracy": 0.8},
        ],
    }
    result = {"record": record, "logistic_regression": 0.84, "minutes": 19.0, "environment": {"threads": "2"}}
    text = fashion_mnist.page(result)
    assert f"at least 88%: {verdict}. {100 * (value - 0.84):+.1f} points from logistic regression." in text
    assert "| 1,000 | 1.0 | 0.500 | 80.00% |" in text
