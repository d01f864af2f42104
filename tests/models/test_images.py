"""Families that look at images, against the library that their checkpoints come from."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from headway.checkpoints.family import all_families
from headway.checkpoints.load import LoadedClassifier, load_classifier
from headway.checkpoints.preprocessor_config import load_image_processor
from headway.checkpoints.save import save_classifier
from headway.errors import CheckpointError
from headway.images.processor import ImageProcessor
from headway.nn.packing import Packing

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def oracle(folder: Path):
    """The same folder in `transformers`, and what it says about the weights."""
    import transformers

    kind = getattr(transformers, json.loads((folder / "config.json").read_text())["architectures"][0])
    model, info = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    return model.eval()


def random_images(ours: LoadedClassifier, count: int = 3) -> Tensor:
    patches = ours.model.architecture.input_stack.patches
    shape = (count, patches.num_channels, patches.image_size, patches.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def logits(ours: LoadedClassifier, images: Tensor) -> Tensor:
    return ours.model(images, Packing([ours.model.architecture.input_stack.patches.num_tokens] * len(images)))


def test_images_give_the_same_logits_and_gradients(random_image_folder: Path) -> None:
    theirs, ours = oracle(random_image_folder), load_classifier(random_image_folder, input="image")
    images = random_images(ours)
    expected, actual = theirs(pixel_values=images).logits, logits(ours, images)
    torch.testing.assert_close(actual, expected, **CLOSE)
    with torch.no_grad():
        torch.testing.assert_close(logits(ours, images), expected, **CLOSE)
    for scores in (expected, actual):
        torch.nn.functional.cross_entropy(scores, torch.tensor([0, 1, 0])).backward()
    total = torch.stack([p.grad.norm() for p in theirs.parameters() if p.grad is not None]).norm()
    table = all_families()[ours.family].table(ours.model.architecture)
    stored = {name: parameter.grad for name, parameter in theirs.named_parameters() if parameter.grad is not None}
    current = {table.current_name(name): gradient for name, gradient in stored.items()}
    for name, parameter in ours.model.named_parameters():
        for their_name, gradient in table.views(name, parameter.grad).items():
            error = (gradient - current.pop(their_name)).norm()
            assert error <= 1e-4 * gradient.norm() + 1e-6 * total, their_name
    assert not current


def test_saved_by_us_it_sees_the_same_in_transformers(random_image_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor

    ours = load_classifier(random_image_folder, input="image")
    patches = ours.model.architecture.input_stack.patches
    if patches.num_channels != 3:
        pytest.skip("images are prepared in colour")
    size = (patches.image_size, patches.image_size)
    kind = f"{all_families()[ours.family].model_types[ours.family]}ImageProcessor"
    processor = ImageProcessor(kind=kind, resize=size, mean=(0.5, 0.4, 0.6), std=(0.3, 0.2, 0.5))
    saved = tmp_path / "saved"
    names = [f"label {index}" for index in range(ours.model.num_labels)]
    save_classifier(saved, ours.model, config=ours.config, label_names=names, multi=False, image_processor=processor)
    colours = torch.randint(256, (40, 60, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    image = Image.fromarray(colours.numpy())
    theirs, their_processor = oracle(saved), AutoImageProcessor.from_pretrained(saved, use_fast=False)
    again = load_image_processor(saved, image_size=patches.image_size)
    with torch.no_grad():
        expected = theirs(**their_processor(image, return_tensors="pt")).logits
        torch.testing.assert_close(logits(load_classifier(saved, input="image"), again([image])), expected, **CLOSE)
    assert [theirs.config.id2label[index] for index in range(len(names))] == names


def test_a_model_of_images_is_no_model_of_texts(random_image_folder: Path) -> None:
    with pytest.raises(CheckpointError, match="reads images, not texts"):
        load_classifier(random_image_folder)


def test_images_of_another_size_are_refused(random_image_folder: Path) -> None:
    ours = load_classifier(random_image_folder, input="image")
    with pytest.raises(ValueError, match="but the model reads"):
        logits(ours, random_images(ours)[..., :-1])
