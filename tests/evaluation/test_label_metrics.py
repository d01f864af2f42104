"""scikit-learn is the reference for every metric; the intervals are checked against their own definition."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from headway.errors import HeadwayError
from headway.evaluation.intervals import interval
from headway.evaluation.label_details import LabelDetails, Shown, find_mistakes, label_details
from headway.evaluation.metrics import compute_metrics, paired_difference
from headway.evaluation.metrics import score as score_statistics
from headway.evaluation.metrics.label_metrics import LabelMetrics
from headway.evaluation.record import Interval, Scores
from headway.examples.examples import Example


def draw(seed: int, rows: int, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.ones(num_labels), size=rows)
    return generator.integers(num_labels, size=rows), np.round(shares, 2) if seed % 2 else shares


def score(
    targets: np.ndarray, probabilities: np.ndarray, *, multi: bool = False, seed: int = 0, resamples: int = 1000
) -> Scores:
    metrics = LabelMetrics(names(probabilities.shape[1]), multi)
    return score_statistics(metrics, metrics.statistics_of(targets, probabilities), seed=seed, resamples=resamples)


def detail(
    targets: np.ndarray, probabilities: np.ndarray, *, multi: bool = False, seed: int = 0, resamples: int = 1000
) -> LabelDetails:
    metrics = LabelMetrics(names(probabilities.shape[1]), multi)
    return label_details(metrics, metrics.statistics_of(targets, probabilities), {}, seed=seed, resamples=resamples)


def names(num_labels: int) -> tuple[str, ...]:
    return tuple(f"label {number}" for number in range(num_labels))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 60), num_labels=st.integers(2, 7))
def test_single_label_metrics_are_those_of_scikit_learn(seed: int, rows: int, num_labels: int):
    targets, probabilities = draw(seed, rows, num_labels)
    answers = probabilities.argmax(axis=1)
    scores, details = score(targets, probabilities, resamples=5), detail(targets, probabilities, resamples=5)
    every = list(range(num_labels))
    assert scores.metrics["accuracy"].value == pytest.approx(metrics.accuracy_score(targets, answers))
    assert scores.metrics["macro_f1"].value == pytest.approx(
        metrics.f1_score(targets, answers, average="macro", zero_division=0)
    )
    assert scores.metrics["mcc"].value == pytest.approx(reference_mcc(targets, answers), abs=1e-12)
    assert details.confusion == tuple(map(tuple, metrics.confusion_matrix(targets, answers, labels=every).tolist()))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        targets, answers, labels=every, zero_division=0
    )
    assert [one.precision.value for one in details.classes] == pytest.approx(list(precision))
    assert [one.recall.value for one in details.classes] == pytest.approx(list(recall))
    assert [one.f1.value for one in details.classes] == pytest.approx(list(f1))
    assert [one.support for one in details.classes] == list(support)


def reference_mcc(targets: np.ndarray, answers: np.ndarray) -> float:
    if len(set(targets)) == 1 and len(set(answers)) == 1:
        return 0.0  # scikit-learn warns here, and returns the same
    return float(metrics.matthews_corrcoef(targets, answers))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 60), num_labels=st.integers(1, 6))
def test_multi_label_metrics_are_those_of_scikit_learn(seed: int, rows: int, num_labels: int):
    generator = np.random.default_rng(seed)
    targets = (generator.random((rows, num_labels)) < generator.random(num_labels) * 0.6).astype(np.float32)
    probabilities = generator.random((rows, num_labels))
    if seed % 2:
        probabilities = np.round(probabilities, 1)  # ties
    answers = (probabilities >= 0.5).astype(np.float32)
    scores = score(targets, probabilities, multi=True, resamples=5)
    found = {name: one.value for name, one in scores.metrics.items()}
    flat = {"y_true": targets.ravel(), "y_pred": answers.ravel()}
    assert found["micro_f1"] == pytest.approx(metrics.f1_score(**flat, zero_division=0))
    assert found["subset_accuracy"] == pytest.approx((targets == answers).all(axis=1).mean())
    by_label = [
        metrics.f1_score(targets[:, label], answers[:, label], zero_division=0)
        for label in range(num_labels)
        if targets[:, label].any() or answers[:, label].any()
    ]
    assert found["macro_f1"] == pytest.approx(np.mean(by_label) if by_label else 0.0)
    average_precision = [
        metrics.average_precision_score(targets[:, label], probabilities[:, label])
        for label in range(num_labels)
        if targets[:, label].any()
    ]
    assert found["mean_average_precision"] == pytest.approx(np.mean(average_precision) if average_precision else 0.0)
    details = detail(targets, probabilities, multi=True, resamples=5)
    assert details.confusion == ()
    assert details.reliability == ()


def test_every_resample_is_scored_as_if_it_were_the_data():
    """The weighted metrics of a draw equal scikit-learn's on the drawn rows, ties and missing classes included."""
    generator = np.random.default_rng(5)
    targets = (generator.random((40, 3)) < 0.2).astype(np.float32)
    probabilities = np.round(generator.random((40, 3)), 1)
    drawn = np.random.default_rng(9).integers(40, size=40)
    scores = score(targets, probabilities, multi=True, seed=9, resamples=1)
    expected = score(targets[drawn], probabilities[drawn], multi=True, resamples=1)
    for name, found in scores.metrics.items():
        ends = {round(found.low, 9), round(found.high, 9)}
        assert ends == {round(found.value, 9), round(expected.metrics[name].value, 9)}


def test_calibration_error_follows_guo():
    probabilities = np.array([[0.9, 0.1], [0.95, 0.05], [0.6, 0.4], [0.42, 0.58]])
    targets = np.array([0, 1, 1, 1])
    # 0.6 is the upper end of (8/15, 9/15], which holds 0.58 too: their gaps, -0.6 and +0.42, are added before |.|
    scores = score(targets, probabilities)
    assert scores.metrics["ece"].value == pytest.approx((0.1 + 0.95 + abs(-0.6 + 0.42)) / 4)
    assert [
        (round(bar.confidence, 9), bar.accuracy, bar.count) for bar in detail(targets, probabilities).reliability
    ] == [
        (0.59, 0.5, 2),
        (0.9, 1.0, 1),
        (0.95, 0.0, 1),
    ]


def test_the_interval_holds_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(1)
    held = 0
    for seed in range(150):
        right = generator.random(150) < 0.8
        found = score(np.where(right, 0, 1), np.tile([0.9, 0.1], (150, 1)), seed=seed, resamples=200)
        held += found.metrics["accuracy"].low <= 0.8 <= found.metrics["accuracy"].high
    assert 134 <= held <= 149


@pytest.mark.parametrize(("excess", "truth"), [(0.0, 0.0), (0.1, 0.1)])
def test_the_interval_of_the_calibration_error_allows_for_its_bias(excess: float, truth: float):
    """A model that is exactly as sure as it is right, and one that is too sure by 0.1, on few rows."""
    generator, held = np.random.default_rng(3), 0
    for seed in range(100):
        sure = generator.uniform(0.6, 1, size=40)
        right = generator.random(40) < sure - excess
        answers = np.stack([sure, 1 - sure], axis=1)
        ece = score(np.where(right, 0, 1), answers, seed=seed, resamples=200).metrics["ece"]
        held += ece.low <= truth <= ece.high
        assert ece.low <= ece.value <= ece.high
    assert held >= 90


def test_intervals_hold_their_value_and_repeat_with_the_seed():
    targets, probabilities = draw(2, 200, 4)
    first, again, other = (score(targets, probabilities, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    intervals = list(first.metrics.values()) + [
        part for one in detail(targets, probabilities).classes for part in (one.precision, one.recall, one.f1)
    ]
    assert all(one.low <= one.value <= one.high for one in intervals)


def test_a_perfect_score_on_few_rows_is_not_certain():
    scores = score(np.array([0, 1, 0]), np.eye(2)[[0, 1, 0]])
    accuracy = scores.metrics["accuracy"]
    assert accuracy.value == accuracy.high == 1.0
    assert accuracy.low == pytest.approx(0.292, abs=1e-3)  # Clopper-Pearson for 3 of 3
    details = detail(np.array([0, 1, 0]), np.eye(2)[[0, 1, 0]])
    assert details.classes[1].recall.low == pytest.approx(0.025)  # and for 1 of 1


def test_absent_classes_are_unknown_and_raise_no_warning():
    constant = np.zeros(30, dtype=np.int64), np.tile([0.7, 0.2, 0.1], (30, 1))
    scores = score(*constant)
    absent = detail(*constant).classes[2]
    assert absent.support == 0
    for part in (absent.precision, absent.recall, absent.f1):
        assert (part.value, part.low, part.high) == (0.0, 0.0, 1.0)
    assert scores.metrics["macro_f1"].value == 1.0
    assert scores.metrics["mcc"].value == scores.metrics["mcc"].high == 0.0
    nothing = score(np.zeros((30, 2)), np.zeros((30, 2)), multi=True)
    assert (nothing.metrics["micro_f1"].low, nothing.metrics["micro_f1"].high) == (0.0, 1.0)
    assert nothing.metrics["subset_accuracy"].value == 1.0


def test_the_paired_lead_is_sharper_than_two_intervals():
    generator = np.random.default_rng(0)
    targets = generator.integers(2, size=400)
    hard = generator.random(400) < 0.3
    theirs = np.where(hard, 1 - targets, targets)
    ours = theirs.copy()
    ours[np.flatnonzero(hard)[:12]] = targets[np.flatnonzero(hard)[:12]]
    both = [np.eye(2)[answers] for answers in (ours, theirs)]
    metrics = LabelMetrics(names(2))
    difference = paired_difference(metrics, *(metrics.statistics_of(targets, answers) for answers in both))["accuracy"]
    first, second = (score(targets, answers).metrics["accuracy"] for answers in both)
    assert difference.value == pytest.approx(12 / 400)
    assert difference.low > 0
    assert first.low < second.high


def test_25_000_rows_take_little_time_and_memory():
    targets, probabilities = draw(0, 25_000, 100)
    score(targets[:100], probabilities[:100])
    tracemalloc.start()
    started = time.perf_counter()
    score(targets, probabilities.astype(np.float32))
    seconds = time.perf_counter() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 8  # 0.6 s on a free core; the bound leaves room for a busy one
    assert peak < 60e6


@pytest.mark.parametrize(
    ("targets", "probabilities"),
    [
        (np.array([0, 2]), np.full((2, 2), 0.5)),
        (np.array([0, -1]), np.full((2, 2), 0.5)),
        (np.array([0, 1]), np.full((2, 3), 0.3)),
        (np.array([0, 1]), np.array([[2.0, -1.0], [0.5, 0.5]])),
    ],
)
def test_impossible_input_is_refused(targets: np.ndarray, probabilities: np.ndarray):
    with pytest.raises(ValueError, match=r"targets|probabilities"):
        LabelMetrics(names(2)).statistics_of(targets, probabilities)


def test_the_values_alone_are_those_of_the_scores():
    targets, probabilities = draw(4, 50, 3)
    values = {name: one.value for name, one in score(targets, probabilities).metrics.items()}
    metrics = LabelMetrics(names(3))
    assert compute_metrics(metrics, metrics.statistics_of(targets, probabilities)) == values
    with pytest.raises(ValueError, match="at least one resample"):
        score(targets, probabilities, resamples=0)


def test_a_value_without_a_defined_draw_is_kept():
    assert interval(0.5, np.array([np.nan, np.nan])) == Interval(0.5, 0.0, 1.0)
    assert interval(np.nan, np.array([0.5])) == Interval(0.0, 0.0, 1.0)


def test_no_rows_and_broken_probabilities_are_explained():
    with pytest.raises(HeadwayError, match="no rows to score"):
        score(np.zeros(0, dtype=np.int64), np.zeros((0, 2)))
    for worst in (np.nan, np.inf):
        broken = np.array([[0.5, 0.5], [worst, 0.5]])
        with pytest.raises(HeadwayError, match="not finite for 1 of 2 rows"):
            score(np.array([0, 1]), broken)
        metrics = LabelMetrics(names(2))
        both = [metrics.statistics_of(np.array([0, 1]), answers) for answers in (broken, np.eye(2))]
        with pytest.raises(HeadwayError, match="not finite for 1 of 2 rows"):
            paired_difference(metrics, *both)


@pytest.mark.parametrize("multi", [False, True])
def test_rows_one_by_one_have_the_statistics_of_all_together(multi: bool):
    generator = np.random.default_rng(0)
    answers = generator.random((6, 3))
    labels = [(), (0,), (0, 2), (1,), (0, 1, 2), (2,)] if multi else [0, 1, 2, 2, 1, 0]
    targets = np.array([[label in one for label in range(3)] for one in labels]) if multi else np.array(labels)
    metrics = LabelMetrics(names(3), multi)
    rows = [metrics.statistics(answer, Example({"label": one})) for answer, one in zip(answers, labels, strict=True)]
    assert np.array_equal(np.stack(rows), metrics.statistics_of(targets, answers))


def test_the_surest_mistakes_come_first():
    metrics = LabelMetrics(("cat", "dog"))
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    statistics = metrics.statistics_of(np.array([1, 1, 1, 1]), probabilities)

    def show(rows: np.ndarray) -> list[Shown]:
        return [Shown(f"row {row}", "") for row in rows]

    found = find_mistakes(metrics, statistics, show, most=2)
    assert [(one.where, one.truth, one.predicted, one.confidence) for one in found] == [
        ("row 1", "dog", "cat", 0.9),
        ("row 3", "dog", "cat", 0.7),
    ]
    several = LabelMetrics(("cat", "dog"), multi=True)
    statistics = several.statistics_of(np.array([[1, 1], [0, 0]]), np.array([[0.6, 0.9], [0.6, 0.9]]))
    (mistake,) = find_mistakes(several, statistics, show)
    assert (mistake.where, mistake.truth, mistake.predicted, mistake.confidence) == ("row 1", "", "dog, cat", 0.6)
