"""Random models of `transformers`, family by family, and the same weights in Headway, with the same texts."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.lengths import Batch, draw_batch
from headway.checkpoints.load import load_classifier, load_language_model
from headway.models.classifier import Classifier
from headway.models.language_model import LanguageModel
from headway.models.shift import shift_right
from headway.nn.packing import Packing

__all__ = ["FAMILIES", "VOCABULARY", "Ours", "Pair", "Theirs", "draw_pair", "draw_texts"]

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

VOCABULARY, WIDTH, INNER, LAYERS, HEADS = 8_000, 256, 1_024, 4, 8

_ENCODER: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
}
_SEQ2SEQ: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "encoder_ffn_dim": INNER,
    "decoder_ffn_dim": INNER,
    "encoder_layers": LAYERS,
    "decoder_layers": LAYERS,
    "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS,
}

FAMILIES: dict[str, Callable[[], Any]] = {
    "BERT": lambda: transformers.BertForSequenceClassification(transformers.BertConfig(**_ENCODER)),
    "RoBERTa": lambda: transformers.RobertaForSequenceClassification(
        transformers.RobertaConfig(**_ENCODER, max_position_embeddings=514)
    ),
    "DistilBERT": lambda: transformers.DistilBertForSequenceClassification(
        transformers.DistilBertConfig(
            vocab_size=VOCABULARY, dim=WIDTH, hidden_dim=INNER, n_layers=LAYERS, n_heads=HEADS
        )
    ),
    "ELECTRA": lambda: transformers.ElectraForSequenceClassification(transformers.ElectraConfig(**_ENCODER)),
    "ALBERT": lambda: transformers.AlbertForSequenceClassification(transformers.AlbertConfig(**_ENCODER)),
    "ModernBERT": lambda: transformers.ModernBertForSequenceClassification(
        transformers.ModernBertConfig(**_ENCODER, pad_token_id=0, cls_token_id=1, sep_token_id=2)
    ),
    "GPT-2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS)
    ),
    "T5": lambda: transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=VOCABULARY,
            d_model=WIDTH,
            d_ff=INNER,
            num_layers=LAYERS,
            num_heads=HEADS,
            d_kv=WIDTH // HEADS,
            decoder_start_token_id=0,
        )
    ),
    "BART": lambda: transformers.BartForConditionalGeneration(transformers.BartConfig(**_SEQ2SEQ)),
    "Marian": lambda: transformers.MarianMTModel(
        transformers.MarianConfig(**_SEQ2SEQ, pad_token_id=0, decoder_start_token_id=0)
    ),
}
"""A name, and a random model of `transformers`."""


FIRST_ID = 10
"""No special id is among the texts."""


def draw_texts(like: str, count: int) -> tuple[Batch, Batch]:
    """`count` sources and as many targets, each sorted by length."""
    batches = (sorted(draw_batch(like, count, VOCABULARY - FIRST_ID, seed), key=len) for seed in (1, 2))
    sources, targets = ([[token + FIRST_ID for token in text] for text in batch] for batch in batches)
    return sources, targets


@dataclass
class Ours:
    """Headway's model and its texts, packed."""

    model: Classifier | LanguageModel
    sources: tuple[Tensor, Packing]
    targets: tuple[Tensor, Packing]

    def logits(self) -> Tensor:
        """*Shape:* (texts, labels), or (tokens written or read, vocabulary)."""
        if isinstance(self.model, Classifier):
            return self.model(*self.sources)
        if self.model.encoder is None:
            return self.model.decode(*self.sources)
        memory = self.model.encode(*self.sources)
        return self.model.decode(self._shifted(), self.targets[1], memory)

    def loss(self) -> Tensor:
        """Of any answers, for its gradient."""
        if isinstance(self.model, Classifier):
            ids, packing = self.sources
            answers = ids.new_zeros(len(packing))
        else:
            answers = self.sources[0].roll(-1) if self.model.encoder is None else self.targets[0]
        return cross_entropy(self.logits(), answers)

    def _shifted(self) -> Tensor:
        assert isinstance(self.model, LanguageModel)
        return shift_right(*self.targets, self.model.architecture.start_id or 0)


@dataclass
class Theirs:
    """The model of `transformers` and its texts, padded to the longest."""

    model: Any
    sources: dict[str, Tensor]
    targets: dict[str, Tensor]

    def logits(self) -> Tensor:
        """As ours: without what is padding."""
        inputs, mask = dict(self.sources), self.sources["attention_mask"]
        if not hasattr(self.model, "lm_head"):
            return self.model(**inputs).logits  # type: ignore[no-any-return]
        if self.model.config.is_encoder_decoder:
            inputs["labels"], mask = self.targets["input_ids"], self.targets["attention_mask"]
        return self.model(**inputs, use_cache=False).logits[mask.bool()]  # type: ignore[no-any-return]

    def loss(self) -> Tensor:
        """As ours."""
        inputs = dict(self.sources)
        if not hasattr(self.model, "lm_head"):
            labels = inputs["input_ids"].new_zeros(len(inputs["input_ids"]))
            return self.model(**inputs, labels=labels).loss  # type: ignore[no-any-return]
        answers = self.targets if self.model.config.is_encoder_decoder else self.sources
        labels = answers["input_ids"].masked_fill(answers["attention_mask"] == 0, -100)
        return self.model(**inputs, labels=labels, use_cache=False).loss  # type: ignore[no-any-return]


@dataclass
class Pair:
    """The same weights and texts twice."""

    ours: Ours
    theirs: Theirs


def draw_pair(family: str, sources: Batch, targets: Batch, device: str = "cpu") -> Pair:
    """A random model of `family`, written by `transformers` and read by both, in float32 on `device`."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        drawn = FAMILIES[family]()
        drawn.save_pretrained(folder)
        theirs = type(drawn).from_pretrained(folder, attn_implementation="sdpa").to(device)
        load: Callable[[Path], Any] = load_language_model if hasattr(theirs, "lm_head") else load_classifier
        ours = load(Path(folder)).model.to(device)
    return Pair(
        Ours(ours, _packed(sources, device), _packed(targets, device)),
        Theirs(theirs, _padded(sources, device), _padded(targets, device)),
    )


def _packed(batch: Batch, device: str) -> tuple[Tensor, Packing]:
    ids = torch.tensor([token for text in batch for token in text], device=device)
    return ids, Packing(map(len, batch), device)


def _padded(batch: Batch, device: str) -> dict[str, Tensor]:
    ids = torch.zeros(len(batch), max(map(len, batch)), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(batch):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
