"""The tokenizer of a model folder, as a `tokenizers.Tokenizer` that neither pads nor cuts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from headway.checkpoints.config import read_json
from headway.errors import CheckpointError
from headway.files import write_atomically

__all__ = ["has_tokenizer", "load_tokenizer", "save_tokenizer"]

_TOKENIZER = "tokenizer.json"
_VOCABULARY = "vocab.txt"
_CONFIG = "tokenizer_config.json"
_SPECIAL_TOKENS_MAP = "special_tokens_map.json"
_ADDED_TOKENS = "added_tokens.json"
_SPECIAL_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
# The tokenizer classes that a vocab.txt of word pieces says everything about; others split words their own way first.
_WORD_PIECE_CLASSES = ("BertTokenizer", "BertTokenizerFast", "ElectraTokenizer", "ElectraTokenizerFast")


def has_tokenizer(folder: Path) -> bool:
    """Whether the folder holds a tokenizer that `load_tokenizer` reads."""
    return (folder / _TOKENIZER).is_file() or (folder / _VOCABULARY).is_file()


def load_tokenizer(folder: Path, vocabulary_size: int | None = None) -> Tokenizer:
    """The tokenizer of a model folder, with padding and truncation off.

    Args:
        folder: A model folder with `tokenizer.json`, or with `vocab.txt` (BERT's word pieces).
        vocabulary_size: Rows of the model's token embedding, to refuse a tokenizer that has more tokens.

    Raises:
        CheckpointError: There is none, it is damaged, or it belongs to another model.
    """
    folder = Path(folder)
    if (folder / _TOKENIZER).is_file():
        tokenizer = _from_file(folder / _TOKENIZER)
    elif (folder / _VOCABULARY).is_file():
        tokenizer = _from_vocabulary(folder)
    else:
        raise CheckpointError(
            f"{folder}: no tokenizer: neither {_TOKENIZER} nor {_VOCABULARY} is there. Copy them from the model "
            "that this one was trained from."
        )
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if vocabulary_size is not None and largest >= vocabulary_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has token ids up to {largest}, but the model only knows {vocabulary_size} "
            "tokens. They belong to different models: take both from the same one."
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def save_tokenizer(folder: Path, tokenizer: Tokenizer, max_length: int, source: Path | None = None) -> None:
    """Write the tokenizer so that `transformers` opens it too.

    Args:
        folder: Where to.
        tokenizer: What to.
        max_length: Longest sequence that the model takes, in tokens.
        source: The folder that it was read from, whose `tokenizer_config.json` is kept.
    """
    config = _optional_json(source / _CONFIG) if source else {}
    special = {role: _content(config.get(role)) or token for role, token in _SPECIAL_TOKENS.items()}
    special = {role: token for role, token in special.items() if tokenizer.token_to_id(token) is not None}
    if "tokenizer_class" not in config:
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        # That class gives no token types unless told to, and a model of pairs would answer wrongly without a word.
        types = ["token_type_ids"] if any(tokenizer.encode("a", "b").type_ids) else []
        config["model_input_names"] = ["input_ids", *types, "attention_mask"]
    # A path of the machine where the tokenizer was made, and a limit that may not be this model's.
    config.pop("name_or_path", None)
    config |= special | {"model_max_length": max_length}
    write_atomically(folder / _TOKENIZER, tokenizer.to_str(pretty=True))
    write_atomically(folder / _CONFIG, _json(config))
    write_atomically(folder / _SPECIAL_TOKENS_MAP, _json(special))


def _from_file(file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more specific
        raise CheckpointError(f"{file}: is not a readable tokenizer ({error}). Fetch it again.") from error


def _from_vocabulary(folder: Path) -> Tokenizer:
    """BERT's word pieces, as the released code reads its settings (https://github.com/google-research/bert)."""
    config = _optional_json(folder / _CONFIG)
    kind = config.get("tokenizer_class")
    if kind is not None and not str(kind).endswith(_WORD_PIECE_CLASSES):
        raise CheckpointError(
            f"{folder}: its tokenizer is a {kind}, which cannot be rebuilt from {_VOCABULARY} alone. Save it as "
            f"{_TOKENIZER} with the program that it belongs to."
        )
    vocabulary = _read_vocabulary(folder / _VOCABULARY)
    try:
        tokenizer = _word_pieces(vocabulary, config, folder)
        _add_tokens(tokenizer, folder, config)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / _CONFIG}: has a value of the wrong kind ({error}). Fetch it again."
        ) from error
    return tokenizer


def _word_pieces(vocabulary: dict[str, int], config: Mapping[str, Any], folder: Path) -> Tokenizer:
    special = {role: _content(config.get(role)) or token for role, token in _SPECIAL_TOKENS.items()}
    needed = [special[role] for role in ("unk_token", "cls_token", "sep_token")]
    absent = [token for token in needed if token not in vocabulary]
    if absent:
        raise CheckpointError(
            f"{folder / _VOCABULARY}: lacks {', '.join(absent)}. It is another model's, or incomplete."
        )
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=special["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=config.get("tokenize_chinese_chars", True),
        strip_accents=config.get("strip_accents"),
        lowercase=config.get("do_lower_case", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    first, last = special["cls_token"], special["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
        special_tokens=[(token, vocabulary[token]) for token in (first, last)],
    )
    tokenizer.add_special_tokens([token for token in special.values() if token in vocabulary])
    return tokenizer


def _read_vocabulary(file: Path) -> dict[str, int]:
    try:
        # Only line feeds end a line: some vocabularies hold other separators as tokens.
        lines = file.read_bytes().decode().split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{file}: is not UTF-8 text. Fetch it again.") from error
    if not lines[-1]:
        lines.pop()
    return {token.removesuffix("\r"): index for index, token in enumerate(lines)}


def _add_tokens(tokenizer: Tokenizer, folder: Path, config: Mapping[str, Any]) -> None:
    """Tokens that a user added to the vocabulary, at the ids that they were given."""
    added = {int(index): _added_token(entry) for index, entry in config.get("added_tokens_decoder", {}).items()}
    for content, index in _optional_json(folder / _ADDED_TOKENS).items():
        added.setdefault(int(index), AddedToken(content, normalized=False))
    for index in sorted(added):
        token = added[index]
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        if tokenizer.token_to_id(token.content) != index:
            raise CheckpointError(
                f"{folder}: the added token {token.content!r} should have id {index}, which {_VOCABULARY} does not "
                "lead to. The tokenizer's files are from different models: fetch them again."
            )


def _added_token(entry: Mapping[str, Any]) -> AddedToken:
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return AddedToken(entry["content"], **{flag: entry[flag] for flag in flags if flag in entry})


def _content(token: object) -> str | None:
    """A special token is written as a string, or as an object with its content."""
    value = token.get("content") if isinstance(token, dict) else token
    return value if isinstance(value, str) else None


def _optional_json(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
