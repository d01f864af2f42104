"""Image classification: a label, or several, for an image."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from headway.batching.batch import Batch, Encoded
from headway.batching.prefetch import map_ahead
from headway.checkpoints.load import LoadedClassifier, classifier_architecture, empty_classifier
from headway.checkpoints.preprocessor_config import load_image_processor
from headway.checkpoints.scratch import new_image_architecture, new_image_classifier, new_image_processor
from headway.errors import DataError
from headway.evaluation.label_baselines import linear_baseline
from headway.evaluation.label_details import Shown
from headway.evaluation.record import Record
from headway.evaluation.report import TaskPage
from headway.examples.examples import Example, Examples
from headway.examples.fields import Field, looks_like_images
from headway.images.augmentation import Augmentation
from headway.images.decoding import image_name, open_image
from headway.images.pixel_cache import PixelCache
from headway.images.processor import ImageProcessor
from headway.images.reader import ImageReader, NamedImage
from headway.images.sheet import thumbnail_uri
from headway.models.config import ModelConfig
from headway.nn.packing import Packing
from headway.settings import AugmentationSettings, Settings
from headway.sources.bad_rows import BadRow
from headway.tasks.encoding import num_workers
from headway.tasks.label_task import LABEL_FIELD, LabelModel, LabelSpec, LabelTask
from headway.tasks.task import BaselineAnswers, Match, ModelSource
from headway.training.optimizer import freeze

__all__ = ["ImageClassification", "ImageClassifier"]

_BASELINE_SIDE = 32
"""Logistic regression on pixels sees images of this size."""
_UNKNOWN_SIDE = 224
_LEAST_EPOCHS, _IMAGES_SEEN, _MANY_IMAGES = 15, 50_000, 5_000
"""Of new weights. Small images in the tens of thousands are learned in 15 epochs, which two CPU cores manage in 20
minutes."""
_CHUNK = 1000

IMAGE_FIELD = Field(
    name="image",
    kind="image",
    setting="image_column",
    usual_names=(
        ("image",),
        ("image_path", "file_name", "filename", "img", "picture", "photo"),
        ("path", "file", "img_path", "filepath", "image_file", "pixel_values"),
    ),
)


@dataclass(kw_only=True)
class ImageClassifier(LabelModel):
    """A network that gives images labels, and what prepares its images."""

    images: ImageReader

    @property
    def reader(self) -> ImageReader:
        """What reads its images."""
        return self.images

    def remembering(self, remembers: bool) -> "ImageClassifier":
        """The same model, keeping the images that it decodes; or no longer."""
        return replace(self, images=replace(self.images, cache=PixelCache() if remembers else None))

    @property
    def num_tokens(self) -> int:
        """Tokens of one image."""
        config: Any = self.network.architecture
        return int(config.input_stack.patches.num_tokens)


class ImageClassification(LabelTask[ImageClassifier]):
    """See `headway.tasks.task.Task`."""

    name = "image_classification"
    fields = (IMAGE_FIELD, LABEL_FIELD)
    noun = "image"
    model_type = ImageClassifier
    default_model = "scratch:tiny"
    varies = True
    unused_settings = LabelTask.unused_settings | {"max_length", "max_tokens"}

    def recognise_table(self, columns: Mapping[str, Sequence[Any]]) -> Match:
        """Certain with a column of images."""
        return Match.CERTAIN if any(map(looks_like_images, columns.values())) else Match.NO

    def recognise_model(self, config: Mapping[str, Any]) -> Match:
        """Certain for what was saved as a classifier of images."""
        kinds = [str(kind) for kind in config.get("architectures") or ()]
        return Match.CERTAIN if any("ForImageClassification" in kind for kind in kinds) else Match.NO

    def check_model(self, source: ModelSource, settings: Settings) -> None:
        """Refuse what does not classify images, or does not have so many layers."""
        if source.folder is None:
            config = new_image_architecture(source.name, side=224)
        else:
            config = classifier_architecture(source.folder, input="image")
        freeze(empty_classifier(config, num_labels=2), settings.training.freeze_layers)

    def reader(self, source: ModelSource, rows: Examples, settings: Settings) -> ImageReader:
        """What prepares images for a checkpoint, or for a new model of the size that suits most images."""
        if source.folder is None:
            processor = new_image_processor(source.name, _longest_side(rows))
        else:
            processor = _processor(source.folder, classifier_architecture(source.folder, input="image"))
        return ImageReader(processor, augmentation_of(settings.augmentation), PixelCache())

    def damaged(self, reader: ImageReader, chunks: Iterable[Sequence[Example]]) -> Iterator[BadRow | None]:
        """Decode every image once, in threads, and keep its pixels."""

        def found(chunk: Sequence[Example]) -> list[BadRow | None]:
            faults = ((image.name, reader.fault(image)) for image in _named(chunk))
            return [None if fault is None else BadRow(name, fault) for name, fault in faults]

        for faults in map_ahead(found, chunks, workers=num_workers(self)):
            yield from faults

    def preferred(self, source: ModelSource, rows: int) -> dict[str, Any]:
        """New weights need thousands of steps: of few images more epochs, in smaller batches."""
        if source.folder is not None:
            return {}
        epochs = min(100, max(_LEAST_EPOCHS, _IMAGES_SEEN // max(1, rows)))
        return {
            "epochs": float(epochs),
            "batch_size": 64 if rows >= _MANY_IMAGES else 16,
            "learning_rate": 1e-3,
            "schedule": "cosine",
            "weight_decay": 0.05,
            "patience": max(8, epochs // 2),
        }

    def new_network(
        self, name: str, spec: LabelSpec, rows: Examples, settings: Settings
    ) -> tuple[LoadedClassifier, dict[str, Any], str]:
        """New weights for images of the data's size."""
        images: ImageReader = rows.reader
        loaded = new_image_classifier(
            name,
            images.processor,
            label_names=spec.labels.names,
            multi=spec.labels.multi,
            dropouts=settings.training.dropouts,
        )
        parameters = sum(parameter.numel() for parameter in loaded.model.parameters())
        height, width = images.processor.output_size or (0, 0)
        note = (
            f"A new {loaded.family} model with {parameters / 1e6:,.1f} million randomly initialised parameters for "
            f"images of {width} × {height} pixels. A pretrained checkpoint needs far fewer examples."
        )
        return loaded, {"images": images}, note

    def processors(
        self,
        folder: Path,
        config: ModelConfig,
        settings: Settings,
        known: Mapping[str, Any],
        rows: Examples | None = None,
    ) -> dict[str, Any]:
        """The reader of the training rows, which keeps their pixels; for a trained model the folder's own."""
        return {"images": ImageReader(_processor(folder, config)) if rows is None else rows.reader}

    def saved_processors(self, model: ImageClassifier) -> dict[str, Any]:
        """How images are prepared."""
        return {"image_processor": model.images.processor}

    def encode(
        self,
        model: ImageClassifier,
        examples: Sequence[Example],
        *,
        targets: bool,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> list[Encoded]:
        """Pixels, varied where generators are given, and the label."""
        pixels = model.images.pixels(_named(examples), rngs).numpy()
        return [
            Encoded(pixel_values=each, label=example["label"] if targets else None)
            for each, example in zip(pixels, examples, strict=True)
        ]

    def mix(self, model: ImageClassifier, batch: Batch, settings: Settings, rng: np.random.Generator) -> Batch:
        """Mixup and cutmix, where asked for."""
        augmentation = model.images.augmentation
        if augmentation is None or not augmentation.mixes_batches:
            return batch
        assert batch.pixel_values is not None and batch.labels is not None, "a batch to learn from has both"  # noqa: PT018
        mixed = augmentation.mix(batch.pixel_values, batch.labels, rng)
        if batch.labels.ndim == 1:
            targets = mixed.targets(int(model.network.num_labels))  # type: ignore[arg-type]
        else:
            targets = mixed.weight * mixed.labels + (1 - mixed.weight) * mixed.other_labels
        return replace(batch, pixel_values=mixed.pixels, labels=targets)

    def logits(self, model: ImageClassifier, batch: Batch) -> Tensor:
        """One score per label."""
        assert batch.pixel_values is not None, "a batch of images has pixels"
        packing = Packing((model.num_tokens,) * len(batch), batch.pixel_values.device)
        scores: Tensor = model.network(batch.pixel_values, packing)
        return scores

    def baselines(self, train: Examples, scored: Examples, spec: LabelSpec, seed: int) -> Iterable[BaselineAnswers]:
        """The most common answer, and logistic regression on the pixels of small images."""
        yield from super().baselines(train, scored, spec, seed)
        labels = spec.labels
        pixels = linear_baseline(
            _pixels(train, train.reader),
            train.targets(),
            _pixels(scored, scored.reader),
            labels.names,
            name="pixels + logistic regression",
            description=f"fits a linear classifier to the pixels of images of {_BASELINE_SIDE} × {_BASELINE_SIDE}",
            multi=labels.multi,
            seed=seed,
        )
        yield self.as_baseline(pixels, spec)

    def shown(self, example: Example) -> Shown:
        """A thumbnail."""
        image = open_image(example["image"], _called(example))
        return Shown(example.where, image_name(example["image"]), thumbnail_uri(image))

    def page(self, record: Record) -> TaskPage:
        """Classes, confusion, calibration, mistakes as a contact sheet, and how to use the model."""
        from headway.tasks.label_page import LabelUsage, label_task_page  # draws charts, which answering needs not

        usage = LabelUsage("image", "photo.jpg", "photos/", "labelled/", "another camera, light or subject")
        return label_task_page(record, usage)


def augmentation_of(settings: AugmentationSettings) -> Augmentation | None:
    """The augmentation that the settings ask for."""
    wanted = Augmentation(
        crop_scale=(1 - settings.crop, 1.0) if settings.crop else None,
        horizontal_flip=0.5 if settings.flip else 0.0,
        rand_augment_ops=settings.randaugment,
        rand_augment_magnitude=settings.randaugment_magnitude,
        mixup=settings.mixup,
        cutmix=settings.cutmix,
    )
    return wanted if wanted.changes_images or wanted.mixes_batches else None


def _named(examples: Sequence[Example]) -> list[NamedImage]:
    """The images of examples, as messages call them and as a cache knows them."""
    return [NamedImage(one["image"], _called(one), (id(one.table), one.row)) for one in examples]


def _called(example: Example) -> str:
    """What messages call an image: its row, and its path where the row does not say it."""
    image = example["image"]
    if example.table is None:
        return image_name(image)
    if example.table.places.rows_are_files or not isinstance(image, Path):
        return example.where
    return f"{example.where} ({image})"


def _processor(folder: Path, config: ModelConfig) -> ImageProcessor:
    """How the folder prepares images, for the size that its model reads."""
    patches = config.input_stack.patches
    assert patches is not None, "the model reads images"
    return load_image_processor(folder, patches.image_size)


def _longest_side(rows: Examples) -> int:
    """The usual longest side of an image in pixels, by a sample of the data: a model from scratch is made for it."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, 50).astype(np.int64))
    sides = []
    for one in rows.fetch(chosen):
        with suppress(DataError):  # all damaged images are found and named together
            sides.append(max(open_image(one["image"]).size))
    return int(np.median(sides)) if sides else _UNKNOWN_SIDE


def _pixels(rows: Examples, reader: ImageReader) -> NDArray[np.float32]:
    """The pixels of small grey images. *Shape:* (rows, side²)."""
    size = (_BASELINE_SIDE, _BASELINE_SIDE)
    small = (
        np.asarray(Image.fromarray(pixels).convert("L").resize(size), dtype=np.float32).ravel() / 255
        for chunk in rows.chunks(_CHUNK)
        for pixels in reader.kept(_named(chunk))
    )
    return np.stack(list(small))
