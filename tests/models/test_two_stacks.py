"""Classifiers with an encoder and a decoder: from a model that writes, which row is read, int8, and the sums."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor

from headway.checkpoints.load import load_classifier, load_language_model
from headway.checkpoints.model_facts import inspect_model
from headway.checkpoints.save import save_classifier
from headway.errors import CheckpointError
from headway.models.classifier import Classifier
from headway.nn.linear import quantize
from headway.nn.packing import Packing
from headway.tokenizers.fast_tokenizer import FastTokenizer

Write = Callable[[Path, str, int], None]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
TWO_STACKS = ["bart", "mbart", "t5", "mt5"]


@pytest.fixture(params=TWO_STACKS)
def classifier_folder(request: pytest.FixtureRequest, tmp_path: Path, write_classifier: Write) -> Path:
    """A tiny random classifier with two stacks."""
    write_classifier(tmp_path / "theirs", request.param, 1)
    return tmp_path / "theirs"


@pytest.fixture(params=[("bart", 0), ("mbart", 0), ("t5", 0), ("t5", 1)], ids=lambda pair: f"{pair[0]}-{pair[1]}")
def writer_folder(request: pytest.FixtureRequest, tmp_path: Path, write_writer: Write) -> Path:
    """A tiny random model that writes, with a bias for each word, or a matrix of its own that scores words."""
    family, seed = request.param
    write_writer(tmp_path / "writer", family, seed)
    return tmp_path / "writer"


def ids_of(model: Classifier, lengths: list[int]) -> tuple[Tensor, Packing]:
    """Random ids without padding, each sequence ending with the end token and having it nowhere else."""
    assert model.head.end_id is not None
    packing = Packing(lengths)
    ids = torch.randint(5, 97, (packing.num_tokens,), generator=torch.Generator().manual_seed(0))
    ids[packing.lasts()] = model.head.end_id
    return ids, packing


@torch.no_grad()
@pytest.mark.parametrize("bare", [False, True], ids=["the writer", "its stacks alone"])
def test_a_model_that_writes_becomes_a_classifier(writer_folder: Path, tmp_path: Path, bare: bool) -> None:
    from transformers import AutoModel

    stacks = AutoModel.from_pretrained(writer_folder).eval()
    folder = writer_folder
    if bare:
        stacks.save_pretrained(folder := tmp_path / "bare")
    loaded = load_classifier(folder, label_names=["no", "perhaps", "yes"])
    ours = loaded.model
    assert {name.partition(".")[0] for name in loaded.fresh} == {"pooler", "classification_head"}
    ids, packing = ids_of(ours, [4, 9, 1])
    read = [
        stacks(input_ids=text[None], decoder_input_ids=shifted[None]).last_hidden_state[0, -1]
        for text, shifted in zip(ids.split(packing.lengths), their_shift(stacks, ids, packing), strict=True)
    ]
    assert ours.pooler is not None
    expected = ours.classification_head(ours.pooler(torch.stack(read)))
    torch.testing.assert_close(ours(ids, packing), expected, **CLOSE)


def their_shift(stacks: torch.nn.Module, ids: Tensor, packing: Packing) -> list[Tensor]:
    wraps = stacks.config.model_type == "mbart"
    return [
        torch.cat((text[-1:] if wraps else torch.tensor([stacks.config.decoder_start_token_id]), text[:-1]))
        for text in ids.split(packing.lengths)
    ]


def test_the_new_classifier_opens_in_transformers(writer_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    loaded = load_classifier(writer_folder, label_names=["no", "perhaps", "yes"])
    ours = loaded.model
    tokenizer = FastTokenizer(Tokenizer(WordLevel({"a": 0}, unk_token="a")))
    save_classifier(
        tmp_path / "saved", ours, config=loaded.config, label_names=loaded.label_names, multi=False, tokenizer=tokenizer
    )
    theirs, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not any(info.values()), info
    config = json.loads((tmp_path / "saved/config.json").read_text())
    assert config["architectures"] == [type(theirs).__name__]
    assert type(theirs).__name__.endswith("ForSequenceClassification")
    ids, packing = ids_of(ours, [4, 9, 1])
    with torch.no_grad():
        expected = torch.cat([theirs.eval()(input_ids=text[None]).logits for text in ids.split(packing.lengths)])
        torch.testing.assert_close(ours(ids, packing), expected, **CLOSE)


def test_a_classifier_is_no_writer(classifier_folder: Path) -> None:
    with pytest.raises(CheckpointError, match="is a classifier: its head predicts labels, not tokens"):
        load_language_model(classifier_folder)


@torch.no_grad()
def test_the_last_end_token_is_read_and_else_the_last_token(classifier_folder: Path) -> None:
    model = load_classifier(classifier_folder).model
    ids, packing = ids_of(model, [12])
    whole = model(ids, packing)
    ids[[3, 7]] = model.head.end_id  # others before it
    assert not torch.allclose(model(ids, packing), whole, atol=1e-4)
    read = []
    for end in (11, 7):
        ids[11] = model.head.end_id if end == 11 else 6
        memory = (model.encoder(ids, packing), packing)
        start = ids[-1:] if model.architecture.starts_with_last else torch.tensor([model.architecture.start_id])
        hidden = model.decoder(torch.cat((start, ids[:-1])), packing, memory=memory)
        torch.testing.assert_close(model(ids, packing), model.classification_head(model.pooler(hidden[end])[None]))
        read.append(hidden)
    ids[ids == model.head.end_id] = 6
    neighbour = torch.cat((ids_of(model, [5])[0], ids))
    alone = model(ids, packing)
    torch.testing.assert_close(model(neighbour, Packing([5, 12]))[1:], alone, **CLOSE)  # has an end, but not for it
    ids[-1] = model.head.end_id
    assert not torch.allclose(model(ids, packing), alone, atol=1e-4)


def test_eight_bits_reach_both_stacks(tmp_path: Path, write_writer: Write) -> None:
    from transformers import BartConfig, BartModel

    config = BartConfig(
        vocab_size=97,
        d_model=64,
        encoder_layers=2,
        decoder_layers=2,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        max_position_embeddings=40,
        init_std=0.1,
    )
    torch.manual_seed(0)
    BartModel(config).save_pretrained(tmp_path)
    torch.manual_seed(0)
    model = load_classifier(tmp_path, label_names=["no", "yes"]).model
    ids, packing = ids_of(model, [9, 30, 4])
    with torch.inference_mode():
        exact = model(ids, packing)
        coarse = quantize(model)(ids, packing)
    linear = {name for name, module in model.named_modules() if type(module) is torch.nn.Linear}
    assert linear == {"classification_head"}
    # Random weights give logits that differ little. One stack with as many blocks is 0.07 to 0.43 of this off.
    assert (coarse - exact).abs().max() <= 0.5 * exact.std()
    assert not torch.equal(coarse, exact)


def test_inspect_counts_both_stacks(classifier_folder: Path, writer_folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    facts = inspect_model(classifier_folder)
    theirs = AutoModelForSequenceClassification.from_pretrained(classifier_folder)
    assert facts.parameters == theirs.num_parameters() == sum(part.parameters for part in facts.parts)
    assert not facts.generates
    assert facts.label_names == tuple(theirs.config.id2label.values())
    names = {part.name.partition(".")[0] for part in facts.parts}
    assert names == {"encoder", "decoder", "pooler", "classification_head"}
    assert "head.end_id" in facts.architecture
    assert not any(name.startswith("lm_head") for name in facts.architecture)
    model = load_classifier(classifier_folder).model
    weights = [p for stack in (model.encoder, model.decoder) for p in stack.blocks.parameters() if p.ndim == 2]
    assert facts.flop_per_token == 2 * sum(weight.numel() for weight in weights)

    base = inspect_model(writer_folder)
    assert (base.generates, base.can_classify, base.label_names) == (True, True, ())
