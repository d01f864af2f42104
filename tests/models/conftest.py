"""Tiny random models as fixtures: one, or one a family and setting."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.models.random_models import (
    CLASSIFIERS,
    IMAGE_CLASSIFIERS,
    WRITERS,
    save_random_classifier,
    save_random_image_classifier,
    save_random_writer,
)


@pytest.fixture(params=[(family, seed) for family in CLASSIFIERS for seed in range(6)], ids=lambda p: f"{p[0]}-{p[1]}")
def random_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny random classifier of each family, in several settings."""
    family, seed = request.param
    folder = tmp_path / "theirs"
    save_random_classifier(folder, family, seed)
    return folder


SEEDS = {"vision_encoder_decoder": 10, "t5": 6}
"""How many random settings of a family are tried, where four are too few for its variants."""


@pytest.fixture(
    params=[(family, seed) for family in WRITERS for seed in range(SEEDS.get(family, 4))],
    ids=lambda pair: f"{pair[0]}-{pair[1]}",
)
def random_writer(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny random model that writes, of each family, in several settings."""
    family, seed = request.param
    folder = tmp_path / "theirs"
    save_random_writer(folder, family, seed)
    return folder


@pytest.fixture(
    params=[(family, seed) for family in IMAGE_CLASSIFIERS for seed in range(4)], ids=lambda p: f"{p[0]}-{p[1]}"
)
def random_image_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny random classifier of images, of each family, in several settings."""
    family, seed = request.param
    folder = tmp_path / "theirs"
    save_random_image_classifier(folder, family, seed)
    return folder


@pytest.fixture(params=list(CLASSIFIERS))
def random_classifier(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One tiny random classifier of each family."""
    folder = tmp_path / "model"
    save_random_classifier(folder, request.param, seed=0)
    return folder


@pytest.fixture(params=range(3))
def random_decoder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny random decoder that stands alone."""
    folder = tmp_path / "theirs"
    save_random_writer(folder, "gpt2", request.param)
    return folder


@pytest.fixture(
    params=[(family, seed) for family in CLASSIFIERS | IMAGE_CLASSIFIERS | WRITERS for seed in range(6)],
    ids=lambda pair: f"{pair[0]}-{pair[1]}",
)
def random_config(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The `config.json` of a model of each family, in several settings."""
    family, seed = request.param
    return (CLASSIFIERS | IMAGE_CLASSIFIERS | WRITERS)[family](random.Random(f"{family} {seed}")).to_dict()


@pytest.fixture
def write_classifier() -> Callable[[Path, str, int], None]:
    """Writes a tiny random classifier of a family."""
    return save_random_classifier


@pytest.fixture
def write_writer() -> Callable[[Path, str, int], None]:
    """Writes a tiny random model that writes."""
    return save_random_writer


@pytest.fixture
def draw_config() -> Callable[[str, random.Random], Any]:
    """Draws a configuration of a family, with random settings."""
    return lambda family, draw: (CLASSIFIERS | IMAGE_CLASSIFIERS | WRITERS)[family](draw)
