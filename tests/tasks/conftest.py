"""Small real files and a tiny model, trained through the Python face."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headway
from headway.tasks.model import Model


@pytest.fixture(scope="session")
def tiny_model(tiny_bert, tmp_path_factory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("tiny") / "model", initializer_range=0.05)


@pytest.fixture(scope="session")
def train_tiny(tiny_model, tmp_path_factory) -> Callable[..., Model]:
    """`train_tiny(file, epochs=…)`: train the tiny model; its folder is `model.folder`."""

    def train(data: Path, **settings: Any) -> Model:
        chosen = {"epochs": 2, "learning_rate": 3e-3, "model": tiny_model, "quiet": True, **settings}
        return headway.train(data, **{"output": tmp_path_factory.mktemp("run") / "model", **chosen}).model

    return train


@pytest.fixture(scope="session")
def topics_file(review_texts, tmp_path_factory) -> Path:
    """JSON lines with a list of labels each, of which a text's words decide: it can be learned."""
    path = tmp_path_factory.mktemp("topics") / "topics.jsonl"
    words = {"camera": "camera", "battery": "battery", "great": "praise", "not": "complaint"}
    with path.open("w", encoding="utf-8") as file:
        for text in review_texts[:600]:
            labels = [label for word, label in words.items() if word in text.lower().split()]
            file.write(json.dumps({"text": text, "labels": labels}) + "\n")
    return path


@pytest.fixture(scope="session")
def pairs_file(review_texts, tmp_path_factory) -> Path:
    """Pairs of texts: the same text twice, or two different ones."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sentence1", "sentence2", "label"])
        for index, text in enumerate(review_texts[:300]):
            writer.writerow([text, text if index % 2 else review_texts[index + 300], "same" if index % 2 else "other"])
    return path
