"""What `headway train` takes: quoted names, files of settings, runs of the version before; and spent memory."""

import json

import pytest
import torch

OLD_RUN = {
    "task": "classification",
    "validation": None,
    "test": None,
    "text_column": None,
    "text_pair_column": None,
    "label_column": None,
    "validation_share": 0.2,
    "test_share": 0.15,
    "skip_bad_rows": False,
    "max_length": 16,
    "epochs": 0.2,
    "batch_size": 16,
    "max_tokens": None,
    "micro_batches": 1,
    "learning_rate": 5e-4,
    "schedule": "linear",
    "warmup_share": 0.3,
    "weight_decay": 0.01,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "adam_eps": 1e-8,
    "max_grad_norm": 1.0,
    "layer_decay": 1.0,
    "freeze_blocks": 1,
    "dropout": None,
    "attention_dropout": None,
    "head_dropout": None,
    "label_smoothing": 0.0,
    "class_weights": "none",
    "metric": None,
    "evaluations_per_epoch": 2,
    "patience": 4,
    "save_minutes": 5.0,
    "seed": 3,
    "device": "auto",
    "precision": "auto",
    "threads": None,
    "fingerprint": "0123456789abcdef",
}
"""A run.json as version 0.1.0 wrote it."""


def settings_of(folder):
    return json.loads((folder / "headway" / "record.json").read_text())["settings"]


def test_a_run_of_the_version_before_is_run_again(reviews_file, tiny_model, headway_here, tmp_path):
    (tmp_path / "run.json").write_text(json.dumps(OLD_RUN | {"data": str(reviews_file), "model": str(tiny_model)}))
    done = headway_here("train", "--config", tmp_path / "run.json", "--output", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    settings = settings_of(tmp_path / "run")
    renamed = {"validation_fraction": 0.2, "test_fraction": 0.15, "warmup_ratio": 0.3, "freeze_layers": 1}
    assert {name: settings[name] for name in renamed} == renamed
    record = json.loads((tmp_path / "run" / "headway" / "record.json").read_text())
    assert record["task"] == "text_classification"
    assert record["rows"]["validation"] == pytest.approx(80, abs=3)


def test_a_file_of_settings_has_sections_and_flags_win(reviews_file, tiny_model, headway_here, tmp_path):
    (tmp_path / "settings.toml").write_text("[data]\nmax_length = 16\n[training]\nepochs = 3\nseed = 5\n")
    words = ["--config", tmp_path / "settings.toml", "--epochs", "0.2", "--model", tiny_model]
    done = headway_here("train", reviews_file, *words, "--output", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    settings = settings_of(tmp_path / "run")
    assert (settings["max_length"], settings["epochs"], settings["seed"]) == (16, 0.2, 5)


@pytest.mark.parametrize("written", ['"my label"', "'my label'", "my label"])
def test_quotes_of_a_setting_are_not_part_of_it(headway_here, tiny_model, tmp_path, written):
    rows = [f"this is text number {index},x{index % 2},{index}" for index in range(40)]
    (tmp_path / "rows.csv").write_text("text,my label,label\n" + "\n".join(rows))
    done = headway_here(
        *("inspect", tmp_path / "rows.csv", "--model", tiny_model, "--json", "--set", f"label_column={written}")
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["columns"]["label"] == ["my label"]


def test_the_output_is_named_after_the_data(reviews_file, tiny_model, headway_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = headway_here("train", reviews_file, "--model", tiny_model, "--epochs", "0.2", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "runs" / "reviews" / "headway" / "record.json").is_file()
    assert not (tmp_path / "runs" / "reviews" / "headway" / "state").exists()


def too_much_memory():
    torch.empty(10**15)


def python_has_none():
    raise MemoryError


def the_gpu_has_none():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


@pytest.mark.parametrize("spend", [too_much_memory, python_has_none, the_gpu_has_none])
def test_spent_memory_is_said_in_a_sentence_with_a_way_out(
    reviews_file, tiny_model, headway_here, tmp_path, monkeypatch, spend
):
    monkeypatch.setattr("headway.tasks.run.fit", lambda *args, **named: spend())
    done = headway_here("train", reviews_file, "--model", tiny_model, "--quiet", "--output", tmp_path / "run")
    assert done.returncode == 1
    assert done.stderr == (
        "headway: out of memory. Try --set micro_batches=4, a smaller --batch-size, or --max-length 256.\n"
    )


@pytest.mark.parametrize("words", [[], ["--task", "text-classification"]], ids=["found", "told"])
def test_settings_of_other_tasks_are_refused(reviews_file, headway_here, tmp_path, words):
    done = headway_here(
        *("train", reviews_file, "--model", "scratch:tiny", "--set", "mixup=0.2", "--set", "max_new_tokens=5"),
        *("--output", tmp_path / "run", *words),
    )
    assert done.returncode == 2
    assert "Settings max_new_tokens, mixup have no effect on text_classification; leave them out." in done.stderr
    assert not (tmp_path / "run" / "headway").exists()
