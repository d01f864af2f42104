"""What is wrong with the data before any training: duplicates, leaks, contradictions, gaps, cut texts."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from headway.examples.checks.duplicates import conflicts, exact_duplicates, leak, near_duplicates
from headway.examples.checks.findings import SHOWN, Finding, Pool, Severity, count_rows
from headway.examples.examples import Example, Examples
from headway.examples.fields import TEXT_KEYS
from headway.examples.labels import label_name, raw_labels
from headway.examples.splits import Splits

__all__ = ["Finding", "LengthsOf", "check", "left_out", "skipped_message"]

LengthsOf = Callable[[Sequence[Example]], list[tuple[int, int]]]
"""For each example: the number of its tokens before any is cut off, and how many of them are unknown."""

_MISSING_MARKS = ("#N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
"""The words that pandas.read_csv takes for a missing value."""

_NUMBER = re.compile(r"[-+]?[\d.,]*\d[\d.,]*(e[-+]?\d+)?\s?%?", re.IGNORECASE)

LENGTH_ROWS = 10_000
"""So many texts, at most, are cut into tokens to see how long they are."""


def check(splits: Splits, lengths_of: LengthsOf | None = None, max_length: int | None = None) -> tuple[Finding, ...]:
    """Look at the data of a training before it begins.

    Args:
        splits: The labelled rows.
        lengths_of: Counts tokens; without it nothing is said about long texts and unknown tokens.
        max_length: The most tokens that the model reads.

    Returns:
        What was found, good news included, in the order in which it should be read.
    """
    pool = Pool(splits)
    findings = [
        *left_out(list(pool.parts.values())),
        exact_duplicates(pool),
        near_duplicates(pool),
        conflicts(pool),
        leak(pool, "validation"),
        leak(pool, "test"),
        _balance(pool),
        *_label_variants(pool),
        *_missing_labels(pool),
        *_absent_labels(pool),
        *_numeric_texts(pool),
    ]
    if lengths_of is not None:
        findings.extend(_lengths(pool, lengths_of, max_length))
    return tuple(findings)


def left_out(parts: Sequence[Examples]) -> list[Finding]:
    """Rows that could not be read, have no text, or have no label."""
    tables = {id(part.table): part for part in parts}.values()
    skipped = sum(part.table.bad_rows.count for part in tables)
    no_label = sum(len(part.left_out.empty_labels) for part in tables)
    no_text = sum(len(part.left_out.empty_texts) for part in tables)
    total = sum(map(len, parts)) + skipped + no_label + no_text
    findings = []
    if skipped:
        listed = [row for part in tables for row in part.table.bad_rows.listed][:SHOWN]
        examples = tuple(f"{row.where}: {row.reason}" for row in listed)
        message = skipped_message(skipped)
        findings.append(Finding("bad_rows", "warning", message, skipped, skipped / total, examples))
    if no_label:
        wheres = [part.table.where(int(row)) for part in tables for row in part.left_out.empty_labels[:SHOWN]]
        message = f"{count_rows(no_label)} without a usable label {_were(no_label)} skipped."
        findings.append(Finding("empty_labels", "warning", message, no_label, no_label / total, tuple(wheres[:SHOWN])))
    wheres = [part.table.where(int(row)) for part in tables for row in part.left_out.empty_texts[:SHOWN]]
    message = (
        f"{count_rows(no_text)} without any text {_were(no_text)} left out." if no_text else "No row is without text."
    )
    severity: Severity = "note" if no_text else "ok"
    findings.append(Finding("empty_texts", severity, message, no_text, no_text / total, tuple(wheres[:SHOWN])))
    return findings


def skipped_message(count: int) -> str:
    """How rows are called that were left out because they cannot be used."""
    return f"{count_rows(count)} could not be read and {_were(count)} skipped."


def _balance(pool: Pool) -> Finding:
    names = pool.labels.names if pool.labels else ()
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


def _label_variants(pool: Pool) -> list[Finding]:
    """Labels that differ only in case, and labels with spaces around them."""
    names = pool.labels.names if pool.labels else ()
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
    spaced = {
        value: count
        for value, count in raw_labels(pool.parts["train"].table, pool.parts["train"].columns).items()
        if isinstance(value, str) and value != label_name(value) and label_name(value)
    }
    if spaced:
        rows = int(sum(spaced.values()))
        message = f"{count_rows(rows)} have spaces around their label; the spaces were taken away."
        shown = tuple(f"'{value}'" for value in spaced)[:SHOWN]
        findings.append(Finding("label_spaces", "note", message, rows, rows / len(pool), shown))
    return findings


def _missing_labels(pool: Pool) -> list[Finding]:
    """Rows with a label that elsewhere means that there is none. It stays what it is: nothing is guessed."""
    names = pool.labels.names if pool.labels else ()
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


def _numeric_texts(pool: Pool) -> list[Finding]:
    """Columns of numbers that were taken for texts."""
    rows = pool.sample(LENGTH_ROWS)
    examples = pool.fetch(rows)
    findings = []
    for position, column in enumerate(pool.parts["train"].columns.texts):
        texts = [(example.text_pair or "") if position else example.text for example in examples]
        numeric = np.array([_NUMBER.fullmatch(text.strip()) is not None for text in texts])
        share = float(numeric.mean())
        if share > 0.5:
            message = (
                f"{share:.0%} of the texts in column '{column}' are bare numbers, from which a model of texts learns "
                f"little. If another column is meant, name it: --set {TEXT_KEYS[position]}=…."
            )
            shown = pool.show(rows[numeric])
            findings.append(Finding("numeric_texts", "warning", message, int(numeric.sum()), share, shown))
    return findings


def _absent_labels(pool: Pool) -> list[Finding]:
    """Labels without any row in a split."""
    names = pool.labels.names if pool.labels else ()
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


def _lengths(pool: Pool, lengths_of: LengthsOf, max_length: int | None) -> list[Finding]:
    """The share of texts that are cut, and of tokens that the vocabulary does not have."""
    rows = pool.sample(LENGTH_ROWS)
    sampled = f" (of {len(rows):,} rows drawn by chance)" if len(rows) < len(pool) else ""
    counted = [
        pair for start in range(0, len(rows), 1000) for pair in lengths_of(pool.fetch(rows[start : start + 1000]))
    ]
    lengths, unknown = np.array(counted, dtype=np.int64).reshape(-1, 2).T
    findings = []
    if max_length is not None:
        cut = np.flatnonzero(lengths > max_length)
        share = len(cut) / len(rows)
        facts = f"the median is {int(np.median(lengths))}, the longest {int(lengths.max()):,}"
        if len(cut) == 0:
            message = f"No text is cut: all have at most {max_length:,} tokens{sampled}; {facts}."
            findings.append(Finding("truncated", "ok", message))
        else:
            message = (
                f"{count_rows(len(cut))} ({share:.1%}){sampled} are longer than {max_length:,} tokens, and what is "
                f"behind that is not read; {facts}."
            )
            severity: Severity = "warning" if share > 0.1 else "note"
            findings.append(Finding("truncated", severity, message, len(cut), share, pool.show(rows[cut])))
    return [*findings, _unknown(pool, rows, lengths, unknown, sampled)]


def _unknown(pool: Pool, rows: np.ndarray, lengths: np.ndarray, unknown: np.ndarray, sampled: str) -> Finding:
    count = int(unknown.sum())
    share = count / max(1, int(lengths.sum()))
    if count == 0:
        return Finding("unknown_tokens", "ok", f"The vocabulary knows all tokens{sampled}.")
    message = f"{count:,} tokens ({share:.2%}){sampled} are not in the vocabulary, so the model cannot read them."
    if share > 0.02:
        message += " Choose a model of the texts' language."
    worst = rows[np.argsort(-unknown, kind="stable")[: min(SHOWN, int((unknown > 0).sum()))]]
    return Finding("unknown_tokens", "warning" if share > 0.02 else "note", message, count, share, pool.show(worst))


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
