"""sacrebleu is the reference: the sufficient statistics give its corpus score for any set of rows."""

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.evaluation.intervals import resamples_of
from headway.evaluation.metrics import compute_metrics, paired_difference, score
from headway.evaluation.metrics.text import ChrfMetrics

ANSWERS = ["the cat sat on the mat", "a dog", "", "Guten Morgen!", "完全に違う"]
REFERENCES = [
    ("a cat sat on the mat", "the cat is on the mat"),
    ("one dog barks", "the dog"),
    ("nothing", "none"),
    ("Guten Morgen!", "Guten Tag!"),
    ("同じではない", "違うもの"),
]


def chrf(word_order: int = 0) -> ChrfMetrics:
    return ChrfMetrics(lambda example: example, word_order=word_order)


def statistics_of(metrics: ChrfMetrics, answers: list[str], references: list[tuple[str, ...]]) -> np.ndarray:
    return np.stack([metrics.statistics(*pair) for pair in zip(answers, references, strict=True)])


@pytest.mark.parametrize("word_order", [0, 2])
def test_chrf_is_sacrebleus(word_order: int):
    metrics = chrf(word_order=word_order)
    (value,) = compute_metrics(metrics, statistics_of(metrics, ANSWERS, REFERENCES)).values()
    streams = [list(stream) for stream in zip(*REFERENCES, strict=True)]
    assert value == sacrebleu.corpus_chrf(ANSWERS, streams, word_order=word_order).score


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), min_size=1, max_size=6))
def test_chrf_of_any_texts_is_sacrebleus(pairs: list[tuple[str, str]]):
    metrics, (answers, references) = chrf(), map(list, zip(*pairs, strict=True))
    found = compute_metrics(metrics, statistics_of(metrics, answers, references))
    assert found["chrf"] == sacrebleu.corpus_chrf(answers, [references]).score


def test_every_draw_is_scored_as_if_it_were_the_corpus():
    metrics = chrf()
    draws = list(resamples_of(len(ANSWERS), 20, seed=3))
    found = metrics.values(statistics_of(metrics, ANSWERS, REFERENCES), draws)["chrf"]
    for value, drawn in zip(found, draws, strict=True):
        streams = [[REFERENCES[row][number] for row in drawn] for number in (0, 1)]
        assert value == sacrebleu.corpus_chrf([ANSWERS[row] for row in drawn], streams).score


def test_the_number_of_references_may_differ():
    metrics = chrf()
    one, two = metrics.statistics("a cat", ("a dog",)), metrics.statistics("a cat", ("a dog", "a cat"))
    assert compute_metrics(metrics, two[None])["chrf"] == 100.0
    assert compute_metrics(metrics, one[None])["chrf"] == sacrebleu.sentence_chrf("a cat", ["a dog"]).score
    assert metrics.signatures(np.stack([one, two]))["chrf"].startswith("nrefs:var|")
    assert metrics.signatures(one[None])["chrf"].startswith("nrefs:1|")


def test_the_signature_is_kept_with_the_scores():
    metrics = chrf()
    found = score(metrics, statistics_of(metrics, ANSWERS, REFERENCES), resamples=50)
    assert found.signatures == {
        "chrf": f"nrefs:2|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{sacrebleu.__version__}"
    }
    assert found.metrics["chrf"].low < found.metrics["chrf"].value < found.metrics["chrf"].high


def test_perfect_answers_on_few_rows_are_not_certain():
    metrics = chrf()
    statistics = statistics_of(metrics, ["the cat", "a dog", "it rains"], ["the cat", "a dog", "it rains"])
    found = score(metrics, statistics).metrics["chrf"]
    assert (found.value, found.high) == (100.0, 100.0)
    assert found.low == pytest.approx(29.2, abs=0.1)  # Clopper-Pearson for 3 of 3, in chrF's range


def test_better_answers_are_ahead_on_the_same_rows():
    metrics = chrf()
    references = [f"sentence number {number} of the corpus" for number in range(40)]
    worse = [text[: len(text) // 2] for text in references]
    both = [statistics_of(metrics, answers, references) for answers in (references, worse)]
    assert paired_difference(metrics, *both)["chrf"].low > 0
