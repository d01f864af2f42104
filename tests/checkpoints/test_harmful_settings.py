"""A config.json or an index that is made to do harm is refused with one sentence, and takes no memory worth naming."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headway.checkpoints.family import family_of, read_architecture
from headway.errors import CheckpointError

Ask = Callable[..., Any]  # an answer of the fixture `ask`
Refuse = Callable[..., str]


ABSURD = {
    "hidden_size": (10**12, "a whole number from 1 to 65,536"),
    "num_hidden_layers": (10**6, "a whole number from 1 to 1,000"),
    "intermediate_size": (-64, "a whole number from 1 to"),
    "num_attention_heads": (0, "a whole number from 1 to"),
    "vocab_size": (1e9, "a whole number from 1 to"),
    "max_position_embeddings": ("512", "a whole number from 1 to"),
    "type_vocab_size": (True, "a whole number from 1 to"),
    "layer_norm_eps": (float("nan"), "a number above 0"),
    "initializer_range": (10**400, "a number above 0"),
    "hidden_dropout_prob": (10**400, "a number of at least 0 and below 1"),
    "hidden_act": (["gelu"] * 1000, "one of gelu"),
    "pad_token_id": (10**300, "a whole number from 0"),
    "model_type": ("bert" * 10**5, "are not supported"),
    "id2label": ([1, 2], '"id2label" should be an object'),
}


@pytest.mark.parametrize("key", ABSURD)
@pytest.mark.parametrize("reader", ["classifier", "inspect"])
def test_an_absurd_setting_is_named(refuse: Refuse, folder: Path, reader: str, key: str) -> None:
    value, words = ABSURD[key]
    config = json.loads((folder / "config.json").read_text()) | {key: value}
    (folder / "config.json").write_text(json.dumps(config))
    message = refuse(reader, folder)
    assert words in message
    assert "config.json" in message
    assert key in message or key == "model_type"


@pytest.mark.parametrize("model_type", ["t5", "bart", "blip", "vision-encoder-decoder"])
@pytest.mark.parametrize("reader", ["writer", "inspect"])
def test_a_decoder_with_an_encoder_of_its_own(refuse: Refuse, folder: Path, reader: str, model_type: str) -> None:
    decoder = {"model_type": model_type, "encoder": {"model_type": "vit"}, "decoder": {"model_type": "gpt2"}}
    composed = {"model_type": "vision-encoder-decoder", "encoder": {"model_type": "vit"}, "decoder": decoder}
    (folder / "config.json").write_text(json.dumps(composed))
    assert '"decoder" is not a decoder' in refuse(reader, folder)


def test_models_within_models_have_an_end() -> None:
    """JSON of Python 3.12 and later may be nested deeper than functions may call each other."""
    config: dict[str, object] = {}
    for _ in range(5000):
        config = {"model_type": "vision-encoder-decoder", "encoder": config}
    where = Path("config.json")
    with pytest.raises(CheckpointError, match=r"config\.json: nests models inside models too deeply"):
        read_architecture(family_of(config, where), config, where)


@pytest.mark.parametrize("kinds", [7, [7, None], "BertModel", {"a": 1}, ["\ud800"]])
@pytest.mark.parametrize("reader", ["classifier", "inspect"])
def test_odd_names_of_classes_are_no_traceback(ask: Ask, folder: Path, reader: str, kinds: object) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"architectures": kinds}
    (folder / "config.json").write_text(json.dumps(config))
    assert ask(reader, folder).kind in ("read", "CheckpointError")


def test_each_problem_is_said_once_and_not_its_consequences(ask: Ask, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 7, "num_attention_heads": 0}))
    message = ask("classifier", folder).message
    assert "config.json: 2 problems:" in message
    assert "is not divisible" not in message


@pytest.mark.parametrize("key", ["num_hidden_layers", "vocab_size", "intermediate_size"])
def test_a_large_setting_that_the_weights_do_not_bear_out_costs_nothing(ask: Ask, folder: Path, key: str) -> None:
    largest = {"num_hidden_layers": 1000, "vocab_size": 2**24, "intermediate_size": 2**18}[key]
    config = json.loads((folder / "config.json").read_text()) | {key: largest}
    (folder / "config.json").write_text(json.dumps(config))
    answer = ask("classifier", folder)
    assert answer.kind == "CheckpointError", answer
    assert answer.megabytes < 100
    assert len(answer.message) < 2000


UNREADABLE = {
    "deep": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "deep and closed": '{"model_type": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "digits": '{"model_type": "bert", "hidden_size": ' + "9" * 10_000_000 + "}",
    "not UTF-8": b'{"model_type": "\xff\xfe"}',
    "empty": "",
    "NUL": b"\0" * 1000,
    "a number": "7",
    "a list": "[1, 2]",
    "too large": '{"model_type": "bert", "x": "' + "x" * (40 << 20) + '"}',
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("file", ["config.json", "model.safetensors.index.json"])
def test_json_that_cannot_be_read(refuse: Refuse, folder: Path, file: str, kind: str) -> None:
    content = UNREADABLE[kind]
    if file.startswith("model"):
        (folder / "model.safetensors").unlink()
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    message = refuse("classifier", folder, megabytes=60)
    assert file in message
    assert "fetch the file again" in message


def test_a_key_given_twice_counts_as_transformers_counts_it(ask: Ask, folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace("{", '{"hidden_size": 1000000000000, ', 1))
    assert ask("classifier", folder).kind == "read"  # the last one counts


def test_very_many_labels_of_one_name_are_refused_at_once(refuse: Refuse, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {index: f"label {index % 150_000}" for index in range(200_000)}
    (folder / "config.json").write_text(json.dumps(config))
    assert "gives the same name to several classes" in refuse("classifier", folder, megabytes=200)
