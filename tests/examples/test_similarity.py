import numpy as np
import pytest

from headway.examples.checks.similarity import near_pairs
from headway.examples.row_keys import letters, words


def jaccard(one, other):
    triples = [{tuple(text[i : i + 3]) for i in range(len(text) - 2)} for text in (one, other)]
    return len(triples[0] & triples[1]) / len(triples[0] | triples[1])


def test_near_copies_are_found_and_their_similarity_is_exact():
    rng = np.random.default_rng(0)
    texts = [[f"w{word}" for word in rng.integers(5000, size=rng.integers(30, 200))] for _ in range(300)]
    copies = [[*text[:20], "changed", *text[21:]] for text in texts[:100]]
    pairs = near_pairs(texts + copies)
    expected = {(i, 300 + i) for i in range(100) if jaccard(texts[i], copies[i]) >= 0.8}
    found = {(one, other) for one, other, _ in pairs}
    assert found <= expected
    assert len(found) >= 0.97 * len(expected)
    one, other, similarity = pairs[0]
    assert similarity == pytest.approx(jaccard((texts + copies)[one], (texts + copies)[other]))


def test_short_texts_and_nothing():
    assert near_pairs([]) == []
    assert near_pairs([["a"], ["a", "b"]]) == []
    assert near_pairs([["a", "b", "c"], ["d"], ["x", "a", "b", "c"]], threshold=0.5) == [(0, 2, 0.5)]


def test_what_counts_as_the_same_text():
    assert letters("I  LOVE it!!") == letters("i love “it”.") == b"iloveit"
    assert letters("Straße") == letters("STRASSE")
    assert letters("don’t") == letters("don't")
    assert letters(":-)") != letters(":-(")
    assert letters("good 👍") != letters("good 👎")
    assert letters("C++") != letters("C")
    assert words("Don't stop — “now”!") == ["don", "t", "stop", "now"]
