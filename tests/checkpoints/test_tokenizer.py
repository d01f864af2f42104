"""Token ids equal to `transformers`' own, from `tokenizer.json` and from `vocab.txt`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.checkpoints.tokenizer_files import load_tokenizer, save_tokenizer
from headway.errors import CheckpointError
from headway.tokenizers.fast_tokenizer import FastTokenizer
from headway.tokenizers.tokenizer import Text, Tokenizer


def same_ids(ours: Tokenizer, theirs: Callable[..., dict[str, list[int]]], text: str, pair: str | None = None) -> None:
    expected = theirs(text, pair)
    [actual] = ours.encode([text if pair is None else (text, pair)])
    assert actual.input_ids.tolist() == expected["input_ids"]
    assert actual.token_types is None or actual.token_types.tolist() == expected["token_type_ids"]


def same_as_transformers(folder: Path, texts: list[str]) -> None:
    """The ids of the folder's tokenizer, and the texts that they stand for."""
    from transformers import AutoTokenizer

    ours, theirs = load_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    for text in texts:
        expected = theirs(text, verbose=False)["input_ids"]
        assert ids(ours, text) == expected, text
        assert ours.decode([expected]) == [theirs.decode(expected, skip_special_tokens=True)], text


def ids(tokenizer: Tokenizer, text: Text) -> list[int]:
    return tokenizer.encode([text])[0].input_ids.tolist()


@pytest.fixture(scope="module")
def oracle(minilm_folder: Path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm_folder)

    def encode(text: str, pair: str | None = None) -> dict[str, list[int]]:
        # As a batch: called with a single pair, it takes an empty second text for none.
        # Not verbose: its remark about texts beyond the model's maximum is not what is compared here.
        batch = tokenizer([text], None if pair is None else [pair], truncation=False, verbose=False)
        return {name: values[0] for name, values in batch.items()}

    return encode


@pytest.fixture(scope="module", params=["tokenizer.json", "vocab.txt"])
def ours(request: pytest.FixtureRequest, minilm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """The real MiniLM tokenizer, from one of the two forms in which folders carry it."""
    folder = tmp_path_factory.mktemp("tokenizer")
    for name in (request.param, "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(minilm_folder / name, folder)
    return load_tokenizer(folder, vocabulary_size=30522)


def test_real_and_odd_texts_have_the_same_ids(
    ours: Tokenizer, oracle: Callable, review_texts: list[str], odd_texts: list[str]
) -> None:
    for text in [*review_texts, *odd_texts]:
        same_ids(ours, oracle, text)
    for first, second in zip(odd_texts, reversed(odd_texts), strict=True):
        same_ids(ours, oracle, first, second)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60), pair=st.none() | st.text(max_size=20))
def test_any_text_has_the_same_ids(ours: Tokenizer, oracle: Callable, text: str, pair: str | None) -> None:
    same_ids(ours, oracle, text, pair)


def test_nothing_is_padded_or_cut(ours: Tokenizer) -> None:
    """The published tokenizer.json pads and cuts to 128."""
    assert [len(item.input_ids) for item in ours.encode(["good", "word " * 700])] == [3, 702]
    assert [len(item.input_ids) for item in ours.encode(["good", "word " * 700], max_length=9)] == [3, 9]


@pytest.mark.parametrize("side", ["right", "left"])
def test_texts_are_cut_as_the_library_cuts_them(
    minilm_folder: Path, odd_texts: list[str], review_texts: list[str], side: str
) -> None:
    """And what was cut is still counted: each text is tokenised once, whole."""
    texts: list[Text] = [*odd_texts, *review_texts[:100]]
    texts += list(zip(texts, reversed(texts), strict=True))
    ours = FastTokenizer(
        tokenizers.Tokenizer.from_file(str(minilm_folder / "tokenizer.json")), {"truncation_side": side}
    )
    theirs = tokenizers.Tokenizer.from_file(str(minilm_folder / "tokenizer.json"))
    theirs.no_padding()
    theirs.no_truncation()
    whole = [encoding.ids for encoding in theirs.encode_batch(texts)]
    for max_length in (3, 4, 5, 16, 64):
        theirs.enable_truncation(max_length, direction=side)
        for text, cut, uncut, actual in zip(
            texts, theirs.encode_batch(texts), whole, ours.encode(texts, max_length), strict=True
        ):
            assert actual.input_ids.tolist() == cut.ids, text
            assert actual.token_types is None or actual.token_types.tolist() == cut.type_ids
            assert (actual.full_length, actual.num_unknown) == (len(uncut), uncut.count(ours.unknown_id))


@pytest.mark.parametrize("inside", [True, False], ids=["tokenizer.json", "tokenizer_config.json"])
def test_the_side_that_is_cut_is_read(minilm_folder: Path, tmp_path: Path, inside: bool) -> None:
    from transformers import AutoTokenizer

    whole = json.loads((minilm_folder / "tokenizer.json").read_text())
    whole["truncation"] = {"direction": "Left" if inside else "Right", "max_length": 5, "stride": 0} | {
        "strategy": "LongestFirst"
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    config = {"tokenizer_class": "BertTokenizer"} | ({} if inside else {"truncation_side": "left"})
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    save_tokenizer(tmp_path / "saved", load_tokenizer(tmp_path), max_length=512)
    for folder in (tmp_path, tmp_path / "saved"):
        ours, theirs = load_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
        for text in (("one two three four five", None), ("one two three four five", "six seven")):
            [actual] = ours.encode([text[0] if text[1] is None else text], max_length=6)
            assert actual.input_ids.tolist() == theirs(*text, truncation=True, max_length=6)["input_ids"]
    (tmp_path / "tokenizer_config.json").write_text('{"truncation_side": "middle"}')
    with pytest.raises(CheckpointError, match=r'"truncation_side" is "middle", but should be "left" or "right"'):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        {"do_lower_case": False},
        {"do_lower_case": True, "strip_accents": False},
        {"do_lower_case": False, "strip_accents": True},
        {"tokenize_chinese_chars": False},
        {"tokenizer_class": "BertTokenizerFast", "unk_token": {"content": "[UNK]", "__type": "AddedToken"}},
        {
            "added_tokens_decoder": {
                "30522": {"content": "<emoji>", "special": True, "normalized": False},
                "30523": {"content": "newword", "special": False, "normalized": True},
            }
        },
    ],
)
def test_the_settings_of_a_vocabulary_are_read(
    minilm_folder: Path, tmp_path: Path, odd_texts: list[str], config: dict[str, object]
) -> None:
    from transformers import AutoTokenizer

    shutil.copy(minilm_folder / "vocab.txt", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"} | config))
    ours, theirs = load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in [*odd_texts, "a <emoji> b newword Newword renewwords"]:
        same_ids(ours, lambda text, pair: theirs(text, pair, verbose=False), text)


@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.txt"])
def test_tokens_added_by_older_versions_keep_their_ids(minilm_folder: Path, tmp_path: Path, file: str) -> None:
    shutil.copy(minilm_folder / file, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    (tmp_path / "special_tokens_map.json").write_text('{"additional_special_tokens": ["<Last>"]}')
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<B>": 30523, "<a>": 30522, "<Last>": 30524}))
    assert ids(load_tokenizer(tmp_path), "x <a> <B>")[2:-1] == [30522, 30523]
    same_as_transformers(tmp_path, ["x <a> <b>", "<A> <B>", "<Last> <last>"])
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<a>": 40000, "<Last>": 30522}))
    with pytest.raises(CheckpointError, match="the added token '<a>' should have id 40000"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"do_lower_case": False},
        {"strip_accents": False},
        {"tokenize_chinese_chars": False},
        {"cls_token": "[unused1]"},
        {"sep_token": "good", "unk_token": "bad"},
        {"pad_token": None, "mask_token": None},
        {"additional_special_tokens": ["[unused1]"]},
        {"added_tokens_decoder": {"30522": {"content": "<NEW>", "special": True}}, "extra_special_tokens": ["<NEW>"]},
    ],
)
def test_a_config_holds_for_the_tokenizer_json_beside_it(
    minilm_folder: Path, tmp_path: Path, odd_texts: list[str], config: dict[str, object]
) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"} | config))
    whole = json.loads((minilm_folder / "tokenizer.json").read_text())
    cased = {**whole["normalizer"], "lowercase": False, "handle_chinese_chars": False}
    others = {"post_processor": None, "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": None}
    for changes in ({}, {"normalizer": cased}, {"normalizer": {"type": "Lowercase"}}, others):
        (tmp_path / "tokenizer.json").write_text(json.dumps(whole | changes))
        same_as_transformers(tmp_path, [*odd_texts, "a <NEW> b [unused1] C", "Émile 中文"])


def test_a_tokenizer_json_without_a_class_is_the_model_types(minilm_folder: Path, tmp_path: Path) -> None:
    whole = json.loads((minilm_folder / "tokenizer.json").read_text())
    cased = {**whole["normalizer"], "lowercase": False}
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole | {"normalizer": cased}))
    assert ids(load_tokenizer(tmp_path), "Good")[1:-1] == [100]  # nobody says whose it is
    for model_type in ("bert", "modernbert"):  # the other has no class of its own, whatever is named
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
        same_as_transformers(tmp_path, ["Good phone"])
        (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
        same_as_transformers(tmp_path, ["Good phone"])


def test_the_newer_settings_go_before_the_older(minilm_folder: Path, tmp_path: Path) -> None:
    shutil.copy(minilm_folder / "vocab.txt", tmp_path)
    config = {"tokenizer_class": "BertTokenizer", "sep_token": "bad", "extra_special_tokens": ["[unused1]"]}
    (tmp_path / "special_tokens_map.json").write_text('{"sep_token": "good"}')
    for more in ({}, {"added_tokens_decoder": {}}, {"additional_special_tokens": ["[unused2]"]}):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | more))
        same_as_transformers(tmp_path, ["a good [unused1] [unused2] bad film"])


@pytest.mark.parametrize("flags", [{"lstrip": True}, {"rstrip": True}, {"single_word": True}, {"normalized": True}])
def test_how_added_tokens_are_cut_is_read(minilm_folder: Path, tmp_path: Path, flags: dict[str, bool]) -> None:
    shutil.copy(minilm_folder / "tokenizer.json", tmp_path)
    plain = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized", "special"), False)
    whole = json.loads((minilm_folder / "tokenizer.json").read_text())
    own = {str(token["id"]): {key: token[key] for key in (*plain, "content")} for token in whole["added_tokens"]}
    decoder = own | {"30522": {"content": "<New>", **plain, **flags}, "103": {"content": "[MASK]", **plain, **flags}}
    config = {"tokenizer_class": "BertTokenizer", "added_tokens_decoder": decoder}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    same_as_transformers(tmp_path, ["x <New> y", "x<New>y", "<new> <NEW>", "a [MASK] b[MASK]c [mask]"])
    del decoder["103"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"mask_token": "[PAD]"}))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: adds the token \[MASK\], which added_tokens_decoder"):
        load_tokenizer(tmp_path)


def test_a_token_that_a_class_cannot_do_without_is_not_null(minilm_folder: Path, tmp_path: Path) -> None:
    for file in ("vocab.txt", "tokenizer.json"):
        shutil.copy(minilm_folder / file, tmp_path)
        for role in ("cls_token", "unk_token"):
            config = {"tokenizer_class": "BertTokenizer", role: None}
            (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
            with pytest.raises(CheckpointError, match=f'"{role}" is null, but the tokenizer\'s class needs one'):
                load_tokenizer(tmp_path)


@pytest.mark.parametrize("named", [{}, {"tokenizer_class": "BertTokenizer"}])
def test_a_tokenizer_json_of_another_kind_than_its_class_stands(
    named: dict[str, str], train: Callable[..., bytes], tmp_path: Path
) -> None:
    """paraphrase-multilingual-MiniLM is a BERT with XLM-RoBERTa's pieces; transformers 5 makes unknown words of it."""
    (tmp_path / "sentencepiece.bpe.model").write_bytes(train())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    expected = ids(load_tokenizer(tmp_path), "Good phone, bad battery")
    save_tokenizer(tmp_path, load_tokenizer(tmp_path), max_length=64)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    roles = {"cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    config = {"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": None}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(roles | config | named))
    ours = load_tokenizer(tmp_path)
    assert ids(ours, "Good phone, bad battery") == expected
    save_tokenizer(tmp_path, ours, max_length=64)
    same_as_transformers(tmp_path, ["Good phone, bad battery", "a <s> b"])


def test_word_pieces_under_another_class_stand(minilm_folder: Path, tmp_path: Path) -> None:
    shutil.copy(minilm_folder / "tokenizer.json", tmp_path)
    expected = ids(load_tokenizer(minilm_folder), "Good phone")
    for name in ("GPT2Tokenizer", "T5Tokenizer", "PegasusTokenizer"):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
        assert ids(load_tokenizer(tmp_path), "Good phone") == expected


@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.txt"])
def test_a_padding_that_is_a_name_only_is_left_aside(minilm_folder: Path, tmp_path: Path, file: str) -> None:
    """Older versions of transformers named one without adding it to the vocabulary."""
    shutil.copy(minilm_folder / file, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "pad_token": "<pad>"}')
    same_as_transformers(tmp_path, ["good phone [PAD]"])
    ours = load_tokenizer(tmp_path)
    assert ids(ours, "<pad>") == ids(load_tokenizer(minilm_folder), "<pad>")  # not an id beyond the model's table
    save_tokenizer(tmp_path, ours, max_length=64)
    same_as_transformers(tmp_path, ["good phone [PAD] <pad>"])


def test_a_class_that_the_model_names_is_told(minilm_folder: Path, tmp_path: Path) -> None:
    shutil.copy(minilm_folder / "vocab.txt", tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert", "tokenizer_class": "BertJapaneseTokenizer"}')
    with pytest.raises(CheckpointError, match=r"is a BertJapaneseTokenizer, which cannot be rebuilt from vocab\.txt"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.txt"])
def test_spaces_in_decoded_texts_are_tidied_on_demand(minilm_folder: Path, tmp_path: Path, file: str) -> None:
    shutil.copy(minilm_folder / file, tmp_path)
    for tidy in (True, False):
        config = {"tokenizer_class": "BertTokenizer", "clean_up_tokenization_spaces": tidy}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        same_as_transformers(tmp_path, ["I don't know, you're right! It's 3 o ' clock ."])


@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.txt"])
@pytest.mark.parametrize("key", ["additional_special_tokens", "extra_special_tokens"])
def test_a_listed_token_that_is_nowhere_is_refused(minilm_folder: Path, tmp_path: Path, file: str, key: str) -> None:
    shutil.copy(minilm_folder / file, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", key: ["<NEW>"]}))
    with pytest.raises(CheckpointError, match=r"the vocabulary lacks the special token <NEW> \(.* in tokenizer_config"):
        load_tokenizer(tmp_path)


def test_what_is_no_tokenizer_is_refused(minilm_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no tokenizer: neither tokenizer\.json nor .*vocab\.txt"):
        load_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\nword\n")
    with pytest.raises(CheckpointError, match=r"the vocabulary lacks \[SEP\], which its tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="is not UTF-8 text"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertJapaneseTokenizer"}')
    with pytest.raises(CheckpointError, match=r"is a BertJapaneseTokenizer, which cannot be rebuilt from vocab\.txt"):
        load_tokenizer(tmp_path)
    whole = (minilm_folder / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(whole[:1000])
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: is not a readable tokenizer"):
        load_tokenizer(tmp_path)
    without = json.loads(whole)
    without["added_tokens"] = [token for token in without["added_tokens"] if token["content"] != "[UNK]"]
    del without["model"]["vocab"]["[UNK]"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(without))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: is not a readable tokenizer .*\[UNK\]"):
        load_tokenizer(tmp_path)
    with pytest.raises(CheckpointError, match="token ids up to 30521, but the model only knows 600 tokens"):
        load_tokenizer(minilm_folder, vocabulary_size=600)


@pytest.mark.parametrize(
    "config",
    [
        {"strip_accents": {"a": 1}},
        {"do_lower_case": 0},
        {"added_tokens_decoder": 3},
        {"added_tokens_decoder": {"x": 1}},
        {"cls_token": ["[CLS]"]},
        {"cls_token": {"kind": "AddedToken"}},
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused(minilm_folder: Path, tmp_path: Path, config: dict[str, object]) -> None:
    shutil.copy(minilm_folder / "vocab.txt", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(
        CheckpointError, match=r"tokenizer_config\.json: (has a value of the wrong kind|\".*\" is .*, but should be)"
    ):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("described", [True, False], ids=["with its description", "from nothing but itself"])
def test_saved_by_us_opens_in_transformers(
    minilm_folder: Path, tmp_path: Path, odd_texts: list[str], described: bool
) -> None:
    from transformers import AutoTokenizer

    if not described:
        shutil.copy(minilm_folder / "tokenizer.json", tmp_path)
    ours = load_tokenizer(minilm_folder if described else tmp_path)
    save_tokenizer(tmp_path, ours, max_length=512)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs.model_max_length == 512
    assert (theirs.cls_token, theirs.sep_token, theirs.pad_token_id) == ("[CLS]", "[SEP]", 0)
    again = load_tokenizer(tmp_path)
    for text in odd_texts:
        assert theirs(text, verbose=False)["input_ids"] == ids(ours, text) == ids(again, text)
