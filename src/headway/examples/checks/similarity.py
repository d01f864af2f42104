"""Texts that are nearly the same: MinHash over word triples, and buckets of equal pieces of the signatures.

A. Broder, "On the resemblance and containment of documents" (1997); the banding is from Leskovec, Rajaraman and Ullman,
"Mining of Massive Datasets", chapter 3.
"""

from collections.abc import Sequence

import numpy as np

__all__ = ["near_pairs"]

_SHINGLE = 3
_MAX_WORDS = 400
_BANDS, _ROWS = 8, 4
"""A pair of similarity s shares a bucket with probability 1 − (1 − s⁴)⁸: 0.985 at 0.8, 0.23 at 0.4."""
_MAX_CANDIDATES = 20_000


def near_pairs(texts: Sequence[Sequence[str]], threshold: float = 0.8, seed: int = 0) -> list[tuple[int, int, float]]:
    """Pairs of texts that share at least `threshold` of their word triples (Jaccard similarity).

    Args:
        texts: The words of texts that are all different. Those of fewer than three words have no partners.
        threshold: The least similarity.
        seed: For the hash functions.

    Returns:
        (first index, second index, similarity), sorted. A text with many near copies is paired with some of them only.
    """
    shingles, owners = _shingles(texts, np.random.default_rng(seed))
    if len(shingles) == 0:
        return []
    starts = np.flatnonzero(np.append(True, owners[1:] != owners[:-1]))
    signatures = _signatures(shingles, starts, np.random.default_rng(seed + 1))
    sets = np.split(shingles, starts[1:])
    pairs = []
    for one, other in _candidates(signatures):
        common = len(np.intersect1d(sets[one], sets[other], assume_unique=True))
        similarity = common / (len(sets[one]) + len(sets[other]) - common)
        if similarity >= threshold:
            pairs.append((int(owners[starts[one]]), int(owners[starts[other]]), similarity))
    return sorted(pairs)


def _shingles(texts: Sequence[Sequence[str]], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The word triples of all texts as sorted, different uint64 hashes, and the text that each belongs to."""
    vocabulary: dict[str, int] = {}
    ids = [[vocabulary.setdefault(word, len(vocabulary)) for word in text[:_MAX_WORDS]] for text in texts]
    lengths = np.array([len(text) for text in ids], dtype=np.int64)
    flat = np.fromiter((word for text in ids for word in text), dtype=np.int64, count=int(lengths.sum()))
    owners = np.repeat(np.arange(len(texts)), lengths)
    codes = rng.integers(2**64, size=(_SHINGLE, len(vocabulary)), dtype=np.uint64)  # by position in the triple
    size = max(0, len(flat) - _SHINGLE + 1)
    triples = np.zeros(size, dtype=np.uint64)
    for position in range(_SHINGLE):
        triples += codes[position, flat[position : position + size]]
    whole = owners[:size] == owners[_SHINGLE - 1 : _SHINGLE - 1 + size]
    triples, owners = triples[whole], owners[:size][whole]
    order = np.lexsort((triples, owners))
    triples, owners = triples[order], owners[order]
    new = np.append(True, (triples[1:] != triples[:-1]) | (owners[1:] != owners[:-1]))[: len(triples)]
    return triples[new], owners[new]


def _signatures(shingles: np.ndarray, starts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(texts, bands · rows) uint32: for each of so many hash functions the least hash among a text's triples."""
    signatures = np.empty((len(starts), _BANDS * _ROWS), dtype=np.uint32)
    factors = rng.integers(2**64, size=signatures.shape[1], dtype=np.uint64) | np.uint64(1)
    for column, factor in enumerate(factors):
        hashes = ((shingles * factor) >> np.uint64(32)).astype(np.uint32)
        signatures[:, column] = np.minimum.reduceat(hashes, starts)
    return signatures


def _candidates(signatures: np.ndarray) -> list[tuple[int, int]]:
    """Neighbours in a bucket: pairs whose signatures agree in a whole band and, by estimate, in most of the rest."""
    found: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        piece = np.ascontiguousarray(signatures[:, band * _ROWS : (band + 1) * _ROWS])
        keys = piece.view(np.dtype((np.void, piece.dtype.itemsize * _ROWS))).reshape(-1)
        _, buckets = np.unique(keys, return_inverse=True)
        order = np.argsort(buckets.reshape(-1), kind="stable")
        same = np.flatnonzero(buckets.reshape(-1)[order][1:] == buckets.reshape(-1)[order][:-1])
        found.update(zip(order[same].tolist(), order[same + 1].tolist(), strict=True))
    pairs = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
    agreement = (signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).mean(axis=1)
    likely = pairs[agreement >= 0.5][:_MAX_CANDIDATES]
    return [(int(one), int(other)) for one, other in likely]
