"""The model card: the README.md that the hub shows, with its metadata, made from a record alone."""

import html
import re
import shlex
from pathlib import Path, PurePath

from headway.evaluation.metrics.names import METRICS
from headway.evaluation.narrative import name_of_data, verdict
from headway.evaluation.record import Interval, Record

__all__ = ["model_card"]

# The hub's names of our figures; it knows no calibration error.
_HUB_METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "mcc": "matthews_correlation",
    "subset_accuracy": "exact_match",
    "mean_average_precision": "mean_average_precision",
}
# Names of Headway's own for models that have another one on the hub.
_HUB_NAMES = {"minilm": "sentence-transformers/all-MiniLM-L6-v2"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*|[A-Za-z0-9][\w.]*-[\w.-]+")


def model_card(record: Record, *, license: str | None = None) -> str:
    """Return the Hugging Face model card of a run, as Markdown with YAML metadata.

    The base model is named in the metadata only if it looks like a name on the hub. Local paths of the data are cut
    to the file's name: a card is published.

    Args:
        record: The run.
        license: The licence's identifier on the hub ("apache-2.0"); left out when None.
    """
    parts = (
        _front_matter(record, license),
        f"# {_title(record)}",
        verdict(record).text,
        _origin(record),
        _results(record),
        _use(record),
        _data(record),
        _limits(record),
        f"Trained with Headway {record.headway_version}. The whole report, with learning curves, data checks and the "
        "most confident mistakes, is `headway/report.html` in this folder.",
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(record: Record) -> str:
    return f"{record.task.replace('_', ' ').capitalize()} trained on {_plain(name_of_data(record))}"


def _front_matter(record: Record, license: str | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    source = record.data.get("test") or record.data.get("train") or name_of_data(record)
    results = [
        EvalResult(
            task_type="text-classification",
            task_name="Text classification",
            dataset_type=_hub_data(source) or "private",
            dataset_name=_hub_data(source) or _base(source),
            dataset_split=record.scored_on,
            metric_type=_HUB_METRICS[name],
            metric_name=METRICS[name].label,
            metric_value=round(interval.value, 4),
        )
        for name, interval in record.scores.metrics.items()
        if name in _HUB_METRICS
    ]
    trained_on = _hub_data(record.data.get("train", ""))
    card = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        license=license,
        base_model=_hub_model(record.base_model),
        datasets=[trained_on] if trained_on else None,
        tags=["headway", "text-classification", *(["multi-label"] if record.multi_label else [])],
        metrics=list(dict.fromkeys(result.metric_type for result in results)),
        model_name=_title(record),
        eval_results=results,
    )
    return f"---\n{card.to_yaml()}\n---"


def _hub_model(name: str) -> str | None:
    """Return the hub's name of the base model, or None for what is, or looks like, a local folder."""
    name = _HUB_NAMES.get(name, name.partition("@")[0])
    return name if _HUB_ID.fullmatch(name) and not Path(name).exists() else None


def _hub_data(source: str) -> str | None:
    return source.removeprefix("hub:").split(":")[0] if source.startswith("hub:") else None


def _base(source: str) -> str:
    return PurePath(source.replace("\\", "/")).name or source


def _local(folder: str) -> str:
    """Return a folder as a published card may show it: as it was written, but of an absolute path the last part."""
    return _base(folder) if PurePath(folder).is_absolute() or "\\" in folder else folder


def _origin(record: Record) -> str:
    if not record.base_model:
        return ""
    if record.base_model.startswith("scratch:"):
        return "It was trained from scratch: all its weights were learned from this data alone."
    name = _hub_model(record.base_model)
    if name is not None:
        return f"It was fine-tuned from [{_plain(name)}](https://huggingface.co/{name})."
    return (
        f"It was fine-tuned from the model in the local folder {_plain(_local(record.base_model))}, which is no name "
        "on the hub: whoever publishes this card should say what that was."
    )


def _results(record: Record) -> str:
    names = list(record.scores.metrics)
    labels = [METRICS[name].label for name in names]
    lines = [
        f"## Results on {record.scores.rows:,} {record.scored_on} rows",
        "",
        f"| | {' | '.join(labels)} |",
        f"|---|{'---|' * len(names)}",
        f"| **this model** | {' | '.join(_cell(name, record.scores.metrics[name]) for name in names)} |",
    ]
    for baseline in record.baselines:
        cells = " | ".join(_cell(name, baseline.scores.metrics[name]) for name in names)
        lines.append(f"| {baseline.name} | {cells} |")
    lines += ["", "In brackets 95 % bootstrap intervals over the scored rows."]
    return "\n".join(lines)


def _cell(name: str, interval: Interval) -> str:
    return f"{METRICS[name].show(interval.value)} ({METRICS[name].show_range(interval)})"


def _use(record: Record) -> str:
    folder = _local(record.folder)
    every = ', top_k=None, function_to_apply="sigmoid"' if record.multi_label else ""
    return f"""## How to use it

With Headway:

```sh
headway predict {shlex.quote(folder)} "A text to judge."
```

With transformers:

```python
from transformers import pipeline

classify = pipeline("text-classification", model={folder!r}{every})
classify("A text to judge.")
```

The answers are {_label_list(record)}{", any number of them for a text" if record.multi_label else ""}."""


def _label_list(record: Record) -> str:
    shown = [f"“{_plain(name)}”" for name in record.label_names[:20]]
    more = len(record.label_names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _data(record: Record) -> str:
    lines = ["## Data", ""]
    for split in dict.fromkeys((*record.data, *record.rows)):
        rows = f"{record.rows[split]:,} rows" if split in record.rows else ""
        source = _plain(_hub_data(record.data.get(split, "")) or _base(record.data.get(split, "")))
        lines.append(f"- {split}: {', '.join(part for part in (source, rows) if part)}")
    if record.split:
        lines += ["", _plain(record.split)]
    # Example rows stay out: a card is published, and the rows may be private.
    found = [finding for finding in record.findings if finding.severity != "ok"]
    if found:
        lines += ["", "The checks before the training found:", ""]
        lines += [f"- {finding.severity}: {_plain(finding.message)}" for finding in found]
    return "\n".join(lines)


def _limits(record: Record) -> str:
    weak = sorted((one for one in record.scores.classes if one.support), key=lambda one: one.f1.value)[:3]
    lines = [
        "## Intended use and limits",
        "",
        "It is meant for texts of the kind it was trained on; for others (another language, subject or length) the "
        "figures above say nothing. Score it on your own labelled rows with `headway evaluate` before you rely on it, "
        "and do not let it alone decide what matters to a person.",
    ]
    if len(record.label_names) > 2 and weak:
        names = ", ".join(f"“{_plain(one.name)}” (F1 {one.f1.value:.2f}, {one.support:,} rows)" for one in weak)
        lines += ["", f"It is weakest at {names}."]
    if not record.multi_label:
        error = record.scores.metrics["ece"]
        lines += [
            "",
            f"Its confidence is off by {100 * error.value:.1f} points on average (ECE, 15 bins).",
        ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Escape what Markdown or HTML would read as markup in a name or sentence from the user's files."""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
