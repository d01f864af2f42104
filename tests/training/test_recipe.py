import pytest

from headway.settings import Settings, TrainingSettings
from headway.training.recipe import FINE_TUNING, FROM_SCRATCH, resolve_recipe


def chosen(settings, names=FINE_TUNING):
    return {name: getattr(settings.training, name) for name in names}


@pytest.mark.parametrize(("from_scratch", "recipe"), [(False, FINE_TUNING), (True, FROM_SCRATCH)])
def test_what_is_left_open_is_decided_and_said(from_scratch, recipe):
    settings, sentences = resolve_recipe(Settings(), from_scratch=from_scratch)
    assert chosen(settings) == recipe
    [sentence] = sentences
    assert ("new weights" in sentence) == from_scratch
    assert all(name in sentence for name in recipe)


def test_the_sentence_reads_like_settings():
    _, [sentence] = resolve_recipe(Settings(), from_scratch=False)
    assert sentence == (
        "Chosen for a pretrained model: epochs = 4, batch_size = 32, learning_rate = 5e-05, patience = 4."
    )


def test_what_the_user_says_stays():
    training = TrainingSettings(epochs=1, learning_rate=1e-3, patience=None)
    settings, [sentence] = resolve_recipe(Settings(training=training), from_scratch=True)
    assert chosen(settings) == {"epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "patience": None}
    assert sentence == "Chosen for new weights: batch_size = 32."


def test_auto_may_be_said_too():
    settings, _ = resolve_recipe(Settings(training=TrainingSettings(epochs="auto")), from_scratch=False)
    assert settings.training.epochs == FINE_TUNING["epochs"]


def test_nothing_left_open_is_nothing_said():
    given = Settings(training=TrainingSettings(epochs=1, batch_size=2, learning_rate=1e-3, patience=3))
    assert resolve_recipe(given, from_scratch=False) == (given, ())


def test_a_task_prefers_other_values_but_not_over_the_users():
    preferred = {"batch_size": 64, "weight_decay": 0.05, "warmup_ratio": 0.2}
    training = TrainingSettings(warmup_ratio=0.5)
    settings, [sentence] = resolve_recipe(Settings(training=training), from_scratch=True, preferred=preferred)
    assert chosen(settings, ("batch_size", "weight_decay", "warmup_ratio", "epochs")) == {
        "batch_size": 64,
        "weight_decay": 0.05,
        "warmup_ratio": 0.5,
        "epochs": 20,
    }
    assert "weight_decay = 0.05" in sentence
    assert "warmup_ratio" not in sentence
