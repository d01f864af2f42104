"""Inputs that occur more than once: within the data, or on both sides of a split."""

import numpy as np

from headway.examples.checks.findings import SHOWN, AllRows, Finding, Severity, count_rows
from headway.examples.checks.similarity import near_pairs
from headway.examples.row_keys import words

__all__ = ["exact_duplicates", "leak", "near_duplicates"]

SIMILARITY_ROWS = 20_000
"""So many different texts, at most, are compared for near duplicates."""


def exact_duplicates(pool: AllRows) -> Finding:
    """The same text word for word, or the same image byte for byte, more than once."""
    _, first = np.unique(pool.exact, return_index=True)
    copies = np.setdiff1d(np.arange(len(pool)), first, assume_unique=True)
    share = len(copies) / len(pool)
    if len(copies) == 0:
        return Finding("exact_duplicates", "ok", f"No {pool.noun} occurs twice.")
    message = (
        f"{count_rows(len(copies))} ({share:.1%}) {'repeat' if len(copies) > 1 else 'repeats'} an earlier {pool.noun} "
        f"{pool.exactly}. "
        "They count several times in training; remove them unless that is meant."
    )
    severity: Severity = "warning" if share > 0.05 else "note"
    return Finding("exact_duplicates", severity, message, len(copies), share, pool.show(copies))


def near_duplicates(pool: AllRows) -> Finding:
    """Texts that differ in case, spaces and punctuation (all rows), or in a few words (a sample)."""
    _, first = np.unique(pool.exact, return_index=True)
    _, first_normal = np.unique(pool.normal[np.sort(first)], return_index=True)
    different = np.sort(np.sort(first)[first_normal])
    variants = np.setdiff1d(first, different, assume_unique=True)
    drawn = different
    if len(different) > SIMILARITY_ROWS:
        drawn = np.sort(np.random.default_rng(0).choice(different, SIMILARITY_ROWS, replace=False))
    names = pool.input_names
    pairs = near_pairs([words(" ".join(example.get(name) or "" for name in names)) for example in pool.fetch(drawn)])
    later = drawn[np.unique([other for _, other, _ in pairs]).astype(np.int64)]
    sampled = f" (among {len(drawn):,} rows drawn by chance)" if len(drawn) < len(different) else ""
    count = len(variants) + len(later)
    if count == 0:
        return Finding("near_duplicates", "ok", f"No two texts are nearly the same{sampled}.")
    ends = drawn[np.array([pair[:2] for pair in pairs], dtype=np.int64).reshape(-1, 2)]
    apart = int((pool.split_of(ends[:, 0]) != pool.split_of(ends[:, 1])).sum())
    facts = (
        f"{count_rows(len(variants))} like another but for case, spaces or punctuation" if len(variants) else "",
        f"{count_rows(len(later))} sharing four fifths of the word triples with another{sampled}" if len(later) else "",
    )
    message = f"Nearly the same: {'; '.join(filter(None, facts))}."
    if apart:
        pairs_lie = "pairs lie" if apart > 1 else "pair lies"
        message += f" {apart:,} such {pairs_lie} in different splits, which flatters the scores."
    share = count / len(pool)
    severity: Severity = "warning" if share > 0.05 or apart > 0.01 * len(pool) else "note"
    shown = [
        f"{pool.show_one(pool.fetch(pair[:1])[0])} ≈ {pool.show_one(pool.fetch(pair[1:])[0])}" for pair in ends[:SHOWN]
    ]
    return Finding("near_duplicates", severity, message, count, share, tuple(shown) or pool.show(variants))


def leak(pool: AllRows, other: str) -> Finding:
    """Rows of another split whose text is also in the training rows."""
    start = int(pool.starts[list(pool.parts).index(other)])
    size, train = len(pool.parts[other]), len(pool.parts["train"])
    here = slice(start, start + size)
    exact = np.isin(pool.exact[here], pool.exact[:train])
    leaked = exact | np.isin(pool.normal[here], pool.normal[:train])
    count = int(leaked.sum())
    name = f"leak_train_{other}"
    if count == 0:
        return Finding(name, "ok", f"No {other} {pool.noun} is among the training {pool.noun}s.")
    message = (
        f"{count:,} of {size:,} {other} rows ({count / size:.1%}) also stand in the training rows, "
        f"{int(exact.sum()):,} of them {pool.exactly}. "
        f"The {other} score will look better than it is; remove them from one side."
    )
    return Finding(name, "warning", message, count, count / size, pool.show(np.flatnonzero(leaked) + start))
