"""The result of a run as a notebook shows it: scores beside the baselines, the verdict, and the learning curves."""

from markupsafe import Markup

from headway.evaluation.narrative import summary
from headway.evaluation.record import Record
from headway.evaluation.report.charts import curve_charts
from headway.evaluation.report.task_page import TaskPage

__all__ = ["notebook_html"]

_STYLE = "display:inline-block;width:22rem;margin:.5rem"
_FIGURE = Markup(f'<figure style="{_STYLE}"><figcaption>{{}}</figcaption>{{}}</figure>')


def notebook_html(record: Record, page: TaskPage) -> str:
    """A fragment of HTML; every word that came from the user's files is escaped."""
    result = summary(record, page.metrics, page.reservations)
    header = Markup("").join(Markup("<th>{}</th>").format(cell) for cell in result.header)
    rows = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in result.rows
    )
    charts = Markup("").join(
        Markup(
            '<figure style="display:inline-block;width:22rem;margin:.5rem"><figcaption>{}</figcaption>{}</figure>'
        ).format(chart.title, Markup(chart.svg))
        for chart in curve_charts(record, page.metrics)
    )
    table = Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(header, rows)
    return str(Markup("<div>{}<p>{}</p>{}</div>").format(table, result.verdict, charts))
