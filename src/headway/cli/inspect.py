"""`headway inspect`: a model's architecture and cost, or the checks of a data set."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headway.checkpoints.hub import locate
from headway.checkpoints.model_facts import ModelFacts, inspect_model
from headway.console import ConsoleReporter
from headway.settings import resolve
from headway.tasks.run import Checked, check_data

__all__ = ["inspect_command"]

_DATA_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".gz", ".txt")
_USED = ("data", "seed", "device", "threads")


def inspect_command(
    what: str, *, model: str | None, task: str | None, as_json: bool, assignments: dict[str, Any]
) -> None:
    """Show what a model is, or check data as `train` would."""
    if _is_data(what):
        settings = resolve(assignments, only=_USED, command="headway inspect")
        _show_data(what, check_data(what, task, model, settings), as_json)
    else:
        resolve(assignments, only=(), command="headway inspect of a model")
        _inspect_model(what, as_json)


def _is_data(what: str) -> bool:
    if what.startswith(("hub:", "sample:")):
        return True
    path = Path(what)
    return path.is_file() or path.suffix in _DATA_SUFFIXES or (path.is_dir() and not (path / "config.json").exists())


def _inspect_model(model: str, as_json: bool) -> None:
    facts = inspect_model(locate(model))
    if as_json:
        sys.stdout.write(json.dumps(asdict(facts), indent=2) + "\n")
        return
    console = Console(highlight=False)
    console.print(_facts_table(model, facts))
    console.print()
    parts = Table("part", "shape", "parameters", box=None, header_style="bold", pad_edge=False)
    for part in facts.parts:
        parts.add_row(escape(part.name), escape(part.shape), f"{part.parameters:,}", style="")
    parts.add_row("[bold]all[/]", "", f"[bold]{facts.parameters:,}[/]")
    console.print(parts)


def _facts_table(model: str, facts: ModelFacts) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    unit, flop = "image" if facts.image_tokens else "token", facts.flop_per_token * max(1, facts.image_tokens)
    rows: Mapping[str, Any] = {
        "model": model,
        "family": facts.family,
        "labels": _labels(facts),
        **{name.replace("_", " ").replace(".", ": "): value for name, value in facts.architecture.items()},
        **({"tokens per image": facts.image_tokens} if facts.image_tokens else {}),
        f"FLOP per {unit}": f"{flop / 1e6:,.1f} million forward, three times that in training",
        "memory": f"{facts.weight_bytes / 2**20:,.0f} MiB of weights, "
        f"{facts.training_bytes / 2**20:,.0f} MiB in training with gradients and Adam's moments",
    }
    for name, value in rows.items():
        table.add_row(f"[bold]{escape(name)}[/]", escape(str(value)))
    return table


def _labels(facts: ModelFacts) -> str:
    if facts.label_names:
        return ", ".join(facts.label_names)
    if not facts.generates:
        return "none: a base model, to be trained first"
    return "none: it generates text" + (", and can be trained to classify" if facts.can_classify else "")


def _show_data(name: str, checked: Checked, as_json: bool) -> None:
    data, splits = checked.data, checked.data.splits
    counts = checked.task.counts(data.spec, splits.parts())
    if as_json:
        answer = {
            "task": checked.task.name,
            "columns": data.columns.by_field,
            **checked.task.facts(data.spec),
            "split": splits.description,
            "rows": {split: len(part) for split, part in splits.parts().items()},
            "counts": counts,
            "findings": [asdict(finding) for finding in checked.findings],
        }
        sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")
        return
    console = Console(highlight=False)
    found = "; ".join(f"{field} in {', '.join(columns)}" for field, columns in data.columns.by_field.items())
    kind = checked.task.name.replace("_", " ").capitalize()
    console.print(f"[bold]{escape(name)}[/]: {escape(found)}. {kind}. {escape(splits.description)}")
    if counts:
        table = Table("label", *splits.parts(), box=None, header_style="bold", pad_edge=False)
        for label in next(iter(counts.values())):
            table.add_row(escape(label), *(f"{counts[split][label]:,}" for split in splits.parts()))
        console.print(table)
    reporter = ConsoleReporter(console)
    for note in data.notes:
        reporter.note(note)
    reporter.findings(checked.findings)
