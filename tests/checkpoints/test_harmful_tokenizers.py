"""A tokenizer that is made to do harm is refused with one sentence, and takes no memory worth naming."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import SentencePieceTrainer
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from headway.errors import CheckpointError, library_errors
from headway.tokenizers.fast_tokenizer import FastTokenizer

Ask = Callable[..., Any]  # an answer of the fixture `ask`
Refuse = Callable[..., str]


def edited_tokenizer(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    change(tokenizer)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


DAMAGE: dict[str, Callable[[dict[str, object]], object]] = {
    "no model": lambda it: it.pop("model"),
    "unknown model": lambda it: it["model"].update(type="Telepathy"),
    "id too wide": lambda it: it["model"]["vocab"].update(cat=2**40),
    "negative id": lambda it: it["model"]["vocab"].update(cat=-1),
    "id that is no number": lambda it: it["model"]["vocab"].update(cat="7"),
    "unknown normalizer": lambda it: it.update(normalizer={"type": "Bogus"}),
    "broken pattern": lambda it: it.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(((("}}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_tokenizer_is_refused(refuse: Refuse, folder: Path, kind: str) -> None:
    edited_tokenizer(folder, DAMAGE[kind])
    assert "tokenizer.json: is not a readable tokenizer" in refuse("tokenizer", folder)


@pytest.mark.parametrize("content", ["", "[" * 100_000, "{}", "\0" * 100], ids=["empty", "deep", "object", "NUL"])
def test_what_is_no_tokenizer_is_refused(refuse: Refuse, folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    assert "tokenizer.json: is not a readable tokenizer" in refuse("tokenizer", folder)


@pytest.mark.parametrize("index", [2**24, 2**31, 2**32 - 1])
def test_a_huge_token_id_takes_no_memory(refuse: Refuse, folder: Path, index: int) -> None:
    edited_tokenizer(folder, lambda it: it["model"]["vocab"].update(cat=index))
    assert f"the tokenizer has token ids up to {index}" in refuse("tokenizer", folder)


def score(model: ModelProto, value: float) -> None:
    model.pieces[7].score = value


def table(model: ModelProto, content: bytes) -> None:
    model.normalizer_spec.precompiled_charsmap = content


def own_table(model: ModelProto) -> bytes:
    return model.normalizer_spec.precompiled_charsmap


ODD_PIECES: dict[str, tuple[Callable[[ModelProto], object], str]] = {
    "score": (lambda it: score(it, math.nan), "the score nan"),
    "endless score": (lambda it: score(it, math.inf), "the score inf"),
    "half a table": (lambda it: table(it, b"\x10\0\0\0abcd"), "its table of characters is damaged"),
    "a table of gigabytes": (lambda it: table(it, b"\xff" * 99), "its table of characters is damaged"),
    "no table": (lambda it: table(it, b"\4\0\0\0abcd\xff\xfe"), "its table of characters is damaged"),
    "a table without texts": (
        lambda it: table(it, own_table(it)[:-9000] + b"\0"),
        "its table of characters is damaged",
    ),
    "a table with another's texts": (lambda it: table(it, own_table(it) + b"\xff\0"), "is not a usable SentencePiece"),
    "words": (lambda it: setattr(it.trainer_spec, "model_type", 3), "only unigram and BPE models"),
    "nothing unknown": (lambda it: it.pieces.pop(0), "lacks <unk>"),
}


@pytest.fixture(scope="module")
def pieces() -> bytes:
    model = io.BytesIO()
    texts = ["good films are a good thing", "bad films, and 12,000 more", "a thing is a thing"]
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts * 9), model_writer=model, vocab_size=60, hard_vocab_limit=False, minloglevel=2
    )
    return model.getvalue()


@pytest.mark.parametrize("kind", ODD_PIECES)
def test_an_odd_sentencepiece_model_is_refused(refuse: Refuse, tmp_path: Path, pieces: bytes, kind: str) -> None:
    change, words = ODD_PIECES[kind]
    model = ModelProto()
    model.ParseFromString(pieces)
    change(model)
    (tmp_path / "spiece.model").write_bytes(model.SerializeToString())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer"}')
    message = refuse("tokenizer", tmp_path)
    assert "spiece.model" in message
    assert words in message


def test_a_special_token_without_letters_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[UNK]\n\n:\n[SEP]\n")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "cls_token": ":"}')
    assert "special tokens cannot be put around texts" in refuse("tokenizer", tmp_path)


def test_a_panic_of_a_library_is_an_error_of_its_file() -> None:
    """Its class cannot be imported: it is found by its name, and is no Exception."""
    panic = type("PanicException", (BaseException,), {})
    words = r"a\.json: is odd \(index out of bounds\)\. Fetch it again\."
    with pytest.raises(CheckpointError, match=words), library_errors("a.json: is odd"):
        raise panic("index out of bounds")
    with pytest.raises(KeyboardInterrupt), library_errors("a.json: is odd"):
        raise KeyboardInterrupt


def test_a_text_that_the_library_fails_on_is_an_error_of_the_model() -> None:
    tokenizer = FastTokenizer(Tokenizer(WordLevel({"good": 0}, unk_token="[UNK]")))
    assert tokenizer.encode(["good"])[0].input_ids.tolist() == [0]
    with pytest.raises(CheckpointError, match=r"fails on a text \(.*\[UNK\].*\)\. Its files are damaged: fetch"):
        tokenizer.encode(["good", "bad"])
