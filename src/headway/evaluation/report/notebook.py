"""The result of a run as a notebook shows it: the verdict, scores beside the baselines, and the learning curves."""

from markupsafe import Markup

from headway.evaluation.narrative import summary, verdict
from headway.evaluation.record import Record
from headway.evaluation.report.charts import COLOURS, curve_charts
from headway.evaluation.report.rendering import render_template
from headway.evaluation.report.task_page import TaskPage

__all__ = ["notebook_html"]


def notebook_html(record: Record, page: TaskPage) -> str:
    """A fragment of HTML, light and dark, without a script; every word that came from the user's files is escaped."""
    return str(
        render_template(
            "notebook.html",
            verdict=verdict(record, page.metrics, page.reservations),
            result=summary(record, page.metrics, page.reservations),
            charts=[Markup(chart.svg) for chart in curve_charts(record, page.metrics)],
            colours=COLOURS,
        )
    )
