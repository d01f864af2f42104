import pytest
import torch

from headway.models.architecture import Architecture
from headway.models.classifier import Classifier
from headway.settings import Settings
from headway.training.optimizer import build_optimizer, freeze, set_learning_rate


@pytest.fixture
def model() -> Classifier:
    return Classifier(
        Architecture(vocabulary_size=20, d_model=8, d_ff=16, num_layers=3, num_heads=2, max_positions=10), num_labels=2
    )


def group_of(optimizer, parameter):
    return next(g for g in optimizer.param_groups if any(parameter is p for p in g["params"]))


def test_matrices_decay_and_biases_and_norms_do_not(model):
    optimizer = build_optimizer(model, Settings(weight_decay=0.1))
    for name, parameter in model.named_parameters():
        assert group_of(optimizer, parameter)["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0), name


def test_every_weight_is_trained_exactly_once(model):
    optimizer = build_optimizer(model, Settings())
    trained = [id(p) for g in optimizer.param_groups for p in g["params"]]
    assert sorted(trained) == sorted(id(p) for p in model.parameters())


def test_layer_decay_slows_each_block_below_the_next(model):
    optimizer = build_optimizer(model, Settings(learning_rate=1.0, layer_decay=0.5))
    peaks = {
        "head": group_of(optimizer, model.classification_head.weight)["peak"],
        **{
            n: group_of(optimizer, block.feed_forward.up.weight)["peak"] for n, block in enumerate(model.encoder.blocks)
        },
        "embeddings": group_of(optimizer, model.encoder.embeddings.token.weight)["peak"],
    }
    assert peaks == {"head": 1.0, 2: 0.5, 1: 0.25, 0: 0.125, "embeddings": 0.0625}


def test_frozen_blocks_keep_their_weights(model):
    freeze(model, 2)
    free = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not any("embeddings" in name or "blocks.0" in name or "blocks.1" in name for name in free)
    assert any("blocks.2" in name for name in free)
    assert any("pooler" in name for name in free)
    freeze(model, 0)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [1 / 3, 2 / 3, 1.0, 0.875, 0.5]),
        ("constant", [1 / 3, 2 / 3, 1.0, 1.0, 1.0]),
        ("cosine", [1 / 3, 2 / 3, 1.0, 0.9619397662556434, 0.5]),
    ],
)
def test_schedules_by_value(schedule, expected):
    optimizer = torch.optim.AdamW([{"params": [torch.nn.Parameter(torch.zeros(1))], "peak": 2.0}])
    settings = Settings(schedule=schedule, warmup_share=0.2)
    rates = [set_learning_rate(optimizer, step, 10, settings) / 2 for step in (0, 1, 2, 3, 6)]
    assert rates == pytest.approx(expected)
