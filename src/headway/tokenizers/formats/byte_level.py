"""Byte-level byte pair encoding: `vocab.json` and `merges.txt`, as GPT-2 has them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from headway.errors import CheckpointError, library_errors
from headway.tokenizers.formats.base import LearnableFormat, Side, in_order, read_ids, read_text

__all__ = ["ByteLevelPieces"]


@dataclass(frozen=True, kw_only=True)
class ByteLevelPieces(LearnableFormat):
    """`vocab.json` and `merges.txt`: byte pair encoding over bytes (Radford et al. 2019)."""

    space_first: bool = False
    """Whether a text is read as if it began with a space."""

    needs: ClassVar[tuple[str, ...]] = ()  # every byte is known

    @property
    def files(self) -> tuple[str, ...]:
        """See `TokenizerFormat`."""
        return ("vocab.json", "merges.txt")

    def build(self, folder: Path, tokens: Mapping[str, str], side: Side) -> Tokenizer:
        """See `TokenizerFormat`."""
        vocabulary_file, merges_file = (folder / name for name in self.files)
        vocabulary = read_ids(vocabulary_file)
        merges = _read_merges(merges_file)
        if len(set(vocabulary.values())) < len(vocabulary):  # the library would drop one of the tokens
            raise CheckpointError(f"{vocabulary_file}: gives one id to several tokens. Fetch it again.")
        with library_errors(f"{merges_file}: does not fit {vocabulary_file.name}", "Fetch both again."):
            return self._around(models.BPE(vocabulary, merges, fuse_unk=False))

    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """See `LearnableFormat`."""
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
        """See `TokenizerFormat`."""
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


def _read_merges(file: Path) -> list[tuple[str, str]]:
    """Two pieces per line, after a first line with the version."""
    merges = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        one, _, other = line.rstrip("\r").partition(" ")
        if not one or not other or " " in other:
            raise CheckpointError(f"{file}, line {number}: is not two pieces with a space between. Fetch it again.")
        merges.append((one, other))
    return merges
