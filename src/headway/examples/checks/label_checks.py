"""What is odd about labels: imbalance, spellings, marks of missing values, contradictions, labels without rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headway.examples.checks.findings import SHOWN, AllRows, Finding, Severity, count_rows
from headway.examples.examples import Example
from headway.examples.labels import label_name

__all__ = ["label_checks"]

_MISSING_MARKS = ("#N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
"""The words that pandas.read_csv takes for a missing value."""


def label_checks(pool: AllRows) -> list[Finding]:
    """Look at the labels of all splits."""
    return [
        _conflicts(pool),
        _balance(pool),
        *_label_variants(pool),
        *_missing_labels(pool),
        *_absent_labels(pool),
    ]


def _balance(pool: AllRows) -> Finding:
    names = pool.parts["train"].labels.names
    counts = pool.parts["train"].counts()
    total = len(pool.parts["train"])
    order = np.argsort(-counts, kind="stable")
    most, least = int(order[0]), int(order[-1])
    listed = tuple(f"{names[index]}: {counts[index]:,}" for index in order)
    shown = listed if len(listed) <= SHOWN else (*listed[:3], "…", listed[-1])
    facts = f"'{names[most]}' has {counts[most]:,} of {total:,} training rows, '{names[least]}' {counts[least]:,}"
    ratio = counts[most] / max(1, counts[least])
    rare = int((counts < 10).sum())
    if ratio > 10 or (rare and total >= 100):
        few = f" {rare} label{'s have' if rare > 1 else ' has'} fewer than 10 rows." if rare else ""
        advice = "Trust macro-F1 rather than accuracy; more rows of the rare labels, or class weights, help."
        return Finding(
            "class_imbalance", "warning", f"{facts}.{few} {advice}", rare, float(counts[most] / total), shown
        )
    if ratio > 3:
        advice = "look at macro-F1 beside accuracy."
        return Finding("class_imbalance", "note", f"{facts}: {advice}", 0, float(counts[most] / total), shown)
    return Finding("class_imbalance", "ok", f"The labels are balanced: {facts}.", 0, float(counts[most] / total), shown)


def _label_variants(pool: AllRows) -> list[Finding]:
    """Labels that differ only in case, and labels with spaces around them."""
    names = pool.parts["train"].labels.names
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(" ".join(name.casefold().replace("_", " ").replace("-", " ").split()), []).append(name)
    variants = [group for group in folded.values() if len(group) > 1]
    findings = []
    if variants:
        count = sum(map(len, variants))
        message = f"{count} labels differ only in their spelling and are learned as different ones; write them alike."
        shown = tuple(" / ".join(f"'{name}'" for name in group) for group in variants[:SHOWN])
        findings.append(Finding("label_variants", "warning", message, count, count / len(names), shown))
    raw = pool.parts["train"].raw_labels
    spaced = {
        value: count
        for value, count in zip(raw.values, raw.counts.tolist(), strict=True)
        if isinstance(value, str) and value != label_name(value) and label_name(value)
    }
    if spaced:
        rows = int(sum(spaced.values()))
        message = f"{count_rows(rows)} have spaces around their label; the spaces were taken away."
        shown = tuple(f"'{value}'" for value in spaced)[:SHOWN]
        findings.append(Finding("label_spaces", "note", message, rows, rows / len(pool), shown))
    return findings


def _missing_labels(pool: AllRows) -> list[Finding]:
    """Rows with a label that elsewhere means that there is none. It stays what it is: nothing is guessed."""
    names = pool.parts["train"].labels.names
    suspects = [index for index, name in enumerate(names) if name in _MISSING_MARKS]
    if not suspects:
        return []
    targets = np.concatenate([part.targets() for part in pool.parts.values()])
    marked = targets[:, suspects].any(axis=1) if targets.ndim == 2 else np.isin(targets, suspects)
    rows = np.flatnonzero(marked)
    listed = " or ".join(f"'{names[index]}'" for index in suspects)
    message = (
        f"{count_rows(len(rows))} {'has' if len(rows) == 1 else 'have'} the label {listed}, as tables write what is "
        "missing; it is learned like any other. If it means that the label is not known, leave those rows out."
    )
    return [Finding("missing_labels", "warning", message, len(rows), len(rows) / len(pool), pool.show(rows))]


def _absent_labels(pool: AllRows) -> list[Finding]:
    """Labels without any row in a split."""
    names = pool.parts["train"].labels.names
    findings = []
    for split, part in pool.parts.items():
        absent = [names[index] for index in np.flatnonzero(part.counts() == 0)]
        if absent:
            what = "cannot be learned" if split == "train" else "cannot be measured"
            message = f"{len(absent)} label{'s' if len(absent) > 1 else ''} without any {split} row {what}."
            shown = tuple(f"'{name}'" for name in absent[:SHOWN])
            severity: Severity = "warning" if split == "train" else "note"
            findings.append(
                Finding(f"absent_in_{split}", severity, message, len(absent), len(absent) / len(names), shown)
            )
    return findings


def _conflicts(pool: AllRows) -> Finding:
    """The same input with different labels."""
    classes = _classes(pool)
    order = np.lexsort((classes, pool.exact))
    keys, classes = pool.exact[order], classes[order]
    clash = np.flatnonzero((keys[1:] == keys[:-1]) & (classes[1:] != classes[:-1]))
    rows = np.sort(np.flatnonzero(np.isin(pool.exact, keys[clash])))
    if len(rows) == 0:
        return Finding("conflicting_labels", "ok", f"No {pool.noun} has two different labels.")
    texts = len(np.unique(keys[clash]))
    message = (
        f"{texts:,} {pool.noun}{'s' if texts > 1 else ''} in {count_rows(len(rows))} ha{'s' if texts == 1 else 've'} "
        "different labels. No model can get both right; decide on one."
    )
    by_text = rows[np.argsort(pool.exact[rows], kind="stable")][:SHOWN]
    names = pool.parts["train"].labels.names
    shown = tuple(
        f"{pool.show_one(example)} → {_labels_of(example, names)}"
        for row in by_text
        for example in pool.fetch(row[None])
    )
    share = len(rows) / len(pool)
    return Finding("conflicting_labels", "warning", message, len(rows), share, shown)


def _labels_of(example: Example, names: Sequence[str]) -> str:
    label = example["label"]
    return ", ".join(names[index] for index in (label if isinstance(label, tuple) else (label,))) or "no label"


def _classes(pool: AllRows) -> NDArray[np.int64]:
    """A number for each row's label, or set of labels. *Shape:* (rows,)."""
    targets = np.concatenate([part.targets() for part in pool.parts.values()])
    if targets.ndim == 1:
        return targets
    bits = np.packbits(targets.astype(bool), axis=1)
    keys = np.ascontiguousarray(bits).view(np.dtype((np.void, bits.shape[1]))).reshape(-1)
    return np.unique(keys, return_inverse=True)[1].reshape(-1)
