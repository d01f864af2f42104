"""One arm of a benchmark in a process of its own: `python -m benchmarks.arm NAME '{"argument": …}'`.

A fresh process means that one arm's memory, allocator and caches never colour another's figures. The last line on
stdout is one JSON object: what the arm measured, with the peak memory of the whole process.
"""

import argparse
import importlib
import json
import resource
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["ARMS", "peak_memory", "run"]

# Where each arm's function is. The modules import heavy peers, so an arm imports its own module alone.
ARMS: dict[str, str] = {
    "trainer": "benchmarks.arms_trainer",
    "fine_tune": "benchmarks.arms_trainer",
    "matrix_ceiling": "benchmarks.arms_ceiling",
    "pipeline": "benchmarks.arms_transformers",
    "sorted_batches": "benchmarks.arms_transformers",
    "export_onnx": "benchmarks.arms_onnx",
    "onnx_runtime": "benchmarks.arms_onnx",
    "export_ctranslate2": "benchmarks.arms_ctranslate2",
    "ctranslate2_encoder": "benchmarks.arms_ctranslate2",
    "export_openvino": "benchmarks.arms_openvino",
    "openvino_runtime": "benchmarks.arms_openvino",
    "draw_vit": "benchmarks.arms_images",
    "trainer_images": "benchmarks.arms_images",
    "headway_images": "benchmarks.arms_images",
    "headway_train": "benchmarks.arms_headway",
    "headway_predict": "benchmarks.arms_headway",
}


def run(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run the arm called `name` in this process and return its figures, `peak_memory_bytes` among them."""
    function: Callable[..., dict[str, Any]] = getattr(importlib.import_module(ARMS[name]), name)
    return {**function(**arguments), "peak_memory_bytes": peak_memory()}


def peak_memory() -> int:
    """The most memory that this process has held at one time, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Run the named arm and print its figures as one JSON line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arm", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=ARMS)
    parser.add_argument("arguments", nargs="?", default="{}", help="the arm's arguments, as JSON")
    options = parser.parse_args()
    print(json.dumps(run(options.name, json.loads(options.arguments))), flush=True)


if __name__ == "__main__":
    main()
