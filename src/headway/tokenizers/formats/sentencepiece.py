"""Tokenizers in the format of SentencePiece models (Kudo & Richardson 2018, https://arxiv.org/abs/1808.06226)."""

import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from google.protobuf.message import DecodeError
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from headway.errors import CheckpointError, cut, library_errors
from headway.tokenizers.formats.base import (
    FAIRSEQ_TOKENS,
    LearnableFormat,
    Side,
    TokenizerFormat,
    content,
    read_bytes,
    read_ids,
    require_tokens,
)
from headway.tokenizers.sentencepiece_tokenizer import SentencePieceTokenizer

__all__ = ["Piece", "SentencePieces", "SentencePiecesWithIds", "fairseq_pieces"]

Piece = tuple[str, float]
"""A piece of a SentencePiece model and its score, the logarithm of its probability."""

_CONTROL, _USER_DEFINED = 3, 4
_UNIGRAM, _BPE = 1, 2
_RESERVED = 5  # more pieces than any family replaces


@dataclass(frozen=True, kw_only=True)
class SentencePieces(LearnableFormat):
    """One SentencePiece model (Kudo & Richardson 2018), rebuilt for the faster library: unigram or BPE."""

    file: str
    """Its name."""

    pieces: Callable[[Sequence[Piece]], Sequence[Piece]] = tuple
    """From the model's own pieces to the tokenizer's, whose order gives the ids."""

    learned_with: Mapping[str, Any] = field(default_factory=dict)
    """How SentencePiece numbers the special pieces of a model that is learned: options of its trainer."""

    normalizer: Callable[[normalizers.Normalizer | None], normalizers.Normalizer | None] = lambda own: own
    """From the model's own normalisation to the tokenizer's."""

    stands: bool = False
    """Whether a `tokenizer.json` is taken as it is: `transformers` 5 would tokenise differently than in training."""

    space_first: bool | None = None
    """Whether a text is read as if it began with a space; as the model says when none."""

    fixed_tokens: ClassVar[bool] = True

    @property
    def files(self) -> tuple[str, ...]:
        """See `TokenizerFormat`."""
        return (self.file,)

    def build(self, folder: Path, tokens: Mapping[str, str], side: Side) -> Tokenizer:
        """See `TokenizerFormat`."""
        file = folder / self.file
        self._require_usual(file, tokens, ["unk_token"])
        built = self._from_model(read_bytes(file), file, tokens)
        # Some models were trained with pieces of their own for other roles, and lack the usual ones.
        here = [role for role in self.special if role in tokens and built.token_to_id(tokens[role]) is not None]
        self._require_usual(file, tokens, [role for role in self.special if role not in here])
        return built

    def _from_model(self, model: bytes, file: Path, tokens: Mapping[str, str]) -> Tokenizer:
        proto = _parse_model(model, file)
        own = [(piece.piece, piece.score) for piece in proto.pieces]
        pieces = list(self.pieces(own))
        known = {piece for piece, _ in pieces}
        require_tokens(file, known, [tokens["unk_token"]])
        charsmap = proto.normalizer_spec.precompiled_charsmap
        with library_errors(f"{file}: is not a usable SentencePiece model"):
            cutter = _unigram_or_bpe(proto, own, pieces, tokens["unk_token"])
            table = normalizers.Precompiled(charsmap) if charsmap else None
            tokenizer = self._around(cutter, table, bool(proto.normalizer_spec.add_dummy_prefix))
        marked = [
            AddedToken(piece.piece, normalized=False, special=piece.type == _CONTROL)
            for piece in proto.pieces
            if piece.type in (_CONTROL, _USER_DEFINED) and piece.piece in known
        ]
        more = [AddedToken(token, normalized=False, special=True) for token in self.without_role]
        tokenizer.add_tokens([token for token in marked if not token.special])
        tokenizer.add_special_tokens([token for token in (*marked, *more) if token.special])
        return tokenizer

    def rebuild(self, file: Path, read: Tokenizer, tokens: Mapping[str, str]) -> Tokenizer | None:
        """See `TokenizerFormat`."""
        model = read.model
        if not isinstance(model, models.Unigram | models.BPE):
            return None
        self._require_usual(file, tokens, ["unk_token"])
        if self.stands:
            return read
        table = next((step for step in _steps(read.normalizer) if isinstance(step, normalizers.Precompiled)), None)
        spaces = [step for step in _steps(read.pre_tokenizer) if isinstance(step, pre_tokenizers.Metaspace)]
        return self._around(model, table, all(step.prepend_scheme != "never" for step in spaces))

    def _require_usual(self, file: Path, tokens: Mapping[str, str], roles: Iterable[str]) -> None:
        """Refuse other tokens than the usual ones for these roles."""
        for role in roles:
            usual = content(self.special[role])
            if tokens.get(role) != usual:
                raise CheckpointError(
                    f'{file}: has {usual} as its "{role}", but tokenizer_config.json names '
                    f"{tokens.get(role, 'none')}. Remove it there, or use another tokenizer."
                )

    def _around(
        self, model: models.Unigram | models.BPE, table: normalizers.Normalizer | None, space_first: bool
    ) -> Tokenizer:
        tokenizer = Tokenizer(model)
        cleaning = self.normalizer(table)
        if cleaning is not None:
            tokenizer.normalizer = cleaning
        if self.space_first is not None:
            space_first = self.space_first
        scheme: Literal["always", "never"] = "always" if space_first else "never"
        # SentencePiece strips the spaces at both ends and collapses those between words.
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace("▁", scheme)]
        )
        spaces = decoders.Metaspace("▁", scheme)
        falls_back = tokenizer.token_to_id("<0x00>") is not None
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), spaces]) if falls_back else spaces
        return tokenizer

    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """See `LearnableFormat`."""
        none = [("", 0.0)] * _RESERVED
        added = len(self.pieces(none)) - len(none)
        model = io.BytesIO()
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            vocab_size=size - added,
            hard_vocab_limit=False,
            num_threads=1,  # sums over several threads differ from run to run
            minloglevel=2,
            **self.learned_with,
        )
        return self._from_model(model.getvalue(), Path(self.file), {"unk_token": content(self.special["unk_token"])})


@dataclass(frozen=True, kw_only=True)
class SentencePiecesWithIds(TokenizerFormat):
    """SentencePiece models that only split texts, with the ids of their pieces in a `vocab.json`."""

    source: str
    """The model for source texts."""

    target: str
    """The model for target texts."""

    target_ids: str | None = None
    """The file of the target's ids where it has its own."""

    opening: re.Pattern[str] | None = None
    """Prefix that is a token of its own at the beginning of a text."""

    # A tokenizer.json knows one side only.
    comes_first: ClassVar[bool] = True

    @property
    def files(self) -> tuple[str, ...]:
        """See `TokenizerFormat`."""
        names = ("vocab.json", self.source, self.target, self.target_ids)
        return tuple(dict.fromkeys(name for name in names if name))

    def build(self, folder: Path, tokens: Mapping[str, str], side: Side) -> SentencePieceTokenizer:
        """See `TokenizerFormat`."""
        file = folder / ((self.target_ids if side == "target" else None) or "vocab.json")
        ids = read_ids(file)
        require_tokens(file, ids, [tokens["unk_token"], tokens["eos_token"]])
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
            written={name: read_bytes(folder / name) for name in self.files},
        )


def fairseq_pieces(pieces: Sequence[Piece], *after: str) -> list[Piece]:
    """Fairseq's order: its own four tokens in place of the model's first three, and `after` at the end."""
    front = [(str(FAIRSEQ_TOKENS[role]), 0.0) for role in ("bos_token", "pad_token", "eos_token", "unk_token")]
    return [*front, *pieces[3:], *((token, 0.0) for token in after)]


def _steps(part: Any) -> list[Any]:
    """The steps of a normalizer or a pre-tokenizer, which may be one or a sequence of them."""
    if isinstance(part, normalizers.Sequence | pre_tokenizers.Sequence):
        whole: Any = part  # its type does not say that it is iterable
        return [inner for step in whole for inner in _steps(step)]
    return [part]


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
    raise ValueError("it splits into words or characters; only unigram and BPE models are supported")


def _merges(pieces: Sequence[str]) -> list[tuple[str, str]]:
    """The merges of a BPE model: a piece's rank is that of the merge that made it."""
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
    if odd is not None:  # the library would accept it, tokenise unpredictably, and fail to save it
        raise CheckpointError(f"{file}: gives the piece {cut(odd.piece)!r} the score {odd.score}. Fetch it again.")
    charsmap = proto.normalizer_spec.precompiled_charsmap
    if charsmap and not _is_whole_table(charsmap):
        raise CheckpointError(f"{file}: its table of characters is damaged. Fetch it again.")
    return proto


def _is_whole_table(charsmap: bytes) -> bool:
    """Whether every path through the normalisation table stays within it; the libraries do not check.

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
    model = read_bytes(file)
    _parse_model(model, file)
    try:
        return SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        raise CheckpointError(f"{file}: is not a SentencePiece model. Fetch it again.") from error
