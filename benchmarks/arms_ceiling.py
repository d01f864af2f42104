"""How fast a training step could be if it were nothing but the model's matrix multiplications."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch.nn.functional import linear

from benchmarks import data

__all__ = ["matrix_ceiling"]


def matrix_ceiling(*, model: str, file: str, batch_size: int = 32, repeats: int = 7) -> dict[str, Any]:
    """Time the linear layers' multiplications at the model's own shapes and the file's mean tokens per batch.

    A linear layer takes three multiplications in a training step: its output, the gradient of its input, and the
    gradient of its weight. Each is timed alone, as its best of `repeats`, so that this is a ceiling and no estimate.
    Attention itself, norms, embeddings, dropout and the optimizer are taken to be free.

    Returns:
        `rate`: tokens per second if every block computes every row. `rate_first_row`: the same where the last block
        computes queries, output and feed-forward for each text's first row only, which is all that a classifier reads.
    """
    config = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))
    width, inner, blocks = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    tokens = round(_mean_tokens(model, Path(file)) * batch_size)
    projections = [(width, width), (width, inner), (inner, width)]

    fused, separate = _layer(tokens, width, 3 * width, repeats), 3 * _layer(tokens, width, width, repeats)
    block = min(fused, separate) + sum(_layer(tokens, *shape, repeats) for shape in projections)
    last = _layer(tokens, width, 2 * width, repeats)
    last += sum(_layer(batch_size, *shape, repeats) for shape in [(width, width), *projections])

    weights = blocks * (4 * width * width + 2 * width * inner)
    return {
        "rate": tokens / (blocks * block),
        "rate_first_row": tokens / ((blocks - 1) * block + last),
        "tokens_per_step": tokens,
        "gflop_per_second": 6 * weights * tokens / (blocks * block) / 1e9,
    }


def _mean_tokens(model: str, file: Path) -> float:
    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    tokenizer.no_padding()
    texts = [text for text, _ in data.read(file)]
    return sum(len(encoding.ids) for encoding in tokenizer.encode_batch(texts)) / len(texts)


def _layer(rows: int, inputs: int, outputs: int, repeats: int) -> float:
    """Seconds for the three multiplications of a linear layer over `rows` rows."""
    weight, bias = torch.randn(outputs, inputs), torch.randn(outputs)
    value, gradient = torch.randn(rows, inputs), torch.randn(rows, outputs)
    return (
        _best(lambda: linear(value, weight, bias), repeats)
        + _best(lambda: torch.mm(gradient, weight), repeats)
        + _best(lambda: torch.mm(gradient.t(), value), repeats)
    )


def _best(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
