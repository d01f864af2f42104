"""The tokenizer of a model folder, without padding or truncation."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Any

import tokenizers
from tokenizers import AddedToken, processors

from headway.checkpoints.config_reader import ConfigReader
from headway.checkpoints.tokenizer_config import (
    CONFIG,
    LISTS,
    ROLES,
    SPECIAL_TOKENS_MAP,
    TOKENIZER,
    added_token,
    added_tokens,
    form_of,
    is_complete,
    language_token,
    listed_tokens,
    read_config,
    special_tokens,
    tokenizer_classes,
)
from headway.errors import CheckpointError, library_errors
from headway.files import write_atomically
from headway.tokenizers.fast_tokenizer import FastTokenizer
from headway.tokenizers.formats.base import ANY_CLASS, LearnableFormat, Side, TokenizerFormat, content
from headway.tokenizers.sentencepiece_tokenizer import SentencePieceTokenizer
from headway.tokenizers.tokenizer import Tokenizer

__all__ = ["has_tokenizer", "learn_tokenizer", "load_tokenizer", "save_tokenizer"]

_USUAL_TOKENS = {
    "unk_token": ("[UNK]", "<unk>"),
    "sep_token": ("[SEP]",),
    "pad_token": ("[PAD]", "<pad>"),
    "cls_token": ("[CLS]",),
    "mask_token": ("[MASK]", "<mask>"),
    "eos_token": ("</s>",),
}
_MOST_TOKENS = 2**24  # the library allocates memory for every id up to the largest
_SPARE_ROLES = ("pad_token", "mask_token")  # no text is read with them; GPT-2's padding is often a name only
_RARE = "ꙮ 𒐪"  # letters that hardly any vocabulary has


def has_tokenizer(folder: Path) -> bool:
    """Whether the folder holds a tokenizer that `load_tokenizer` reads."""
    if (folder / TOKENIZER).is_file():
        return True
    return any(is_complete(folder, form(ConfigReader({}))) for form in tokenizer_classes().values())


def load_tokenizer(
    folder: Path, vocabulary_size: int | None = None, *, side: Side = "source", language: str | None = None
) -> Tokenizer:
    """The tokenizer of a model folder, with padding and truncation off.

    The vocabulary is in `tokenizer.json`, or in the files of the tokenizer's class: `vocab.txt`, `vocab.json` with
    `merges.txt`, or SentencePiece models; the class is the one that the folder names, or the one that goes with the
    model's family. The rest follows from the settings of that class; a `tokenizer.json` without a class, or with a
    model that its class does not write, is taken as it is.

    Args:
        folder: A model folder.
        vocabulary_size: Rows of the model's token embedding, to refuse a tokenizer that has more tokens.
        side: Which texts it tokenises, where a model has two vocabularies or marks languages.
        language: The language of those texts, for a tokenizer that marks it: a code that it knows, or its beginning
            up to an underscore. When none, the one that the folder names, and for the source the family's usual one.

    Raises:
        CheckpointError: There is none, it is damaged, it belongs to another model, or it does not know the language.
    """
    folder = Path(folder)
    config = read_config(folder)
    name, form = form_of(folder, config)
    special = special_tokens(folder / CONFIG, form.special if form else {}, config)
    tokens = {role: token.content for role, token in special.items()}
    if form:
        config = {**config, "tokenizer_class": name}
        _check_roles(folder, form, tokens)
    tokens["language"] = language_token(folder, form.languages if form else None, config, side, language)
    if (folder / TOKENIZER).is_file() and not (form and form.comes_first and is_complete(folder, form)):
        tokenizer: Tokenizer = _from_one_file(folder, form, config, special, tokens)
    elif form and is_complete(folder, form):
        tokenizer = _from_vocabulary(folder, form, config, special, tokens, side)
    else:
        raise _nothing_to_read(folder, name, form)
    largest = tokenizer.largest_id
    if largest >= _MOST_TOKENS:
        raise CheckpointError(f"{folder}: the tokenizer has token ids up to {largest}. Fetch its files again.")
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
        size: Maximum number of tokens; little text gives fewer.

    Raises:
        CheckpointError: There is not enough text to learn from.
    """
    form = tokenizer_classes()[name](ConfigReader({}))
    assert isinstance(form, LearnableFormat), f"a {name} can only be read, not learned"
    with library_errors("No vocabulary can be learned from these texts", "Give more, or use a trained model."):
        tokenizer = form.learn(texts, size)
    special = special_tokens(Path(CONFIG), form.special, {})
    tokens = {role: token.content for role, token in special.items()}
    tokens["language"] = form.languages.token_of(form.languages.default) if form.languages else ""
    _put_around(Path(TOKENIZER), tokenizer, form, tokens)
    return FastTokenizer(tokenizer, {"tokenizer_class": name, **{role: tokens[role] for role in special}})


def save_tokenizer(folder: Path, tokenizer: Tokenizer, max_length: int) -> None:
    """Write the tokenizer so that `transformers` opens it too.

    Args:
        folder: Destination folder.
        tokenizer: The tokenizer to write.
        max_length: Longest sequence that the model takes, in tokens.
    """
    config = dict(tokenizer.config)
    config.setdefault("tokenizer_class", ANY_CLASS)
    if config["tokenizer_class"] == ANY_CLASS and "model_input_names" not in config:
        # That class gives no token types by default, and a model of pairs would silently answer wrongly.
        [pair] = tokenizer.encode([("a", "b")])
        types = ["token_type_ids"] if pair.token_types is not None and pair.token_types.any() else []
        config["model_input_names"] = ["input_ids", *types, "attention_mask"]
    # A path on the machine where the tokenizer was made, and a limit that may not be this model's.
    config.pop("name_or_path", None)
    config["model_max_length"] = max_length
    special = {role: config[role] for role in ROLES if role in config}
    for name, written in tokenizer.files().items():
        write_atomically(folder / name, written)
    write_atomically(folder / CONFIG, _json(config))
    write_atomically(folder / SPECIAL_TOKENS_MAP, _json(special))


def _check_roles(folder: Path, form: TokenizerFormat, tokens: Mapping[str, str]) -> None:
    wanted = {*form.needs, *(name for _, name, _, _ in Formatter().parse(form.single + form.pair) if name)}
    absent = next((role for role in sorted(wanted - {"language"}) if role not in tokens), None)
    if absent is not None:
        raise CheckpointError(
            f'{folder / CONFIG}: "{absent}" is null, but the tokenizer\'s class needs one. Name the token, or '
            "remove the key if it is the usual one."
        )


def _from_one_file(
    folder: Path,
    form: TokenizerFormat | None,
    config: dict[str, Any],
    special: Mapping[str, AddedToken],
    tokens: Mapping[str, str],
) -> FastTokenizer:
    file = folder / TOKENIZER
    with library_errors(f"{file}: is not a readable tokenizer"):
        read = tokenizers.Tokenizer.from_file(str(file))
        # The library notices a missing unknown token only when it needs it.
        read.encode(_RARE)
    inside = read.get_added_tokens_decoder()
    added = added_tokens(folder, config, inside)
    with library_errors(f"{file}: is not a usable tokenizer"):
        built = form.rebuild(file, read, tokens) if form else None
    if form is None or built is None:
        # A file that the named class cannot have written is taken as it is, and saved as such.
        config = {**config, "tokenizer_class": ANY_CLASS} if form else config
        _add(folder, read, added, [*special_tokens(folder / CONFIG, {}, config).values()], config)
        return FastTokenizer(read, _described(read, config))
    known = {token.content for token in (*added.values(), *special.values(), *listed_tokens(folder, config))}
    known |= {*form.without_role}
    forgotten = next((token.content for token in inside.values() if token.content not in known), None)
    if forgotten is not None:
        raise CheckpointError(
            f"{file}: adds the token {forgotten}, which added_tokens_decoder in {CONFIG} leaves out. Write it there "
            "too, or remove it here."
        )
    with library_errors(f"{file}: is not a usable tokenizer"):
        if read.truncation and read.truncation["direction"] != "right":
            config = {"truncation_side": read.truncation["direction"], **config}
        if form.around_from != "class" and read.post_processor is not None:
            built.post_processor = read.post_processor
    around = form.around_from == "class" or (form.around_from == "file or class" and read.post_processor is None)
    return _finished(folder, built, form, config, added, special, tokens, around=around)


def _from_vocabulary(
    folder: Path,
    form: TokenizerFormat,
    config: dict[str, Any],
    special: Mapping[str, AddedToken],
    tokens: Mapping[str, str],
    side: Side,
) -> Tokenizer:
    added = added_tokens(folder, config, {})
    built = form.build(folder, tokens, side)
    if not isinstance(built, SentencePieceTokenizer):
        if form.fixed_tokens and any(tokens.get(role) != content(usual) for role, usual in form.special.items()):
            config = {
                **config,
                "tokenizer_class": ANY_CLASS,
            }  # saved under its own class, it would tokenise differently
        return _finished(folder, built, form, config, added, special, tokens, around=True)
    _check_pieces(folder, built, added)
    listed = listed_tokens(folder, config)
    _check_named(folder, config, built.id_of)
    kept = {token.content for token in (*added.values(), *listed)}
    return replace(
        built,
        special={**built.special, **{token: index for token in kept if (index := built.id_of(token)) is not None}},
        config={**config, **{role: tokens[role] for role in special}},
    )


def _finished(
    folder: Path,
    tokenizer: tokenizers.Tokenizer,
    form: TokenizerFormat,
    config: dict[str, Any],
    added: Mapping[int, AddedToken],
    special: Mapping[str, AddedToken],
    tokens: Mapping[str, str],
    around: bool,
) -> FastTokenizer:
    more = [added_token(token, special=True) for token in form.without_role]
    _add(folder, tokenizer, added, [*special.values(), *more], config)
    if around:
        _put_around(folder, tokenizer, form, tokens)
    here = {role: token.content for role, token in special.items() if tokenizer.token_to_id(token.content) is not None}
    lacking = dict.fromkeys(special.keys() & config.keys() - here.keys())
    return FastTokenizer(tokenizer, {**config, **lacking, **here})


def _described(tokenizer: tokenizers.Tokenizer, config: Mapping[str, Any]) -> dict[str, Any]:
    """The description of a tokenizer in one file: what its folder says, and the usual tokens for other roles."""
    contents = {role: added_token(config[role], special=True).content for role in ROLES if config.get(role)}
    for role, usual in _USUAL_TOKENS.items():
        here = [token for token in usual if tokenizer.token_to_id(token) is not None]
        if here:
            contents.setdefault(role, here[0])
    return {**config, **contents}


def _add(
    folder: Path,
    tokenizer: tokenizers.Tokenizer,
    added: Mapping[int, AddedToken],
    special: Sequence[AddedToken],
    config: Mapping[str, Any],
) -> None:
    """Never split the added and special tokens, wherever a text contains them."""
    roles = {token.content for token in special}
    for token in added.values():
        token.special = token.special or token.content in roles
    known = {token.content for token in added.values()}
    others = [token for token in (*special, *listed_tokens(folder, config)) if token.content not in known]
    with library_errors(f"{folder}: its special tokens do not fit its vocabulary", "Fetch its files again."):
        tokenizer.add_tokens([token for _, token in sorted(added.items())])
        _check_named(folder, config, tokenizer.token_to_id)
        # A usual token that the vocabulary lacks would have an id beyond the model's table.
        tokenizer.add_special_tokens([token for token in others if tokenizer.token_to_id(token.content) is not None])
        tokenizer.encode(_RARE)
    _check_ids(folder, added, tokenizer.token_to_id)


def _check_named(folder: Path, config: Mapping[str, Any], id_of: Callable[[str], int | None]) -> None:
    """Refuse a token that the folder names, the texts may need and the vocabulary lacks: its id is unknown."""
    roles = {
        role: added_token(config[role], special=True)
        for role in ROLES
        if role not in _SPARE_ROLES and config.get(role) is not None
    }
    named = [(role, token.content) for role, token in roles.items()]
    named += [(" or ".join(LISTS), token.content) for token in listed_tokens(folder, config)]
    for where, token in named:
        if id_of(token) is None:
            raise CheckpointError(
                f"{folder}: the vocabulary lacks the special token {token} ({where} in {CONFIG} or "
                f"{SPECIAL_TOKENS_MAP}). Remove it there, or save the tokenizer again with the program that added it."
            )


def _check_pieces(folder: Path, built: SentencePieceTokenizer, added: Mapping[int, AddedToken]) -> None:
    """Refuse added tokens that would be tokenised differently here than by the ecosystem."""
    for index, token in sorted(added.items()):
        if built.id_of(token.content) is None:
            raise CheckpointError(
                f"{folder}: adds the token {token.content!r} with id {index}, which vocab.json lacks; such a tokenizer "
                "takes no others. Add it there, or remove it from added_tokens_decoder or added_tokens.json."
            )
        if token.lstrip or token.rstrip or token.single_word or not token.special:
            raise CheckpointError(
                f"{folder}: the added token {token.content!r} should match inside words, or with the spaces "
                "around it, which is not supported for such a tokenizer. Remove it from added_tokens_decoder."
            )
    _check_ids(folder, added, built.id_of)


def _put_around(
    folder: Path, tokenizer: tokenizers.Tokenizer, form: TokenizerFormat, tokens: Mapping[str, str]
) -> None:
    """Make the tokenizer put its format's special tokens around texts."""
    templates = [template.format_map(tokens) for template in (form.single, form.pair)]
    used = {word.partition(":")[0] for template in templates for word in template.split()} - {"$A", "$B"}
    absent = [token for token in sorted(used) if tokenizer.token_to_id(token) is None]
    if absent:
        raise CheckpointError(
            f"{folder}: the vocabulary lacks {', '.join(absent)}, which its tokenizer puts around texts. "
            "It is another model's."
        )
    if not used:
        return
    with library_errors(f"{folder}: its special tokens cannot be put around texts", "Fetch its files again."):
        tokenizer.post_processor = processors.TemplateProcessing(
            single=templates[0],
            pair=templates[1],
            special_tokens=[(token, tokenizer.token_to_id(token)) for token in sorted(used)],
        )


def _check_ids(folder: Path, added: Mapping[int, AddedToken], id_of: Callable[[str], int | None]) -> None:
    for index, token in sorted(added.items()):
        if id_of(token.content) != index:
            raise CheckpointError(
                f"{folder}: the added token {token.content!r} should have id {index}, which does not follow from the "
                "vocabulary. The tokenizer's files are from different models: fetch them again."
            )


def _nothing_to_read(folder: Path, name: str, form: TokenizerFormat | None) -> CheckpointError:
    if form is not None:
        lacking = [name for name in form.files if not (folder / name).is_file()]
        return CheckpointError(
            f"{folder}: no tokenizer: neither {TOKENIZER} nor {', '.join(lacking)} is there. Copy them from the model "
            "that this one was trained from."
        )
    known = sorted({name for form in tokenizer_classes().values() for name in form(ConfigReader({})).files})
    here = [name for name in known if (folder / name).is_file()]
    if here:
        unnamed = name == ANY_CLASS
        kind = "does not name its class (tokenizer_class), so it" if unnamed else f"is a {name}, which"
        return CheckpointError(
            f"{folder}: its tokenizer {kind} cannot be rebuilt from {' and '.join(here)} alone. Save it as "
            f"{TOKENIZER} with the program that it belongs to."
        )
    return CheckpointError(
        f"{folder}: no tokenizer: neither {TOKENIZER} nor {', '.join(known)} is there. Copy the tokenizer's files "
        "from the model that this one was trained from."
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
