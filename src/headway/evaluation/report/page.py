"""The report: one self-contained HTML page, made from a record and what its task adds."""

from collections.abc import Iterable, Iterator, Mapping

from markupsafe import Markup

from headway.evaluation.metrics.metric import MetricInfo
from headway.evaluation.narrative import lead_of, name_of_data, origin, read_curves, title_of, verdict
from headway.evaluation.record import Baseline, Record
from headway.evaluation.report.charts import COLOURS, curve_charts
from headway.evaluation.report.rendering import render_template
from headway.evaluation.report.task_page import TaskPage
from headway.examples.checks.findings import Finding

__all__ = ["render"]

_SEVERITIES = ("warning", "note", "ok")
_SPEED = {
    "training_seconds": "Training time",
    "training_tokens": "Tokens trained on",
    "training_tokens_per_second": "Training, tokens per second",
    "prediction_rows_per_second": "Prediction, rows per second",
    "peak_memory_bytes": "Peak memory",
}


def render(record: Record, page: TaskPage) -> str:
    """Return the whole report as one HTML page: no network, no script, light and dark.

    Every word that came from the user's files is escaped. The same record gives the same page.
    """
    headline = page.metrics[0]
    return str(
        render_template(
            "report.html",
            record=record,
            page=page,
            origin=origin(record),
            title=f"{title_of(record)}: {name_of_data(record)}",
            verdict=verdict(record, page.metrics, page.reservations),
            headline=headline,
            result=record.scores.metrics[headline.name],
            ranges=_ranges(record, headline),
            contenders=_contenders(record, headline),
            curves=[Markup(chart.svg) for chart in curve_charts(record, page.metrics)],
            curve_sentences=read_curves(record, page.metrics),
            splits=_splits(record),
            findings=[finding for severity in _SEVERITIES[:2] for finding in _of_severity(record.findings, severity)],
            passed=_of_severity(record.findings, "ok"),
            facts=_facts(record),
            settings=list(_flat(record.settings)),
            paired=all(baseline.lead for baseline in record.baselines),
            created=record.created[:16].replace("T", " "),
            colours=COLOURS,
        )
    )


def _ranges(record: Record, metric: MetricInfo) -> dict[str, object]:
    """Lay the headline's intervals, the model's and the baselines', on one scale, in percent of its width."""
    contenders = [("This model", record.scores), *((baseline.name, baseline.scores) for baseline in record.baselines)]
    intervals = [(who, scores.metrics[metric.name]) for who, scores in contenders]
    # The scale starts and ends at a multiple of a tenth of the metric's range, with all intervals inside.
    start = metric.best * int(10 * min(interval.low for _, interval in intervals) / metric.best) / 10
    end = metric.best * -int(-10 * max(interval.high for _, interval in intervals) / metric.best // 1) / 10
    width = max(metric.best / 10, end - start)

    def place(value: float) -> float:
        return round(100 * (value - start) / width, 2)

    rows = [
        {
            "name": who,
            "value": metric.show(interval.value),
            "range": metric.show_range(interval),
            "left": place(interval.low),
            "width": round(place(interval.high) - place(interval.low), 2),
            "dot": place(interval.value),
        }
        for who, interval in intervals
    ]
    ticks = [start + width * quarter / 4 for quarter in range(5)]
    return {"rows": rows, "ticks": [_tick(metric, tick) for tick in ticks]}


def _tick(metric: MetricInfo, value: float) -> str:
    return f"{100 * value:.0f}\N{NO-BREAK SPACE}%" if metric.percent else f"{value:.{max(0, metric.decimals - 1)}f}"


def _contenders(record: Record, metric: MetricInfo) -> list[dict[str, object]]:
    """Return the rows of the results table: the model, then the baselines with the model's lead over each."""
    model = {"name": "This model", "description": origin(record), "scores": record.scores, "lead": None}
    return [model, *(_contender(record, baseline, metric) for baseline in record.baselines)]


def _contender(record: Record, baseline: Baseline, metric: MetricInfo) -> dict[str, object]:
    lead = lead_of(record.scores, baseline, metric.name)
    value = metric.show_difference(lead.value) + (" points" if metric.percent else "")
    ends = f"{metric.show_difference(lead.low)} to {metric.show_difference(lead.high)}"
    return {
        "name": baseline.name,
        "description": baseline.description,
        "scores": baseline.scores,
        "lead": {"value": value, "range": ends},
    }


def _splits(record: Record) -> list[tuple[str, str, int | None]]:
    """Return split, data and rows; a split that was cut from another has no data of its own."""
    names = dict.fromkeys((*record.data, *record.rows))
    return [(name, record.data.get(name, ""), record.rows.get(name)) for name in names]


def _of_severity(findings: Iterable[Finding], severity: str) -> list[Finding]:
    return [finding for finding in findings if finding.severity == severity]


def _facts(record: Record) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the titled lists of small facts: speed and memory, model, environment."""
    lists = (
        (
            "Speed and memory",
            {_SPEED.get(key, _words(key)): _show_speed(key, value) for key, value in record.speed.items()},
        ),
        (
            "Model",
            {"Origin": origin(record)} | {key: _show(value) for key, value in record.model.items()},
        ),
        (
            "Environment",
            {"headway": record.headway_version} | {_words(key): value for key, value in record.environment.items()},
        ),
    )
    known = ((title, [(key, value) for key, value in facts.items() if value]) for title, facts in lists)
    return [(title, facts) for title, facts in known if facts]


def _words(key: str) -> str:
    return key.replace("_", " ")


def _show(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _show_speed(key: str, value: float) -> str:
    if key.endswith("_bytes"):
        return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"
    if key.endswith("_seconds"):
        minutes, seconds = divmod(round(value), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{value:.1f} s"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _flat(settings: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as dotted keys."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", _show(value)
