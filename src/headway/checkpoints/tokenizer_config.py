"""What a model folder says about its tokenizer: its class, its special tokens by role, and added tokens."""

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from headway.checkpoints.config_reader import ConfigReader, checkpoint_error, shown
from headway.checkpoints.family import all_families
from headway.errors import CheckpointError
from headway.files import read_json
from headway.tokenizers.formats.base import ANY_CLASS, Languages, Side, TokenizerFormat, content

__all__ = [
    "CONFIG",
    "LISTS",
    "ROLES",
    "SPECIAL_TOKENS_MAP",
    "TOKENIZER",
    "added_token",
    "added_tokens",
    "form_of",
    "is_complete",
    "language_token",
    "listed_tokens",
    "read_config",
    "special_tokens",
    "tokenizer_classes",
]

TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS_MAP = "special_tokens_map.json"
_ADDED_TOKENS = "added_tokens.json"
_DECODER = "added_tokens_decoder"
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
LISTS = ("extra_special_tokens", "additional_special_tokens")  # the newer name first
_LANGUAGE_KEYS: dict[Side, str] = {"source": "src_lang", "target": "tgt_lang"}


def read_config(folder: Path) -> dict[str, Any]:
    """What the folder says about its tokenizer, in the three files that older and newer versions use."""
    config = _optional_json(folder / CONFIG)
    if _DECODER not in config:  # newer versions write it, and then read nothing else
        more = _optional_json(folder / SPECIAL_TOKENS_MAP)
        config |= {key: value for key, value in more.items() if key not in LISTS or not config.keys() & {*LISTS}}
    side = config.get("truncation_side", "right")
    if config.get("split_special_tokens"):
        raise checkpoint_error(
            folder / CONFIG,
            ['"split_special_tokens" is true: special tokens are never split here. Remove it.'],
        )
    if side not in ("left", "right"):
        raise checkpoint_error(
            folder / CONFIG, [f'"truncation_side" is {shown(side)}, but should be "left" or "right"']
        )
    return config


def tokenizer_classes() -> dict[str, Callable[[ConfigReader], TokenizerFormat]]:
    """The tokenizer classes that a family knows: how each reads its `tokenizer_config.json`."""
    return {name: form for family in all_families().values() for name, form in family.tokenizers.items()}


def form_of(folder: Path, config: Mapping[str, Any]) -> tuple[str, TokenizerFormat | None]:
    """The tokenizer's class and its format; none for a class that no family knows.

    Raises:
        CheckpointError: The folder's settings of that class are wrong.
    """
    name = _class_of(folder, config)
    if name not in tokenizer_classes():
        return name, None
    reader = ConfigReader(config)
    form = tokenizer_classes()[name](reader)
    if reader.problems:
        raise checkpoint_error(folder / CONFIG, reader.problems)
    return name, form


def _class_of(folder: Path, config: Mapping[str, Any]) -> str:
    """The class that the folder names, else its family's usual one, else the only one that its files fit.

    A `tokenizer.json` without a known class is taken as it is, and so is that of a family without classes.
    """
    model = _optional_json(folder / "config.json")
    family = all_families().get(str(model.get("model_type")))
    in_one_file = (folder / TOKENIZER).is_file()
    named = config.get("tokenizer_class") or model.get("tokenizer_class")
    if in_one_file and family is not None and not family.tokenizers and not family.text_part:
        return ANY_CLASS
    if named:
        plain = str(named).removesuffix("Fast")
        # transformers 5 dropped MT5Tokenizer, which was T5's under the name of the model type.
        if not in_one_file and family is not None and plain == f"{family.model_types[model['model_type']]}Tokenizer":
            return _usual_class(model) or plain
        return plain if plain in tokenizer_classes() else str(named)
    if in_one_file:
        return ANY_CLASS if family is None or family.text_part else _usual_class(model) or ANY_CLASS
    forms = {name: form(ConfigReader(config)) for name, form in tokenizer_classes().items()}
    fitting = {name: form for name, form in forms.items() if is_complete(folder, form)}
    usual = _usual_class(model)
    if usual in fitting or not fitting:
        return usual or ANY_CLASS
    first, *others = fitting
    return first if all(fitting[name] == fitting[first] for name in others) else ANY_CLASS


def _usual_class(model: Mapping[str, Any]) -> str | None:
    """The tokenizer class of the model type that a `config.json` names; of a composed model, of its text part.

    It is called as the type's other classes are; a type that has none of its own takes its family's first.
    """
    model_type = str(model.get("model_type"))
    family = all_families().get(model_type)
    if family is not None and family.text_part:
        part = model.get(family.text_part)
        model_type = str(part.get("model_type")) if isinstance(part, dict) else ""
        family = all_families().get(model_type)
    if family is None:
        return None
    own = f"{family.model_types[model_type]}Tokenizer"
    return own if own in family.tokenizers else next(iter(family.tokenizers), None)


def is_complete(folder: Path, form: TokenizerFormat) -> bool:
    """Whether the folder holds all the files of a format."""
    return all((folder / name).is_file() for name in form.files)


def special_tokens(
    where: Path, usual: Mapping[str, str | AddedToken], config: Mapping[str, Any]
) -> dict[str, AddedToken]:
    """The special tokens by role; what the folder names takes precedence over what is usual, and null names none."""
    entries = {**usual, **{role: config[role] for role in ROLES if role in config}}
    for role in usual.keys() & entries.keys():
        if entries[role] == content(usual[role]):  # the usual token treats spaces in its usual way
            entries[role] = usual[role]
    try:
        return {role: added_token(token, special=True) for role, token in entries.items() if token is not None}
    except (TypeError, ValueError, LookupError) as error:
        raise _wrong_kind(where, error) from error


def language_token(
    folder: Path, languages: Languages | None, config: Mapping[str, Any], side: Side, wanted: str | None
) -> str:
    """The token of the wanted language; an empty string where the tokenizer marks none."""
    if languages is None:
        if wanted is None:
            return ""
        raise CheckpointError(f'{folder}: its tokenizer marks no languages; omit "{wanted}".')
    code = wanted or config.get(_LANGUAGE_KEYS[side]) or (languages.default if side == "source" else None)
    if code is None:
        raise CheckpointError(f"{folder}: name the target language: {_some(languages.codes)}.")
    fitting = [known for known in languages.codes if code in (known, known.partition("_")[0])]
    if len(fitting) != 1:
        close = fitting or difflib.get_close_matches(str(code), languages.codes, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"It knows {_some(languages.codes)}."
        raise CheckpointError(f'{folder}: does not know the language "{code}". {hint}')
    return languages.token_of(fitting[0])


def _some(codes: tuple[str, ...]) -> str:
    return ", ".join(codes[:8]) + (f" or another of its {len(codes)}" if len(codes) > 8 else "")


def listed_tokens(folder: Path, config: Mapping[str, Any]) -> list[AddedToken]:
    """Special tokens without a usual role: in a list, or under a name of their own."""
    names = [key for key in config if key.endswith("_token") and key not in ROLES]
    try:
        found = [added_token(config[key], special=True) for key in names if isinstance(config[key], str | dict)]
        entries: Any = next((config[key] for key in LISTS if config.get(key)), [])
        entries = entries.values() if isinstance(entries, dict) else entries
        found += [added_token(entry, special=True) for entry in entries]
    except (TypeError, ValueError, LookupError) as error:
        raise _wrong_kind(folder / CONFIG, error) from error
    return found


def added_tokens(folder: Path, config: Mapping[str, Any], inside: Mapping[int, AddedToken]) -> dict[int, AddedToken]:
    """Tokens that were added to the vocabulary, by the ids that they were given.

    Args:
        folder: The tokenizer's.
        config: What it says.
        inside: Those that its `tokenizer.json` holds.
    """
    try:
        if _DECODER in config:
            return {int(index): added_token(entry, special=False) for index, entry in config[_DECODER].items()}
        named = [config[role] for role in ROLES if config.get(role) is not None]
        special = {added_token(entry, special=True).content for entry in named}
        # A list in special_tokens_map.json does not count here.
        special |= {token.content for token in listed_tokens(folder, _optional_json(folder / CONFIG))}
        older = {
            int(index): AddedToken(token, normalized=token not in special, special=token in special)
            for token, index in _optional_json(folder / _ADDED_TOKENS).items()
        }
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise _wrong_kind(folder / CONFIG, error) from error
    return older | dict(inside)


def added_token(entry: object, special: bool) -> AddedToken:
    """A token is written as a string, or as an object with its content and flags."""
    if isinstance(entry, AddedToken):
        return entry
    if isinstance(entry, str):
        return AddedToken(entry, normalized=False, special=special)
    if not isinstance(entry, dict):
        raise TypeError(f"a token should be a string or an object, not {entry!r}")
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return AddedToken(
        entry["content"], **{"special": special, **{flag: entry[flag] for flag in flags if flag in entry}}
    )


def _wrong_kind(where: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{where}: has a value of the wrong kind ({error}). Fetch it again.")


def _optional_json(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}
