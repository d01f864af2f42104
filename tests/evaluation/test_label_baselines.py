from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from headway.evaluation import label_baselines as module
from headway.evaluation.baselines import score_baseline
from headway.evaluation.label_baselines import LabelBaseline, linear_baseline, majority_baseline, tfidf_baseline
from headway.evaluation.metrics import compute_metrics
from headway.evaluation.metrics.label_metrics import LabelMetrics

GOOD, BAD = (
    ("a fine machine", "it works well, fine", "fine and quiet"),
    ("it broke", "broke twice, awful", "awful noise"),
)
TEXTS = [text for _ in range(20) for text in (*GOOD, *BAD)]
TARGETS = np.array([0, 0, 0, 1, 1, 1] * 20)


def metrics_of(baseline: LabelBaseline | None, targets: np.ndarray, names: Sequence[str], *, multi: bool = False):
    assert baseline is not None
    metrics = LabelMetrics(tuple(names), multi)
    return compute_metrics(metrics, metrics.statistics_of(targets, baseline.probabilities))


def test_both_baselines_answer_the_scored_rows():
    majority = majority_baseline(TARGETS, 12, ("good", "bad"))
    words = tfidf_baseline(iter(TEXTS), TARGETS, iter(TEXTS[:12]), ("good", "bad"))
    assert metrics_of(majority, TARGETS[:12], ("good", "bad"))["accuracy"] == 0.5
    assert majority.description == "answers “good” whatever the text"
    assert "the image" in majority_baseline(TARGETS, 12, ("good", "bad"), what="image").description
    assert metrics_of(words, TARGETS[:12], ("good", "bad"))["accuracy"] == 1.0


def test_the_models_lead_is_paired():
    metrics = LabelMetrics(("good", "bad"))
    majority = majority_baseline(TARGETS, 12, ("good", "bad"))
    statistics = metrics.statistics_of(TARGETS[:12], majority.probabilities)
    alone = score_baseline("majority", "", metrics, statistics)
    assert alone.lead == {}
    assert alone.scores.rows == 12
    ours = metrics.statistics_of(TARGETS[:12], np.eye(2)[1 - TARGETS[:12]])
    paired = score_baseline("majority", "", metrics, statistics, ours=ours)
    assert paired.scores == alone.scores
    assert paired.lead["accuracy"].value == -0.5
    assert paired.lead["accuracy"].high < 0
    assert paired.lead.keys() == paired.scores.metrics.keys()


def test_a_class_that_the_sample_lacks_has_probability_zero():
    targets = np.array([0, 0, 0, 2, 2, 2] * 20)
    words = tfidf_baseline(TEXTS, targets, ["broke"], ("good", "new", "bad"))
    assert words is not None
    assert words.probabilities[0, 1] == 0
    assert words.probabilities[0].argmax() == 2


def test_one_class_in_training_is_no_crash():
    targets = np.zeros(3, dtype=np.int64)
    words = tfidf_baseline(TEXTS[:3], targets, ["fine"], ("good", "bad"))
    assert words is not None
    assert words.probabilities.tolist() == majority_baseline(targets, 1, ("good", "bad")).probabilities.tolist()


@pytest.mark.parametrize("num_labels", [1, 3])
def test_several_labels(num_labels: int):
    targets = np.zeros((len(TEXTS), num_labels), dtype=np.float32)
    targets[:, 0] = 1 - TARGETS
    targets[:, -1] = np.maximum(targets[:, -1], TARGETS * (num_labels > 1))
    names = ("good", "never", "bad")[:num_labels]
    common = majority_baseline(targets, 12, names, multi=True)
    words = tfidf_baseline(TEXTS, targets, TEXTS[:12], names, multi=True)
    assert metrics_of(words, targets[:12], names, multi=True)["micro_f1"] == 1.0
    assert metrics_of(common, targets[:12], names, multi=True)["micro_f1"] == pytest.approx(2 / 3)
    assert "same labels: good" in common.description


def test_the_common_answer_is_the_best_constant_one():
    generator = np.random.default_rng(0)
    targets = (generator.random((200, 4)) < (0.7, 0.5, 0.1, 0.02)).astype(np.float32)
    common = metrics_of(majority_baseline(targets, 200, "abcd", multi=True), targets, "abcd", multi=True)
    constants = [np.tile([bits >> label & 1 for label in range(4)], (200, 1)).astype(float) for bits in range(1, 16)]
    others = [metrics_of(LabelBaseline("", "", one), targets, "abcd", multi=True)["micro_f1"] for one in constants]
    assert common["micro_f1"] == pytest.approx(max(others))


def test_scripts_without_spaces_are_counted_by_characters():
    texts = ["这台机器很好用", "这台机器坏了没用"] * 20
    targets = np.array([0, 1] * 20)
    words = tfidf_baseline(texts, targets, ["真的很好", "又坏了"], ("好", "坏"))
    assert words is not None
    assert "characters" in words.description
    assert words.probabilities.argmax(axis=1).tolist() == [0, 1]


def test_texts_without_a_word_or_a_character():
    targets = np.array([0, 1] * 10)
    marks = tfidf_baseline([":-)", ":-("] * 10, targets, [":-)", ":-("], ("glad", "sad"))
    assert marks is not None
    assert marks.probabilities.argmax(axis=1).tolist() == [0, 1]
    assert tfidf_baseline([" "] * 20, targets, [" "], ("glad", "sad")) is None


def test_of_many_rows_a_sample_is_read_once_and_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_TRAIN_ROWS", 60)

    def once() -> Iterator[str]:
        yield from TEXTS

    words = tfidf_baseline(once(), TARGETS, TEXTS[:12], ("good", "bad"), seed=1)
    assert words is not None
    assert "a random 60 of the 120 training rows" in words.description
    assert metrics_of(words, TARGETS[:12], ("good", "bad"))["accuracy"] == 1.0
    monkeypatch.setattr(module, "_MAX_CHARACTERS", 300)
    fewer = tfidf_baseline(once(), TARGETS, TEXTS[:12], ("good", "bad"), seed=1)
    assert fewer is not None
    kept = int(fewer.description.split("random ")[1].split(" ")[0])
    assert 10 < kept < 40


def test_pixels_are_fitted_as_they_are(monkeypatch: pytest.MonkeyPatch):
    generator = np.random.default_rng(0)
    targets = generator.integers(3, size=90)
    pixels = generator.integers(60, size=(90, 16)).astype(np.uint8)
    pixels[np.arange(90), targets] += 150
    what = {"name": "logistic regression on pixels", "description": "fits a linear classifier to the pixels"}
    found = linear_baseline(pixels[:80], targets[:80], pixels[80:], "abcd", **what)
    assert found.probabilities.shape == (10, 4)
    assert found.probabilities.argmax(axis=1).tolist() == targets[80:].tolist()
    assert found.description == what["description"]
    monkeypatch.setattr(module, "MAX_TRAIN_ROWS", 50)
    sampled = linear_baseline(pixels[:80], targets[:80], pixels[80:], "abcd", **what)
    assert sampled.description.endswith("fitted on a random 50 of the 80 training rows")
