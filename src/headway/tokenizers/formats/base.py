"""What the tokenizer formats share: each knows its files and builds a tokenizer from them.

A family says which of its tokenizer classes has which format, as its settings; see `Family.tokenizers`.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tokenizers import AddedToken, Tokenizer

from headway.errors import CheckpointError
from headway.files import read_json
from headway.tokenizers.sentencepiece_tokenizer import SentencePieceTokenizer

__all__ = [
    "ANY_CLASS",
    "FAIRSEQ_TOKENS",
    "Languages",
    "LearnableFormat",
    "Side",
    "TokenizerFormat",
    "content",
    "in_order",
    "read_bytes",
    "read_ids",
    "read_text",
    "require_tokens",
]

ANY_CLASS = "PreTrainedTokenizerFast"
"""The class of a `tokenizer.json` that is taken as it is."""

Side = Literal["source", "target"]
"""A model's inputs, or its outputs."""

FAIRSEQ_TOKENS: dict[str, str | AddedToken] = {
    "bos_token": "<s>",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "mask_token": AddedToken("<mask>", lstrip=True, special=True),
}
"""The special tokens of models that were trained with fairseq, by role."""


@dataclass(frozen=True, kw_only=True)
class Languages:
    """The languages of a tokenizer that marks the language of a text."""

    codes: tuple[str, ...]
    """As users write them."""

    default: str
    """The default source language."""

    token: str = "{language}"
    """The token that stands for a code."""

    def tokens(self) -> tuple[str, ...]:
        """The tokens of all codes, in their order."""
        return tuple(self.token_of(code) for code in self.codes)

    def token_of(self, code: str) -> str:
        """The token that stands for a code."""
        return self.token.format(language=code)


@dataclass(frozen=True, kw_only=True)
class TokenizerFormat(ABC):
    """A format: the files that hold a tokenizer, and what they do not say."""

    special: Mapping[str, str | AddedToken]
    """Special tokens by role, where the folder does not name others."""

    single: str = "$A"
    """What a text becomes: `$A` is its ids, a role in braces that token, `{language}` the language's."""

    pair: str = "$A $B"
    """What a pair of texts becomes; `:1` marks what counts as the second."""

    languages: Languages | None = None

    extra: tuple[str, ...] = ()
    """Special tokens that have no role and are no language's."""

    around_from: Literal["class", "file or class", "file"] = "class"
    """Where a `tokenizer.json`'s special tokens around texts come from: `single` and `pair`, or its own template."""

    comes_first: ClassVar[bool] = False
    """Whether its files are read even where there is a `tokenizer.json` too."""

    fixed_tokens: ClassVar[bool] = False
    """Whether the ecosystem's class has its special tokens at fixed places, whatever the folder names."""

    needs: ClassVar[tuple[str, ...]] = ("unk_token",)
    """Roles that some token must have, besides those around texts."""

    @property
    def without_role(self) -> tuple[str, ...]:
        """All special tokens that have no role."""
        return (*self.extra, *(self.languages.tokens() if self.languages else ()))

    @property
    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """What the folder must hold."""

    @abstractmethod
    def build(self, folder: Path, tokens: Mapping[str, str], side: Side) -> Tokenizer | SentencePieceTokenizer:
        """The tokenizer of a folder that holds all the files; `tokens` are the special ones by role.

        Raises:
            CheckpointError: A file is damaged.
        """

    def rebuild(self, file: Path, read: Tokenizer, tokens: Mapping[str, str]) -> Tokenizer | None:
        """A tokenizer with the model of the one in `tokenizer.json`, and everything else as its class has it.

        `transformers` does the same: of that file its classes take the vocabulary and the added tokens, whatever else
        it says. What this format does not set is taken from the file.

        Returns:
            None where the file's model is of another kind: this class cannot have written it.

        Raises:
            CheckpointError: The folder names tokens that the model does not have in their places.
        """
        return read


class LearnableFormat(TokenizerFormat):
    """A format that new tokenizers can have too."""

    @abstractmethod
    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """A tokenizer of at most `size` tokens for texts like these, without what its template puts around them.

        The same texts give the same tokenizer. The special tokens come first, by role.
        """


def content(token: str | AddedToken) -> str:
    """The text of a special token."""
    return token if isinstance(token, str) else token.content


def in_order(special: Mapping[str, str | AddedToken]) -> list[str | AddedToken]:
    """Each special token once: some have several roles."""
    return list({content(token): token for token in special.values()}.values())


def read_ids(file: Path) -> dict[str, int]:
    """Tokens and their ids, from a `vocab.json`."""
    ids = read_json(file)
    wrong = next((token for token, index in ids.items() if type(index) is not int or not 0 <= index < 2**31), None)
    if wrong is not None:
        shown = json.dumps(ids[wrong])[:40]
        raise CheckpointError(f"{file}: gives the token {wrong!r} the id {shown}, which is not an id. Fetch it again.")
    return ids


def read_text(file: Path) -> str:
    """A text file of the folder, in UTF-8."""
    try:
        return read_bytes(file).decode()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{file}: is not UTF-8 text. Fetch it again.") from error


def read_bytes(file: Path) -> bytes:
    """What a file of the folder holds."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror}.") from error


def require_tokens(file: Path, vocabulary: Mapping[str, int] | set[str], tokens: Sequence[str]) -> None:
    """Refuse a vocabulary that lacks some of these tokens."""
    absent = [token for token in dict.fromkeys(tokens) if token not in vocabulary]
    if absent:
        raise CheckpointError(f"{file}: lacks {', '.join(absent)}. It is another model's, or incomplete.")
