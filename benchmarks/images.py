"""Training an image classifier: Headway beside `transformers` with its Trainer, on the same weights, in one run.

    python -m benchmarks.images                        # about 15 minutes on two idle cores
    python -m benchmarks.images --quick --size tiny    # a look, no verdict

The images are Fashion-MNIST's, scaled up to JPEG files of 224 × 224. From arrays, neither side decodes: the Trainer
gets tensors that its processor has prepared beforehand. With decoding, the Trainer's defaults prepare images in the
training process; a second arm has a worker per thread. Neither side augments. The rate is images per second.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.harness import Arm, Comparison, environment, run_arm, run_rounds
from benchmarks.verdicts import Section, markdown, summary
from headway.files import write_atomically

__all__ = ["SHAPES", "main", "sections"]

TITLE = "Training on images: Headway beside the Trainer"
HEADWAY = "Headway"
TRAINER = "Trainer, defaults"
WORKERS = "Trainer, a worker per thread"
PER_CLASS = 100

SHAPES = {
    "tiny": {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768, "num_hidden_layers": 6},
    "small": {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536, "num_hidden_layers": 12},
}
"""Widths as in Touvron et al. 2021, table 1; the first is half as deep."""
PATCHES = {"image_size": 224, "patch_size": 32}


def sections(model: Path, folder: Path, *, threads: int, quick: bool, batch_size: int = 32) -> list[Section]:
    """From arrays, and with JPEG decoding.

    Args:
        model: The weights that both sides start from.
        folder: Class folders of JPEG files.
        threads: CPU threads, and the Trainer's workers where it has some.
        quick: Fewer steps.
        batch_size: Images per step.
    """
    same: dict[str, Any] = {
        "model": str(model),
        "folder": str(folder),
        "steps": 4 if quick else 25,
        "warm_steps": 1 if quick else 3,
        "seed": 1,
        "batch_size": batch_size,
    }
    arrays, files = same | {"decode": False}, same | {"decode": True}
    return [
        Section(
            f"Training from arrays, batches of {batch_size}",
            "images/s",
            (Arm(HEADWAY, "headway_images", arrays), Arm(TRAINER, "trainer_images", arrays)),
            (Comparison(HEADWAY, TRAINER, 1.25),),
        ),
        Section(
            f"Training from JPEG files, batches of {batch_size}",
            "images/s",
            (
                Arm(HEADWAY, "headway_images", files),
                Arm(TRAINER, "trainer_images", files),
                Arm(WORKERS, "trainer_images", files | {"workers": threads}),
            ),
            (Comparison(HEADWAY, TRAINER, 1.5), Comparison(HEADWAY, WORKERS, None)),
        ),
    ]


def drawn(size: str, threads: int) -> Path:
    """The folder of a random model of that size, cached."""
    folder = data.cache_folder() / "models" / f"vit_{size}"
    if not folder.exists():
        arguments = {"output": str(folder), "shape": SHAPES[size] | PATCHES, "labels": list(data.FASHION_NAMES)}
        result = run_arm("draw_vit", arguments, threads)
        if "error" in result:
            sys.exit(f"error: {result['error']}")
    return folder


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--repeats", type=int, help="rounds, 3 unless --quick")
    parser.add_argument("--size", choices=SHAPES, default="tiny", help="the model's")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder for images.json and .md")
    return parser.parse_args()


def main() -> None:
    """Measure, and write the figures as JSON and as a page."""
    options = _options()
    folder = data.fashion_mnist("jpg", size=PATCHES["image_size"], per_class=PER_CLASS) / "train"
    model = drawn(options.size, options.threads)
    rounds = options.repeats or (1 if options.quick else 3)
    result: dict[str, Any] = {"environment": environment(options.threads), "quick": options.quick, "sections": []}
    for section in sections(model, folder, threads=options.threads, quick=options.quick):
        print(section.title, file=sys.stderr)
        figures = run_rounds(section.arms, rounds, options.threads, lambda text: print(text, file=sys.stderr))
        result["sections"].append(summary(section, figures))
        # Written after each section: a long run that is stopped keeps what it has measured.
        write_atomically(options.output / "images.json", json.dumps(result, indent=2, ensure_ascii=False))
        write_atomically(options.output / "images.md", markdown(TITLE, result))
    print(markdown(TITLE, result))


if __name__ == "__main__":
    main()
