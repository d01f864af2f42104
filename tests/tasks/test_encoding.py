"""Texts are tokenised once, and answers do not depend on how the work is shared out."""

import json
from collections import Counter

import numpy as np
import pytest
import torch

from headway.tasks import encoding
from headway.tokenizers.fast_tokenizer import FastTokenizer


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


@pytest.fixture
def tokenised(monkeypatch) -> Counter:
    """How often each text goes through the tokenizer."""
    counts: Counter = Counter()
    encode = FastTokenizer.encode

    def counting(self, texts, max_length=None):
        counts.update(texts)
        return encode(self, texts, max_length)

    monkeypatch.setattr(FastTokenizer, "encode", counting)
    return counts


def test_a_whole_training_tokenises_each_text_once(train_tiny, pairs_file, topics_file, tokenised):
    """Over four epochs, with their validations, the checks, the lengths and the final measurement."""
    train_tiny(pairs_file, epochs=4)
    assert (tokenised.total(), set(tokenised.values())) == (300, {1})
    tokenised.clear()
    train_tiny(topics_file, epochs=4, max_tokens=600)
    assert tokenised == Counter(json.loads(line)["text"] for line in topics_file.read_text().splitlines())


def test_an_evaluation_and_an_answer_tokenise_each_text_once(train_tiny, pairs_file, review_texts, tokenised):
    model = train_tiny(pairs_file, epochs=0.5)
    tokenised.clear()
    model.evaluate(pairs_file)
    assert (tokenised.total(), set(tokenised.values())) == (300, {1})
    tokenised.clear()
    model.predict([(text, "other") for text in review_texts[:50]])
    assert (tokenised.total(), set(tokenised.values())) == (50, {1})


def test_a_batch_per_core_gives_the_answers_of_one_after_the_other(
    train_tiny, pairs_file, review_texts, threads, monkeypatch
):
    model = train_tiny(pairs_file, epochs=0.5)
    pairs = [(text, text[::-1]) for text in review_texts[:120]]
    whole = model.predict_proba(pairs)
    monkeypatch.setitem(encoding.TOKENS_PER_BATCH, "cpu", 100)
    pools, pool = [], encoding.ThreadPoolExecutor
    monkeypatch.setattr(
        encoding, "ThreadPoolExecutor", lambda *cores, **how: pools.append(cores) or pool(*cores, **how)
    )
    shared = model.predict_proba(pairs)
    assert pools == [(threads,)]  # the way that is tested here was taken
    assert torch.get_num_threads() == threads
    np.testing.assert_allclose(shared, whole, atol=1e-6, rtol=0)


def test_an_error_in_a_worker_comes_out_and_the_threads_come_back(
    train_tiny, pairs_file, review_texts, threads, monkeypatch
):
    model = train_tiny(pairs_file, epochs=0.5)
    monkeypatch.setitem(encoding.TOKENS_PER_BATCH, "cpu", 50)
    model.loaded.network.encoder.embeddings.token = torch.nn.Embedding(1, 32)
    with pytest.raises(IndexError):
        model.predict([(text, "other") for text in review_texts[:40]])
    assert torch.get_num_threads() == threads
