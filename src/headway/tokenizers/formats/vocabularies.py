"""The forms in which folders carry a tokenizer beside `tokenizer.json`: each knows its files and builds from them.

A family says which of its tokenizer classes has which form, as settings of it; see `Family.tokenizers`.
"""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from headway.errors import CheckpointError, library_errors
from headway.files import read_json
from headway.tokenizers.tokenizer import SentencePieceTokenizer

__all__ = [
    "ANY_CLASS",
    "FAIRSEQ_TOKENS",
    "ByteLevelPieces",
    "Languages",
    "LearnableVocabulary",
    "Side",
    "Vocabulary",
    "WordPieces",
    "content",
    "in_order",
    "read_bytes",
    "read_ids",
    "require_tokens",
]

ANY_CLASS = "PreTrainedTokenizerFast"
"""The class of a `tokenizer.json` that stands for itself."""

Side = Literal["source", "target"]
"""What a model reads, or what it writes."""

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

_ALPHABET = 1000  # letters that a learned vocabulary has at most; others are unknown


@dataclass(frozen=True, kw_only=True)
class Languages:
    """The languages of a tokenizer that tells the model which one a text is in."""

    codes: tuple[str, ...]
    """As users write them."""

    default: str
    """The source's where nobody says."""

    token: str = "{language}"
    """The token that stands for a code."""

    def tokens(self) -> tuple[str, ...]:
        """The tokens of all codes, in their order."""
        return tuple(self.token_of(code) for code in self.codes)

    def token_of(self, code: str) -> str:
        """The token that stands for a code."""
        return self.token.format(language=code)


@dataclass(frozen=True, kw_only=True)
class Vocabulary(ABC):
    """A form: the files that hold a tokenizer, and what they do not say."""

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
    """Who says what stands around the texts of a `tokenizer.json`: `single` and `pair`, or that file's own template."""

    comes_first: ClassVar[bool] = False
    """Whether its files are read even where a `tokenizer.json` lies beside them."""

    fixed_tokens: ClassVar[bool] = False
    """Whether the ecosystem's class has its special tokens at fixed places, whatever the folder names."""

    needs: ClassVar[tuple[str, ...]] = ("unk_token",)
    """Roles that some token must have, besides those that stand around texts."""

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
        """A tokenizer with the model of the one in `tokenizer.json`, and all else as its class has it.

        So does `transformers`: of that file its classes take the vocabulary and the added tokens, whatever else it
        says. Where this form does not know better, the file stands.

        Returns:
            None where the file's model is of another kind: this class cannot have written it.

        Raises:
            CheckpointError: The folder names tokens that the model does not have in their places.
        """
        return read


class LearnableVocabulary(Vocabulary):
    """A form that new tokenizers can have too."""

    @abstractmethod
    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """A tokenizer of at most `size` tokens for texts like these, without what its template puts around them.

        The same texts give the same tokenizer. The special tokens come first, by role.
        """


@dataclass(frozen=True, kw_only=True)
class WordPieces(LearnableVocabulary):
    """`vocab.txt`: word pieces as BERT's released code cuts them (https://github.com/google-research/bert)."""

    lowercase: bool = True
    strip_accents: bool | None = None
    """As `lowercase` when none."""
    chinese_characters: bool = True
    """Whether each Chinese character is a word."""

    @property
    def files(self) -> tuple[str, ...]:
        """See `Vocabulary`."""
        return ("vocab.txt",)

    def build(self, folder: Path, tokens: Mapping[str, str], side: Side) -> Tokenizer:
        """See `Vocabulary`."""
        file = folder / self.files[0]
        vocabulary = _read_lines(file)
        require_tokens(file, vocabulary, [tokens["unk_token"]])
        with library_errors(f"{file}: is not a usable vocabulary"):
            return self._around(models.WordPiece(vocabulary, unk_token=tokens["unk_token"]))

    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """See `LearnableVocabulary`."""
        tokenizer = self._around(models.WordPiece(unk_token=content(self.special["unk_token"])))
        texts = list(texts)
        special = in_order(self.special)
        # The library numbers letters as it meets them, in an order that no two runs share, and breaks ties by number.
        # Numbered beforehand, they are the same in every run.
        letters = _letters(tokenizer, texts)
        known = [content(token) for token in special] + letters + [f"##{letter}" for letter in letters]
        trainer = trainers.WordPieceTrainer(
            vocab_size=size, min_frequency=2, special_tokens=known, limit_alphabet=len(letters), show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        learned = models.WordPiece(tokenizer.get_vocab(), unk_token=content(self.special["unk_token"]))
        tokenizer = self._around(learned)
        tokenizer.add_special_tokens(special)
        return tokenizer

    def rebuild(self, file: Path, read: Tokenizer, tokens: Mapping[str, str]) -> Tokenizer | None:
        """See `Vocabulary`."""
        model = read.model
        if not isinstance(model, models.WordPiece):
            return None
        model.unk_token = tokens["unk_token"]
        model.continuing_subword_prefix = "##"
        model.max_input_chars_per_word = 100
        return self._around(model)

    def _around(self, model: models.WordPiece) -> Tokenizer:
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=self.chinese_characters,
            strip_accents=self.strip_accents,
            lowercase=self.lowercase,
        )
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(prefix="##")
        return tokenizer


@dataclass(frozen=True, kw_only=True)
class ByteLevelPieces(LearnableVocabulary):
    """`vocab.json` and `merges.txt`: byte pair encoding over bytes (Radford et al. 2019)."""

    space_first: bool = False
    """Whether a text is read as if a space stood before it."""

    needs: ClassVar[tuple[str, ...]] = ()  # every byte is known

    @property
    def files(self) -> tuple[str, ...]:
        """See `Vocabulary`."""
        return ("vocab.json", "merges.txt")

    def build(self, folder: Path, tokens: Mapping[str, str], side: Side) -> Tokenizer:
        """See `Vocabulary`."""
        vocabulary_file, merges_file = (folder / name for name in self.files)
        vocabulary = read_ids(vocabulary_file)
        merges = _read_merges(merges_file)
        if len(set(vocabulary.values())) < len(vocabulary):  # the library would forget one of the tokens
            raise CheckpointError(f"{vocabulary_file}: gives one id to several tokens. Fetch it again.")
        with library_errors(f"{merges_file}: does not fit {vocabulary_file.name}", "Fetch both again."):
            return self._around(models.BPE(vocabulary, merges, fuse_unk=False))

    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """See `LearnableVocabulary`."""
        tokenizer = self._around(models.BPE(fuse_unk=False))
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=in_order(self.special),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return tokenizer

    def rebuild(self, file: Path, read: Tokenizer, tokens: Mapping[str, str]) -> Tokenizer | None:
        """See `Vocabulary`."""
        model = read.model
        if not isinstance(model, models.BPE) or model.continuing_subword_prefix or model.end_of_word_suffix:
            return None
        model.dropout = model.unk_token = None
        model.fuse_unk = model.byte_fallback = model.ignore_merges = False
        return self._around(model)

    def _around(self, model: models.BPE) -> Tokenizer:
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=self.space_first)
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer


def _letters(tokenizer: Tokenizer, texts: Iterable[str]) -> list[str]:
    """The most frequent characters of texts as a tokenizer tidies them, in the order of their code points."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    frequent = sorted(
        (letter for letter in counts if not letter.isspace()), key=lambda letter: (-counts[letter], letter)
    )
    return sorted(frequent[:_ALPHABET])


def content(token: str | AddedToken) -> str:
    """The text of a special token."""
    return token if isinstance(token, str) else token.content


def in_order(special: Mapping[str, str | AddedToken]) -> list[str | AddedToken]:
    """Each special token once: some have several roles."""
    return list({content(token): token for token in special.values()}.values())


def _read_lines(file: Path) -> dict[str, int]:
    # Only line feeds end a line: some vocabularies hold other separators as tokens.
    lines = _read_text(file).split("\n")
    if not lines[-1]:
        lines.pop()
    return {token.removesuffix("\r"): index for index, token in enumerate(lines)}


def read_ids(file: Path) -> dict[str, int]:
    """A `vocab.json`: tokens and their ids."""
    ids = read_json(file)
    wrong = next((token for token, index in ids.items() if type(index) is not int or not 0 <= index < 2**31), None)
    if wrong is not None:
        shown = json.dumps(ids[wrong])[:40]
        raise CheckpointError(f"{file}: gives the token {wrong!r} the id {shown}, which is none. Fetch it again.")
    return ids


def _read_merges(file: Path) -> list[tuple[str, str]]:
    """Two pieces a line, below a first line with the version."""
    merges = []
    for number, line in enumerate(_read_text(file).split("\n"), start=1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        one, _, other = line.rstrip("\r").partition(" ")
        if not one or not other or " " in other:
            raise CheckpointError(f"{file}, line {number}: is not two pieces with a space between. Fetch it again.")
        merges.append((one, other))
    return merges


def _read_text(file: Path) -> str:
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
