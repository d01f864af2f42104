from collections.abc import Iterator

import numpy as np
import pytest

from headway.evaluation import baselines as module
from headway.evaluation.baselines import classification_baselines
from headway.evaluation.metrics.labels import score

GOOD, BAD = (
    ("a fine machine", "it works well, fine", "fine and quiet"),
    ("it broke", "broke twice, awful", "awful noise"),
)
TEXTS = [text for _ in range(20) for text in (*GOOD, *BAD)]
TARGETS = np.array([0, 0, 0, 1, 1, 1] * 20)


def test_both_baselines_are_scored_on_the_same_rows():
    majority, words = classification_baselines(TEXTS, TARGETS, TEXTS[:12], TARGETS[:12], ("good", "bad"))
    assert majority.scores.metrics["accuracy"].value == 0.5
    assert "“good”" in majority.description
    assert words.scores.metrics["accuracy"].value == 1.0
    assert majority.scores.rows == words.scores.rows == 12
    assert majority.lead == words.lead == {}


def test_the_models_lead_is_paired():
    ours = np.eye(2)[1 - TARGETS[:12]]
    majority, words = classification_baselines(
        iter(TEXTS), TARGETS, iter(TEXTS[:12]), TARGETS[:12], ("good", "bad"), probabilities=ours
    )
    assert majority.lead["accuracy"].value == -0.5
    assert words.lead["accuracy"].high < 0
    assert words.lead.keys() == words.scores.metrics.keys()


def test_a_class_that_the_sample_lacks_has_probability_zero():
    targets = np.array([0, 0, 0, 2, 2, 2] * 20)
    _, words = classification_baselines(TEXTS, targets, ["broke"], np.array([1]), ("good", "new", "bad"))
    assert words.scores.confusion[1] == (0, 0, 1)


def test_one_class_in_training_is_no_crash():
    majority, words = classification_baselines(
        TEXTS[:3], np.zeros(3, dtype=np.int64), ["fine"], np.array([0]), ("good", "bad")
    )
    assert majority.scores.metrics == words.scores.metrics


@pytest.mark.parametrize("num_labels", [1, 3])
def test_several_labels(num_labels: int):
    targets = np.zeros((len(TEXTS), num_labels), dtype=np.float32)
    targets[:, 0] = 1 - TARGETS
    targets[:, -1] = np.maximum(targets[:, -1], TARGETS * (num_labels > 1))
    names = ("good", "never", "bad")[:num_labels]
    common, words = classification_baselines(TEXTS, targets, TEXTS[:12], targets[:12], names, multi=True)
    assert words.scores.metrics["micro_f1"].value == 1.0
    assert common.scores.metrics["micro_f1"].value == pytest.approx(2 / 3)
    assert "same labels: good" in common.description


def test_the_common_answer_is_the_best_constant_one():
    generator = np.random.default_rng(0)
    targets = (generator.random((200, 4)) < (0.7, 0.5, 0.1, 0.02)).astype(np.float32)
    common, _ = classification_baselines(["x"] * 200, targets, ["x"] * 200, targets, "abcd", multi=True)
    constants = [np.tile([bits >> label & 1 for label in range(4)], (200, 1)).astype(float) for bits in range(1, 16)]
    best = max(score(targets, one, "abcd", multi=True, resamples=1).metrics["micro_f1"].value for one in constants)
    assert common.scores.metrics["micro_f1"].value == pytest.approx(best)


def test_scripts_without_spaces_are_counted_by_characters():
    texts = ["这台机器很好用", "这台机器坏了没用"] * 20
    targets = np.array([0, 1] * 20)
    _, words = classification_baselines(texts, targets, ["真的很好", "又坏了"], np.array([0, 1]), ("好", "坏"))
    assert "characters" in words.description
    assert words.scores.metrics["accuracy"].value == 1.0


def test_texts_without_a_word_or_a_character():
    targets = np.array([0, 1] * 10)
    _, marks = classification_baselines([":-)", ":-("] * 10, targets, [":-)", ":-("], np.array([0, 1]), ("glad", "sad"))
    assert marks.scores.metrics["accuracy"].value == 1.0
    assert len(classification_baselines([" "] * 20, targets, [" "], np.array([0]), ("glad", "sad"))) == 1


def test_of_many_rows_a_sample_is_read_once_and_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_TRAIN_ROWS", 60)

    def once() -> Iterator[str]:
        yield from TEXTS

    _, words = classification_baselines(once(), TARGETS, TEXTS[:12], TARGETS[:12], ("good", "bad"), seed=1)
    assert "a random 60 of the 120 training rows" in words.description
    assert words.scores.metrics["accuracy"].value == 1.0
    monkeypatch.setattr(module, "_MAX_CHARACTERS", 300)
    _, fewer = classification_baselines(once(), TARGETS, TEXTS[:12], TARGETS[:12], ("good", "bad"), seed=1)
    kept = int(fewer.description.split("random ")[1].split(" ")[0])
    assert 10 < kept < 40
