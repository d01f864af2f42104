"""Models and tokenizers that no checkpoint gives."""

import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from headway.checkpoints.load import LoadedClassifier, load_classifier, load_language_model
from headway.checkpoints.preprocessor_config import load_image_processor
from headway.checkpoints.save import save_classifier, save_language_model
from headway.checkpoints.scratch import (
    SIZES,
    new_classifier,
    new_image_classifier,
    new_image_processor,
    new_language_model,
)
from headway.checkpoints.tokenizer_files import learn_tokenizer, load_tokenizer, save_tokenizer
from headway.errors import CheckpointError
from headway.nn.packing import Packing
from headway.tokenizers.tokenizer import Tokenizer


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode([text])[0].input_ids.tolist()


@pytest.mark.parametrize(
    "name", ["BertTokenizer", "RobertaTokenizer", "GPT2Tokenizer", "T5Tokenizer", "AlbertTokenizer"]
)
def test_a_tokenizer_learned_from_texts_opens_in_transformers(
    name: str, tmp_path: Path, review_texts: list[str], odd_texts: list[str]
) -> None:
    from transformers import AutoTokenizer

    ours = learn_tokenizer(name, review_texts, 1500)
    assert 1000 < ours.largest_id < 1500
    save_tokenizer(tmp_path, ours, max_length=512)
    theirs, again = AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(tmp_path)
    assert type(theirs).__name__ == name
    for text in [*review_texts[:300], *odd_texts]:
        assert ids(ours, text) == ids(again, text) == theirs(text, verbose=False)["input_ids"], text
    # Whole words, where they are frequent: it has learned, and not only letters.
    assert len(ids(ours, "the phone is great")) <= 4 + 2
    assert ours.decode([ids(ours, "the phone is great")]) == ["the phone is great"]
    assert learn_tokenizer(name, review_texts, 1500).files() == ours.files()


def test_too_little_text_is_said() -> None:
    with pytest.raises(CheckpointError, match="No vocabulary can be learned from these texts"):
        learn_tokenizer("T5Tokenizer", [], 1500)


@pytest.fixture(scope="module")
def tiny(review_texts: list[str]) -> tuple[LoadedClassifier, Tokenizer]:
    torch.manual_seed(3)
    return new_classifier("scratch:tiny", "text_classification", review_texts, label_names=("bad", "good"), multi=False)


def test_a_new_classifier_is_drawn_by_the_rule(
    tiny: tuple[LoadedClassifier, Tokenizer], review_texts: list[str]
) -> None:
    """Devlin et al. 2019: weights from a normal distribution with deviation 0.02, biases zero, norms the identity."""
    loaded, tokenizer = tiny
    stack = loaded.model.architecture.input_stack
    assert (stack.num_layers, stack.d_model, stack.num_heads, stack.d_ff) == (2, 128, 2, 512)
    assert stack.vocabulary_size == tokenizer.largest_id + 1 <= SIZES["tiny"].vocabulary_size
    for name, weight in loaded.model.state_dict().items():
        kind, bias = name.split(".")[-2], name.endswith("bias")
        if bias or "norm" in kind:
            assert torch.all(weight == (0.0 if bias else 1.0)), name
        else:
            assert weight.std().item() == pytest.approx(0.02, rel=6 / math.sqrt(weight.numel())), name
            assert abs(weight.mean().item()) < 0.02 * 6 / math.sqrt(weight.numel()), name
    torch.manual_seed(3)
    again, _ = new_classifier(
        "scratch:tiny", "text_classification", review_texts, label_names=("bad", "good"), multi=False
    )
    for name, weight in loaded.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], weight), name


def test_a_new_classifier_opens_in_transformers(tiny: tuple[LoadedClassifier, Tokenizer], tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    loaded, tokenizer = tiny
    save_classifier(
        tmp_path, loaded.model, config=loaded.config, label_names=("bad", "good"), multi=False, tokenizer=tokenizer
    )
    theirs, complaints = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(complaints.values())
    text = "a great phone"
    tokens = torch.tensor(ids(tokenizer, text))
    inputs = AutoTokenizer.from_pretrained(tmp_path)(text, return_tensors="pt")
    with torch.no_grad():
        expected = theirs.eval()(**inputs).logits
        actual = load_classifier(tmp_path).model(tokens, Packing([len(tokens)]), torch.zeros_like(tokens))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("task", ["translation", "summarization", "captioning"])
def test_a_new_model_that_writes_opens_in_transformers(task: str, tmp_path: Path, review_texts: list[str]) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, VisionEncoderDecoderModel

    kind = VisionEncoderDecoderModel if task == "captioning" else AutoModelForSeq2SeqLM
    loaded, tokenizer = new_language_model("scratch:tiny", task, review_texts)
    save_language_model(tmp_path, loaded.model, config=loaded.config, tokenizer=tokenizer)
    theirs, complaints = kind.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(complaints.values())
    start = {"captioning": "<|endoftext|>"}.get(task, "</s>")
    assert theirs.config.decoder_start_token_id == tokenizer.id_of(start) == loaded.model.architecture.start_id
    assert AutoTokenizer.from_pretrained(tmp_path)("a good phone")["input_ids"] == ids(tokenizer, "a good phone")
    assert load_language_model(tmp_path).model.architecture == loaded.model.architecture
    assert load_tokenizer(tmp_path).files() == tokenizer.files()


@pytest.mark.parametrize(("side", "shape"), [(28, (28, 7)), (30, (32, 8)), (64, (64, 8)), (65, (224, 16))])
def test_a_new_image_classifier_opens_in_transformers(side: int, shape: tuple[int, int], tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    processor = new_image_processor("scratch:tiny", side)
    loaded = new_image_classifier("scratch:tiny", processor, label_names=("shoe", "shirt"))
    patches = loaded.model.architecture.input_stack.patches
    assert patches is not None
    assert (patches.image_size, patches.patch_size) == shape
    save_classifier(
        tmp_path,
        loaded.model,
        config=loaded.config,
        label_names=loaded.label_names,
        multi=False,
        image_processor=processor,
    )
    theirs, complaints = AutoModelForImageClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(complaints.values())
    pixels = torch.randint(256, (side, side, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    image = Image.fromarray(pixels.numpy())
    again = load_classifier(tmp_path, input="image").model
    with torch.no_grad():
        their_pixels = AutoImageProcessor.from_pretrained(tmp_path, use_fast=False)(image, return_tensors="pt")
        expected = theirs.eval()(**their_pixels).logits
        actual = again(processor([image]), Packing([patches.num_tokens]))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    assert load_image_processor(tmp_path, image_size=patches.image_size) == processor


def test_an_unknown_size_is_refused(review_texts: list[str]) -> None:
    with pytest.raises(CheckpointError, match=r"scratch:smal: unknown size.*Did you mean scratch:small"):
        new_classifier("scratch:smal", "text_classification", review_texts, label_names=("a", "b"), multi=False)
    with pytest.raises(CheckpointError, match=r"scratch:smal: unknown size.*Did you mean scratch:small"):
        new_image_processor("scratch:smal", 28)
