"""Every family against the library that its checkpoints come from, and against itself, packed in any company."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor

from headway.checkpoints.family import all_families
from headway.checkpoints.load import LoadedClassifier, load_classifier
from headway.checkpoints.save import save_classifier
from headway.checkpoints.tokenizer_files import load_tokenizer
from headway.nn.packing import Packing
from headway.tokenizers.fast_tokenizer import FastTokenizer

LOGITS = {"atol": 1e-5, "rtol": 1e-5}
BATCH = {"atol": 1e-6, "rtol": 1e-6}


def oracle(folder: Path):
    """The same folder in `transformers`, and what it says about the weights."""
    from transformers import AutoModelForSequenceClassification

    model, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    return model.eval()


def random_sequences(
    seed: int, vocabulary: int, most: int, types: int, count: int = 7, first: int = 1
) -> list[tuple[Tensor, Tensor]]:
    """Ids from `first` on, and token types; among the lengths are 1 and the maximum.

    Never the padding's id: `transformers` gives that row of the embedding no gradient, and Headway has no padding.
    """
    draw = torch.Generator().manual_seed(seed)
    lengths = [1, most, *torch.randint(1, most + 1, (count - 2,), generator=draw).tolist()]
    random.Random(seed).shuffle(lengths)
    return [
        (torch.randint(first, vocabulary, (length,), generator=draw), torch.randint(types, (length,), generator=draw))
        for length in lengths
    ]


def packed_logits(loaded: LoadedClassifier, sequences: list[tuple[Tensor, Tensor]]) -> Tensor:
    ids, types = (torch.cat(parts) for parts in zip(*sequences, strict=True))
    return loaded.model(ids, Packing([len(ids) for ids, _ in sequences]), types)


def oracle_logits(model: torch.nn.Module, sequences: list[tuple[Tensor, Tensor]]) -> Tensor:
    typed = getattr(model.config, "type_vocab_size", 0) > 0
    return torch.cat(
        [
            model(input_ids=ids[None], **({"token_type_ids": types[None]} if typed else {})).logits
            for ids, types in sequences
        ]
    )


def sequences_for(theirs: torch.nn.Module, ours: LoadedClassifier, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    types = max(1, getattr(theirs.config, "type_vocab_size", 1))
    sequences = random_sequences(
        seed,
        theirs.config.vocab_size,
        ours.model.architecture.input_stack.max_positions,
        types,
        first=theirs.config.pad_token_id + 1,
    )
    if theirs.config.is_encoder_decoder:
        # The oracle reads the last end token and refuses a text without one; it need not be the last token of all.
        for index, (ids, _) in enumerate(sequences):
            ids[-1] = theirs.config.eos_token_id
            if index % 2 and len(ids) > 3:
                ids[-1], ids[-3] = theirs.config.eos_token_id + 1, theirs.config.eos_token_id
    return sequences


def test_a_random_model_gives_the_same_logits_and_gradients(random_folder: Path) -> None:
    theirs, ours = oracle(random_folder), load_classifier(random_folder)
    sequences = sequences_for(theirs, ours)
    expected, actual = oracle_logits(theirs, sequences), packed_logits(ours, sequences)
    torch.testing.assert_close(actual, expected, **LOGITS)

    targets = torch.randint(ours.model.num_labels, (len(sequences),), generator=torch.Generator().manual_seed(0))
    for logits in (expected, actual):
        torch.nn.functional.cross_entropy(logits, targets).backward()
    assert_same_gradients(ours, theirs)


def test_a_random_model_answers_the_same_without_gradients_and_saved(random_folder: Path, tmp_path: Path) -> None:
    theirs, ours = oracle(random_folder), load_classifier(random_folder)
    sequences = sequences_for(theirs, ours, seed=1)
    names = [f"label {index}" for index in range(ours.model.num_labels)]
    tokenizer = FastTokenizer(Tokenizer(WordLevel({"a": 0}, unk_token="a")))
    saved = tmp_path / "ours"
    save_classifier(saved, ours.model, config=ours.config, label_names=names, multi=False, tokenizer=tokenizer)
    with torch.no_grad():
        expected = oracle_logits(theirs, sequences)
        torch.testing.assert_close(packed_logits(ours, sequences), expected, **LOGITS)
        torch.testing.assert_close(oracle_logits(oracle(saved), sequences), expected, **LOGITS)
        # Ten times as wide as real weights, these make ten times as much of a rounding error.
        alone = torch.cat([packed_logits(ours, [sequence]) for sequence in sequences])
        torch.testing.assert_close(packed_logits(ours, sequences), alone, **LOGITS)
    assert load_classifier(saved).model.architecture == ours.model.architecture


def assert_same_gradients(ours: LoadedClassifier, theirs: torch.nn.Module) -> None:
    total = torch.stack([parameter.grad.norm() for parameter in theirs.parameters()]).norm()
    table = all_families()[ours.family].table(ours.model.architecture)
    compared = 0
    for name, parameter in ours.model.named_parameters():
        for their_name, gradient in table.views(name, parameter.grad.to_dense()).items():
            expected = theirs.get_parameter(their_name).grad
            # The key's bias has no gradient but noise (a softmax does not see what is added to all its scores).
            allowed = 1e-4 * expected.norm() + 1e-6 * total
            assert (gradient - expected).norm() <= allowed, their_name
            compared += 1
    assert compared == len(list(theirs.parameters()))


def test_token_types_default_to_the_first(tmp_path: Path, tiny_bert: Callable[..., Path]) -> None:
    ours = load_classifier(tiny_bert(tmp_path))
    ids, packing = torch.arange(12), Packing([5, 7])
    torch.testing.assert_close(ours.model(ids, packing), ours.model(ids, packing, torch.zeros_like(ids)), **BATCH)
    assert not torch.allclose(ours.model(ids, packing), ours.model(ids, packing, torch.ones_like(ids)), atol=1e-3)


@pytest.mark.parametrize("training", [False, True], ids=["inference", "with gradients"])
def test_a_sequence_does_not_depend_on_its_batch(
    tmp_path: Path, tiny_bert: Callable[..., Path], training: bool
) -> None:
    ours = load_classifier(tiny_bert(tmp_path, seed=3))
    sequences = random_sequences(3, 500, 40, 2, count=12)
    with torch.set_grad_enabled(training):
        alone = torch.cat([packed_logits(ours, [sequence]) for sequence in sequences])
        for seed in range(4):
            order = random.Random(seed).sample(range(len(sequences)), len(sequences))
            together = packed_logits(ours, [sequences[index] for index in order])
            torch.testing.assert_close(together, alone[order], **BATCH)


def test_saved_by_us_opens_in_transformers_with_the_same_answers(
    tmp_path: Path, tiny_bert: Callable[..., Path]
) -> None:
    from transformers import AutoTokenizer

    names = ("negative", "neutral", "so-so ☂", "positive")
    source = tiny_bert(tmp_path / "source", num_labels=4, id2label=dict(enumerate(names)))
    ours = load_classifier(source)
    with torch.no_grad():
        for parameter in ours.model.parameters():
            parameter.add_(0.01)  # trained a little
    folder = tmp_path / "saved"
    save_classifier(folder, ours.model, config=ours.config, label_names=names, multi=False, tokenizer=source)

    theirs = oracle(folder)
    assert theirs.config.id2label == dict(enumerate(names))
    assert theirs.config.problem_type == "single_label_classification"
    sequences = random_sequences(0, theirs.config.vocab_size, 40, 2)
    torch.testing.assert_close(packed_logits(ours, sequences), oracle_logits(theirs, sequences), **LOGITS)
    text = "I love this product, but [SEP] the battery is terrible! ☂"
    assert (
        AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
        == load_tokenizer(folder).encode([text])[0].input_ids.tolist()
    )


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory, minilm_folder: Path) -> tuple[LoadedClassifier, Path]:
    """The real weights with a head of three labels, and the folder that it was saved to."""
    torch.manual_seed(1)
    loaded = load_classifier(minilm_folder, label_names=("bad", "fair", "good"))
    assert loaded.fresh == ("classification_head.weight", "classification_head.bias")
    folder = tmp_path_factory.mktemp("minilm")
    save_classifier(
        folder, loaded.model, config=loaded.config, label_names=loaded.label_names, multi=False, tokenizer=minilm_folder
    )
    return loaded, folder


def test_the_real_weights_give_the_same_logits(minilm: tuple[LoadedClassifier, Path], review_texts: list[str]) -> None:
    from transformers import AutoTokenizer

    loaded, folder = minilm
    theirs, tokenizer, own = oracle(folder), AutoTokenizer.from_pretrained(folder), load_tokenizer(folder)
    texts = [*review_texts[:12], "", "!", "a" * 300, "word " * 510]
    encoded = [torch.from_numpy(item.input_ids) for item in own.encode(texts)]
    sequences = [(ids, torch.zeros_like(ids)) for ids in encoded]
    lengths = [len(ids) for ids, _ in sequences]
    assert (min(lengths), max(lengths)) == (2, 512)
    with torch.no_grad():
        actual = packed_logits(loaded, sequences)
        expected = torch.cat([theirs(**tokenizer(text, return_tensors="pt")).logits for text in texts])
        alone = torch.cat([packed_logits(loaded, [sequence]) for sequence in sequences])
    torch.testing.assert_close(actual, expected, **LOGITS)
    torch.testing.assert_close(actual, alone, **BATCH)


def test_the_real_weights_take_random_lengths(minilm: tuple[LoadedClassifier, Path]) -> None:
    loaded, folder = minilm
    theirs = oracle(folder)
    sequences = random_sequences(5, 30522, 512, 2, count=5)
    with torch.no_grad():
        torch.testing.assert_close(packed_logits(loaded, sequences), oracle_logits(theirs, sequences), **LOGITS)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_model_that_was_asked_can_be_trained_on_the_same_lengths(
    tmp_path: Path, family: str, write_classifier: Callable[[Path, str, int], None]
) -> None:
    """What is kept from batch to batch must not be an inference tensor, which autograd refuses."""
    write_classifier(tmp_path, family, 3)
    model = load_classifier(tmp_path).model.train()
    ids, packing = torch.randint(5, 97, (9,)), Packing([4, 5])
    with torch.inference_mode():
        model(ids, packing)
    model(ids, packing).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
