"""Answers do not depend on how the work is shared out."""

import headway.tasks.classification.engine as engine
import numpy as np
import pytest
import torch

from headway.examples.examples import Example


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def test_a_batch_a_core_gives_the_answers_of_one_after_the_other(
    train_tiny, pairs_file, review_texts, threads, monkeypatch
):
    classifier = train_tiny(pairs_file, epochs=0.5)
    examples = [Example(text, text[::-1]) for text in review_texts[:120]]
    whole = classifier.engine.logits(examples)
    monkeypatch.setitem(engine.TOKENS_PER_BATCH, "cpu", 100)
    shared = classifier.engine.logits(examples)
    assert torch.get_num_threads() == threads
    np.testing.assert_allclose(shared, whole, atol=1e-6, rtol=0)


def test_an_error_in_a_worker_comes_out_and_the_threads_come_back(
    train_tiny, pairs_file, review_texts, threads, monkeypatch
):
    classifier = train_tiny(pairs_file, epochs=0.5)
    monkeypatch.setitem(engine.TOKENS_PER_BATCH, "cpu", 50)
    classifier.engine.model.encoder.embeddings.token = torch.nn.Embedding(1, 32)
    with pytest.raises(IndexError):
        classifier.engine.logits([Example(text) for text in review_texts[:40]])
    assert torch.get_num_threads() == threads
