"""The dropout that is asked for reaches every place that a family has, and no other."""

import json
from pathlib import Path

import pytest
from torch import nn

from headway.checkpoints.load import load_classifier
from headway.nn.dropout import Dropout
from headway.nn.multi_head import CrossAttention, SelfAttention

PLACES = {"embeddings.dropout", "attention_dropout", "feed_forward_dropout", "feed_forward.dropout"}
ABSENT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(["bert", "roberta", "xlm-roberta", "camembert", "electra", "gpt2"], ("feed_forward.dropout",)),
    "distilbert": ("attention_dropout", "feed_forward.dropout"),
    "albert": ("feed_forward_dropout", "feed_forward.dropout"),
    "modernbert": ("feed_forward_dropout",),
    **dict.fromkeys(["bart", "mbart", "t5", "mt5"], ()),
}
"""Places where the family's own code has no dropout."""


def shares(model: nn.Module) -> dict[str, float]:
    """The share of each place in the stacks."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, Dropout) and name.startswith(("encoder.", "decoder.")):
            found[name] = module.probability
        if isinstance(module, SelfAttention | CrossAttention):
            found[name] = module.dropout
    return found


def is_of(name: str, place: str) -> bool:
    return name.endswith(f".{place}")


def test_what_is_asked_for_reaches_every_place_of_the_family(random_classifier: Path) -> None:
    family = json.loads((random_classifier / "config.json").read_text())["model_type"]
    before = shares(load_classifier(random_classifier).model)
    after = shares(load_classifier(random_classifier, dropouts={"dropout": 0.3}).model)
    for name, share in after.items():
        place = next((place for place in PLACES if is_of(name, place)), None)
        if place is None:
            assert share == before[name]
        else:
            assert share == (0.0 if place in ABSENT[family] else 0.3), name
    assert {place for place in PLACES for name in after if is_of(name, place)} == PLACES


def test_it_is_what_the_familys_config_can_ask_for(random_classifier: Path) -> None:
    file = random_classifier / "config.json"
    config = json.loads(file.read_text())
    asked = load_classifier(random_classifier, dropouts={"dropout": 0.3, "attention_dropout": 0.3}).model
    keys = {key for key in config if "dropout" in key or key.endswith("_pdrop")}
    file.write_text(json.dumps(config | dict.fromkeys(keys, 0.3)))
    assert shares(load_classifier(random_classifier).model) == shares(asked)


@pytest.mark.parametrize("name", ["dropout", "attention_dropout", "head_dropout"])
def test_what_is_not_asked_for_stays(random_classifier: Path, name: str) -> None:
    architecture = load_classifier(random_classifier).model.architecture
    changed = architecture.with_dropout(**{name: 0.3})
    assert architecture.with_dropout() == architecture
    for before, after in ((architecture.encoder, changed.encoder), (architecture.decoder, changed.decoder)):
        if before is not None and after is not None:
            assert after.attention_dropout == (0.3 if name == "attention_dropout" else before.attention_dropout)
            assert after.dropout == (0.3 if name == "dropout" else before.dropout)
    assert architecture.head is not None
    assert changed.head is not None
    assert changed.head.dropout == (0.3 if name == "head_dropout" else architecture.head.dropout)
