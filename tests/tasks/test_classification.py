"""The Python face: what comes out of training, and what may not matter to it."""

import json

import numpy as np
import pytest
import torch

import headway
from headway.errors import CheckpointError, DataError, SettingsError, UserError


@pytest.fixture(scope="module")
def multi(train_tiny, topics_file):
    return train_tiny(topics_file, max_length=40)


def test_multi_label_from_lists(multi, tmp_path):
    assert multi.label_names == ("battery", "camera", "complaint", "praise")
    (answer,) = multi.predict("a great camera")
    assert isinstance(answer.label, tuple)
    assert set(answer.label) == {name for name, value in answer.probabilities.items() if value >= 0.5}
    multi.save(tmp_path / "model")
    tokenizer_config = json.loads((tmp_path / "model" / "tokenizer_config.json").read_text())
    assert tokenizer_config["model_max_length"] == multi.loaded.encoder.max_length
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    again = headway.load(tmp_path / "model")
    assert again.predict("a great camera")[0].probabilities == pytest.approx(answer.probabilities, abs=1e-6)


def test_pairs_of_texts(train_tiny, pairs_file, tmp_path):
    classifier = train_tiny(pairs_file, epochs=1)
    assert classifier.columns["text"] + classifier.columns["text_pair"] == ("sentence1", "sentence2")
    assert classifier.input_names == ("text", "text_pair")
    same, other = classifier.predict([("good phone", "good phone"), ("good phone", "a camera")])
    assert same.probabilities != other.probabilities
    assert set(same.probabilities) == {"other", "same"}
    with pytest.raises(DataError, match=r"trained on pairs \(text and text_pair\); 'alone' is a single text"):
        classifier.predict(["alone"])
    classifier.save(tmp_path / "model")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    inputs = AutoTokenizer.from_pretrained(tmp_path / "model")("good phone", "a camera", return_tensors="pt")
    with torch.inference_mode():
        theirs = model(**inputs).logits.softmax(-1)[0]
    ours = [other.probabilities[model.config.id2label[index]] for index in range(2)]
    assert ours == pytest.approx(theirs.tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (3.5, TypeError, "not float: 3.5"),
        (3, TypeError, "not int: 3"),
        (("one", None), TypeError, "not tuple"),
        ("a \ud83d", DataError, "unpaired surrogate. Fix the text"),
    ],
)
def test_what_is_no_text_is_refused(multi, text, error, words):
    with pytest.raises(error, match=words):
        multi.predict([text])


def test_an_answer_does_not_depend_on_its_neighbours(multi, review_texts):
    texts = [*review_texts[:40], "", "x" * 3000]
    together = multi.predict_proba(texts)
    alone = np.concatenate([multi.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-6, rtol=0)


def test_streams_keep_their_order_whatever_the_chunk(multi, review_texts):
    whole = [answer.probabilities for answer in multi.predict(review_texts[:50])]
    for chunk in (1, 7):
        parts = [answer.probabilities for answer in multi.predict_stream(iter(review_texts[:50]), chunk)]
        for one, other in zip(whole, parts, strict=True):
            assert one == pytest.approx(other, abs=1e-6)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(train_tiny, pairs_file):
    first, second, other = (train_tiny(pairs_file, epochs=1, seed=seed) for seed in (1, 1, 2))
    weights = [model.loaded.network.state_dict() for model in (first, second, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


@pytest.mark.parametrize(
    "settings",
    [
        {"max_tokens": 600},
        {"class_weights": "balanced", "label_smoothing": 0.1},
        {"freeze_layers": 1, "layer_decay": 0.9},
        {"schedule": "cosine", "metric": "validation_loss", "max_length": 16},
        {"dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0, "epochs": 0.5},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_that_change_the_way_still_arrive(train_tiny, pairs_file, settings):
    classifier = train_tiny(pairs_file, **{"epochs": 1, **settings})
    assert np.isfinite(classifier.predict_proba([("a", "b")])).all()


def test_micro_batches_change_nothing_but_memory(train_tiny, pairs_file):
    still = {"dropout": 0.0, "attention_dropout": 0.0, "head_dropout": 0.0, "epochs": 1, "learning_rate": 1e-4}
    whole = train_tiny(pairs_file, **still).loaded.network.state_dict()
    parts = train_tiny(pairs_file, micro_batches=5, **still).loaded.network.state_dict()
    for name, weight in whole.items():
        torch.testing.assert_close(weight, parts[name], atol=2e-5, rtol=0, msg=name)


def test_frozen_blocks_are_those_of_the_checkpoint(train_tiny, pairs_file, tiny_model):
    from safetensors.torch import load_file

    before = load_file(tiny_model / "model.safetensors")
    after = train_tiny(pairs_file, epochs=1, freeze_layers=1).loaded.network.state_dict()
    name = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(before[name], after["encoder.embeddings.token.weight"])
    top = "bert.encoder.layer.1.intermediate.dense.weight"
    assert not torch.equal(before[top], after["encoder.blocks.1.feed_forward.up.weight"])


def test_int8_answers_nearly_the_same_on_real_weights(minilm_folder, review_texts, tmp_path):
    from headway.checkpoints.load import load_classifier
    from headway.checkpoints.save import save_classifier

    torch.manual_seed(0)
    loaded = load_classifier(minilm_folder, label_names=["a", "b"])
    loaded.model.classification_head.weight.data.normal_(std=0.5)
    save_classifier(
        tmp_path, loaded.model, config=loaded.config, label_names=["a", "b"], multi=False, tokenizer=minilm_folder
    )
    texts = review_texts[:100]
    exact = headway.load(tmp_path).predict_proba(texts)
    small = headway.load(tmp_path, precision="int8")
    quantized = small.predict_proba(texts)
    assert np.abs(exact - quantized).mean() < 0.02
    alone = small.predict_proba(texts[40:60])
    assert np.abs(alone - quantized[40:60]).max() < 1e-3  # whatever texts stand beside them
    assert not np.array_equal(exact, quantized)
    with pytest.raises(UserError, match="float32"):
        small.save(tmp_path / "again")


def test_evaluate_knows_only_the_labels_of_training(multi, tmp_path):
    path = tmp_path / "other.jsonl"
    path.write_text('{"text": "fine", "labels": ["battery"]}\n{"text": "well", "labels": ["batery"]}\n')
    with pytest.raises(DataError, match=r"row 2.*batery.*battery"):
        multi.evaluate(str(path))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"max_length": 4000}, SettingsError, "at most 40 tokens"),
        ({"metric": "bleu"}, SettingsError, "macro_f1"),
        ({"epohcs": 3}, SettingsError, "epochs"),
        ({"model": "/nowhere/at/all"}, CheckpointError, "nowhere"),
    ],
)
def test_impossible_wishes_are_refused_before_anything_is_written(
    train_tiny, pairs_file, tmp_path, settings, error, message
):
    with pytest.raises(error, match=message):
        train_tiny(pairs_file, output=tmp_path / "out", **settings)
    assert not (tmp_path / "out" / "headway").exists()
