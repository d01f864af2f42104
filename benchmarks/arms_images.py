"""Training an image classifier on the same weights: Headway, and `transformers` with its Trainer."""

import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

__all__ = ["draw_vit", "headway_images", "trainer_images"]

ASIDE_IMAGES = 64


def draw_vit(*, output: str, shape: dict[str, int], labels: list[str], seed: int = 0) -> dict[str, Any]:
    """Write a ViT with random weights and its processor to the folder `output`.

    Args:
        output: The model folder.
        shape: Keys of `ViTConfig`.
        labels: Names of the labels, in the order of the scores.
        seed: Decides the weights.
    """
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(seed)
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    size = {"height": shape["image_size"], "width": shape["image_size"]}
    # Whoever finds the folder finds it whole.
    partial = Path(f"{output}.partial")
    ViTForImageClassification(ViTConfig(**shape, **names)).save_pretrained(partial)
    ViTImageProcessor(size=size).save_pretrained(partial)
    partial.rename(output)
    return {"output": output}


def image_files(folder: Path) -> list[tuple[Path, str]]:
    """Every image below class folders, with the name of its class; in an order that mixes the classes."""
    files = sorted(path for path in folder.glob("*/*") if path.is_file())
    order = np.random.default_rng(0).permutation(len(files))
    return [(files[i], files[i].parent.name) for i in order]


def read_array(path: Path) -> NDArray[np.uint8]:
    """*Shape:* (height, width, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


class _Images(torch.utils.data.Dataset[dict[str, Any]]):
    """What users of the Trainer write: an image is opened when it is asked for, and goes through the processor.

    From arrays, pixels were prepared beforehand and only have to be handed over.
    """

    def __init__(self, model: str, folder: Path, decode: bool) -> None:
        from transformers import AutoImageProcessor

        self.processor = AutoImageProcessor.from_pretrained(model)
        names = json.loads((Path(model) / "config.json").read_text(encoding="utf-8"))["label2id"]
        files = image_files(folder)
        self.labels = [names[name] for _, name in files]
        self.paths = [path for path, _ in files]
        self.prepared = None if decode else [self._pixels(Image.fromarray(read_array(path))) for path in self.paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> dict[str, Any]:
        if self.prepared is not None:
            return {"pixel_values": self.prepared[place], "labels": self.labels[place]}
        with Image.open(self.paths[place]) as image:
            return {"pixel_values": self._pixels(image.convert("RGB")), "labels": self.labels[place]}

    def _pixels(self, image: Image.Image) -> torch.Tensor:
        pixels: torch.Tensor = self.processor(image, return_tensors="pt")["pixel_values"][0]
        return pixels


def trainer_images(
    *,
    model: str,
    folder: str,
    decode: bool,
    steps: int,
    warm_steps: int,
    seed: int,
    batch_size: int,
    workers: int = 0,
) -> dict[str, Any]:
    """Take `warm_steps` and then `steps` timed optimizer steps with the Trainer.

    Args:
        model: A model folder.
        folder: Class folders of images.
        decode: Whether images are decoded and prepared while training runs, or lie prepared in memory.
        steps: Steps on the clock.
        warm_steps: Steps before the clock starts.
        seed: Decides the order of the images.
        batch_size: Images per step.
        workers: Processes that prepare images beside training; the Trainer's default is none.

    Returns:
        `rate`, images per second.
    """
    import transformers

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    transformers.logging.set_verbosity_error()
    ends: list[float] = []
    network = transformers.AutoModelForImageClassification.from_pretrained(model)
    with tempfile.TemporaryDirectory() as output:
        settings = transformers.TrainingArguments(
            output_dir=output,
            per_device_train_batch_size=batch_size,
            max_steps=warm_steps + steps,
            dataloader_num_workers=workers,
            remove_unused_columns=False,
            seed=seed,
            use_cpu=True,
            save_strategy="no",
            disable_tqdm=True,
        )
        dataset = _Images(model, Path(folder), decode)
        transformers.Trainer(model=network, args=settings, train_dataset=dataset, callbacks=[Clock()]).train()
    return {"rate": steps * batch_size / (ends[-1] - ends[warm_steps - 1])}


def headway_images(
    *, model: str, folder: str, decode: bool, steps: int, warm_steps: int, seed: int, batch_size: int
) -> dict[str, Any]:
    """Train with the default settings, and read the speed off the record; the arguments are those of `trainer_images`.

    Validation and test are no part of the figure; a few images keep them short.

    Returns:
        `rate`, images per second.
    """
    import headway

    files = image_files(Path(folder))
    rows = [{"image": str(path) if decode else read_array(path), "label": label} for path, label in files]
    with tempfile.TemporaryDirectory() as temporary:
        result = headway.train(
            rows,
            model=model,
            output=Path(temporary) / "run",
            validation=rows[:ASIDE_IMAGES],
            test=rows[:ASIDE_IMAGES],
            task="image_classification",
            batch_size=batch_size,
            epochs=(warm_steps + steps) * batch_size / len(rows),
            seed=seed,
            quiet=True,
        )
        del result
        record = json.loads((Path(temporary) / "run" / "headway" / "record.json").read_text(encoding="utf-8"))
    images, seconds = (sum(column) for column in zip(*_warm_steps(record["curves"], warm_steps), strict=True))
    return {"rate": images / seconds}


def _warm_steps(curves: list[dict[str, float]], warm_steps: int) -> Iterator[tuple[float, float]]:
    """The images (each counts as one token) and the seconds between two neighbouring events, once it is warm."""
    events = [event for event in curves if "tokens_per_second" in event]
    for before, after in itertools.pairwise(events):
        if before["step"] >= warm_steps:
            tokens = after["tokens"] - before["tokens"]
            yield tokens, tokens / after["tokens_per_second"]
