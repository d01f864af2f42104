"""The GPU's kernels checked against the formula, and timed against `transformers`, in one call.

    python -m benchmarks.gpu --output runs/benchmarks      # on a machine with CUDA: checks, then figures
    python -m benchmarks.gpu --device cpu                  # the same logic on a CPU, with a tiny model

The model is a random BERT of the base shape; its texts are random ids at the lengths of real reviews, so nothing needs
fetching. Exit status 1 if a check fails, or if there is no CUDA.
"""

import argparse
import functools
import gc
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.arm import peak_memory
from benchmarks.gpu_attention import time_attention
from benchmarks.gpu_checks import NUM_LABELS, Check, check_families, packed, run_checks
from benchmarks.harness import environment
from benchmarks.lengths import LENGTHS, Batch, draw_batch
from benchmarks.timing import synchronize
from headway.files import write_atomically
from headway.models.classifier import Classifier
from headway.models.config import ClassificationHeadConfig, ModelConfig, StackConfig
from headway.settings import TrainingSettings
from headway.training.optimizer import Optimizer

__all__ = ["main", "measure"]


PARTS = ("checks", "attention", "figures", "families")

HAS_PEER = importlib.util.find_spec("transformers") is not None
"""Without `transformers`, Headway is checked against the formula alone, and timed alone."""


def _encoder(vocabulary_size: int, d_model: int, d_ff: int, num_layers: int) -> ModelConfig:
    """A classifier with heads of width 64, or two of them where that is less."""
    stack = StackConfig(
        vocabulary_size=vocabulary_size,
        max_positions=512,
        num_token_types=2,
        d_model=d_model,
        d_ff=d_ff,
        num_layers=num_layers,
        num_heads=max(2, d_model // 64),
    )
    return ModelConfig(encoder=stack, head=ClassificationHeadConfig())


SHAPES = {
    "base": _encoder(vocabulary_size=30_522, d_model=768, d_ff=3_072, num_layers=12),
    "tiny": _encoder(vocabulary_size=1_000, d_model=64, d_ff=128, num_layers=2),
}


def _headway(
    architecture: ModelConfig, device: str, attention_dropout: float
) -> tuple[nn.Module, Callable[[Batch], Tensor]]:
    model = Classifier(architecture.with_dropout(attention_dropout=attention_dropout), NUM_LABELS)
    model.init_weights()
    model.to(device)
    return model, lambda batch: model(*packed(batch, device))


def _transformers(
    architecture: ModelConfig, device: str, attention_dropout: float
) -> tuple[nn.Module, Callable[[Batch], Tensor]]:
    """The same shape in `transformers`, its batches padded to their longest text, with PyTorch's fused attention."""
    from transformers import BertConfig, BertForSequenceClassification

    stack = architecture.input_stack
    config = BertConfig(
        vocab_size=stack.vocabulary_size,
        hidden_size=stack.d_model,
        intermediate_size=stack.d_ff,
        num_hidden_layers=stack.num_layers,
        num_attention_heads=stack.num_heads,
        max_position_embeddings=stack.max_positions,
        attention_probs_dropout_prob=attention_dropout,
        num_labels=NUM_LABELS,
        attn_implementation="sdpa",
    )
    model: nn.Module = BertForSequenceClassification(config).to(device)

    def forward(batch: Batch) -> Tensor:
        ids = torch.zeros(len(batch), max(map(len, batch)), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, text in enumerate(batch):
            ids[row, : len(text)] = torch.tensor(text)
            mask[row, : len(text)] = 1
        logits: Tensor = model(
            input_ids=ids.to(device, non_blocking=True), attention_mask=mask.to(device, non_blocking=True)
        ).logits
        return logits

    return model, forward


def time_training(
    model: nn.Module, forward: Callable[[Batch], Tensor], batches: Sequence[Batch], device: str, *, warm: int
) -> dict[str, float]:
    """Optimizer steps in automatic bfloat16, one per batch, of which the first `warm` are not timed."""
    model.train()
    optimizer = Optimizer(model, TrainingSettings(learning_rate=1e-5))  # the same for both

    def step(batch: Batch) -> None:
        targets = torch.arange(len(batch), device=device) % NUM_LABELS
        with torch.autocast(device, torch.bfloat16):
            logits = forward(batch)
        torch.autograd.backward(cross_entropy(logits.float(), targets))
        norm = optimizer.gradient_norm()
        optimizer.step(norm, apply=torch.isfinite(norm))
        optimizer.clear()

    return _timed(step, batches, device, warm)


def time_inference(
    model: nn.Module, forward: Callable[[Batch], Tensor], batches: Sequence[Batch], device: str, *, warm: int
) -> dict[str, float]:
    """Forward passes with bfloat16 weights."""
    model.eval().to(torch.bfloat16)
    with torch.inference_mode():
        return _timed(forward, batches, device, warm)


def _timed(work: Callable[[Batch], object], batches: Sequence[Batch], device: str, warm: int) -> dict[str, float]:
    """Run `work` on each batch; rates count real tokens."""
    for batch in batches[:warm]:
        work(batch)
    synchronize(device)
    start = time.perf_counter()
    for batch in batches[warm:]:
        work(batch)
    synchronize(device)
    seconds = time.perf_counter() - start
    timed = batches[warm:]
    return {
        "steps_per_second": len(timed) / seconds,
        "tokens_per_second": sum(len(text) for batch in timed for text in batch) / seconds,
        "texts_per_second": sum(map(len, timed)) / seconds,
        # The CPU has only the peak of the whole process, all arms together.
        "peak_memory_bytes": torch.cuda.max_memory_allocated() if device == "cuda" else peak_memory(),
    }


Builder = Callable[[], tuple[nn.Module, Callable[[Batch], Tensor]]]


def arms(architecture: ModelConfig, device: str) -> dict[str, Builder]:
    """What is timed side by side. Attention dropout decides which kernels are open, so both come with and without."""
    builders: dict[str, Builder] = {}
    for title, build in (("Headway", _headway), ("transformers, SDPA", _transformers)):
        for probability in (0.0, 0.1):
            name = f"{title}, attention dropout {probability}"
            builders[name] = functools.partial(build, architecture, device, probability)
    return {name: build for name, build in builders.items() if HAS_PEER or name.startswith("Headway")}


def measure(
    architecture: ModelConfig, device: str, *, batch_size: int, steps: int, rounds: int
) -> list[dict[str, Any]]:
    """Time every arm on every kind of text, in turns, `rounds` times."""
    warm = max(1, steps // 5)
    rows = []
    for number in range(rounds):
        for texts in LENGTHS:
            seeds = range(number * 1_000, number * 1_000 + warm + steps)
            batches = [draw_batch(texts, batch_size, architecture.input_stack.vocabulary_size, seed) for seed in seeds]
            for name, build in arms(architecture, device).items():
                for work, timer in (("training", time_training), ("inference", time_inference)):
                    if work == "inference" and name.endswith("0.1"):
                        continue  # Nothing is dropped in inference.
                    _forget(device)
                    torch.manual_seed(number)
                    model, forward = build()
                    figures = timer(model, forward, batches, device, warm=warm)
                    del model, forward
                    rows.append({"round": number, "texts": texts, "work": work, "arm": name, **figures})
                    _say(f"{texts} · {work} · {name} · {figures['tokens_per_second']:,.0f} tokens/s")
    return rows


def _forget(device: str) -> None:
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def table(rows: Iterable[dict[str, Any]]) -> str:
    """The medians of each arm as Markdown."""
    lines = ["| texts | work | arm | steps/s | real tokens/s | peak memory |", "|---|---|---|---|---|---|"]
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["texts"], row["work"], row["arm"]), []).append(row)
    for (texts, work, arm), runs in sorted(groups.items()):
        steps, tokens, memory = (
            statistics.median(run[figure] for run in runs)
            for figure in ("steps_per_second", "tokens_per_second", "peak_memory_bytes")
        )
        lines.append(f"| {texts} | {work} | {arm} | {steps:.1f} | {tokens:,.0f} | {memory / 1e6:,.0f} MB |")
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--shape", choices=SHAPES, help="base on CUDA, tiny on a CPU unless given")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, help="timed steps an arm: 50 on CUDA, 2 on a CPU unless given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts; all, in this order, unless given")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder for gpu.json")
    return parser.parse_args()


def main() -> None:
    """Check, time, and write the figures."""
    options = _options()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: PyTorch sees no CUDA device here; --device cpu runs the same logic on a CPU.")
    on_gpu = options.device == "cuda"
    architecture = SHAPES[options.shape or ("base" if on_gpu else "tiny")]
    steps = options.steps or (50 if on_gpu else 2)
    result: dict[str, Any] = {
        "environment": environment(torch.get_num_threads()),
        "device": torch.cuda.get_device_name() if on_gpu else "CPU",
        "architecture": asdict(architecture),
    }
    parts: dict[str, Callable[[], Any]] = {
        "checks": lambda: _told_checks(_all_checks(architecture, options.device)),
        "attention": lambda: _told(time_attention(options.device, repeats=min(steps, 20))),
        "figures": lambda: measure(
            architecture, options.device, batch_size=options.batch_size, steps=steps, rounds=options.rounds
        ),
        "families": lambda: _told(_families_table(options.device, options.rounds)),
    }
    for name in options.only or parts:
        result[name] = parts[name]()
        # After each part: a run that is cut short leaves what it has.
        write_atomically(options.output / "gpu.json", json.dumps(result, indent=2))
    tables = [
        result.get("attention"),
        result.get("families"),
        table(result["figures"]).splitlines() if "figures" in result else None,
    ]
    print("\n\n".join("\n".join(lines) for lines in tables if lines))
    if not all(check["passed"] for check in result.get("checks", ())):
        sys.exit("error: a kernel is further from the formula than its tolerance.")


def _told_checks(checks: Iterable[Check]) -> list[dict[str, Any]]:
    told = []
    for check in checks:
        verdict = "ok" if check.passed else "FAILED"
        _say(f"{verdict:6} {check.name}: error {check.error:.1e}, tolerance {check.tolerance:.0e}")
        told.append({**asdict(check), "passed": check.passed})
    return told


def _all_checks(architecture: ModelConfig, device: str) -> Iterator[Check]:
    yield from run_checks(architecture, device)
    if HAS_PEER:
        yield from check_families(device, torch.bfloat16)
        yield from check_families(device, torch.float32)


def _families_table(device: str, rounds: int) -> Iterator[str]:
    if HAS_PEER:
        from benchmarks import families

        for texts in LENGTHS if device == "cuda" else ("Rotten Tomatoes",):
            yield from families.table(texts, rounds, torch.device(device))


def _told(lines: Iterable[str]) -> list[str]:
    """All lines, each shown as soon as it is there."""
    told = []
    for line in lines:
        _say(line)
        told.append(line)
    return told


if __name__ == "__main__":
    main()
