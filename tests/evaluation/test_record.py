import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from headway.errors import HeadwayError
from headway.evaluation.label_details import LabelDetails
from headway.evaluation.record import Interval, Record, unpack_details


def test_a_record_survives_the_journey(record: Record, several_record: Callable[..., Record]):
    assert Record.from_json(record.to_json()) == record
    several = several_record(("a", "<b>", "数"), 50)
    assert Record.from_json(several.to_json()) == several


def test_a_curve_may_hold_what_json_cannot(record: Record):
    broken = replace(record, curves=({"step": 4.0, "train_loss": math.nan}, {"step": 8.0, "train_loss": math.inf}))
    text = broken.to_json()
    json.loads(text, parse_constant=pytest.fail)
    again = Record.from_json(text)
    assert [math.isnan(event["train_loss"]) for event in again.curves] == [True, True]
    assert [event["step"] for event in again.curves] == [4.0, 8.0]


def test_a_number_that_is_not_finite_is_refused_by_name(record: Record):
    metrics = record.scores.metrics | {"mcc": Interval(math.nan, 0.0, 1.0)}
    with pytest.raises(HeadwayError, match=r"scores\.metrics\.mcc\.value is not a finite number"):
        replace(record, scores=replace(record.scores, metrics=metrics)).to_json()


def test_numpy_numbers_are_written_as_numbers(record: Record):
    again = Record.from_json(
        replace(record, speed={"training_seconds": np.float32(1.5)}, best_step=np.int64(7)).to_json()
    )
    assert again.speed == {"training_seconds": 1.5}
    assert again.best_step == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plain: plain.pop("best_step"), "best_step is missing"),
        (lambda plain: plain.update(bestest_step=3), "bestest_step is unknown"),
        (lambda plain: plain["scores"].pop("rows"), "scores.rows is missing"),
        (lambda plain: plain["findings"][0].update(colour="red"), "findings.0.colour is unknown"),
        (lambda plain: plain.update(best_step="3"), "best_step Input should be a valid integer"),
        (lambda plain: plain["scores"]["metrics"]["mcc"].update(low=None), "scores.metrics.mcc.low Input should be"),
    ],
)
def test_a_strange_record_is_refused_by_name(record: Record, change: Callable[[dict], object], message: str):
    plain = json.loads(record.to_json())
    change(plain)
    with pytest.raises(HeadwayError) as refusal:
        Record.from_json(json.dumps(plain))
    assert message in str(refusal.value)
    assert "headway evaluate" in str(refusal.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_is_no_record_is_refused(text: str):
    with pytest.raises(HeadwayError, match="cannot be read"):
        Record.from_json(text)


def test_details_come_back_as_the_task_wrote_them(several_record: Callable[..., Record]):
    record = several_record(("a", "<b>", "数"), 50)
    details = unpack_details(LabelDetails, Record.from_json(record.to_json()))
    assert details.label_names == ("a", "<b>", "数")
    assert details.multi_label
    assert details.classes[0].f1 == unpack_details(LabelDetails, record).classes[0].f1


def test_details_of_another_task_are_refused_by_name(record: Record):
    other = replace(record, details=record.details | {"languages": ["en", "de"]})
    other.details.pop("confusion")
    with pytest.raises(HeadwayError, match=r"details\.confusion is missing; details\.languages is unknown"):
        unpack_details(LabelDetails, other)


def test_details_that_are_not_finite_are_refused_by_name(record: Record, with_details: Callable[..., Record]):
    reliability = (replace(unpack_details(LabelDetails, record).reliability[0], accuracy=math.nan),)
    with pytest.raises(HeadwayError, match=r"details\.reliability\.0\.accuracy is not a finite number"):
        with_details(record, reliability=reliability).to_json()


def test_folds_and_notes_are_kept(record: Record):
    crossed = replace(record, evaluation="crossvalidation", folds=5, recipe_notes=("Batch size 16: 200 rows.",))
    assert Record.from_json(crossed.to_json()) == crossed
