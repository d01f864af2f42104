"""Writing model folders: whole or not at all, with what others need to open them."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from headway.checkpoints.load import LoadedClassifier, load_classifier
from headway.checkpoints.save import save_classifier
from headway.checkpoints.tokenizer_files import load_tokenizer
from headway.errors import CheckpointError, HeadwayError
from headway.tokenizers.tokenizer import Tokenizer


@pytest.fixture
def loaded(pristine: Path) -> LoadedClassifier:
    return load_classifier(pristine)


def _ids(folder: Path, text: str) -> list[int]:
    return load_tokenizer(folder).encode([text])[0].input_ids.tolist()


def save(folder: Path, loaded: LoadedClassifier, tokenizer: Path | Tokenizer, **changes: object) -> None:
    options = {"config": loaded.config, "label_names": loaded.label_names, "multi": loaded.multi} | changes
    save_classifier(folder, loaded.model, tokenizer=tokenizer, **options)


@pytest.mark.parametrize("form", ["folder", "tokenizer"])
def test_a_saved_model_is_read_back_bit_by_bit(
    tmp_path: Path, pristine: Path, loaded: LoadedClassifier, form: str
) -> None:
    folder = tmp_path / "new" / "model"
    save(folder, loaded, pristine if form == "folder" else load_tokenizer(pristine))
    again = load_classifier(folder)
    assert (again.label_names, again.multi, again.fresh) == (loaded.label_names, False, ())
    assert again.model.architecture == loaded.model.architecture
    for name, weight in loaded.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], weight), name
    assert _ids(folder, "good!") == _ids(pristine, "good!")
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_the_config_says_what_the_model_is_and_keeps_what_it_does_not_know(
    tmp_path: Path, pristine: Path, loaded: LoadedClassifier
) -> None:
    source = loaded.config | {"our_note": [1], "_name_or_path": "secret/place", "torch_dtype": "float16"}
    save(tmp_path, loaded, pristine, config=source, label_names=["x", "y", "z"], multi=True)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "x", "1": "y", "2": "z"}
    assert config["label2id"] == {"x": 0, "y": 1, "z": 2}
    assert config["problem_type"] == "multi_label_classification"
    assert config["dtype"] == "float32"
    assert config["our_note"] == [1]
    assert not {"_name_or_path", "torch_dtype", "transformers_version"} & config.keys()
    assert load_classifier(tmp_path).multi


def test_the_weights_are_plain_float32_under_their_own_names(
    tmp_path: Path, pristine: Path, loaded: LoadedClassifier
) -> None:
    loaded.model.bfloat16()
    save(tmp_path, loaded, pristine)
    with (
        safe_open(tmp_path / "model.safetensors", "pt") as ours,
        safe_open(pristine / "model.safetensors", "pt") as theirs,
    ):
        assert ours.metadata() == {"format": "pt"}
        assert sorted(ours.keys()) == sorted(theirs.keys())
        assert {ours.get_slice(name).get_dtype() for name in ours.keys()} == {"F32"}  # noqa: SIM118 - not a mapping


def test_a_model_that_was_changed_is_not_saved_with_holes(
    tmp_path: Path, pristine: Path, loaded: LoadedClassifier
) -> None:
    loaded.model.pooler = torch.nn.Identity()
    with pytest.raises(ValueError, match="only a float model can be saved"):
        save(tmp_path / "out", loaded, pristine)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_saved_is_refused_before_anything_is_written(
    tmp_path: Path, pristine: Path, loaded: LoadedClassifier
) -> None:
    with pytest.raises(ValueError, match="2 label names for a model with 3 scores"):
        save(tmp_path / "out", loaded, pristine, label_names=["a", "b"])
    with pytest.raises(CheckpointError, match="not supported"):
        save(tmp_path / "out", loaded, pristine, config={"model_type": "whisper"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="no tokenizer"):
        save(tmp_path / "out", loaded, tmp_path / "empty")
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_the_old_weights(
    tmp_path: Path, pristine: Path, loaded: LoadedClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, loaded, pristine)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with torch.no_grad():
        loaded.model.classification_head.bias.add_(1)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HeadwayError, match="the disk is full"):
        save(tmp_path, loaded, pristine)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
