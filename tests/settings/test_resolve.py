import re

import pytest

from headway.errors import SettingsError
from headway.settings import load_settings_file, parse_assignments, resolve


def test_later_layers_win():
    settings = resolve({"epochs": 3, "seed": 1}, {"epochs": "5", "text_column": "review"}, {})
    assert (settings.training.epochs, settings.training.seed, settings.data.text_column) == (5, 1, "review")


def test_tables_are_sections_and_names_alone_will_do():
    nested = {"training": {"epochs": 3}, "machine": {"device": "cpu"}, "max_length": 64}
    settings = resolve(nested, {"epochs": 4})
    assert (settings.training.epochs, settings.machine.device, settings.data.max_length) == (4, "cpu", 64)
    assert resolve({"epochs": 4}, nested).training.epochs == 3


def test_what_was_given_is_known():
    assert resolve({"epochs": "auto", "seed": 0}).training.model_fields_set == {"epochs", "seed"}


@pytest.mark.parametrize(
    ("old", "value", "section", "new"),
    [
        ("validation_share", 0.2, "data", "validation_fraction"),
        ("test_share", 0.2, "data", "test_fraction"),
        ("warmup_share", 0.3, "training", "warmup_ratio"),
        ("freeze_blocks", 2, "training", "freeze_layers"),
    ],
)
def test_names_of_the_first_version_are_read(old, value, section, new):
    for layer in ({old: value}, {section: {old: value}}):
        assert getattr(resolve(layer).sections()[section], new) == value
    # Whichever of its names a later layer uses wins.
    assert getattr(resolve({old: value}, {new: value / 2 if value < 1 else 1}).sections()[section], new) != value


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epoch": 3}, "There is no setting 'epoch': did you mean 'epochs'?"),
        ({"zzz": 3}, "There is no setting 'zzz': `headway settings` lists them all."),
        ({"epochs": "many"}, "Setting epochs = 'many': Input should be a valid number"),
        ({"epochs": "many"}, ", or should be 'auto'."),
        ({"epochs": 0}, "Setting epochs = 0: Input should be greater than 0, or should be 'auto'."),
        ({"patience": "0"}, "Setting patience = '0': Input should be greater than or equal to 1, or should be 'auto'."),
        ({"batch_size": 2.5}, "Setting batch_size = 2.5: "),
        ({"device": "tpu"}, "Setting device = 'tpu': Input should be 'auto', 'cpu', 'cuda' or 'mps'."),
        ({"skip_bad_rows": "maybe"}, "Setting skip_bad_rows = 'maybe': "),
        ({"max_tokens": 32, "max_length": 64}, "max_tokens is smaller than max_length"),
        ({"training": 3}, "There is no setting 'training'"),
        ({"data": {"epochs": {"a": 1}}}, "Setting epochs = {'a': 1}: "),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(values, sentence):
    with pytest.raises(SettingsError) as refusal:
        resolve(values)
    assert sentence in str(refusal.value)
    assert "pydantic" not in str(refusal.value)


def test_everything_wrong_is_said_at_once():
    with pytest.raises(SettingsError) as refusal:
        resolve({"epochs": "many", "threads": 0, "lerning_rate": 1})
    message = str(refusal.value)
    assert message.count("Setting epochs") == 1
    assert "Setting threads = 0" in message
    assert "did you mean 'learning_rate'?" in message


def test_settings_that_a_command_would_ignore_are_refused():
    used = {"only": ["machine", "skip_bad_rows"], "command": "evaluate"}
    settings = resolve({"device": "cpu", "skip_bad_rows": True}, **used)
    assert settings.data.skip_bad_rows
    with pytest.raises(SettingsError) as refusal:
        resolve({"epochs": 3, "text_column": "a", "threads": 1}, **used)
    assert str(refusal.value) == (
        "Setting epochs has no effect on evaluate; leave it out. "
        "Setting text_column has no effect on evaluate; leave it out."
    )


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("epochs=3", "epochs", "3"),
        ("learning_rate = 3e-5", "learning_rate", "3e-5"),
        ("text_column=my text", "text_column", "my text"),
        ('text_column="3"', "text_column", "3"),
        ("text_column='a=b'", "text_column", "a=b"),
        ("label_column=a=b", "label_column", "a=b"),
        ('text_column="a\\tb"', "text_column", "a\tb"),
        ('text_column="open', "text_column", '"open'),
        ("patience=none", "patience", None),
        ('text_column="none"', "text_column", "none"),
        ("text_column=", "text_column", ""),
    ],
)
def test_assignments(word, name, value):
    assert parse_assignments([word]) == {name: value}


def test_assignments_become_what_the_setting_is():
    words = ["epochs=3", "skip_bad_rows=true", "patience=none", "text_column=3", "batch_size=16", "crop=0.25"]
    settings = resolve(parse_assignments(words))
    assert (settings.training.epochs, settings.training.patience, settings.training.batch_size) == (3, None, 16)
    assert (settings.data.skip_bad_rows, settings.data.text_column) == (True, "3")
    assert settings.augmentation.crop == 0.25


def test_an_assignment_without_a_value():
    with pytest.raises(SettingsError, match=re.escape("--set epochs: write it as KEY=VALUE, for example")):
        parse_assignments(["epochs"])


def test_a_file_of_settings(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('seed = 5\n[training]\nepochs = 3\nwarmup_share = 0.2\n[data]\ntext_column = "é 1"\n', "utf-8")
    settings = resolve(load_settings_file(file))
    assert (settings.training.seed, settings.training.epochs, settings.training.warmup_ratio) == (5, 3, 0.2)
    assert settings.data.text_column == "é 1"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"epochs = ", "not valid TOML: "),
        (b"text_column = '\xff'", "could not be read: "),
        (None, "could not be read: "),
    ],
)
def test_a_file_that_is_none(tmp_path, content, reason):
    file = tmp_path / "run.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError) as refusal:
        load_settings_file(file)
    assert f"{file}: {reason}" in str(refusal.value)
