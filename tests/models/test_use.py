"""Every family that classifies texts is trained, saved, opened again and asked, as a user would."""

import csv
import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

import headway


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Words `w5` to `w96`; the label is whether the first has an even number."""
    generator = torch.Generator().manual_seed(0)
    file = tmp_path / "reviews.csv"
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(("text", "label"))
        for _ in range(60):
            words = torch.randint(5, 97, (6,), generator=generator).tolist()
            writer.writerow((" ".join(f"w{word}" for word in words), "even" if words[0] % 2 == 0 else "odd"))
    return file


def write_words(folder: Path) -> None:
    """A tokenizer that knows the words of the reviews, and puts nothing around them."""
    tokenizer = Tokenizer(WordLevel({f"w{index}": index for index in range(97)}, unk_token="w0"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    description = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "w96"}
    (folder / "tokenizer_config.json").write_text(json.dumps(description))


def test_a_checkpoint_becomes_a_classifier(random_classifier: Path, reviews: Path, tmp_path: Path) -> None:
    write_words(random_classifier)
    trained = headway.train(
        str(reviews), model=str(random_classifier), output=tmp_path / "run", epochs=1, batch_size=16, threads=1
    )
    texts = ["w6 w7", "", "w5 " * 200]  # the tokenizer makes nothing of the second and too much of the third
    answers = [answer.probabilities for answer in headway.load(tmp_path / "run").predict(texts)]
    assert answers == [answer.probabilities for answer in trained.model.predict(texts)]
    assert {"even", "odd"} == set(answers[0])


def test_an_empty_text_is_read_where_the_vocabulary_has_no_padding(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    config = GPT2Config(vocab_size=97, n_embd=16, n_layer=1, n_head=2, n_positions=40, bos_token_id=0, eos_token_id=96)
    GPT2ForSequenceClassification(config).save_pretrained(tmp_path / "model")
    write_words(tmp_path / "model")
    classifier = headway.load(tmp_path / "model")
    empty, end = classifier.predict(["", "w96"])
    assert empty.probabilities == end.probabilities
    classifier.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["pad_token_id"] is None
