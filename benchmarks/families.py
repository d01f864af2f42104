"""Every kind of family beside `transformers` on the same weights: a forward pass and a training step on mixed lengths.

    python -m benchmarks.families [--repeats 7] [--texts IMDB] [--device cuda]

Random models of middling size (width 256, four layers) are written by `transformers` and read by both. A batch is 32
texts with the lengths of film reviews, which `transformers` pads to the longest, with its SDPA attention, and Headway
packs. Both take turns; a ratio compares two neighbours, and the table gives the median and the spread of the ratios.
On a GPU both compute in automatic bfloat16. The batch is the same in all rounds: what is made once per batch (padding,
blocks, masks) is in neither figure.
"""

import argparse
import gc
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from benchmarks.lengths import LENGTHS
from benchmarks.pairs import FAMILIES, draw_pair, draw_texts
from benchmarks.timing import synchronize
from headway.device import autocast, choose_device, choose_precision

__all__ = ["Figures", "main", "measure", "table"]

TEXTS = 32
STEPS = 3
"""Passes in a row, before the other takes its turn."""


@dataclass(frozen=True)
class Figures:
    """How many times as fast Headway is, one ratio per round."""

    family: str
    forward: list[float]
    training: list[float]


def measure(family: str, repeats: int, device: torch.device, texts_like: str = "Rotten Tomatoes") -> Figures:
    """Let both take turns at a forward pass and at a training step."""
    pair = draw_pair(family, *draw_texts(texts_like, TEXTS), device.type)
    sides = {"ours": pair.ours, "theirs": pair.theirs}
    precision = choose_precision("auto", device)

    def forward(name: str) -> None:
        with torch.inference_mode(), autocast(device, precision):
            sides[name].loss()

    def training(name: str) -> None:
        with autocast(device, precision):
            loss = sides[name].loss()
        torch.autograd.backward(loss)
        sides[name].model.zero_grad()

    figures = {}
    for work, trains in ((forward, False), (training, True)):
        for side in sides.values():
            side.model.train(trains)
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(repeats + 1):
            for name in sides:
                synchronize(device)
                started = time.perf_counter()
                for _ in range(STEPS):
                    work(name)
                synchronize(device)
                seconds[name].append(time.perf_counter() - started)
        # The first round warms up.
        figures[work.__name__] = [b / a for a, b in zip(seconds["ours"][1:], seconds["theirs"][1:], strict=True)]
    return Figures(family, figures["forward"], figures["training"])


def table(texts_like: str, repeats: int, device: torch.device) -> Iterator[str]:
    """The table as Markdown, a line as soon as it is measured."""
    lengths = [len(text) for text in draw_texts(texts_like, TEXTS)[0]]
    share = 1 - sum(lengths) / (TEXTS * max(lengths))
    yield f"{TEXTS} texts of {min(lengths)} to {max(lengths)} tokens, {share:.0%} of the padded batch is padding.\n"
    yield "| family | forward | spread | training step | spread |\n|---|---|---|---|---|"
    for family in FAMILIES:
        figures = measure(family, repeats, device, texts_like)
        yield f"| {family} | {_shown(figures.forward)} | {_shown(figures.training)} |"
        gc.collect()


def _shown(ratios: list[float]) -> str:
    return f"**{statistics.median(ratios):.2f} ×** | {min(ratios):.2f}–{max(ratios):.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.families", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--texts", choices=LENGTHS, default="Rotten Tomatoes", help="whose lengths the texts have")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    for line in table(options.texts, options.repeats, choose_device(options.device)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
