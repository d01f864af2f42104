"""Headway from scratch on Fashion-MNIST in 20 minutes on two cores, beside logistic regression on the pixels.

    python -m benchmarks.fashion_mnist                              # downloads 31 MB once; training, then the baseline
    python -m benchmarks.fashion_mnist --epochs 2 --set learning_rate=0.002

Trains `headway train` on 60,000 images in class folders, tests once on the 10,000 of the test set, and prints the test
accuracy with its 95 % interval, the curve of validation, and the time.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.harness import environment
from headway.files import write_atomically

__all__ = ["logistic_regression", "main", "page", "train"]

MODEL = "scratch:tiny"
MINUTES = 20
WANTED, LEAST = 0.90, 0.88


def train(folder: Path, output: Path, epochs: float | None, assignments: list[str], threads: int) -> dict[str, Any]:
    """Run the command that a user would write.

    Returns:
        `minutes` of the whole command, and the run's `record`.
    """
    command = [sys.executable, "-m", "headway", "train", str(folder / "train"), "--test", str(folder / "test")]
    command += ["--task", "image_classification", "--model", MODEL, "--output", str(output), "--overwrite"]
    command += [] if epochs is None else ["--epochs", str(epochs)]
    for assignment in assignments:
        command += ["--set", assignment]
    start = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": str(threads)}, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    record = json.loads((output / "headway" / "record.json").read_text(encoding="utf-8"))
    return {"minutes": (time.perf_counter() - start) / 60, "record": record}


def logistic_regression(max_rows: int | None = None) -> float:
    """Test accuracy of scikit-learn's logistic regression on pixels between 0 and 1, after at most 100 iterations.

    Args:
        max_rows: The first training rows only; all when none.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    arrays = data.fashion_mnist_arrays()
    rows = {name: (images.reshape(len(images), -1) / 255.0, labels) for name, (images, labels) in arrays.items()}
    images, labels = (part[:max_rows] for part in rows["train"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=100, tol=1e-3).fit(images, labels)
    accuracy: float = model.score(*rows["test"])
    return accuracy


def page(result: dict[str, Any]) -> str:
    """The figures as Markdown, accuracy first."""
    record = result["record"]
    accuracy = record["scores"]["metrics"]["accuracy"]
    value = accuracy["value"]
    judged = "reached" if value >= WANTED else "enough" if value >= LEAST else "**missed**"
    ahead = 100 * (value - result["logistic_regression"])
    lines = [
        f"# Fashion-MNIST from scratch, `{MODEL}`",
        "",
        "| | test accuracy |",
        "|---|---|",
        f"| Headway | **{value:.2%}** ({accuracy['low']:.2%}–{accuracy['high']:.2%}) |",
        f"| logistic regression on pixels | {result['logistic_regression']:.2%} |",
        "",
        f"Wanted: {WANTED:.0%}, at least {LEAST:.0%}: {judged}. {ahead:+.1f} points from logistic regression. "
        f"{result['minutes']:.1f} minutes in all ({MINUTES} allowed).",
        "",
        "| step | epoch | validation loss | validation accuracy |",
        "|---|---|---|---|",
    ]
    for event in record["curves"]:
        if "validation_loss" in event:
            shown = f"{event['accuracy']:.2%}" if "accuracy" in event else ""
            lines.append(f"| {event['step']:,.0f} | {event['epoch']:.1f} | {event['validation_loss']:.3f} | {shown} |")
    lines += ["", *(f"- {key}: {value}" for key, value in result["environment"].items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, measure, and write the figures as JSON and as a page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fashion_mnist", description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=float, help="the settings' own when not given")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any setting of headway train")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder for .json and .md")
    options = parser.parse_args()
    folder = data.fashion_mnist()
    result: dict[str, Any] = {"environment": environment(options.threads)}
    output = options.output / "fashion_mnist"
    result |= train(folder, output, options.epochs, options.set, options.threads)
    result["logistic_regression"] = logistic_regression()
    write_atomically(options.output / "fashion_mnist.json", json.dumps(result, indent=2, ensure_ascii=False))
    write_atomically(options.output / "fashion_mnist.md", page(result))
    print(page(result))


if __name__ == "__main__":
    main()
