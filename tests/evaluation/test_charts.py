import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib
import pytest
from PIL import Image

from headway.evaluation.label_details import Bin
from headway.evaluation.metrics.label_metrics import LabelMetrics
from headway.evaluation.record import Record, series
from headway.evaluation.report.charts import curve_charts, curves_png
from headway.evaluation.report.label_charts import balance_svg, confusion_svg, reliability_svg

INFOS = LabelMetrics(("negative", "positive")).infos

LABELS = ("正面", "🎉 ok", "$x_1$ & <b>", "a\tb\x00", "a very long label that no axis could ever hold", "_hidden")


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(re.sub("<svg ", '<svg xmlns:xlink="x" ', svg)).iter("text")]


def test_the_curves_have_a_panel_for_each_figure(record: Record):
    titles = [chart.title for chart in curve_charts(record, INFOS)]
    assert titles == ["Loss", "Validation accuracy", "Learning rate", "Gradient norm"]
    loss = texts(curve_charts(record, INFOS)[0].svg)
    assert {"training", "validation", "kept weights", "step"} <= set(loss)


def test_the_images_are_the_same_each_time_and_leave_no_trace(record: Record):
    before = dict(matplotlib.rcParams)
    assert curve_charts(record, INFOS) == curve_charts(record, INFOS)
    images = [curves_png(record.curves, INFOS, metric=record.metric, best_step=record.best_step) for _ in range(2)]
    assert images[0] == images[1]
    assert dict(matplotlib.rcParams) == before


def test_the_colours_are_the_pages(record: Record):
    svg = "".join(chart.svg for chart in curve_charts(record, INFOS)) + confusion_svg([[3, 1], [0, 2]], ("a", "b"))
    assert "var(--chart-first)" in svg
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= {"#000000"}
    assert "<?xml" not in svg
    assert "<metadata" not in svg


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_the_shortest_trainings_can_be_drawn(length: int):
    events = (
        {"step": 1.0, "train_loss": 0.7, "learning_rate": 0.0, "gradient_norm": 1.0},
        {"step": 1.0, "validation_loss": 0.6, "accuracy": 0.5},
        {"step": 2.0, "train_loss": float("nan"), "learning_rate": 1e-5, "gradient_norm": float("inf")},
    )[:length]
    image = Image.open(io.BytesIO(curves_png(events, INFOS, best_step=1)))
    assert image.width > 900


def test_a_refused_step_is_no_metric(record: Record):
    refused = ({"step": 2.0, "epoch": 0.1, "refused": 1.0}, *record.curves)
    titles = [chart.title for chart in curve_charts(replace(record, curves=refused), INFOS)]
    assert titles[1] == "Validation accuracy"


def test_values_that_are_not_finite_are_gaps():
    curves = ({"step": 1.0, "train_loss": 0.5}, {"step": 2.0, "train_loss": float("nan")}, {"step": 3.0})
    assert series(curves, "train_loss") == ([1.0], [0.5])


def test_a_long_training_stays_a_small_image(record: Record):
    curves = tuple({"step": float(step), "train_loss": 1 / step} for step in range(1, 50_000))
    (loss,) = curve_charts(replace(record, curves=curves), INFOS)
    assert len(loss.svg) < 30_000


def test_any_label_can_be_drawn_without_a_warning():
    confusion = [[4 if row == column else 1 for column in range(6)] for row in range(6)]
    for svg in (
        confusion_svg(confusion, LABELS),
        balance_svg({"train": range(6), "test": range(6)}, {"train": 15, "test": 15}, LABELS),
    ):
        found = texts(svg)
        assert {"正面", "🎉 ok", "$x_1$ & <b>", "_hidden"} <= set(found)
        assert any(text.strip() == "a b" for text in found)
        assert any(text.endswith("…") for text in found)
        assert "<b>" not in svg


@pytest.mark.parametrize("num_labels", [2, 7, 30, 100])
def test_the_confusion_matrix_fits_any_number_of_classes(num_labels: int):
    numbers = range(num_labels)
    confusion = [[5 if row == column else int((row * 7 + column) % 11 == 0) for column in numbers] for row in numbers]
    svg = confusion_svg(confusion, [f"topic {number}" for number in range(num_labels)])
    assert len(svg) < 400_000
    assert texts(svg).count("topic 0") == 2


def test_reliability_and_balance():
    assert any("confidence" in text for text in texts(reliability_svg((Bin(0.55, 0.4, 3), Bin(0.97, 0.99, 50)))))
    assert "0\N{NO-BREAK SPACE}%" in texts(reliability_svg((Bin(0.2, 0.1, 2), Bin(0.9, 0.9, 2))))
    # Of 10 rows with several labels, all have the first: the axis goes to 100 % of the rows, not to its share of marks.
    several = balance_svg({"train": [10, 9, 8]}, {"train": 10}, ["one", "two", "three"])
    assert "100\N{NO-BREAK SPACE}%" in texts(several)
    many = balance_svg(
        {"train": list(range(100)), "validation": [1] * 100},
        {"train": 4950, "validation": 100},
        [f"topic {number}" for number in range(100)],
    )
    shown = [text for text in texts(many) if text.startswith("topic")]
    assert len(shown) == 40
    assert shown[0] == "topic 99"
    assert shown[-1] == "topic 0"
