"""Image classifiers from end to end: every source, every way to ask, damaged files, resuming, and `transformers`."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import headway
from headway.errors import DataError, SettingsError
from headway.tasks.model import Model

SIDE = 8
TRAINING = {"epochs": 3, "batch_size": 8, "quiet": True, "model": "scratch:tiny"}


def picture(label: str, number: int, side: int = SIDE) -> Image.Image:
    """Half of it is light: the left one or the right one."""
    pixels = np.random.default_rng([number, len(label)]).integers(0, 60, (side, side, 3), dtype=np.uint8)
    light = np.s_[:, : side // 2] if label == "left" else np.s_[:, side // 2 :]
    pixels[light] += 180
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def classes(tmp_path_factory) -> Path:
    """Class folders: 20 images of each of two classes."""
    folder = tmp_path_factory.mktemp("images") / "sides"
    for label in ("left", "right"):
        (folder / label).mkdir(parents=True)
        for number in range(20):
            picture(label, number).save(folder / label / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def train(tmp_path_factory) -> Callable[..., Any]:
    def call(data: Any, **settings: Any) -> Any:
        return headway.train(data, **{"output": tmp_path_factory.mktemp("run") / "model", **TRAINING, **settings})

    return call


@pytest.fixture(scope="module")
def result(train, classes):
    return train(classes, epochs=12, learning_rate=2e-3, patience=None, validation=classes, test=classes)


def command(*words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "headway", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=200,
        env=environment,
        check=False,
    )


def rows_of(classes: Path) -> list[tuple[Path, str]]:
    return [(path, path.parent.name) for path in sorted(classes.rglob("*.png"))]


def as_csv(classes: Path, folder: Path) -> Path:
    file = folder / "table.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows(
            [("photo", "class"), *((os.path.relpath(path, folder), label) for path, label in rows_of(classes))]
        )
    return file


def as_metadata(classes: Path, folder: Path) -> Path:
    for number, (path, _) in enumerate(rows_of(classes)):
        (folder / f"{number}.png").write_bytes(path.read_bytes())
    lines = [f"{number}.png,{label}" for number, (_, label) in enumerate(rows_of(classes))]
    (folder / "metadata.csv").write_text("\n".join(["file_name,label", *lines]))
    return folder


def as_parquet(classes: Path, folder: Path) -> Path:
    rows = rows_of(classes)
    table = pd.DataFrame({"image": [path.read_bytes() for path, _ in rows], "label": [label for _, label in rows]})
    table.to_parquet(folder / "bytes.parquet")
    return folder / "bytes.parquet"


def as_struct(classes: Path, folder: Path) -> Path:
    rows = rows_of(classes)
    images = [{"bytes": path.read_bytes(), "path": None} for path, _ in rows]
    pd.DataFrame({"image": images, "label": [label for _, label in rows]}).to_parquet(folder / "hub.parquet")
    return folder / "hub.parquet"


def as_rows(classes: Path, folder: Path) -> list[dict[str, str]]:
    return [{"image": str(path), "label": label} for path, label in rows_of(classes)]


@pytest.mark.parametrize(
    "source", [as_csv, as_metadata, as_parquet, as_struct, as_rows], ids=lambda make: make.__name__
)
def test_every_source_gives_the_same_weights(train, classes, tmp_path, source):
    made = source(classes, tmp_path)
    same = {"validation": classes, "test": classes, "epochs": 1}
    one, other = train(classes, **same).model, train(made, **same).model
    assert other.task.name == "image_classification"
    assert other.label_names == ("left", "right")
    for name, weight in one.loaded.network.state_dict().items():
        assert torch.equal(weight, other.loaded.network.state_dict()[name]), name


def test_it_learns_and_answers_every_kind_of_input(result, classes):
    model: Model = result.model
    assert model.evaluate(classes).scores.metrics["accuracy"].value == 1.0
    path = classes / "left" / "03.png"
    image = Image.open(path)
    inputs = {
        "path": path,
        "str": str(path),
        "bytes": path.read_bytes(),
        "image": image,
        "list": [path],
        "frame": pd.DataFrame({"image": [str(path)], "other": [1]}),
        "row": {"image": str(path)},
    }
    answers = {name: model.predict(value) for name, value in inputs.items()}
    for name, (answer,) in answers.items():
        assert answer.label == "left", name
        np.testing.assert_array_equal(answer.scores, answers["path"][0].scores, err_msg=name)
    assert model.predict_proba([path, classes / "right" / "01.png"]).argmax(1).tolist() == [0, 1]
    with pytest.raises(TypeError, match=r"predict takes images .*not float"):
        model.predict([3.5])
    assert "2 labels (left, right)" in repr(model)


def test_the_command_line_answers_measures_and_inspects(result, classes, tmp_path):
    folder, path = result.model.folder, classes / "right" / "05.png"
    told = command("predict", folder, path, "--format", "jsonl")
    assert told.returncode == 0, told.stderr
    answer = json.loads(told.stdout)
    assert (answer["image"], answer["label"]) == (str(path), "right")
    (expected,) = result.model.predict(path)
    assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    done = command("predict", folder, "--input", classes, "--output", tmp_path / "answers.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "answers.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 40
    record = json.loads(command("evaluate", folder, classes, "--json").stdout)
    assert record["scores"]["metrics"]["accuracy"]["value"] == 1.0
    shown = command("inspect", folder).stdout
    assert "left, right" in shown
    assert "FLOP per image" in shown
    assert "tokens per image" in shown


def test_settings_that_images_ignore_are_hidden_and_refused(train, classes):
    shown = command("settings", "image-classification").stdout
    assert "cutmix" in shown
    for name in ("max_length", "text_column", "max_new_tokens"):
        assert name not in shown
    with pytest.raises(SettingsError, match="max_length has no effect on image_classification"):
        train(classes, max_length=64)


def test_the_folder_opens_in_transformers(result, classes):
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    theirs = AutoModelForImageClassification.from_pretrained(result.model.folder).eval()
    processor = AutoImageProcessor.from_pretrained(result.model.folder, use_fast=False)
    paths = [path for path, _ in rows_of(classes)][::4]
    with torch.no_grad():
        logits = theirs(**processor([Image.open(path) for path in paths], return_tensors="pt")).logits
    expected = logits.softmax(-1).numpy()
    assert [theirs.config.id2label[index] for index in range(2)] == list(result.model.label_names)
    np.testing.assert_allclose(result.model.predict_proba(paths), expected, atol=1e-5)


@pytest.mark.parametrize("family", ["ViT", "DeiT"])
def test_a_checkpoint_is_fine_tuned_and_keeps_its_processor(train, classes, tmp_path, family):
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=16, patch_size=4
    )
    getattr(transformers, f"{family}ForImageClassification")(config).save_pretrained(tmp_path / "base")
    mean, size = [0.4, 0.5, 0.6], {"height": 16, "width": 16}
    extra = {"do_center_crop": False} if family == "DeiT" else {}
    theirs = getattr(transformers, f"{family}ImageProcessor")(image_mean=mean, size=size, **extra)
    theirs.save_pretrained(tmp_path / "base")
    trained = train(classes, model=tmp_path / "base", epochs=6, learning_rate=3e-3, patience=None)
    assert trained.model.evaluate(classes).scores.metrics["accuracy"].value > 0.9
    kept = json.loads((Path(trained.model.folder) / "preprocessor_config.json").read_text())
    assert kept["image_mean"] == mean
    assert kept["size"] == size
    paths = [path for path, _ in rows_of(classes)][::8]
    model = transformers.AutoModelForImageClassification.from_pretrained(trained.model.folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(trained.model.folder, use_fast=False)
    with torch.no_grad():
        logits = model(**processor([Image.open(path) for path in paths], return_tensors="pt")).logits
    np.testing.assert_allclose(trained.model.predict_proba(paths), logits.softmax(-1).numpy(), atol=1e-5)


AUGMENTED = {"crop": 0.3, "flip": True, "randaugment": 2, "mixup": 0.4, "cutmix": 0.5}


def test_augmentation_changes_training_and_is_drawn_from_the_seed(train, classes):
    plain, one, again = (
        train(classes, epochs=1, **chosen).model.loaded.network.state_dict() for chosen in ({}, AUGMENTED, AUGMENTED)
    )
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not any(torch.equal(plain[name], one[name]) for name in plain if name.endswith("up.weight"))


@pytest.mark.parametrize("setting", AUGMENTED)
def test_each_augmentation_reaches_the_batches(classes, setting):
    from headway.settings import resolve
    from headway.tasks.data import read_tables, read_task_data
    from headway.tasks.encoding import EncodedRows
    from headway.tasks.fit import _Job
    from headway.tasks.registry import TASKS
    from headway.tasks.task import ModelSource

    task, source = TASKS["image_classification"], ModelSource("scratch:tiny", None)
    tables, sources = read_tables(classes, None, None, resolve({}).data)
    seen = {}
    for chosen in ({}, {setting: AUGMENTED[setting]}):
        settings = resolve({"batch_size": 8, **chosen})
        data = read_task_data(task, tables, sources, settings, source)
        model = task.load(source, data.spec, data.splits.train, settings, torch.device("cpu"))
        rows = {name: EncodedRows(task, model, part) for name, part in data.splits.parts().items()}
        job = _Job(task, model, data.spec, rows, settings, "accuracy", True)
        first = [batch.pixel_values for [batch] in job.batches(0, 0)]
        again = [batch.pixel_values for [batch] in job.batches(0, 2)]
        assert all(torch.equal(one, other) for one, other in zip(first[2:], again, strict=True))
        seen[bool(chosen)] = torch.cat(first)
    assert not torch.equal(seen[False], seen[True])


def test_killed_and_resumed_with_augmentation_the_weights_are_bit_identical(classes, tmp_path):
    words = [*("train", classes, "--model", "scratch:tiny", "--epochs", "6", "--batch-size", "4")]
    for name, value in {**AUGMENTED, "save_minutes": 0, "patience": "none"}.items():
        words += ["--set", f"{name}={str(value).lower()}"]
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    done = command(*words, "--output", straight)
    assert done.returncode == 0, done.stderr
    process = subprocess.Popen(
        [sys.executable, "-m", "headway", *map(str, words), "--output", str(killed)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    state = killed / "headway" / "state" / "state.pt"
    while not state.exists():
        assert process.poll() is None, "it ended before its first state"
        time.sleep(0.005)
    time.sleep(0.3)
    assert process.poll() is None, "it ended before it was killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = command("train", "--resume", "--output", killed)
    assert done.returncode == 0, done.stderr
    assert (straight / "model.safetensors").read_bytes() == (killed / "model.safetensors").read_bytes()


def test_several_labels_per_image(train, tmp_path):
    lines = []
    for number in range(40):
        light, red = number % 2, number // 2 % 2
        pixels = np.full((SIDE, SIDE, 3), (200 if light else 40) + number // 4, dtype=np.uint8)
        pixels[:, :, 0] = 255 if red else pixels[:, :, 0]
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        labels = [name for name, given in (("light", light), ("red", red)) if given]
        lines.append(json.dumps({"image": f"{number}.png", "labels": labels}))
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    mixing = {"mixup": 0.2, "cutmix": 0.2, "class_weights": "balanced"}
    model = train(tmp_path / "rows.jsonl", epochs=25, learning_rate=1e-3, patience=None, **mixing).model
    assert model.label_names == ("light", "red")
    answers = model.predict([tmp_path / f"{number}.png" for number in (3, 2, 1, 0)])
    assert [set(answer.label) for answer in answers] == [{"light", "red"}, {"red"}, {"light"}, set()]


def test_balanced_weights_find_the_rare_class_and_one_answer_is_told(train, tmp_path):
    for label, count in (("left", 60), ("right", 6)):
        (tmp_path / label).mkdir()
        for number in range(count):
            picture(label, number).save(tmp_path / label / f"{number}.png")
    settings = {"epochs": 0.1, "learning_rate": 1e-3, "test": tmp_path, "validation": tmp_path}
    blind = train(tmp_path, **settings)
    assert "Every row is answered with “left”" in repr(blind)
    balanced = train(tmp_path, **{**settings, "epochs": 10, "patience": None}, class_weights="balanced")
    assert balanced.record.scores.metrics["macro_f1"].value > 0.9
    assert "Every row is answered" not in repr(balanced)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory) -> tuple[Path, list[str]]:
    """Class folders with 16 good images and four that cannot be read."""
    folder = tmp_path_factory.mktemp("damaged") / "photos"
    for label in ("left", "right"):
        (folder / label).mkdir(parents=True)
        for number in range(8):
            picture(label, number).save(folder / label / f"good{number}.png")
    jpeg = encoded(Image.effect_noise((32, 32), 90).convert("RGB"), "JPEG")
    bad = {"left/cut.jpg": jpeg[: len(jpeg) // 2], "left/empty.jpg": b"", "right/text.png": b"not an image\n"}
    bad["right/page.jpg"] = b"<html>404</html>"
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    return folder, list(bad)


def test_damaged_images_are_all_named_before_the_first_step(train, damaged, tmp_path):
    folder, bad = damaged
    with pytest.raises(DataError) as caught:
        train(folder, output=tmp_path / "model")
    for name in bad:
        assert name in str(caught.value)
    assert "4 of 20 rows" in str(caught.value)
    assert "--skip-bad-rows" in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_damaged_images_are_skipped_and_listed_everywhere(train, damaged, tmp_path):
    folder, bad = damaged
    trained = train(folder, skip_bad_rows=True)
    assert sum(trained.record.rows.values()) == 16
    (finding,) = [one for one in trained.record.findings if one.name == "bad_rows"]
    assert finding.count == 4
    assert all(any(name in line for line in finding.examples) for name in bad)
    refused = command("evaluate", trained.model.folder, folder)
    assert refused.returncode == 2
    assert all(name in refused.stderr for name in bad)
    measured = json.loads(command("evaluate", trained.model.folder, folder, "--json", "--skip-bad-rows").stdout)
    assert measured["rows"] == {"test": 16}
    told = command("predict", trained.model.folder, "--input", folder, "--format", "jsonl")
    assert told.returncode == 1
    assert sum("error" in json.loads(line) for line in told.stdout.splitlines()) == 4
    done = command("predict", trained.model.folder, "--input", folder, "--skip-bad-rows", "--format", "jsonl")
    assert len(done.stdout.splitlines()) == 16, done.stderr
    assert all(name in done.stderr for name in bad)


def test_a_path_that_leads_nowhere_is_a_bad_row_too(train, classes, tmp_path):
    file = as_csv(classes, tmp_path)
    file.write_text(file.read_text() + "gone/1.png,left\n")
    with pytest.raises(DataError, match=r"1 of 41 rows.*\n.*row 41 .*gone/1.png.*there is no such file"):
        train(file)
    assert sum(train(file, skip_bad_rows=True, epochs=1).record.rows.values()) == 40


def test_training_decodes_each_image_once(train, classes, monkeypatch):
    from headway.images import loading

    opened: list[object] = []
    true = loading.open_image
    monkeypatch.setattr(loading, "open_image", lambda source, name=None: opened.append(source) or true(source, name))
    train(classes, epochs=3, flip=True)
    assert len(opened) == 40


def test_answers_do_not_keep_images_in_memory(result):
    assert result.model.loaded.images.cache is None
    assert result.model.loaded.images.augmentation is None or not result.model.loaded.images.augmentation.changes_images


def test_the_report_has_a_sheet_of_mistakes(train, classes):
    trained = train(classes, epochs=1, learning_rate=1e-7, test=classes)
    page = (Path(trained.model.folder) / "headway" / "report.html").read_text()
    wrong = sum(map(sum, trained.record.details["confusion"])) - sum(
        row[index] for index, row in enumerate(trained.record.details["confusion"])
    )
    assert wrong
    assert page.count('src="data:image/jpeg;base64,') == min(wrong, 20)
    assert "headway predict" in page
    assert "photo.jpg" in page
