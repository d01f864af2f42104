"""Byte pairs from `vocab.json` and `merges.txt`, and from one file: ids equal to `transformers`'."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import ByteLevelBPETokenizer

from headway.checkpoints.tokenizer_files import load_tokenizer, save_tokenizer
from headway.tokenizers.tokenizer import Text, Tokenizer


def ids(tokenizer: Tokenizer, text: Text) -> list[int]:
    return tokenizer.encode([text])[0].input_ids.tolist()


def transformers_ids(folder: Path) -> Callable[..., list[int]]:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    return lambda text, pair=None: theirs(text, pair, verbose=False)["input_ids"]


@pytest.mark.parametrize("name", ["RobertaTokenizer", "BartTokenizer", "GPT2Tokenizer"])
@pytest.mark.parametrize("space", [False, True])
def test_bytes_give_the_same_ids(
    name: str, space: bool, tmp_path: Path, texts: list[str], review_texts: list[str]
) -> None:
    maker = ByteLevelBPETokenizer()
    special = ["<|endoftext|>"] if name.startswith("GPT") else ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    maker.train_from_iterator(review_texts, vocab_size=900, special_tokens=special, show_progress=False)
    maker.save_model(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name, "add_prefix_space": space}))
    ours, theirs = load_tokenizer(tmp_path), transformers_ids(tmp_path)
    for text in texts:
        assert ids(ours, text) == theirs(text), text
    assert ids(ours, ("good", "bad phone")) == theirs("good", "bad phone")
    [back] = ours.decode([ids(ours, "naïve café 😀  two")])
    assert back.strip() == "naïve café 😀  two"


@pytest.mark.parametrize("config", [{}, {"add_bos_token": True}, {"add_eos_token": True, "add_bos_token": True}])
@pytest.mark.parametrize("saved", [False, True])
def test_what_gpt2_puts_around_a_text_is_read(
    config: dict[str, Any], saved: bool, tmp_path: Path, review_texts: list[str]
) -> None:
    maker = ByteLevelBPETokenizer()
    maker.train_from_iterator(review_texts[:99], vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False)
    maker.save_model(str(tmp_path))
    folder = tmp_path / "saved" if saved else tmp_path
    config = {"tokenizer_class": "GPT2Tokenizer"} | config
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    if saved:  # as it was saved, whatever the config says
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        save_tokenizer(folder, load_tokenizer(tmp_path), max_length=64)
        config["add_prefix_space"] = True
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    ours, theirs = load_tokenizer(folder), transformers_ids(folder)
    assert ids(ours, "good phone") == theirs("good phone")
    assert ids(ours, ("good", "bad phone")) == theirs("good", "bad phone")


def test_byte_pairs_with_marks_are_another_class(tmp_path: Path, review_texts: list[str]) -> None:
    maker = ByteLevelBPETokenizer()
    maker.train_from_iterator(review_texts[:99], vocab_size=400, show_progress=False)
    whole = json.loads(maker.to_str())
    whole["model"]["end_of_word_suffix"] = "</w>"
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    expected = ids(load_tokenizer(tmp_path), "good phone")  # of no class, it stands
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    assert ids(load_tokenizer(tmp_path), "good phone") == expected


def test_the_mask_of_bytes_leaves_the_space_before_it(tmp_path: Path, review_texts: list[str]) -> None:
    maker = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    maker.train_from_iterator(review_texts[:99], vocab_size=400, special_tokens=special, show_progress=False)
    maker.save_model(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "RobertaTokenizer"}')
    for changes in ({}, {"cls_token": "<mask>"}, {"sep_token": "good"}):
        ours = load_tokenizer(tmp_path)
        assert ids(ours, "a <mask> b") == transformers_ids(tmp_path)("a <mask> b")
        save_tokenizer(tmp_path, ours, max_length=64)
        (tmp_path / "special_tokens_map.json").unlink()
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"} | changes))
