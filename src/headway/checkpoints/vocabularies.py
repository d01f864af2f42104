"""The forms in which folders carry a tokenizer beside `tokenizer.json`: each knows its files and builds from them.

A family says which of its tokenizer classes has which form, as settings of it; see `Family.tokenizers`.
"""

import io
import json
import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from google.protobuf.message import DecodeError
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from headway.checkpoints.config import cut, read_json
from headway.data.tokenizer import SentencePieceTokenizer
from headway.errors import CheckpointError

__all__ = [
    "FAIRSEQ_TOKENS",
    "ByteLevelPieces",
    "Languages",
    "Piece",
    "SentencePieces",
    "SentencePiecesWithIds",
    "Side",
    "Vocabulary",
    "WordPieces",
    "fairseq_pieces",
    "library_errors",
]

Side = Literal["source", "target"]
"""What a model reads, or what it writes."""

Piece = tuple[str, float]
"""A piece of a SentencePiece model and its score, the logarithm of its probability."""

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

_CONTROL, _USER_DEFINED = 3, 4
_UNIGRAM, _BPE = 1, 2
_RESERVED = 5  # more pieces than any family replaces
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

    comes_first: ClassVar[bool] = False
    """Whether its files are read even where a `tokenizer.json` lies beside them."""

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

    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """A new tokenizer of at most `size` tokens for texts like these; the special ones come first, by role."""
        raise NotImplementedError(f"{type(self).__name__} are only read")


@dataclass(frozen=True, kw_only=True)
class WordPieces(Vocabulary):
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
        _require(file, vocabulary, [tokens[role] for role in ("unk_token", "cls_token", "sep_token")])
        with library_errors(f"{file}: is not a usable vocabulary"):
            return self._around(models.WordPiece(vocabulary, unk_token=tokens["unk_token"]))

    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """See `Vocabulary`."""
        tokenizer = self._around(models.WordPiece(unk_token=_content(self.special["unk_token"])))
        texts = list(texts)
        special = _in_order(self.special)
        # The library numbers letters as it meets them, in an order that no two runs share, and breaks ties by number.
        # Numbered beforehand, they are the same in every run.
        letters = _letters(tokenizer, texts)
        known = [_content(token) for token in special] + letters + [f"##{letter}" for letter in letters]
        trainer = trainers.WordPieceTrainer(
            vocab_size=size, min_frequency=2, special_tokens=known, limit_alphabet=len(letters), show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        learned = models.WordPiece(tokenizer.get_vocab(), unk_token=_content(self.special["unk_token"]))
        tokenizer = self._around(learned)
        tokenizer.add_special_tokens(special)
        return tokenizer

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
class ByteLevelPieces(Vocabulary):
    """`vocab.json` and `merges.txt`: byte pair encoding over bytes (Radford et al. 2019)."""

    space_first: bool = False
    """Whether a text is read as if a space stood before it."""

    @property
    def files(self) -> tuple[str, ...]:
        """See `Vocabulary`."""
        return ("vocab.json", "merges.txt")

    def build(self, folder: Path, tokens: Mapping[str, str], side: Side) -> Tokenizer:
        """See `Vocabulary`."""
        vocabulary_file, merges_file = (folder / name for name in self.files)
        vocabulary = _read_ids(vocabulary_file)
        merges = _read_merges(merges_file)
        if len(set(vocabulary.values())) < len(vocabulary):  # the library would forget one of the tokens
            raise CheckpointError(f"{vocabulary_file}: gives one id to several tokens. Fetch it again.")
        with library_errors(f"{merges_file}: does not fit {vocabulary_file.name}", "Fetch both again."):
            return self._around(models.BPE(vocabulary, merges, fuse_unk=False))

    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """See `Vocabulary`."""
        tokenizer = self._around(models.BPE(fuse_unk=False))
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=_in_order(self.special),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return tokenizer

    def _around(self, model: models.BPE) -> Tokenizer:
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=self.space_first)
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer


@dataclass(frozen=True, kw_only=True)
class SentencePieces(Vocabulary):
    """One SentencePiece model (Kudo & Richardson 2018), rebuilt for the faster library: unigram or byte pairs."""

    file: str
    """Its name."""

    pieces: Callable[[Sequence[Piece]], Sequence[Piece]] = tuple
    """From the model's own pieces to the tokenizer's, whose order gives the ids."""

    extra: tuple[str, ...] = ()
    """Special tokens that have no role."""

    learned_with: Mapping[str, Any] = field(default_factory=dict)
    """How SentencePiece numbers the special pieces of a model that is learned: options of its trainer."""

    normalizer: Callable[[normalizers.Normalizer | None], normalizers.Normalizer | None] = lambda own: own
    """From the model's own way of tidying texts to the tokenizer's."""

    @property
    def files(self) -> tuple[str, ...]:
        """See `Vocabulary`."""
        return (self.file,)

    def build(self, folder: Path, tokens: Mapping[str, str], side: Side) -> Tokenizer:
        """See `Vocabulary`."""
        return self._from_model(_read(folder / self.file), folder / self.file, tokens)

    def _from_model(self, model: bytes, file: Path, tokens: Mapping[str, str]) -> Tokenizer:
        proto = _parse_model(model, file)
        own = [(piece.piece, piece.score) for piece in proto.pieces]
        pieces = list(self.pieces(own))
        known = {piece for piece, _ in pieces}
        _require(file, known, [tokens["unk_token"]])
        charsmap = proto.normalizer_spec.precompiled_charsmap
        with library_errors(f"{file}: is not a usable SentencePiece model"):
            tokenizer = Tokenizer(_unigram_or_bpe(proto, own, pieces, tokens["unk_token"]))
            cleaning = self.normalizer(normalizers.Precompiled(charsmap) if charsmap else None)
            if cleaning is not None:
                tokenizer.normalizer = cleaning
        scheme = "always" if proto.normalizer_spec.add_dummy_prefix else "never"
        # Words apart: SentencePiece drops the spaces at both ends and all but one between words.
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace("▁", scheme)]
        )
        spaces = decoders.Metaspace("▁", scheme)
        falls_back = proto.trainer_spec.byte_fallback
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), spaces]) if falls_back else spaces
        marked = [
            AddedToken(piece.piece, normalized=False, special=piece.type == _CONTROL)
            for piece in proto.pieces
            if piece.type in (_CONTROL, _USER_DEFINED) and piece.piece in known
        ]
        languages = self.languages.tokens() if self.languages else ()
        more = [AddedToken(token, normalized=False, special=True) for token in (*self.extra, *languages)]
        tokenizer.add_tokens([token for token in marked if not token.special])
        tokenizer.add_special_tokens([token for token in (*marked, *more) if token.special])
        return tokenizer

    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """See `Vocabulary`."""
        none = [("", 0.0)] * _RESERVED
        added = len(self.pieces(none)) - len(none)
        model = io.BytesIO()
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            vocab_size=size - added,
            hard_vocab_limit=False,
            num_threads=1,  # the sums of several differ from run to run
            minloglevel=2,
            **self.learned_with,
        )
        return self._from_model(model.getvalue(), Path(self.file), {"unk_token": _content(self.special["unk_token"])})


@dataclass(frozen=True, kw_only=True)
class SentencePiecesWithIds(Vocabulary):
    """SentencePiece models that only cut, beside a `vocab.json` that gives the pieces their ids."""

    source: str
    """The model that cuts source texts."""

    target: str
    """The one that cuts target texts."""

    target_ids: str | None = None
    """The file of the target's ids where it has its own."""

    opening: re.Pattern[str] | None = None
    """What at the beginning of a text is a token of its own."""

    # A tokenizer.json knows one side only.
    comes_first: ClassVar[bool] = True

    @property
    def files(self) -> tuple[str, ...]:
        """See `Vocabulary`."""
        names = ("vocab.json", self.source, self.target, self.target_ids)
        return tuple(dict.fromkeys(name for name in names if name))

    def build(self, folder: Path, tokens: Mapping[str, str], side: Side) -> SentencePieceTokenizer:
        """See `Vocabulary`."""
        file = folder / ((self.target_ids if side == "target" else None) or "vocab.json")
        ids = _read_ids(file)
        _require(file, ids, [tokens["unk_token"], tokens["eos_token"]])
        names = self.languages.tokens() if self.languages else ()
        languages = {token: len(ids) + place for place, token in enumerate(names)}
        everything = ids | languages
        before, _, after = self.single.format_map(tokens).partition("$A")
        return SentencePieceTokenizer(
            processor=_open_processor(folder / (self.target if side == "target" else self.source)),
            vocabulary=ids,
            unknown=tokens["unk_token"],
            special={token: ids[token] for token in tokens.values() if token in ids},
            languages=languages,
            first=tuple(everything[token] for token in before.split()),
            last=tuple(everything[token] for token in after.split()),
            opening=self.opening,
            written={name: _read(folder / name) for name in self.files},
        )


def fairseq_pieces(pieces: Sequence[Piece], *after: str) -> list[Piece]:
    """Fairseq's order: its own four tokens in place of the model's first three, and `after` behind all."""
    front = [(str(FAIRSEQ_TOKENS[role]), 0.0) for role in ("bos_token", "pad_token", "eos_token", "unk_token")]
    return [*front, *pieces[3:], *((token, 0.0) for token in after)]


@contextmanager
def library_errors(what: str, remedy: str = "Fetch it again.") -> Iterator[None]:
    """Around calls of the libraries that cut texts: whatever they raise over a file becomes a CheckpointError.

    A failed assertion in Rust is a PanicException, which is no `Exception`; its class cannot be imported.
    """
    try:
        yield
    except CheckpointError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CheckpointError(f"{what} ({cut(str(error), 200)}). {remedy}") from error


def _letters(tokenizer: Tokenizer, texts: Iterable[str]) -> list[str]:
    """The most frequent characters of texts as a tokenizer tidies them, in the order of their code points."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    frequent = sorted(
        (letter for letter in counts if not letter.isspace()), key=lambda letter: (-counts[letter], letter)
    )
    return sorted(frequent[:_ALPHABET])


def _content(token: str | AddedToken) -> str:
    return token if isinstance(token, str) else token.content


def _in_order(special: Mapping[str, str | AddedToken]) -> list[str | AddedToken]:
    """Each special token once: some have several roles."""
    return list({_content(token): token for token in special.values()}.values())


def _unigram_or_bpe(
    proto: ModelProto, own: Sequence[Piece], pieces: Sequence[Piece], unknown: str
) -> models.Unigram | models.BPE:
    falls_back = bool(proto.trainer_spec.byte_fallback)
    ids = {piece: index for index, (piece, _) in enumerate(pieces)}
    if proto.trainer_spec.model_type == _UNIGRAM:
        return models.Unigram(list(pieces), unk_id=ids[unknown], byte_fallback=falls_back)
    if proto.trainer_spec.model_type == _BPE:
        merges = _merges([piece for piece, _ in own])
        return models.BPE(ids, merges, unk_token=unknown, fuse_unk=True, byte_fallback=falls_back)
    raise ValueError("it cuts into words or characters; only unigram models and byte pairs are read")


def _merges(pieces: Sequence[str]) -> list[tuple[str, str]]:
    """The merges that a model of byte pairs was trained with: a piece's rank is that of the merge that made it."""
    rank = {piece: index for index, piece in enumerate(pieces)}
    return [
        halves
        for piece in pieces
        for halves in sorted(
            ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)) if piece[:cut] in rank and piece[cut:] in rank),
            key=lambda halves: (len(halves[0]), len(halves[1])),
        )
    ]


def _parse_model(model: bytes, file: Path) -> ModelProto:
    proto = ModelProto()
    try:
        proto.ParseFromString(model)
    except DecodeError as error:
        raise CheckpointError(f"{file}: is not a SentencePiece model. Fetch it again.") from error
    if not proto.pieces:
        raise CheckpointError(f"{file}: is a SentencePiece model without pieces. Fetch it again.")
    odd = next((piece for piece in proto.pieces if not math.isfinite(piece.score)), None)
    if odd is not None:  # the library would take it, cut by it as it comes, and not be able to write it
        raise CheckpointError(f"{file}: gives the piece {cut(odd.piece)!r} the score {odd.score}. Fetch it again.")
    charsmap = proto.normalizer_spec.precompiled_charsmap
    if charsmap and not _is_whole_table(charsmap):
        raise CheckpointError(f"{file}: its table of characters is damaged. Fetch it again.")
    return proto


def _is_whole_table(charsmap: bytes) -> bool:
    """Whether every way through the table that tidies texts stays within it; the libraries do not look.

    It is the size of a trie, the trie (a double array, https://github.com/s-yata/darts-clone), and the replacements,
    each closed by a zero, to which the trie's values point.
    """
    size = int.from_bytes(charsmap[:4], "little")
    texts = charsmap[4 + size :]
    if size % 4 or not 0 < size <= len(charsmap) - 4 or not texts.endswith(b"\0"):
        return False
    units = np.frombuffer(charsmap, dtype="<u4", count=size // 4, offset=4).astype(np.int64)
    places = np.arange(len(units))
    inner = units < 2**31
    children = (places ^ ((units >> 10) << ((units & 2**9) >> 6)))[inner]
    if (children | 255).max(initial=255) >= len(units):
        return False
    values = units[children[(units[inner] & 2**8) > 0]] % 2**31
    starts = np.flatnonzero(np.frombuffer(b"\0" + texts[:-1], dtype=np.uint8) == 0)
    return bool(np.isin(values, starts).all())


def _open_processor(file: Path) -> SentencePieceProcessor:
    model = _read(file)
    _parse_model(model, file)
    try:
        return SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        raise CheckpointError(f"{file}: is not a SentencePiece model. Fetch it again.") from error


def _read_lines(file: Path) -> dict[str, int]:
    # Only line feeds end a line: some vocabularies hold other separators as tokens.
    lines = _read_text(file).split("\n")
    if not lines[-1]:
        lines.pop()
    return {token.removesuffix("\r"): index for index, token in enumerate(lines)}


def _read_ids(file: Path) -> dict[str, int]:
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
        return _read(file).decode()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{file}: is not UTF-8 text. Fetch it again.") from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror}.") from error


def _require(file: Path, vocabulary: Mapping[str, int] | set[str], tokens: Sequence[str]) -> None:
    absent = [token for token in dict.fromkeys(tokens) if token not in vocabulary]
    if absent:
        raise CheckpointError(f"{file}: lacks {', '.join(absent)}. It is another model's, or incomplete.")
