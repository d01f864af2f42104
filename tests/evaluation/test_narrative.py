from collections.abc import Callable
from dataclasses import replace

import pytest

from headway.evaluation import narrative
from headway.evaluation.label_details import Bin, LabelDetails, label_reservations
from headway.evaluation.metrics import MetricInfo
from headway.evaluation.metrics.label_metrics import LabelMetrics
from headway.evaluation.narrative import Verdict, lead_of
from headway.evaluation.record import Baseline, Interval, Record, Scores, unpack_details
from headway.evaluation.report.label_sections import read_reliability
from headway.evaluation.report.page import render
from headway.evaluation.report.task_page import CardFacts, TaskPage
from headway.examples.checks.findings import Finding

INFOS = LabelMetrics(("negative", "positive")).infos


def verdict(record: Record) -> Verdict:
    return narrative.verdict(record, INFOS)


def read_curves(record: Record) -> list[str]:
    return narrative.read_curves(record, INFOS)


def scores(value: float, half: float = 0.03) -> Scores:
    return Scores(300, {"accuracy": Interval(value, value - half, value + half)})


def beside(record: Record, ours: float, theirs: float, lead: tuple[float, float] | None = None) -> Record:
    leads = {"accuracy": Interval(ours - theirs, *lead)} if lead else {}
    return replace(record, scores=scores(ours), baselines=(Baseline("TF-IDF", "counts words", scores(theirs), leads),))


@pytest.mark.parametrize(
    ("ours", "theirs", "level", "words"),
    [
        (0.90, 0.80, "good", "clearly better than TF-IDF (80.0 %; ahead by 5.8 to 14.2 points)"),
        (0.82, 0.80, "open", "not distinguishable from TF-IDF (80.0 %; somewhere between −2.2 and +6.2 points)"),
        (0.80, 0.82, "open", "not distinguishable"),
        (0.60, 0.80, "bad", "worse than TF-IDF (80.0 %; behind by 15.8 to 24.2 points)"),
    ],
)
def test_the_verdict_claims_what_the_difference_allows(
    record: Record, ours: float, theirs: float, level: str, words: str
):
    found = verdict(beside(record, ours, theirs))
    assert found.level == level
    assert words in found.text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_paired_difference_decides_when_there_is_one(record: Record):
    assert verdict(beside(record, 0.82, 0.80, (0.005, 0.035))).level == "good"
    assert verdict(beside(record, 0.90, 0.80, (-0.01, 0.21))).level == "open"


def test_an_interval_of_nothing_is_no_difference(record: Record):
    same = beside(record, 0.8, 0.8, (0.0, 0.0))
    assert "not distinguishable from TF-IDF (80.0\N{NO-BREAK SPACE}%; no difference)" in verdict(same).text
    page = TaskPage(INFOS[:1], (), "", (), CardFacts("text-classification", "Text classification"))
    assert "0.0 points</b> <small>0.0 to 0.0<" in render(same, page)
    touching = verdict(beside(record, 0.75, 0.80, (-0.1, 0.0))).text
    assert "somewhere between −10.0 and 0.0" in touching


def test_the_lead_without_pairs_is_newcombes(record: Record):
    # Newcombe 1998, table II: 56/70 against 48/80, method 10: 0.0524 to 0.3339.
    ours = Scores(70, {"accuracy": Interval(0.8, 0.6918, 0.8768)})
    theirs = Baseline("other", "", Scores(80, {"accuracy": Interval(0.6, 0.4904, 0.7004)}))
    lead = lead_of(ours, theirs, "accuracy")
    assert (round(lead.low, 3), round(lead.high, 3)) == (0.052, 0.334)


def test_the_verdict_says_what_weakens_it(record: Record, single_record: Callable[..., Record]):
    small = verdict(single_record(("a", "b"), 40, 3.0, 2.0, scored_on="validation")).text
    assert "With only 40 rows" in small
    assert "decided which weights to keep" in small
    leaky = replace(record, findings=(Finding("leak_train_test", "warning", "3 rows leak.", 3),))
    assert "also trained on" in verdict(leaky).text
    assert "also trained on" not in verdict(record).text
    assert "also trained on" not in verdict(replace(leaky, scored_on="validation")).text


def validations(*losses: float) -> tuple[dict[str, float], ...]:
    return tuple({"step": 10.0 * number, "validation_loss": loss} for number, loss in enumerate(losses, start=1))


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ((0.6, 0.5, 0.4), "still falling at the end (0.400): more epochs may help"),
        ((0.6, 0.4, 0.399), "levelled off by the end, at 0.399"),
        ((0.6, 0.4, 0.41), "lowest at step 20 (0.400) and stayed level"),
        ((0.6, 0.4, 0.5), "turned at step 20 and rose from 0.400 to 0.500."),
        ((0.6833, 0.6791, 0.6687, 0.6621), "still falling at the end (0.662)"),
        ((0.6923, 0.6899), "hardly moved (0.692 to 0.690); two points show no trend"),
        ((0.6,), "one validation, at step 10"),
        ((), "There was no validation"),
        ((0.6, float("nan"), 0.5), "still falling"),
    ],
)
def test_the_curves_are_read(record: Record, losses: tuple[float, ...], words: str):
    curves = ({"step": 1.0, "train_loss": 0.7}, *validations(*losses))
    assert words in " ".join(read_curves(replace(record, curves=curves)))


def test_overfitting_restored_weights_and_refused_steps_are_said(record: Record):
    text = " ".join(read_curves(replace(record, refused_steps=2)))
    assert "turned at step 140" in text
    assert "memorised its training examples (overfitting)" in text
    assert "stopped at step 240 of 300" in text
    assert "The weights of step 140, where the validation loss was best, were restored." in text
    assert "2 steps with a loss or gradient that was not finite were skipped" in text


def test_the_last_weights_may_be_the_best(record: Record, make_curves: Callable[..., tuple[dict[str, float], ...]]):
    done = replace(record, curves=make_curves("falling"), best_step=240, total_steps=240, stopped_early=False)
    text = " ".join(read_curves(done))
    assert "The last weights are also the best" in text
    assert "stopped" not in text
    assert read_curves(replace(record, curves=())) == []


@pytest.mark.parametrize(
    ("confidence", "words"),
    [
        (0.95, "overconfident: on average it is 95 % sure and 80 % right"),
        (0.7, "underconfident"),
        (0.82, "confidence is calibrated"),
    ],
)
def test_reliability_is_read(confidence: float, words: str):
    assert words in read_reliability(scores(0.8), (Bin(confidence, 0.8, 300),)).replace("\N{NO-BREAK SPACE}", " ")


def test_the_surest_rows_are_told_apart():
    text = read_reliability(scores(0.8), (Bin(0.7, 0.7, 200), Bin(0.98, 0.962, 100))).replace("\N{NO-BREAK SPACE}", " ")
    assert "33 % of the rows where it is surest (above 93 %) are right 96.2 %" in text
    assert read_reliability(scores(0.8), ()) == ""


def test_an_error_is_better_when_it_is_lower(record: Record):
    wer = MetricInfo("wer", "WER", True, "Word error rate.", higher_is_better=False)

    def beside_baseline(ours: float, theirs: float) -> Record:
        both = [Scores(300, {"wer": Interval(value, value - 0.02, value + 0.02)}) for value in (ours, theirs)]
        return replace(record, scores=both[0], baselines=(Baseline("copy", "copies its input", both[1]),))

    good = narrative.verdict(beside_baseline(0.1, 0.3), [wer])
    assert good.level == "good"
    assert (
        "clearly better than copy (30.0\N{NO-BREAK SPACE}%; ahead by 17.2 to 22.8\N{NO-BREAK SPACE}points)" in good.text
    )
    assert narrative.verdict(beside_baseline(0.3, 0.1), [wer]).level == "bad"


def test_a_metric_on_another_scale_is_told_with_its_decimals(record: Record):
    chrf = MetricInfo("chrf", "chrF", False, "", best=100.0, decimals=1)
    scored = Scores(300, {"chrf": Interval(54.32, 52.0, 56.0)})
    baseline = Baseline("copy", "copies", Scores(300, {"chrf": Interval(20.0, 19.0, 21.0)}))
    text = narrative.verdict(replace(record, scores=scored, baselines=(baseline,)), [chrf]).text
    assert "reaches a chrF of 54.3 (95\N{NO-BREAK SPACE}% interval 52.0–56.0)" in text
    assert "copy (20.0; ahead by 31.8 to 36.3)" in text


def test_labels_without_rows_weaken_the_verdict(record: Record, single_record: Callable[..., Record]):
    assert label_reservations(unpack_details(LabelDetails, record)) == []
    details = unpack_details(LabelDetails, record)
    unknown = replace(details, classes=tuple(replace(one, support=0) for one in details.classes[:1]))
    (sentence,) = label_reservations(unknown)
    assert sentence == "No scored row has “negative”: nothing is known about it."
    assert narrative.verdict(record, INFOS, [sentence]).text.endswith(sentence)
