"""Every kind of family beside `transformers` on the same weights: a forward pass and a training step on mixed lengths.

    python -m benchmarks.families [--repeats 7]

Random models of middling size (width 256, four layers) are written by `transformers` and read by both. A batch is 32
texts with the lengths of film reviews, which `transformers` pads to the longest, with its SDPA attention, and Headway
packs. Both take turns; a ratio compares two neighbours, and the table gives the median and the spread of the ratios.
"""

import argparse
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.lengths import Batch, draw_batch
from headway.checkpoints.load import load_classifier, load_language_model
from headway.device import choose_device
from headway.models.classifier import Classifier
from headway.models.language import LanguageModel, shift_right
from headway.nn.packing import Packing

__all__ = ["FAMILIES", "Figures", "main", "measure"]

VOCABULARY, WIDTH, INNER, LAYERS, HEADS, TEXTS = 8_000, 256, 1_024, 4, 8, 32

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

TEXTS_LIKE = "Rotten Tomatoes"
STEPS = 3
"""Passes in a row, before the other takes its turn."""
FIRST_ID = 10
"""No special id is among the texts."""


@dataclass(frozen=True)
class Figures:
    """How many times as fast Headway is, one ratio a round."""

    family: str
    forward: list[float]
    training: list[float]


def _padded(batch: Batch) -> dict[str, Tensor]:
    ids = torch.zeros(len(batch), max(map(len, batch)), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(batch):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _packed(batch: Batch) -> tuple[Tensor, Packing]:
    return torch.tensor([token for text in batch for token in text]), Packing(map(len, batch))


def _their_loss(model: torch.nn.Module, sources: Batch, targets: Batch) -> Callable[[], Tensor]:
    inputs = _padded(sources)
    if not hasattr(model, "lm_head"):
        inputs["labels"] = torch.zeros(len(sources), dtype=torch.int64)
    elif model.config.is_encoder_decoder:
        answers = _padded(targets)
        inputs["labels"] = answers["input_ids"].masked_fill(answers["attention_mask"] == 0, -100)
    else:
        inputs["labels"] = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    return lambda: model(**inputs, use_cache=False).loss if hasattr(model, "lm_head") else model(**inputs).loss


def _our_loss(model: Classifier | LanguageModel, sources: Batch, targets: Batch) -> Callable[[], Tensor]:
    ids, packing = _packed(sources)
    if isinstance(model, Classifier):
        return lambda: cross_entropy(model(ids, packing), torch.zeros(len(sources), dtype=torch.int64))
    if model.encoder is None:
        return lambda: cross_entropy(model.decode(ids, packing), ids.roll(-1))
    answers, answer_packing = _packed(targets)
    start = model.architecture.start_id or 0

    def loss() -> Tensor:
        shifted = shift_right(answers, answer_packing, start)
        return cross_entropy(model.decode(shifted, answer_packing, model.encode(ids, packing)), answers)

    return loss


def measure(family: str, repeats: int) -> Figures:
    """Let both take turns at a forward pass and at a training step."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        FAMILIES[family]().save_pretrained(folder)
        kind = type(FAMILIES[family]())
        theirs = kind.from_pretrained(folder, attn_implementation="sdpa")
        writes = hasattr(theirs, "lm_head")
        ours = load_language_model(Path(folder)).model if writes else load_classifier(Path(folder)).model
    sources = sorted(draw_batch(TEXTS_LIKE, TEXTS, VOCABULARY - FIRST_ID, seed=1), key=len)
    targets = sorted(draw_batch(TEXTS_LIKE, TEXTS, VOCABULARY - FIRST_ID, seed=2), key=len)
    sources, targets = ([[token + FIRST_ID for token in text] for text in batch] for batch in (sources, targets))
    losses = {"ours": _our_loss(ours, sources, targets), "theirs": _their_loss(theirs, sources, targets)}
    models: dict[str, torch.nn.Module] = {"ours": ours, "theirs": theirs}

    def forward(name: str) -> None:
        with torch.inference_mode():
            losses[name]()

    def training(name: str) -> None:
        torch.autograd.backward(losses[name]())
        models[name].zero_grad()

    figures = {}
    for work, trains in ((forward, False), (training, True)):
        for model in models.values():
            model.train(trains)
        seconds: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(repeats + 1):
            for name in models:
                started = time.perf_counter()
                for _ in range(STEPS):
                    work(name)
                seconds[name].append(time.perf_counter() - started)
        # The first round warms up.
        figures[work.__name__] = [b / a for a, b in zip(seconds["ours"][1:], seconds["theirs"][1:], strict=True)]
    return Figures(family, figures["forward"], figures["training"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, a line as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    choose_device("cpu")
    lengths = [len(text) for text in draw_batch(TEXTS_LIKE, TEXTS, VOCABULARY, seed=1)]
    print(f"{TEXTS} texts of {min(lengths)} to {max(lengths)} tokens, ", end="")
    print(f"{1 - sum(lengths) / (TEXTS * max(lengths)):.0%} of the padded batch is padding.\n")
    print("| family | forward | spread | training step | spread |\n|---|---|---|---|---|")
    for family in FAMILIES:
        figures = measure(family, options.repeats)
        print(f"| {family} | {_shown(figures.forward)} | {_shown(figures.training)} |", flush=True)
        gc.collect()


def _shown(ratios: list[float]) -> str:
    return f"**{statistics.median(ratios):.2f} ×** | {min(ratios):.2f}–{max(ratios):.2f}"


if __name__ == "__main__":
    main()
