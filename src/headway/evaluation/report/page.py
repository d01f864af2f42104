"""The report: one self-contained HTML page, and the small table for the terminal, both made from a record alone."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from headway.evaluation.card import model_card
from headway.evaluation.metrics.names import METRICS, Metric
from headway.evaluation.narrative import (
    headline,
    lead_of,
    name_of_data,
    read_curves,
    read_reliability,
    verdict,
)
from headway.evaluation.record import Baseline, ClassScore, Interval, Record, Scores
from headway.evaluation.report import charts
from headway.examples.checks.label_checks import Finding

__all__ = ["Summary", "model_card", "render", "summary"]

_MANY_CLASSES = 20
_MAX_TEXT = 700
_SEVERITIES = ("warning", "note", "ok")
_SPEED = {
    "training_seconds": "Training time",
    "training_tokens": "Tokens trained on",
    "training_tokens_per_second": "Training, tokens per second",
    "prediction_texts_per_second": "Prediction, texts per second",
    "peak_memory_bytes": "Peak memory",
}


@dataclass(frozen=True)
class Summary:
    """The result as a small table of strings: a header, a row for the model and each baseline, and the verdict."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdict: str


def summary(record: Record) -> Summary:
    """Return the results beside the baselines, each as "87.3 % (83.5–91.0 %)", for the terminal."""
    names = list(record.scores.metrics)
    contenders = [("this model", record.scores), *((baseline.name, baseline.scores) for baseline in record.baselines)]
    rows = tuple(
        (name, *(_with_range(METRICS[key], scores.metrics[key]) for key in names)) for name, scores in contenders
    )
    header = (f"{record.scores.rows:,} {record.scored_on} rows", *(METRICS[key].label for key in names))
    return Summary(header, rows, verdict(record).text)


def render(record: Record) -> str:
    """Return the whole report as one HTML page: no network, no script, light and dark.

    Every word that came from the user's files is escaped. The same record gives the same page.
    """
    return (
        _environment()
        .get_template("report.html")
        .render(
            record=record,
            origin=_origin(record),
            title=f"{record.task.replace('_', ' ').capitalize()}: {name_of_data(record)}",
            verdict=verdict(record),
            metrics=[(name, METRICS[name]) for name in record.scores.metrics],
            headline=METRICS[headline(record.scores)],
            result=record.scores.metrics[headline(record.scores)],
            ranges=_ranges(record),
            contenders=_contenders(record),
            confusions=_confusions(record.scores),
            classes=_classes(record.scores),
            images=_images(record),
            curve_sentences=read_curves(record),
            reliability_sentence=read_reliability(record.scores),
            splits=_splits(record),
            findings=[finding for severity in _SEVERITIES[:2] for finding in _of_severity(record.findings, severity)],
            passed=[finding for finding in record.findings if finding.severity == "ok"],
            facts=_facts(record),
            settings=list(_flat(record.settings)),
            paired=all(baseline.lead for baseline in record.baselines),
            created=record.created[:16].replace("T", " "),
            folder=shlex.quote(record.folder),
            folder_in_python=repr(record.folder),
            colours=charts.COLOURS,
            max_text=_MAX_TEXT,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("headway.evaluation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["thousands"] = lambda count: f"{count:,}"
    environment.filters["decimals"] = lambda value: f"{value:.3f}"
    return environment


def _with_range(metric: Metric, interval: Interval) -> str:
    return f"{metric.show(interval.value)} ({metric.show_range(interval)})"


def _images(record: Record) -> dict[str, object]:
    """Draw what the record has; what it has not is None or empty and the page leaves it out."""
    scores, counts = record.scores, {split: row for split, row in record.label_counts.items() if any(row)}
    return {
        "curves": [(chart.title, Markup(chart.svg)) for chart in charts.curve_charts(record)],
        "confusion": Markup(charts.confusion_svg(scores.confusion, record.label_names)) if scores.confusion else None,
        "reliability": Markup(charts.reliability_svg(scores.reliability)) if scores.reliability else None,
        "balance": Markup(charts.balance_svg(counts, record.rows, record.label_names)) if counts else None,
    }


def _ranges(record: Record) -> dict[str, object]:
    """Lay the headline's intervals, the model's and the baselines', on one scale, in percent of its width."""
    name = headline(record.scores)
    contenders = [("This model", record.scores), *((baseline.name, baseline.scores) for baseline in record.baselines)]
    intervals = [(who, scores.metrics[name]) for who, scores in contenders]
    # The scale starts and ends at a multiple of 0.1, with all intervals inside.
    start = int(10 * min(interval.low for _, interval in intervals)) / 10
    end = -int(-10 * max(interval.high for _, interval in intervals) // 1) / 10
    width = max(0.1, end - start)

    def place(value: float) -> float:
        return round(100 * (value - start) / width, 2)

    rows = [
        {
            "name": who,
            "value": METRICS[name].show(interval.value),
            "range": METRICS[name].show_range(interval),
            "left": place(interval.low),
            "width": round(place(interval.high) - place(interval.low), 2),
            "dot": place(interval.value),
        }
        for who, interval in intervals
    ]
    ticks = [start + width * quarter / 4 for quarter in range(5)]
    return {
        "rows": rows,
        "ticks": [f"{100 * tick:.0f}\N{NO-BREAK SPACE}%" if METRICS[name].percent else f"{tick:.2f}" for tick in ticks],
    }


def _origin(record: Record) -> str:
    """What the model was before; nothing where that is not known."""
    size = record.base_model.removeprefix("scratch:")
    if size != record.base_model:
        return f"trained from scratch ({size})"
    return record.base_model and f"fine-tuned from {record.base_model}"


def _contenders(record: Record) -> list[dict[str, object]]:
    """Return the rows of the results table: the model, then the baselines with the model's lead over each."""
    name = headline(record.scores)
    model = {
        "name": "This model",
        "description": _origin(record),
        "scores": record.scores,
        "lead": None,
    }
    return [model, *(_contender(record, baseline, name) for baseline in record.baselines)]


def _contender(record: Record, baseline: Baseline, name: str) -> dict[str, object]:
    lead, metric = lead_of(record.scores, baseline, name), METRICS[name]
    value = metric.show_difference(lead.value) + (" points" if metric.percent else "")
    ends = f"{metric.show_difference(lead.low)} to {metric.show_difference(lead.high)}"
    return {
        "name": baseline.name,
        "description": baseline.description,
        "scores": baseline.scores,
        "lead": {"value": value, "range": ends, "paired": name in baseline.lead},
    }


def _classes(scores: Scores) -> dict[str, tuple[ClassScore, ...]]:
    """Return the classes to show; of many, the ten with the lowest F1 come first and the rest is folded away."""
    if len(scores.classes) <= _MANY_CLASSES:
        return {"shown": scores.classes, "folded": ()}
    ranked = tuple(sorted(scores.classes, key=lambda one: (one.support == 0, one.f1.value)))
    return {"shown": ranked[:10], "folded": ranked[10:]}


def _confusions(scores: Scores) -> list[tuple[str, str, int, float]]:
    """Return the most frequent mix-ups of more than two classes: truth, answer, rows, share of the truth's rows."""
    if len(scores.confusion) < 3:
        return []
    names = [one.name for one in scores.classes]
    cells = [
        (names[row], names[column], count, count / sum(counts))
        for row, counts in enumerate(scores.confusion)
        for column, count in enumerate(counts)
        if row != column and count
    ]
    return sorted(cells, key=lambda cell: -cell[2])[:8]


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
            {"Origin": _origin(record)} | {key: _show(value) for key, value in record.model.items()},
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
