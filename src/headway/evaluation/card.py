"""The model card: the README.md that the hub shows, with its metadata, made from a record and what its task adds."""

import html
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from headway.evaluation.metrics.metric import MetricInfo
from headway.evaluation.narrative import name_of_data, public_folder, title_of, verdict
from headway.evaluation.record import Record
from headway.evaluation.report.task_page import CardFacts, TaskPage

__all__ = ["model_card"]

# Headway's own names of models, and theirs on the hub.
_HUB_NAMES = {"minilm": "sentence-transformers/all-MiniLM-L6-v2"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*|[A-Za-z0-9][\w.]*-[\w.-]+")


def model_card(record: Record, page: TaskPage, *, license: str | None = None) -> str:
    """Return the Hugging Face model card of a run, as Markdown with YAML metadata.

    The base model is named in the metadata only if it looks like a name on the hub. Local paths of the data are cut
    to the file's name, because a card is published.

    Args:
        record: The run.
        page: What its task adds.
        license: The licence's identifier on the hub ("apache-2.0"); left out when None.
    """
    parts = (
        _front_matter(record, page, license),
        f"# {_title(record)}",
        verdict(record, page.metrics, page.reservations).text,
        _origin(record),
        _results(record, page.metrics),
        _use(page.card),
        _data(record),
        _limits(page.card),
        f"Trained with Headway {record.headway_version}. The whole report, with learning curves, data checks and "
        "mistakes, is `headway/report.html` in this folder.",
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(record: Record) -> str:
    return f"{title_of(record)} trained on {_plain(name_of_data(record))}"


def _front_matter(record: Record, page: TaskPage, license: str | None) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    source = record.data.get("test") or record.data.get("train") or name_of_data(record)
    results = [
        EvalResult(
            task_type=page.card.pipeline_tag,
            task_name=page.card.task_name,
            dataset_type=_hub_data(source) or "private",
            dataset_name=_hub_data(source) or _base(source),
            dataset_split=record.scored_on,
            metric_type=info.hub_name,
            metric_name=info.label,
            metric_value=round(record.scores.metrics[info.name].value, 4),
        )
        for info in page.metrics
        if info.hub_name
    ]
    trained_on = _hub_data(record.data.get("train", ""))
    card = ModelCardData(
        library_name="transformers",
        pipeline_tag=page.card.pipeline_tag,
        license=license,
        base_model=_hub_model(record.base_model),
        datasets=[trained_on] if trained_on else None,
        tags=["headway", page.card.pipeline_tag, *page.card.tags],
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


def _origin(record: Record) -> str:
    if not record.base_model:
        return ""
    if record.base_model.startswith("scratch:"):
        return "It was trained from scratch: all its weights were learned from this data alone."
    name = _hub_model(record.base_model)
    if name is not None:
        return f"It was fine-tuned from [{_plain(name)}](https://huggingface.co/{name})."
    return (
        f"It was fine-tuned from the model in the local folder {_plain(public_folder(record.base_model))}, which is "
        "not a name on the hub: whoever publishes this card should say what that was."
    )


def _results(record: Record, infos: Sequence[MetricInfo]) -> str:
    lines = [
        f"## Results on {record.scores.rows:,} {record.scored_on} rows",
        "",
        f"| | {' | '.join(info.label for info in infos)} |",
        f"|---|{'---|' * len(infos)}",
    ]
    contenders = [
        ("**this model**", record.scores),
        *((baseline.name, baseline.scores) for baseline in record.baselines),
    ]
    for name, scores in contenders:
        cells = " | ".join(info.show_with_range(scores.metrics[info.name]) for info in infos)
        lines.append(f"| {name} | {cells} |")
    lines += ["", "In brackets 95 % bootstrap intervals over the scored rows."]
    signatures = record.scores.signatures
    lines += [f"{info.label}: `{signatures[info.name]}`." for info in infos if info.name in signatures]
    return "\n".join(lines)


def _use(card: CardFacts) -> str:
    blocks = [f"{title}:\n\n```{language}\n{code}\n```" for title, language, code in card.usage]
    return "\n\n".join(["## How to use it", *blocks, _plain(card.answers)])


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
        lines += ["", "The checks before training found:", ""]
        lines += [f"- {finding.severity}: {_plain(finding.message)}" for finding in found]
    return "\n".join(lines)


def _limits(card: CardFacts) -> str:
    return "\n\n".join(
        [
            "## Intended use and limits",
            f"It is meant for {card.inputs} of the kind it was trained on; for others ({card.unlike}) the results "
            "above say nothing. Score it on rows of your own with `headway evaluate` before you rely on it, and do not "
            "let it alone decide what matters to a person.",
            *(_plain(limit) for limit in card.limits),
        ]
    )


def _plain(text: str) -> str:
    """Escape what Markdown or HTML would read as markup in a name or sentence from the user's files."""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
