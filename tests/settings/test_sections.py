import pytest
from pydantic import ValidationError

from headway.settings import MachineSettings, Section, Settings, TrainingSettings


def test_a_name_belongs_to_one_section_and_says_what_it_does():
    described = list(Settings.describe())
    names = [name for _, name, _ in described]
    assert len(set(names)) == len(names)
    assert {section for section, _, _ in described} == set(Settings().sections())
    for _, name, info in described:
        assert info.description, name
        assert info.description.endswith("."), name


def test_all_settings_by_name():
    flat = Settings(training=TrainingSettings(epochs=3)).flat()
    assert flat["epochs"] == 3
    assert flat["max_length"] is None
    assert flat["device"] == "auto"
    assert set(flat) == {name for _, name, _ in Settings.describe()}


def test_every_section_starts_complete():
    assert all(isinstance(section, Section) for section in Settings().sections().values())
    training = Settings().training
    assert (training.epochs, training.batch_size, training.learning_rate, training.patience) == ("auto",) * 4


def test_sections_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().training.epochs = 3
    before = Settings()
    assert before.with_training(epochs=3.0).training.epochs == 3
    assert before.training.epochs == "auto"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"epochs": 0}, "greater than 0"),
        ({"learning_rate": 0.0}, "greater than 0"),
        ({"learning_rate": -1e-5}, "greater than 0"),
        ({"batch_size": 0}, "greater than or equal to 1"),
        ({"patience": 0}, "greater than or equal to 1"),
        ({"epochs": float("nan")}, "finite"),
        ({"learning_rate": float("inf")}, "finite"),
        ({"weight_decay": float("nan")}, "finite"),
        ({"schedule": "cubic"}, "'linear', 'cosine' or 'constant'"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"seed": 2**63}, "less than"),
        ({"epoch": 3}, "not permitted"),
    ],
)
def test_impossible_values(values, reason):
    with pytest.raises(ValidationError, match=reason):
        TrainingSettings(**values)


def test_none_is_a_value_where_it_means_something():
    assert TrainingSettings(patience=None, max_grad_norm=None).patience is None
    with pytest.raises(ValidationError):
        TrainingSettings(batch_size=None)
    with pytest.raises(ValidationError):
        MachineSettings(device=None)
