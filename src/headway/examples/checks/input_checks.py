"""What is odd about inputs: unreadable and empty rows, duplicates, leaks, bare numbers, cut texts, unknown tokens."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headway.examples.checks.duplicates import exact_duplicates, leak, near_duplicates
from headway.examples.checks.findings import SHOWN, AllRows, Finding, Severity, count_rows
from headway.examples.examples import Examples
from headway.examples.fields import Field

__all__ = ["TokenCounts", "input_checks", "left_out", "length_checks", "skipped_message"]

_NUMBER = re.compile(r"[-+]?[\d.,]*\d[\d.,]*(e[-+]?\d+)?\s?%?", re.IGNORECASE)

_MOJIBAKE = re.compile(
    "[ÃÂÐÑÅÄ][\N{NO-BREAK SPACE}-¿€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ\x80-\x9f]|â€[™œ\x9d˜“”¦\x99\x80-\x9f]|ï»¿|ã[\x80-\x83€‚ƒ]"
)
"""Characters beyond ASCII in UTF-8, read byte by byte in Windows-1252 or Latin-1."""
_MOJIBAKE_SHARE = 0.01
_TEXT_ROWS = 10_000
"""At most so many texts are looked at for numbers and wrongly decoded characters."""

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class TokenCounts:
    """What tokenising all rows of all splits has shown, in the order of `AllRows`.

    Attributes:
        lengths: Tokens of each row before any is cut off. *Shape:* (rows,)
        unknown: Tokens of each row that the vocabulary lacks. *Shape:* (rows,)
        max_length: The most tokens that the model reads.
        in_parts: Whether longer texts are answered part by part.
    """

    lengths: IntArray
    unknown: IntArray
    max_length: int
    in_parts: bool = False


def input_checks(pool: AllRows) -> list[Finding]:
    """Look at what the model is given."""
    findings = [*left_out(list(pool.parts.values())), exact_duplicates(pool)]
    if pool.noun == "text":
        findings.append(near_duplicates(pool))
    return [*findings, leak(pool, "validation"), leak(pool, "test"), *_odd_texts(pool)]


def _odd_texts(pool: AllRows) -> list[Finding]:
    """What texts show when some are looked at."""
    train = pool.parts["train"]
    fields = [one for one in train.fields if one.kind == "text" and one.role == "input" and train.columns[one.name]]
    if not fields:
        return []
    rows = pool.sample(_TEXT_ROWS)
    examples = pool.fetch(rows)
    texts = {one: [example.get(one.name) or "" for example in examples] for one in fields}
    numbers = [_numeric_texts(pool, rows, one, train.columns[one.name][0], each) for one, each in texts.items()]
    together = [" ".join(parts) for parts in zip(*texts.values(), strict=True)]
    return [finding for finding in (*numbers, _mojibake(pool, rows, together)) if finding is not None]


def left_out(parts: Sequence[Examples]) -> list[Finding]:
    """Rows that could not be read, have no input, or have no label."""
    tables = {id(part.table): part for part in parts}.values()
    noun = "image" if any(one.kind == "image" for one in parts[0].fields) else "text"
    bad = [rows for part in tables for rows in (part.table.bad_rows, part.left_out.damaged)]
    skipped = sum(rows.count for rows in bad)
    no_label = sum(len(part.left_out.empty_labels) for part in tables)
    no_text = sum(len(part.left_out.empty_inputs) for part in tables)
    total = sum(map(len, parts)) + skipped + no_label + no_text
    findings = []
    if skipped:
        listed = [row for rows in bad for row in rows.listed][:SHOWN]
        examples = tuple(f"{row.where}: {row.reason}" for row in listed)
        message = skipped_message(skipped)
        findings.append(Finding("bad_rows", "warning", message, skipped, skipped / total, examples))
    if no_label:
        wheres = [part.table.where(int(row)) for part in tables for row in part.left_out.empty_labels[:SHOWN]]
        wanted = next((one.kind for one in parts[0].fields if one.role == "target"), "label")
        what = "a usable label" if wanted == "label" else "an answer to learn"
        message = f"{count_rows(no_label)} without {what} {_were(no_label)} skipped."
        findings.append(Finding("empty_labels", "warning", message, no_label, no_label / total, tuple(wheres[:SHOWN])))
    wheres = [part.table.where(int(row)) for part in tables for row in part.left_out.empty_inputs[:SHOWN]]
    message = (
        f"{count_rows(no_text)} without any {noun} {_were(no_text)} left out."
        if no_text
        else f"No row is without {'an image' if noun == 'image' else 'text'}."
    )
    severity: Severity = "note" if no_text else "ok"
    findings.append(Finding("empty_texts", severity, message, no_text, no_text / total, tuple(wheres[:SHOWN])))
    return findings


def skipped_message(count: int) -> str:
    """How rows are called that were left out because they cannot be used."""
    return f"{count_rows(count)} could not be read and {_were(count)} skipped."


def _numeric_texts(pool: AllRows, rows: np.ndarray, one: Field, column: str, texts: Sequence[str]) -> Finding | None:
    """Columns of numbers that were taken for texts."""
    numeric = np.array([_NUMBER.fullmatch(text.strip()) is not None for text in texts])
    share = float(numeric.mean())
    if share <= 0.5:
        return None
    message = (
        f"{share:.0%} of the texts in column '{column}' are bare numbers, from which a model of texts learns little. "
        f"If another column is meant, name it: --set {one.setting}=…."
    )
    return Finding("numeric_texts", "warning", message, int(numeric.sum()), share, pool.show(rows[numeric]))


def _mojibake(pool: AllRows, rows: np.ndarray, texts: Sequence[str]) -> Finding | None:
    """Texts in UTF-8 that were once read as if they were in a Western encoding, and saved like that."""
    found = [_MOJIBAKE.search(text) for text in texts]
    broken = np.array([match is not None for match in found], dtype=bool)
    count, share = int(broken.sum()), float(broken.mean())
    if share < _MOJIBAKE_SHARE:
        return None
    example = next(match.group() for match in found if match)
    message = (
        f"{count_rows(count)} ({share:.0%} of those looked at) contain wrongly decoded characters such as '{example}': "
        "UTF-8 that another program read in another encoding. Export the data again as UTF-8."
    )
    return Finding("mojibake", "warning", message, count, share, pool.show(rows[broken]))


def length_checks(pool: AllRows, counts: TokenCounts) -> list[Finding]:
    """The share of texts that are cut, and of tokens that the vocabulary lacks."""
    cut = np.flatnonzero(counts.lengths > counts.max_length)
    share = len(cut) / len(pool)
    facts = f"the median is {int(np.median(counts.lengths))}, the longest {int(counts.lengths.max()):,}"
    if len(cut) == 0:
        message = f"No text is cut: all have at most {counts.max_length:,} tokens; {facts}."
        return [Finding("truncated", "ok", message), _unknown(pool, counts)]
    are = "are" if len(cut) > 1 else "is"
    what = "training does not" if counts.in_parts else "the model does not"
    message = (
        f"{count_rows(len(cut))} ({share:.1%}) {are} longer than {counts.max_length:,} tokens, and {what} read the "
        f"rest{' (answers come part by part)' if counts.in_parts else ''}; {facts}."
    )
    severity: Severity = "warning" if share > 0.1 else "note"
    return [Finding("truncated", severity, message, len(cut), share, pool.show(cut)), _unknown(pool, counts)]


def _unknown(pool: AllRows, counts: TokenCounts) -> Finding:
    count = int(counts.unknown.sum())
    share = count / max(1, int(counts.lengths.sum()))
    if count == 0:
        return Finding("unknown_tokens", "ok", "The vocabulary knows all tokens.")
    message = f"{count:,} tokens ({share:.2%}) are not in the vocabulary, so the model cannot read them."
    if share > 0.02:
        message += " Choose a model of the texts' language."
    worst = np.argsort(-counts.unknown, kind="stable")[: min(SHOWN, int((counts.unknown > 0).sum()))]
    return Finding("unknown_tokens", "warning" if share > 0.02 else "note", message, count, share, pool.show(worst))


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
