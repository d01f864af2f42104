"""The tokenizer of a model folder, which neither pads nor cuts."""

import difflib
import json
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, processors

from headway.checkpoints.config import ConfigReader, checkpoint_error, read_json, shown
from headway.checkpoints.family import all_families
from headway.checkpoints.vocabularies import Languages, LearnableVocabulary, Side, Vocabulary
from headway.data.tokenizer import FastTokenizer, SentencePieceTokenizer, Tokenizer
from headway.errors import CheckpointError, library_errors
from headway.files import write_atomically

__all__ = ["has_tokenizer", "learn_tokenizer", "load_tokenizer", "save_tokenizer"]

_TOKENIZER = "tokenizer.json"
_CONFIG = "tokenizer_config.json"
_SPECIAL_TOKENS_MAP = "special_tokens_map.json"
_ADDED_TOKENS = "added_tokens.json"
_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_USUAL_TOKENS = {
    "unk_token": ("[UNK]", "<unk>"),
    "sep_token": ("[SEP]",),
    "pad_token": ("[PAD]", "<pad>"),
    "cls_token": ("[CLS]",),
    "mask_token": ("[MASK]", "<mask>"),
    "eos_token": ("</s>",),
}
# The class for a tokenizer.json that no class of the ecosystem describes.
_ANY_CLASS = "PreTrainedTokenizerFast"
_RARE = "ꙮ 𒐪"  # letters that hardly a vocabulary has
_LISTS = ("additional_special_tokens", "extra_special_tokens")
_LANGUAGE_KEYS: dict[Side, str] = {"source": "src_lang", "target": "tgt_lang"}


def has_tokenizer(folder: Path) -> bool:
    """Whether the folder holds a tokenizer that `load_tokenizer` reads."""
    if (folder / _TOKENIZER).is_file():
        return True
    return any(_complete(folder, form(ConfigReader({}))) for form in _classes().values())


def load_tokenizer(
    folder: Path, vocabulary_size: int | None = None, *, side: Side = "source", language: str | None = None
) -> Tokenizer:
    """The tokenizer of a model folder, with padding and truncation off.

    `tokenizer.json` is taken as it is. Without it, the tokenizer is built from the files of its class: `vocab.txt`,
    `vocab.json` with `merges.txt`, or SentencePiece models; the class is the one that the folder names, or the one
    that goes with the model's family.

    Args:
        folder: A model folder.
        vocabulary_size: Rows of the model's token embedding, to refuse a tokenizer that has more tokens.
        side: Which texts it shall cut, where a model has two vocabularies or tells languages apart.
        language: The language of those texts, for a tokenizer that marks it: a code that it knows, or its beginning
            up to an underscore. When none, the one that the folder names, and for the source the family's usual one.

    Raises:
        CheckpointError: There is none, it is damaged, it belongs to another model, or it does not know the language.
    """
    folder = Path(folder)
    config = _read_config(folder)
    name, form = _form_of(folder, config)
    special = _special_tokens(folder / _CONFIG, form.special if form else {}, config)
    tokens = {role: token.content for role, token in special.items()}
    tokens["language"] = _language_token(folder, form.languages if form else None, config, side, language)
    if (folder / _TOKENIZER).is_file() and not (form and form.comes_first and _complete(folder, form)):
        read = _from_file(folder / _TOKENIZER)
        if form and form.languages:
            _put_around(folder, read, form, tokens)
        if form:
            read = _following(folder, read, form, config)
        _add(folder, read, _added_tokens(folder, config), config)
        tokenizer: Tokenizer = FastTokenizer(read, _described(read, config))
    elif form and _complete(folder, form):
        tokenizer = _from_vocabulary(folder, form, {**config, "tokenizer_class": name}, special, tokens, side)
    else:
        raise _nothing_to_read(folder, config, form)
    largest = tokenizer.largest_id
    if vocabulary_size is not None and largest >= vocabulary_size:
        raise CheckpointError(
            f"{folder}: the tokenizer has token ids up to {largest}, but the model only knows {vocabulary_size} "
            "tokens. They belong to different models: take both from the same one."
        )
    return tokenizer


def learn_tokenizer(name: str, texts: Iterable[str], size: int) -> Tokenizer:
    """A new tokenizer for texts like these: word pieces, byte pairs or a unigram model, as its class has it.

    Args:
        name: A tokenizer class that a family knows, without the ending Fast.
        texts: What to learn from.
        size: Tokens at most; fewer where the texts do not give so many.

    Raises:
        CheckpointError: There is not enough text to learn from.
    """
    form = _classes()[name](ConfigReader({}))
    assert isinstance(form, LearnableVocabulary), f"a {name} is only read"
    with library_errors("No vocabulary can be learned from these texts", "Give more, or take a trained model."):
        tokenizer = form.learn(texts, size)
    special = _special_tokens(Path(_CONFIG), form.special, {})
    tokens = {role: token.content for role, token in special.items()}
    tokens["language"] = form.languages.token_of(form.languages.default) if form.languages else ""
    _put_around(Path(_TOKENIZER), tokenizer, form, tokens)
    return FastTokenizer(tokenizer, {"tokenizer_class": name, **{role: tokens[role] for role in special}})


def save_tokenizer(folder: Path, tokenizer: Tokenizer, max_length: int) -> None:
    """Write the tokenizer so that `transformers` opens it too.

    Args:
        folder: Where to.
        tokenizer: What to.
        max_length: Longest sequence that the model takes, in tokens.
    """
    config = dict(tokenizer.config)
    config.setdefault("tokenizer_class", _ANY_CLASS)
    if config["tokenizer_class"] == _ANY_CLASS and "model_input_names" not in config:
        # That class gives no token types unless told to, and a model of pairs would answer wrongly without a word.
        [pair] = tokenizer.encode([("a", "b")])
        types = ["token_type_ids"] if pair.token_types is not None and pair.token_types.any() else []
        config["model_input_names"] = ["input_ids", *types, "attention_mask"]
    # A path of the machine where the tokenizer was made, and a limit that may not be this model's.
    config.pop("name_or_path", None)
    config["model_max_length"] = max_length
    special = {role: config[role] for role in _ROLES if role in config}
    for name, content in tokenizer.files().items():
        write_atomically(folder / name, content)
    write_atomically(folder / _CONFIG, _json(config))
    write_atomically(folder / _SPECIAL_TOKENS_MAP, _json(special))


def _read_config(folder: Path) -> dict[str, Any]:
    """What the folder says of its tokenizer, in the three files that older and newer versions spread it over."""
    config = _optional_json(folder / _CONFIG)
    for key, value in _optional_json(folder / _SPECIAL_TOKENS_MAP).items():
        config.setdefault(key, value)
    side = config.get("truncation_side", "right")
    if config.get("split_special_tokens"):
        raise checkpoint_error(
            folder / _CONFIG,
            ['"split_special_tokens" is true: special tokens are never cut here. Take it out.'],
        )
    if side not in ("left", "right"):
        raise checkpoint_error(
            folder / _CONFIG, [f'"truncation_side" is {shown(side)}, but should be "left" or "right"']
        )
    return config


def _classes() -> dict[str, Callable[[ConfigReader], Vocabulary]]:
    """The tokenizer classes that a family knows: how each reads its `tokenizer_config.json`."""
    return {name: form for family in all_families().values() for name, form in family.tokenizers.items()}


def _form_of(folder: Path, config: Mapping[str, Any]) -> tuple[str, Vocabulary | None]:
    """The tokenizer's class and its form; none for a class that no family knows.

    Raises:
        CheckpointError: The folder's settings of that class are wrong.
    """
    name = _class_of(folder, config)
    if name not in _classes():
        return name, None
    reader = ConfigReader(config)
    form = _classes()[name](reader)
    reader.problems += [
        f'"{key}" is {shown(value)}, which its class does not support here. Take it out, or choose another model.'
        for key, value in form.unsupported.items()
        if key in config and config[key] is value
    ]
    if reader.problems:
        raise checkpoint_error(folder / _CONFIG, reader.problems)
    return name, form


def _class_of(folder: Path, config: Mapping[str, Any]) -> str:
    """The class that the folder names, else its family's usual one, else the only one that its files fit.

    A `tokenizer.json` of which nobody says whose it is stands for itself.
    """
    model = _optional_json(folder / "config.json")
    named = config.get("tokenizer_class") or model.get("tokenizer_class")
    if named:
        plain = str(named).removesuffix("Fast")
        return plain if plain in _classes() else str(named)
    if (folder / _TOKENIZER).is_file():
        return _ANY_CLASS
    forms = {name: form(ConfigReader(config)) for name, form in _classes().items()}
    fitting = {name: form for name, form in forms.items() if _complete(folder, form)}
    usual = _usual_class(model)
    if usual in fitting or not fitting:
        return usual or _ANY_CLASS
    first, *others = fitting
    return first if all(fitting[name] == fitting[first] for name in others) else _ANY_CLASS


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


def _complete(folder: Path, form: Vocabulary) -> bool:
    return all((folder / name).is_file() for name in form.files)


def _special_tokens(
    where: Path, usual: Mapping[str, str | AddedToken], config: Mapping[str, Any]
) -> dict[str, AddedToken]:
    """The special tokens by role; what the folder names goes before what is usual."""
    named = {role: config[role] for role in _ROLES if config.get(role) is not None}
    try:
        return {role: _added_token(token, special=True) for role, token in ({**usual, **named}).items()}
    except (TypeError, ValueError, LookupError) as error:
        raise _wrong_kind(where, error) from error


def _language_token(
    folder: Path, languages: Languages | None, config: Mapping[str, Any], side: Side, wanted: str | None
) -> str:
    """The token of the wanted language; an empty text where the tokenizer marks none."""
    if languages is None:
        if wanted is None:
            return ""
        raise CheckpointError(f'{folder}: its tokenizer marks no languages; leave "{wanted}" out.')
    code = wanted or config.get(_LANGUAGE_KEYS[side]) or (languages.default if side == "source" else None)
    if code is None:
        raise CheckpointError(f"{folder}: say which language it shall write: {_some(languages.codes)}.")
    fitting = [known for known in languages.codes if code in (known, known.partition("_")[0])]
    if len(fitting) != 1:
        close = fitting or difflib.get_close_matches(str(code), languages.codes, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"It knows {_some(languages.codes)}."
        raise CheckpointError(f'{folder}: does not know the language "{code}". {hint}')
    return languages.token_of(fitting[0])


def _some(codes: tuple[str, ...]) -> str:
    return ", ".join(codes[:8]) + (f" or another of its {len(codes)}" if len(codes) > 8 else "")


def _from_file(file: Path) -> tokenizers.Tokenizer:
    with library_errors(f"{file}: is not a readable tokenizer"):
        tokenizer = tokenizers.Tokenizer.from_file(str(file))
        # A token for the unknown that is unknown itself is only missed by the library when it needs it.
        tokenizer.encode(_RARE)
    return tokenizer


def _described(tokenizer: tokenizers.Tokenizer, config: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a tokenizer that lies in one file: what its folder says, and the roles that go unsaid."""
    contents = {role: _added_token(config[role], special=True).content for role in _ROLES if config.get(role)}
    for role, usual in _USUAL_TOKENS.items():
        here = [token for token in usual if tokenizer.token_to_id(token) is not None]
        if here:
            contents.setdefault(role, here[0])
    return {**config, **contents}


def _from_vocabulary(
    folder: Path,
    form: Vocabulary,
    config: dict[str, Any],
    special: Mapping[str, AddedToken],
    tokens: Mapping[str, str],
    side: Side,
) -> Tokenizer:
    added = _added_tokens(folder, config)
    built = form.build(folder, tokens, side)
    if isinstance(built, SentencePieceTokenizer):
        _check_ids(folder, added, built.id_of)
        _check_listed(folder, config, {*built.special, *built.languages})
        return replace(built, config={**config, **{role: tokens[role] for role in special}})
    with library_errors(f"{folder}: its special tokens do not fit its vocabulary", "Fetch its files again."):
        built.add_special_tokens([token for token in special.values() if built.token_to_id(token.content) is not None])
    _add(folder, built, added, config)
    _put_around(folder, built, form, tokens)
    here = {role: tokens[role] for role in special if built.token_to_id(tokens[role]) is not None}
    return FastTokenizer(built, {**config, **here})


def _following(
    folder: Path, tokenizer: tokenizers.Tokenizer, form: Vocabulary, config: Mapping[str, Any]
) -> tokenizers.Tokenizer:
    """A tokenizer that lies in one file, as the config beside it will have it."""
    before = repr(tokenizer.normalizer), repr(tokenizer.pre_tokenizer)
    form.follow(folder / _TOKENIZER, tokenizer, config)
    if (repr(tokenizer.normalizer), repr(tokenizer.pre_tokenizer)) == before:
        return tokenizer
    return tokenizers.Tokenizer.from_str(tokenizer.to_str())  # its own added tokens are tidied anew


def _add(
    folder: Path, tokenizer: tokenizers.Tokenizer, added: Mapping[int, AddedToken], config: Mapping[str, Any]
) -> None:
    listed = _listed_tokens(folder, config)
    with library_errors(f"{folder}: its special tokens do not fit its vocabulary", "Fetch its files again."):
        for _, token in sorted(added.items()):
            (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
        _check_listed(folder, config, tokenizer.get_vocab())
        tokenizer.add_special_tokens(listed)
        tokenizer.encode(_RARE)
    _check_ids(folder, added, tokenizer.token_to_id)


def _listed_tokens(folder: Path, config: Mapping[str, Any]) -> list[AddedToken]:
    """Special tokens without one of the usual roles."""
    found = []
    try:
        for key in _LISTS:
            entries = config.get(key) or []
            entries = entries.values() if isinstance(entries, dict) else entries
            found += [_added_token(entry, special=True) for entry in entries]
    except (TypeError, ValueError, LookupError) as error:
        raise _wrong_kind(folder / _CONFIG, error) from error
    return found


def _check_listed(folder: Path, config: Mapping[str, Any], known: Container[str]) -> None:
    absent = next((token.content for token in _listed_tokens(folder, config) if token.content not in known), None)
    if absent is not None:
        raise CheckpointError(
            f"{folder / _CONFIG}: lists the special token {absent}, which the vocabulary lacks. Save the tokenizer "
            f"with it as {_TOKENIZER}, or take it out of {' and '.join(_LISTS)}."
        )


def _put_around(folder: Path, tokenizer: tokenizers.Tokenizer, form: Vocabulary, tokens: Mapping[str, str]) -> None:
    """Have the tokenizer put its form's special tokens around texts."""
    templates = [template.format_map(tokens) for template in (form.single, form.pair)]
    used = {word.partition(":")[0] for template in templates for word in template.split()} - {"$A", "$B"}
    absent = [token for token in sorted(used) if tokenizer.token_to_id(token) is None]
    if absent:
        raise CheckpointError(f"{folder}: the tokenizer lacks {', '.join(absent)}. It is another model's.")
    if not used:
        return
    with library_errors(f"{folder}: its special tokens cannot stand around texts", "Fetch its files again."):
        tokenizer.post_processor = processors.TemplateProcessing(
            single=templates[0],
            pair=templates[1],
            special_tokens=[(token, tokenizer.token_to_id(token)) for token in sorted(used)],
        )


def _added_tokens(folder: Path, config: Mapping[str, Any]) -> dict[int, AddedToken]:
    """Tokens that a user added to the vocabulary, by the ids that they were given."""
    try:
        entries = config.get("added_tokens_decoder", {}).items()
        added = {int(index): _added_token(entry, special=False) for index, entry in entries}
        for content, index in _optional_json(folder / _ADDED_TOKENS).items():
            added.setdefault(int(index), AddedToken(content, normalized=False))
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise _wrong_kind(folder / _CONFIG, error) from error
    return added


def _check_ids(folder: Path, added: Mapping[int, AddedToken], id_of: Callable[[str], int | None]) -> None:
    for index, token in sorted(added.items()):
        if id_of(token.content) != index:
            raise CheckpointError(
                f"{folder}: the added token {token.content!r} should have id {index}, which the vocabulary does not "
                "lead to. The tokenizer's files are from different models: fetch them again."
            )


def _added_token(entry: object, special: bool) -> AddedToken:
    """A token is written as a string, or as an object with its content and flags."""
    if isinstance(entry, AddedToken):
        return entry
    if isinstance(entry, str):
        return AddedToken(entry, normalized=False, special=special)
    if not isinstance(entry, dict):
        raise TypeError(f"a token should be a text or an object, not {entry!r}")
    flags = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return AddedToken(
        entry["content"], **{"special": special, **{flag: entry[flag] for flag in flags if flag in entry}}
    )


def _nothing_to_read(folder: Path, config: Mapping[str, Any], form: Vocabulary | None) -> CheckpointError:
    named = config.get("tokenizer_class")
    if form is not None:
        lacking = [name for name in form.files if not (folder / name).is_file()]
        return CheckpointError(
            f"{folder}: no tokenizer: neither {_TOKENIZER} is there nor {', '.join(lacking)}. Copy them from the model "
            "that this one was trained from."
        )
    known = sorted({name for form in _classes().values() for name in form(ConfigReader({})).files})
    here = [name for name in known if (folder / name).is_file()]
    if here:
        kind = f"is a {named}, which" if named else "does not say its class (tokenizer_class), so it"
        return CheckpointError(
            f"{folder}: its tokenizer {kind} cannot be rebuilt from {' and '.join(here)} alone. Save it as "
            f"{_TOKENIZER} with the program that it belongs to."
        )
    return CheckpointError(
        f"{folder}: no tokenizer: neither {_TOKENIZER} nor {', '.join(known)} is there. Copy the tokenizer's files "
        "from the model that this one was trained from."
    )


def _wrong_kind(where: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{where}: has a value of the wrong kind ({error}). Fetch it again.")


def _optional_json(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
