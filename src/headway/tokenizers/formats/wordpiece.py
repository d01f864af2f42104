"""WordPiece: a `vocab.txt`, as BERT has it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from headway.errors import library_errors
from headway.tokenizers.formats.base import LearnableFormat, Side, content, in_order, read_text, require_tokens

__all__ = ["WordPieces"]

_ALPHABET = 1000  # maximum number of letters in a learned vocabulary; others are unknown


@dataclass(frozen=True, kw_only=True)
class WordPieces(LearnableFormat):
    """`vocab.txt`: word pieces as in BERT's released code (https://github.com/google-research/bert)."""

    lowercase: bool = True
    strip_accents: bool | None = None
    """As `lowercase` when none."""
    chinese_characters: bool = True
    """Whether each Chinese character is a word."""

    @property
    def files(self) -> tuple[str, ...]:
        """See `TokenizerFormat`."""
        return ("vocab.txt",)

    def build(self, folder: Path, tokens: Mapping[str, str], side: Side) -> Tokenizer:
        """See `TokenizerFormat`."""
        file = folder / self.files[0]
        vocabulary = _read_lines(file)
        require_tokens(file, vocabulary, [tokens["unk_token"]])
        with library_errors(f"{file}: is not a usable vocabulary"):
            return self._around(models.WordPiece(vocabulary, unk_token=tokens["unk_token"]))

    def learn(self, texts: Iterable[str], size: int) -> Tokenizer:
        """See `LearnableFormat`."""
        tokenizer = self._around(models.WordPiece(unk_token=content(self.special["unk_token"])))
        texts = list(texts)
        special = in_order(self.special)
        # The library numbers letters in the order it meets them, which differs between runs, and breaks ties by number.
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
        """See `TokenizerFormat`."""
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


def _letters(tokenizer: Tokenizer, texts: Iterable[str]) -> list[str]:
    """The most frequent characters of normalised texts, in the order of their code points."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    frequent = sorted(
        (letter for letter in counts if not letter.isspace()), key=lambda letter: (-counts[letter], letter)
    )
    return sorted(frequent[:_ALPHABET])


def _read_lines(file: Path) -> dict[str, int]:
    # Only line feeds end a line: some vocabularies hold other separators as tokens.
    lines = read_text(file).split("\n")
    if not lines[-1]:
        lines.pop()
    return {token.removesuffix("\r"): index for index, token in enumerate(lines)}
