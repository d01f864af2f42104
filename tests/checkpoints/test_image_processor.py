"""The pixels of `transformers`' processors that resize with Pillow, from every form of the settings, and back."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, BlipImageProcessorPil, DeiTImageProcessorPil, ViTImageProcessorPil

from headway.checkpoints.family import all_families
from headway.checkpoints.preprocessor_config import load_image_processor, save_image_processor
from headway.errors import CheckpointError, DataError
from headway.images.processor import ImageProcessor

TOLERANCE = 1e-3
"""Largest difference of one number; they are about ±3, and seen so far are equal bit by bit."""

CLASSES = {"ViT": ViTImageProcessorPil, "DeiT": DeiTImageProcessorPil, "Blip": BlipImageProcessorPil}
SHAPES = [(1, 1), (3, 2), (1, 90), (90, 1), (301, 7), (6, 223), (37, 53), (48, 48), (64, 31), (150, 149)]
"""Widths and heights."""
MODES = ["RGB", "RGBA", "L", "LA", "P", "PA", "1", "CMYK", "YCbCr", "HSV", "LAB", "RGBX"]


def drawn(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Noise: every pixel that is taken from the wrong place shows."""
    noise = np.random.default_rng([width, height, seed]).integers(0, 256, (height, width, 4), dtype=np.uint8)
    image = Image.fromarray(noise, "RGBA")
    if mode == "PA":
        return image.convert("P").convert("PA")
    return image if mode == "RGBA" else image.convert("RGB" if mode in ("HSV", "LAB", "YCbCr") else mode).convert(mode)


def write(folder: Path, name: str = "preprocessor_config.json", **settings: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(settings))
    return folder


def theirs(oracle: Any, image: Image.Image) -> torch.Tensor:
    return oracle(image, return_tensors="pt")["pixel_values"]


def assert_same(ours: ImageProcessor, oracle: Any, image: Image.Image) -> None:
    expected, actual = theirs(oracle, image), ours([image])
    assert actual.dtype == torch.float32
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, expected.float(), rtol=0, atol=TOLERANCE)


def random_settings(draw: random.Random) -> dict[str, Any]:
    """Some of the keys that a file may have, in all the forms that files have them in."""

    def side() -> int:
        return draw.choice([1, 2, 7, 16, 31, 48, 97])

    settings = {
        "do_resize": draw.random() < 0.8,
        "size": draw.choice(
            [
                side(),
                [side(), side()],
                {"height": side(), "width": side()},
                {"shortest_edge": side()},
                {"shortest_edge": side(), "longest_edge": draw.choice([31, 60, 300])},
            ]
        ),
        "default_to_square": draw.random() < 0.5,
        "resample": draw.randrange(6),
        "do_center_crop": draw.random() < 0.5,
        "crop_size": draw.choice([side(), {"height": side(), "width": side()}]),
        "do_rescale": draw.random() < 0.8,
        "rescale_factor": draw.choice([1 / 255, 1 / 127.5, 0.5]),
        "do_normalize": draw.random() < 0.8,
        "image_mean": draw.choice([0.5, [0.485, 0.456, 0.406], [0, 1, 2], [-0.1, 127.3, 0.0]]),
        "image_std": draw.choice([0.5, [0.229, 0.224, 0.225], [1, 2, 3]]),
        "do_convert_rgb": draw.random() < 0.5,
    }
    kept = {key: value for key, value in settings.items() if draw.random() < 0.8}
    # Where a step needs it, no class has a default for it.
    return kept | {"crop_size": settings["crop_size"]}


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", CLASSES)
def test_pixels_are_those_of_transformers(kind: str, seed: int, tmp_path: Path) -> None:
    settings = random_settings(random.Random(f"{kind} {seed}"))
    folder = write(tmp_path, image_processor_type=f"{kind}ImageProcessor", **settings)
    ours, oracle = load_image_processor(folder), CLASSES[kind].from_pretrained(folder)
    for width, height in SHAPES:
        image = drawn(width, height, seed=seed)
        try:
            expected = theirs(oracle, image)
        except ValueError:
            with pytest.raises(DataError, match="too narrow"):
                ours([image])
        else:
            assert ours.output_size in (None, tuple(expected.shape[2:]))
            assert_same(ours, oracle, image)


@pytest.mark.parametrize("kind", CLASSES)
def test_keys_that_a_file_leaves_out_are_what_transformers_takes(kind: str, tmp_path: Path) -> None:
    folder = write(tmp_path, image_processor_type=f"{kind}ImageProcessor")
    for width, height in [(500, 40), (31, 260), (1, 1), (400, 400)]:
        assert_same(load_image_processor(folder), CLASSES[kind](), drawn(width, height))


def test_every_family_that_looks_at_images_is_compared() -> None:
    families = all_families().items()
    assert {family.model_types[name] for name, family in families if family.image_processor} == set(CLASSES)


@pytest.mark.parametrize("mode", MODES)
def test_images_of_every_mode(mode: str, tmp_path: Path) -> None:
    """BLIP's class converts them all; the others fail on most, or would take palette numbers for colours."""
    ours = load_image_processor(write(tmp_path, image_processor_type="BlipImageProcessor", size=20))
    for width, height in SHAPES:
        assert_same(ours, BlipImageProcessorPil(size=20), drawn(width, height, mode))
    plain = load_image_processor(
        write(tmp_path, image_processor_type="BlipImageProcessor", size=20, do_convert_rgb=False)
    )
    image = drawn(37, 53, mode)
    torch.testing.assert_close(plain([image]), ours([image]), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("mode", "transparency"), [("RGB", (1, 2, 3)), ("L", 7), ("1", 255), ("P", 3), ("P", bytes(range(256)))]
)
@pytest.mark.parametrize("kind", CLASSES)
def test_a_colour_that_stands_for_transparent(kind: str, mode: str, transparency: Any, tmp_path: Path) -> None:
    image = drawn(40, 30).quantize(16).convert("P" if mode == "P" else "RGB").convert(mode)
    image.putpixel((5, 5), transparency if isinstance(transparency, int | tuple) else 0)
    image.info["transparency"] = transparency
    ours = load_image_processor(write(tmp_path, image_processor_type=f"{kind}ImageProcessor", size=30, resample=0))
    oracle = CLASSES[kind](size=30, resample=0, do_convert_rgb=True if kind == "Blip" or mode != "RGB" else None)
    assert_same(ours, oracle, image)


def test_images_of_one_size_go_together(tmp_path: Path) -> None:
    ours = load_image_processor(write(tmp_path, image_processor_type="ViTImageProcessor", size=24))
    images = [drawn(width, height) for width, height in SHAPES]
    torch.testing.assert_close(ours(images), torch.cat([ours([image]) for image in images]), rtol=0, atol=0)
    ours = load_image_processor(write(tmp_path, image_processor_type="ViTImageProcessor", size={"shortest_edge": 24}))
    with pytest.raises(DataError, match=r"becomes 24 × 36 pixels and another one 27 × 24"):
        ours([drawn(9, 8), drawn(20, 30)])
    with pytest.raises(ValueError, match="no images"):
        ours([])


# --- the files ----------------------------------------------------------------------------------------------------


OLD_VIT = {
    "do_normalize": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "size": 224,
}
OLD_DEIT = OLD_VIT | {"crop_size": 224, "do_center_crop": True, "resample": 3, "size": 256}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("ViT", OLD_VIT | {"feature_extractor_type": "ViTFeatureExtractor"}),
        ("ViT", OLD_VIT | {"image_processor_type": "ViTFeatureExtractor"}),
        ("ViT", OLD_VIT | {"image_processor_type": "ViTImageProcessorFast", "processor_class": "TrOCRProcessor"}),
        ("DeiT", OLD_DEIT | {"feature_extractor_type": "DeiTFeatureExtractor"}),
        ("DeiT", OLD_DEIT | {"image_processor_type": "DeiTImageProcessor", "do_pad": False, "device": None}),
        ("Blip", {"image_processor_type": "BlipImageProcessorPil", "data_format": "channels_first"}),
    ],
)
def test_files_as_they_were_and_are(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    known = {key: value for key, value in settings.items() if not key.endswith(("_type", "_class"))}
    ours = load_image_processor(write(tmp_path, **settings))
    assert ours.kind == f"{kind}ImageProcessor"
    for width, height in [(640, 480), (30, 500)]:
        assert_same(ours, CLASSES[kind](**known), drawn(width, height))


@pytest.mark.parametrize("key", ["do_resize", "do_center_crop", "do_rescale", "do_normalize", "default_to_square"])
def test_null_switches_off_what_is_on_when_left_out(key: str, tmp_path: Path) -> None:
    folder = write(tmp_path, image_processor_type="DeiTImageProcessor", size=40, **{key: None})
    assert_same(load_image_processor(folder), DeiTImageProcessorPil.from_pretrained(folder), drawn(70, 300))


@pytest.mark.parametrize("model_type", ["vit", "deit", "blip"])
def test_without_a_type_the_model_decides(model_type: str, tmp_path: Path) -> None:
    write(tmp_path, "config.json", model_type=model_type)
    ours, oracle = load_image_processor(write(tmp_path)), AutoImageProcessor.from_pretrained(tmp_path)
    assert_same(ours, oracle, drawn(70, 60))


def test_newer_folders_keep_it_in_processor_config(tmp_path: Path) -> None:
    write(tmp_path, image_processor_type="ViTImageProcessor", size=10)
    write(tmp_path, "processor_config.json", processor_class="BlipProcessor")
    assert load_image_processor(tmp_path).output_size == (10, 10)
    newer = {"image_processor_type": "BlipImageProcessor", "size": {"height": 20, "width": 20}}
    write(tmp_path, "processor_config.json", processor_class="BlipProcessor", image_processor=newer)
    assert_same(load_image_processor(tmp_path), AutoImageProcessor.from_pretrained(tmp_path), drawn(33, 44))
    assert load_image_processor(tmp_path).output_size == (20, 20)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", CLASSES)
def test_saved_settings_open_in_transformers(kind: str, seed: int, tmp_path: Path) -> None:
    settings = random_settings(random.Random(f"{kind} {seed}"))
    folder = write(tmp_path / "source", image_processor_type=f"{kind}ImageProcessor", **settings)
    ours = load_image_processor(folder)
    saved = tmp_path / "saved"
    save_image_processor(saved, ours)
    assert load_image_processor(saved) == ours
    oracle = AutoImageProcessor.from_pretrained(saved)
    assert type(oracle) is CLASSES[kind]
    for width, height in [(37, 53), (64, 31)]:
        assert_same(ours, oracle, drawn(width, height))


@pytest.mark.parametrize("kind", CLASSES)
def test_models_that_see_one_channel(kind: str, tmp_path: Path) -> None:
    """The format says it by lists of one number, and `transformers` makes the same of grey images."""
    ours = ImageProcessor(
        kind=f"{kind}ImageProcessor", resize=(30, 40), mean=(0.286,), std=(0.353,), convert_rgb=False, channels=1
    )
    save_image_processor(tmp_path, ours)
    assert load_image_processor(tmp_path) == load_image_processor(tmp_path, num_channels=1) == ours
    oracle = AutoImageProcessor.from_pretrained(tmp_path)
    for width, height in SHAPES[2:]:
        assert_same(ours, oracle, drawn(width, height, "L"))
    assert torch.equal(ours([drawn(9, 9, "L").convert("RGB")]), ours([drawn(9, 9, "L")]))
    with pytest.raises(CheckpointError, match=r'"image_mean" is \[0.286\], but should be a number, or a list of 3'):
        load_image_processor(tmp_path, num_channels=3)


def test_what_is_saved_for_one_channel_does_not_ask_for_three(tmp_path: Path) -> None:
    ours = ImageProcessor(kind="ViTImageProcessor", resize=(8, 8), mean=(0.5,), std=(0.5,), channels=1)
    save_image_processor(tmp_path, ours)
    assert_same(ours, AutoImageProcessor.from_pretrained(tmp_path), drawn(9, 9, "L"))


def test_models_that_see_what_images_do_not_have(tmp_path: Path) -> None:
    folder = write(tmp_path, image_processor_type="ViTImageProcessor")
    with pytest.raises(CheckpointError, match="the model reads images of 4 channels, but"):
        load_image_processor(folder, num_channels=4)
    assert load_image_processor(folder, num_channels=1).mean == (0.5,)


def test_saving_over_a_newer_folder_is_seen(tmp_path: Path) -> None:
    """What `processor_config.json` says comes first, so that an older statement there must not remain."""
    write(tmp_path, "processor_config.json", processor_class="BlipProcessor", image_processor={"size": 10})
    ours = load_image_processor(write(tmp_path / "source", image_processor_type="BlipImageProcessor", size=31))
    save_image_processor(tmp_path, ours)
    assert load_image_processor(tmp_path) == ours
    assert_same(ours, AutoImageProcessor.from_pretrained(tmp_path), drawn(20, 20))
    assert json.loads((tmp_path / "processor_config.json").read_text())["processor_class"] == "BlipProcessor"


# --- what is wrong ------------------------------------------------------------------------------------------------


def test_no_settings(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no preprocessor_config.json.*Copy it from the model"):
        load_image_processor(tmp_path)


def test_settings_for_another_model(tmp_path: Path) -> None:
    folder = write(tmp_path, image_processor_type="DeiTImageProcessor")
    assert load_image_processor(folder, image_size=224).output_size == (224, 224)
    with pytest.raises(CheckpointError, match="makes images of 224 × 224 pixels, but the model reads 384 × 384"):
        load_image_processor(folder, image_size=384)
    folder = write(tmp_path, image_processor_type="ViTImageProcessor", size={"shortest_edge": 7})
    assert load_image_processor(folder, image_size=384).output_size is None


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"size": "224"}, '"size" is "224", but should be a whole number'),
        ({"size": True}, '"size" is true'),
        ({"size": 224.0}, '"size" is 224.0'),
        ({"size": 0}, '"size" is 0'),
        ({"size": 10**9}, '"size" is 1000000000, but should be a whole number from 1 to 8,192'),
        ({"size": [1, 2, 3]}, '"size" is [1, 2, 3]'),
        ({"size": {"height": -1, "width": 10**9}}, '"size.height" is -1'),
        ({"size": {"height": -1, "width": 10**9}}, '"size.width" is 1000000000'),
        ({"size": {"shortest_edge": "a"}}, '"size.shortest_edge" is "a"'),
        ({"size": {"height": 224}}, '"size" has "height", but should have "height" and "width", or "shortest_edge"'),
        ({"size": {"longest_edge": 224}}, '"size" has "longest_edge"'),
        ({"size": {"height": 3, "width": 3, "shortest_edge": 3}}, '"size" has "height", "width", "shortest_edge"'),
        ({"size": {}}, '"size" has nothing'),
        ({"do_center_crop": True}, '"crop_size" is missing'),
        ({"do_center_crop": True, "crop_size": {"shortest_edge": 3}}, '"crop_size" has a "shortest_edge"'),
        ({"do_center_crop": True, "crop_size": 10**9}, '"crop_size" is 1000000000'),
        ({"resample": 6}, '"resample" is 6, but should be a whole number from 0 to 5'),
        ({"resample": "bicubic"}, '"resample" is "bicubic"'),
        ({"do_resize": "yes"}, '"do_resize" is "yes", but should be true or false'),
        ({"do_normalize": 1}, '"do_normalize" is 1'),
        ({"rescale_factor": "1/255"}, '"rescale_factor" is "1/255"'),
        ({"rescale_factor": 0}, '"rescale_factor" is 0'),
        ({"rescale_factor": 10**400}, '"rescale_factor" is 1000'),
        ({"rescale_factor": 1e300}, "numbers that overflow"),
        ({"image_mean": [0.5, 0.5]}, '"image_mean" is [0.5, 0.5], but should be a number, or a list of 3'),
        ({"image_mean": [0.5, "0.5", 0.5]}, '"image_mean" is [0.5, "0.5", 0.5]'),
        ({"image_mean": math.nan}, '"image_mean" is NaN'),
        ({"image_mean": [0.5, 0.5, math.inf]}, '"image_mean" is [0.5, 0.5, Infinity]'),
        ({"image_std": 0}, '"image_std" is 0, but should be a number above 0, or a list of 3'),
        ({"image_std": [0.5, 0, 0.5]}, '"image_std" is [0.5, 0, 0.5]'),
        ({"image_std": [0.5, -0.5, 0.5]}, '"image_std" is [0.5, -0.5, 0.5]'),
        ({"image_std": 1e-320}, "numbers that overflow"),
        ({"image_std": 1e308}, "numbers that overflow"),
        ({"do_pad": True, "pad_size": {"height": 9, "width": 9}}, '"do_pad" is true'),
        ({"do_thumbnail": True}, '"do_thumbnail" is true: that way of preparing images is not supported'),
        ({"crop_pct": 0.875}, '"crop_pct" is 0.875'),
        ({"auto_map": {"AutoImageProcessor": "own.Processor"}}, '"auto_map" is'),
        (
            {"image_processor_type": "CLIPImageProcessor"},
            '"CLIPImageProcessor", but should be one of BlipImageProcessor',
        ),
        ({"image_processor_type": ["ViT"]}, '"image_processor_type" is ["ViT"]'),
        ({"image_processor_type": None}, '"image_processor_type" is null'),
    ],
)
def test_wrong_values_are_refused(settings: dict[str, Any], problem: str, tmp_path: Path) -> None:
    folder = write(tmp_path, **({"image_processor_type": "ViTImageProcessor"} | settings))
    with pytest.raises(CheckpointError) as caught:
        load_image_processor(folder)
    message = str(caught.value)
    assert str(folder / "preprocessor_config.json") in message
    assert problem in message


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    wrong = {
        "image_processor_type": "X",
        "size": "a",
        "resample": -1,
        "image_std": 0,
        "image_mean": "b",
        "do_pad": True,
    }
    with pytest.raises(CheckpointError, match="6 problems") as caught:
        load_image_processor(write(tmp_path, **wrong))
    assert all(f'"{key}"' in str(caught.value) for key in wrong)


@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json"])
@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-9], lambda data: b"[]", lambda data: b"\xff\xfe" + data]
)
def test_damaged_files(name: str, damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    settings = {"image_processor_type": "ViTImageProcessor", "size": 10}
    write(tmp_path, name, **settings, image_processor=settings)
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    with pytest.raises(CheckpointError, match=f"{name}.*fetch the file again"):
        load_image_processor(tmp_path)


def test_a_part_that_is_no_object(tmp_path: Path) -> None:
    write(tmp_path, "processor_config.json", image_processor="ViTImageProcessor")
    with pytest.raises(CheckpointError, match=r'processor_config.json: "image_processor" is not an object'):
        load_image_processor(tmp_path)
