"""Every engine gives the answers of transformers, so that a rate compares like with like."""

import csv
import random
import warnings

import numpy as np
import pytest
from benchmarks.arm import run
from benchmarks.by_length import LengthSorter, padded

WORDS = ["a", "film", "that", "is", "good", "bad", "slow", "fine", "warm", "dull"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A BERT classifier with random weights, written by transformers."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("model")
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.save(str(folder / "tokenizer.json"))
    special = '"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"'
    (folder / "tokenizer_config.json").write_text(
        f'{{"tokenizer_class": "PreTrainedTokenizerFast", {special}}}', encoding="utf-8"
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        id2label={0: "negative", 1: "positive"},
        label2id={"negative": 0, "positive": 1},
        initializer_range=0.15,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Seventy texts of many lengths: more than two batches, the last of them not full."""
    path = tmp_path_factory.mktemp("texts") / "texts.csv"
    source = random.Random(0)
    rows = [(" ".join(source.choices(WORDS, k=source.randint(1, 20))), "positive") for _ in range(70)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    return path


@pytest.fixture(scope="module")
def reference(model, file):
    return run("sorted_batches", {"model": str(model), "file": str(file), "texts": 70})


def test_ctranslate2_answers_as_transformers_does(model, file, reference, tmp_path):
    pytest.importorskip("ctranslate2")
    run("export_ctranslate2", {"model": str(model), "output": str(tmp_path / "converted")})
    same = {"model": str(model), "file": str(file), "texts": 70, "threads": 2, "converted": str(tmp_path / "converted")}
    exact = run("ctranslate2_encoder", same | {"precision": "float32"})
    np.testing.assert_allclose(exact["logits"], reference["logits"], atol=1e-4)
    assert exact["labels"] == reference["labels"]
    rough = run("ctranslate2_encoder", same | {"precision": "int8"})
    error = np.abs(np.subtract(rough["logits"], reference["logits"])).mean()
    assert 0 < error < 0.5 * np.std(reference["logits"])


@pytest.mark.parametrize("threads", [1, 2])
def test_openvino_answers_as_transformers_does(model, file, reference, tmp_path, threads):
    pytest.importorskip("openvino")
    graph = str(tmp_path / "openvino.xml")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns about what it fixes
        run("export_openvino", {"model": str(model), "output": graph})
    same = {"model": str(model), "file": str(file), "texts": 70, "threads": threads}
    answers = run("openvino_runtime", same | {"graph": graph})
    np.testing.assert_allclose(answers["logits"], reference["logits"], atol=1e-4)
    assert answers["labels"] == reference["labels"]


def test_answers_come_back_in_the_order_of_the_texts(model):
    seen = []

    def forward(batches):
        for batch in batches:
            seen.append([len(ids) for ids in batch])
            yield np.array([[len(ids), 0.0] for ids in batch], dtype=np.float32)

    texts = ["a film that is good", "good", "a film", "bad film that"]
    logits = LengthSorter(model, forward, batch_size=3).logits(texts)
    assert logits[:, 0].tolist() == [7, 3, 4, 5], "[CLS], the words, [SEP]"
    assert seen == [[3, 4, 5], [7]]


def test_padding_is_masked():
    inputs = padded([[7, 8], [7, 8, 9]])
    assert inputs["input_ids"].tolist() == [[7, 8, 0], [7, 8, 9]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert not inputs["token_type_ids"].any()
