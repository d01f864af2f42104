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

from headway.batching.text_encoder import TextEncoder
from headway.checkpoints.hub import locate
from headway.checkpoints.load import classifier_architecture
from headway.checkpoints.model_facts import ModelFacts, inspect_model
from headway.checkpoints.tokenizer_files import load_tokenizer
from headway.console import ConsoleReporter
from headway.settings import parse_assignments, resolve
from headway.tasks.classification.data import read_classification_data
from headway.tasks.classification.engine import sequence_limit

__all__ = ["inspect_command"]

_DATA_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".gz", ".txt")


def inspect_command(what: str, *, model: str | None, as_json: bool, assignments: list[str]) -> None:
    """Show what a model is, or check data as `train` would."""
    if _is_data(what):
        _inspect_data(what, model or "minilm", as_json, assignments)
    else:
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
    rows: Mapping[str, Any] = {
        "model": model,
        "family": facts.family,
        "labels": _labels(facts),
        **{name.replace("_", " ").replace(".", ": "): value for name, value in facts.architecture.items()},
        "FLOP per token": f"{facts.flop_per_token / 1e6:,.1f} million forward, three times that in training",
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
    return "none: it writes text" + (", and can be trained to classify" if facts.can_classify else "")


def _inspect_data(data: str, model: str, as_json: bool, assignments: list[str]) -> None:
    settings = resolve(parse_assignments(assignments))
    source = locate(model)
    limit = sequence_limit(classifier_architecture(source), settings.max_length)
    examples = read_classification_data(data, None, None, settings)
    findings = examples.findings(TextEncoder(load_tokenizer(source), limit))
    parts = {"train": examples.splits.train, "validation": examples.splits.validation, "test": examples.splits.test}
    counts = {
        name: dict(zip(examples.labels.names, part.counts().tolist(), strict=True)) for name, part in parts.items()
    }
    if as_json:
        answer = {
            "columns": asdict(examples.columns),
            "labels": asdict(examples.labels),
            "split": examples.splits.description,
            "counts": counts,
            "findings": [asdict(finding) for finding in findings],
        }
        sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")
        return
    console = Console(highlight=False)
    console.print(
        f"[bold]{escape(data)}[/]: text in {escape(' and '.join(examples.columns.texts))!s}, "
        f"label in {escape(', '.join(examples.columns.labels))}. {escape(examples.splits.description)}"
    )
    table = Table("label", *parts, box=None, header_style="bold", pad_edge=False)
    for name in examples.labels.names:
        table.add_row(escape(name), *(f"{counts[split][name]:,}" for split in parts))
    console.print(table)
    ConsoleReporter(console).findings(findings)
