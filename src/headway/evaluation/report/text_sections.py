"""What tasks that write text add to the report."""

from collections.abc import Sequence

from headway.evaluation.metrics.metric import MetricInfo
from headway.evaluation.record import Record, unpack_details
from headway.evaluation.report.rendering import render_template
from headway.evaluation.report.task_page import Section
from headway.evaluation.text_details import TextAnswer, TextDetails

__all__ = ["text_sections"]

_MAX_TEXT = 700


def text_sections(record: Record, metric: MetricInfo) -> list[Section]:
    """Return some answers beside their references, and the worst ones.

    Args:
        record: The run; its details are `TextDetails`.
        metric: The headline, whose value on each row is shown.
    """
    details = unpack_details(TextDetails, record)
    sections = [_section("Answers", "Answers evenly spaced over the scored rows.", details.samples, metric)]
    if details.worst:
        lead = f"Where the {metric.label} of the row alone is worst. Some of these are usually faults of the data."
        sections.append(_section("Worst answers", lead, details.worst, metric))
    return sections


def _section(title: str, lead: str, answers: Sequence[TextAnswer], metric: MetricInfo) -> Section:
    html = render_template("text_answers.html", lead=lead, answers=answers, metric=metric, max_text=_MAX_TEXT)
    return Section(title, html)
