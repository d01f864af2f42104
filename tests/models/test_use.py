"""Every family that classifies texts is trained, saved, opened again and asked, as a user would."""

import csv
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


def test_a_checkpoint_becomes_a_classifier(random_classifier: Path, reviews: Path, tmp_path: Path) -> None:
    vocabulary = {f"w{index}": index for index in range(97)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="w0"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.save(str(random_classifier / "tokenizer.json"))
    trained = headway.train(
        str(reviews), model=str(random_classifier), output=tmp_path / "run", epochs=1, batch_size=16, threads=1
    )
    texts = ["w6 w7", "", "w5 " * 200]  # the tokenizer makes nothing of the second and too much of the third
    answers = headway.load(tmp_path / "run").predict(texts)
    assert answers == trained.predict(texts)
    assert {"even", "odd"} == set(answers[0].probabilities)
