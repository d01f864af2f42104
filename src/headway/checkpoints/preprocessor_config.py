"""How a model folder's images are prepared, as an `ImageProcessor`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from headway.checkpoints.config_reader import ConfigReader, checkpoint_error
from headway.checkpoints.family import all_families
from headway.errors import CheckpointError
from headway.files import read_json, write_atomically
from headway.images.processor import MAX_SIDE, ImageProcessor, ShortestEdge

__all__ = ["load_image_processor", "save_image_processor"]

_SETTINGS = "preprocessor_config.json"
_PROCESSOR = "processor_config.json"
_PART = "image_processor"
"""The key of `processor_config.json` under which newer folders keep what older ones have in the other file."""

_SQUARE = "default_to_square"
"""Whether a size that is one number is both sides; otherwise it is the shorter one."""

_STEPS = ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb")
_OTHER_STEPS = ("auto_map", "crop_pct", "offset", "rescale_offset", "size_divisor")
"""Keys of other ways to prepare images. Others begin with "do_" too."""


def load_image_processor(
    folder: Path, image_size: int | None = None, num_channels: int | None = None
) -> ImageProcessor:
    """How a model folder's images are prepared.

    Args:
        folder: A model folder with `preprocessor_config.json`, or with a `processor_config.json` that includes it.
        image_size: Height and width of the images that the model reads, to refuse settings that produce other sizes.
        num_channels: How many channels they have: 3, or 1 for greyscale. None: 1 if "image_mean" is a list of one
            number, which is all that the format says about it; otherwise 3.

    Raises:
        CheckpointError: There are no such settings, or they are damaged, not supported or another model's; all that is
            wrong is listed.
    """
    folder = Path(folder)
    where, config = _read(folder)
    # A switch that is null is off, even where one that is left out would be on.
    off = {key: False for key in (*_STEPS, _SQUARE) if key in config and config[key] is None}
    reader = ConfigReader(config | off)
    kind, defaults = _kind(reader, folder)
    processor = _processor(reader.assuming(**defaults), kind, num_channels)
    size = processor.output_size
    if not reader.problems and not processor.is_finite:
        reader.problems.append("gives numbers that overflow; the file is damaged: fetch it again.")
    if not reader.problems and image_size is not None and size not in (None, (image_size, image_size)):
        reader.problems.append(
            f"makes images of {size[1]} × {size[0]} pixels, but the model reads {image_size} × {image_size}. They "
            "belong to different models: take both from the same one."
        )
    if reader.problems:
        raise checkpoint_error(where, reader.problems)
    return processor


def save_image_processor(folder: Path, processor: ImageProcessor) -> None:
    """Write `preprocessor_config.json`, so that `transformers` computes the same pixels.

    A `processor_config.json` in the folder that has such settings too gets the same ones: it would come first.

    Raises:
        HeadwayError: The disk is full or the folder may not be written.
    """
    settings = {
        "image_processor_type": processor.kind,
        # Converting a greyscale image to three channels would break it for a model that reads one.
        "do_convert_rgb": processor.convert_rgb and processor.channels == 3,
        "do_resize": processor.resize is not None,
        "resample": int(processor.resample),
        "do_center_crop": processor.crop is not None,
        "do_rescale": True,
        "rescale_factor": processor.scale,
        "do_normalize": True,
        "image_mean": list(processor.mean),
        "image_std": list(processor.std),
    }
    if processor.resize is not None:
        settings["size"] = _size_config(processor.resize)
    if processor.crop is not None:
        settings["crop_size"] = _size_config(processor.crop)
    write_atomically(folder / _SETTINGS, _json(settings))
    if (folder / _PROCESSOR).is_file():
        outer = read_json(folder / _PROCESSOR)
        if outer.get(_PART) is not None:
            write_atomically(folder / _PROCESSOR, _json(outer | {_PART: settings}))


def _read(folder: Path) -> tuple[str, dict[str, Any]]:
    """The settings, and the file that holds them. Where a folder has both files, the newer one counts."""
    newer, older = folder / _PROCESSOR, folder / _SETTINGS
    if newer.is_file():
        settings = read_json(newer).get(_PART)
        if isinstance(settings, dict):
            return f'{newer}, "{_PART}"', settings
        if settings is not None:
            raise CheckpointError(f'{newer}: "{_PART}" is not an object; fetch the file again.')
    if older.is_file():
        return str(older), read_json(older)
    raise CheckpointError(
        f"{folder}: no {_SETTINGS}, which says how the model's images are prepared. Copy it from the model that this "
        "one was trained from."
    )


def _kind(reader: ConfigReader, folder: Path) -> tuple[str, Mapping[str, Any]]:
    """The name of the settings' image processor, and its defaults for missing keys."""
    looking = {
        model_type: (f"{family.model_types[model_type]}ImageProcessor", family.image_processor)
        for model_type, family in all_families().items()
        if family.image_processor is not None
    }
    known = dict(looking.values())
    name = reader.config.get("image_processor_type") or reader.config.get("feature_extractor_type")
    if name is None and (folder / "config.json").is_file():
        model_type = read_json(folder / "config.json").get("model_type")
        name = looking[model_type][0] if isinstance(model_type, str) and model_type in looking else None
    # Older and faster versions of a class, which share its settings.
    kind = str(name).replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast").removesuffix("Pil")
    if kind not in known:
        reader.problems.append(
            f'"image_processor_type" is {json.dumps(name)}, but should be one of {", ".join(sorted(known))}: no other '
            "ways of preparing images are known."
        )
        kind = min(known)  # only to see what else is wrong
    return kind, known[kind]


def _channels(reader: ConfigReader, num_channels: int | None) -> int:
    if num_channels is None:
        mean = reader.config.get("image_mean")
        return 1 if isinstance(mean, list) and len(mean) == 1 else 3
    if num_channels not in (1, 3):
        reader.problems.append(
            f"the model reads images of {num_channels:,} channels, but images have 3 (red, green and blue) or "
            "1 (greyscale). Choose another model."
        )
        return 3
    return num_channels


def _processor(reader: ConfigReader, kind: str, num_channels: int | None) -> ImageProcessor:
    for key in reader.config:
        if (key.startswith("do_") and key not in _STEPS) or key in _OTHER_STEPS:
            reader.require(key, False, "that way of preparing images is not supported; choose another model")
    resize = crop = None
    if reader.flag("do_resize", True):
        resize = _size(reader, "size", square=reader.flag(_SQUARE, True))
    if reader.flag("do_center_crop", False):
        crop = _crop(reader)
    channels = _channels(reader, num_channels)
    rescales, normalizes = reader.flag("do_rescale", True), reader.flag("do_normalize", True)
    return ImageProcessor(
        kind=kind,
        resize=resize,
        resample=Image.Resampling(reader.size("resample", Image.Resampling.BILINEAR, least=0, most=5)),
        crop=crop,
        scale=reader.positive("rescale_factor", 1 / 255) if rescales else 1.0,
        mean=reader.numbers("image_mean", 0.5, channels) if normalizes else (0.0,) * channels,
        std=reader.numbers("image_std", 0.5, channels, above=0.0) if normalizes else (1.0,) * channels,
        convert_rgb=reader.flag("do_convert_rgb", False),
        channels=channels,
    )


def _crop(reader: ConfigReader) -> tuple[int, int] | None:
    if not reader.has("crop_size"):
        reader.problems.append('"do_center_crop" is true, but "crop_size" is missing.')
        return None
    size = _size(reader, "crop_size", square=True)
    if isinstance(size, ShortestEdge):
        reader.problems.append('"crop_size" has a "shortest_edge", but should have a "height" and a "width".')
        return None
    return size


def _size(reader: ConfigReader, key: str, *, square: bool) -> tuple[int, int] | ShortestEdge | None:
    """A height and a width, or the shorter side. Older files have one number, which means either, or a list of two."""
    value = reader.config[key]
    if isinstance(value, list) and len(value) == 2:
        value = {"height": value[0], "width": value[1]}
    if not isinstance(value, dict):
        side = reader.size(key, 1, most=MAX_SIDE)
        return (side, side) if square else ShortestEdge(side)
    sides = {name: side for name, side in value.items() if side is not None}
    inner = ConfigReader({f"{key}.{name}": side for name, side in sides.items()})
    inner.problems = reader.problems
    read = {name: inner.size(f"{key}.{name}", 1, most=MAX_SIDE) for name in sides}
    if read.keys() == {"height", "width"}:
        return read["height"], read["width"]
    if read.keys() in ({"shortest_edge"}, {"shortest_edge", "longest_edge"}):
        return ShortestEdge(read["shortest_edge"], read.get("longest_edge"))
    names = ", ".join(f'"{name}"' for name in sides) or "nothing"
    reader.problems.append(f'"{key}" has {names}, but should have "height" and "width", or "shortest_edge".')
    return None


def _size_config(size: tuple[int, int] | ShortestEdge) -> dict[str, int]:
    if isinstance(size, tuple):
        return {"height": size[0], "width": size[1]}
    longest = {} if size.longest is None else {"longest_edge": size.longest}
    return {"shortest_edge": size.shortest} | longest


def _json(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
