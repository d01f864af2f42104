import copy

import pytest
import torch
from tests.training.recipes import training

from headway.errors import SettingsError
from headway.models.classifier import Classifier
from headway.models.config import ClassificationHeadConfig, ModelConfig, RelativePositions, StackConfig
from headway.nn.packing import Packing
from headway.training.optimizer import Optimizer, freeze


@pytest.fixture
def model() -> Classifier:
    return Classifier(
        ModelConfig(
            encoder=StackConfig(vocabulary_size=20, d_model=8, d_ff=16, num_layers=3, num_heads=2, max_positions=10),
            head=ClassificationHeadConfig(),
        ),
        num_labels=2,
    )


def group_of(optimizer, parameter):
    return next(g for g in optimizer.adamw.param_groups if any(parameter is p for p in g["params"]))


def test_matrices_decay_and_biases_and_norms_do_not(model):
    optimizer = Optimizer(model, training(weight_decay=0.1))
    for name, parameter in model.named_parameters():
        assert group_of(optimizer, parameter)["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0), name


def test_every_weight_is_trained_exactly_once(model):
    optimizer = Optimizer(model, training())
    trained = [id(p) for g in optimizer.adamw.param_groups for p in g["params"]]
    assert sorted(trained) == sorted(id(p) for p in model.parameters())


def test_layer_decay_slows_each_block_below_the_next(model):
    optimizer = Optimizer(model, training(learning_rate=1.0, layer_decay=0.5))
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
    with pytest.raises(SettingsError, match=r"freeze_layers = 4: this model has 3 blocks\."):
        freeze(model, 4)


@pytest.mark.parametrize("num_blocks", [0, 1])
def test_what_somebody_else_froze_stays_frozen(model, num_blocks):
    """As an adapter does: only its own weights are to be trained."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("classification_head" in name)
    freeze(model, num_blocks)
    free = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert free == {"classification_head.weight", "classification_head.bias"}


@pytest.fixture
def two_stacks() -> Classifier:
    """An encoder of two blocks and a decoder of three that reads it."""
    shape = {"vocabulary_size": 20, "d_model": 8, "d_ff": 16, "num_heads": 2, "max_positions": 10}
    relative = RelativePositions(num_buckets=8, max_distance=16)
    every = {**shape, "positions": "relative", "relative": relative, "pre_norm": True, "final_norm": True}
    return Classifier(
        ModelConfig(
            encoder=StackConfig(**every, num_layers=2),
            decoder=StackConfig(**every, num_layers=3, causal=True, memory_width=8),
            head=ClassificationHeadConfig(pooling="last"),
            shared_embedding=True,
            start_id=0,
        ),
        num_labels=2,
    )


def test_a_decoder_lies_above_its_encoder(two_stacks):
    optimizer = Optimizer(two_stacks, training(learning_rate=1.0, layer_decay=0.5))
    peaks = {name: group_of(optimizer, weight)["peak"] for name, weight in two_stacks.named_parameters()}
    heights = {
        "encoder.embeddings.token.weight": 0,
        "encoder.relative_bias.table.weight": 0,
        "decoder.relative_bias.table.weight": 0,
        "encoder.blocks.0.feed_forward.up.weight": 1,
        "encoder.blocks.1.self_attention_norm.weight": 2,
        "encoder.final_norm.weight": 3,
        "decoder.blocks.0.cross_attention.query.weight": 3,
        "decoder.blocks.2.feed_forward.up.weight": 5,
        "decoder.final_norm.weight": 6,
        "pooler.dense.weight": 6,
        "classification_head.weight": 6,
    }
    assert {name: peaks[name] for name in heights} == {name: 0.5 ** (6 - height) for name, height in heights.items()}


def test_the_encoder_is_frozen_before_its_decoder(two_stacks):
    two_stacks.eval()
    for frozen, blocks in ((1, ("encoder.blocks.1", "decoder")), (2, ("decoder",)), (4, ("decoder.blocks.2",))):
        freeze(two_stacks, frozen)
        free = {name for name, parameter in two_stacks.named_parameters() if parameter.requires_grad}
        assert {name for name in free if ".blocks." in name} == {
            name for name, _ in two_stacks.named_parameters() if ".blocks." in name and name.startswith(blocks)
        }
        assert not any("embeddings" in name or "relative_bias" in name for name in free)
        two_stacks.zero_grad()
        two_stacks(torch.arange(9), Packing([4, 5])).square().sum().backward()
        assert {name for name, parameter in two_stacks.named_parameters() if parameter.grad is not None} == free


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [1 / 3, 2 / 3, 1.0, 0.875, 0.5]),
        ("constant", [1 / 3, 2 / 3, 1.0, 1.0, 1.0]),
        ("cosine", [1 / 3, 2 / 3, 1.0, 0.9619397662556434, 0.5]),
    ],
)
def test_schedules_by_value(schedule, expected):
    optimizer = Optimizer(torch.nn.Linear(1, 1), training(schedule=schedule, warmup_ratio=0.2, learning_rate=2.0))
    rates = [optimizer.set_learning_rate(step, 10) / 2 for step in (0, 1, 2, 3, 6)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("max_grad_norm", [None, 0.5, 1e9], ids=["free", "clipped", "short enough"])
def test_steps_are_those_of_pytorchs_own_parts(model, max_grad_norm):
    """Looked-up rows, clipping in the update and kept buffers give what dense gradients and clip_grad_norm_ give."""
    reference = copy.deepcopy(model)
    settings = training(max_grad_norm=max_grad_norm, learning_rate=1e-2, adam_eps=1e-3)  # keeps rounding small
    optimizer = Optimizer(model, settings)
    plain = torch.optim.AdamW(
        [
            {"params": [p]} | ({"weight_decay": 0.01} if p.ndim > 1 else {"weight_decay": 0.0})
            for p in reference.parameters()
        ],
        lr=1e-2,
        eps=1e-3,
    )
    model.eval(), reference.eval()
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        for _ in range(2):  # two micro-batches
            ids = torch.randint(20, (9,), generator=generator)
            for each in (model, reference):
                each(ids, Packing([4, 5])).square().sum().backward()
        embedding = reference.encoder.embeddings.token.weight
        embedding.grad = embedding.grad.to_dense()
        expected = torch.nn.utils.clip_grad_norm_(reference.parameters(), max_grad_norm or float("inf"))
        norm = optimizer.gradient_norm()
        assert float(norm) == pytest.approx(float(expected), rel=1e-5)
        optimizer.set_learning_rate(5, 1000)
        for group in plain.param_groups:
            group["lr"] = optimizer.adamw.param_groups[0]["lr"]
        optimizer.step(norm, apply=torch.isfinite(norm))
        plain.step()
        optimizer.clear()
        plain.zero_grad()
    for (name, ours), theirs in zip(model.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("first", [True, False], ids=["first step", "later step"])
def test_a_refused_step_leaves_weights_moments_and_step_counts_bit_for_bit(model, bad, first):
    optimizer = Optimizer(model, training())
    model.eval()

    def backward(factor):
        (model(torch.arange(9), Packing([4, 5])).square().sum() * factor).backward()
        return optimizer.gradient_norm()

    if not first:
        norm = backward(1.0)
        optimizer.step(norm, apply=torch.isfinite(norm))
        optimizer.clear()
    weights = copy.deepcopy(model.state_dict())
    state = copy.deepcopy(optimizer.state_dict()["state"])
    norm = backward(bad)
    optimizer.step(norm, apply=torch.isfinite(norm))
    optimizer.clear()
    assert all(torch.equal(weights[name], weight) for name, weight in model.state_dict().items())
    after = optimizer.state_dict()["state"]
    if first:  # the moments are there now, as they are before any step
        assert all(not value.any() for moments in after.values() for value in moments.values())
    else:
        assert all(torch.equal(state[key][name], after[key][name]) for key in state for name in state[key])
    # And the next gradient is not touched by the bad one, in the kept buffer of an embedding's rows either.
    assert torch.isfinite(backward(1.0))
    gradient = model.encoder.embeddings.token.weight.grad
    assert gradient.abs().sum(1).nonzero().flatten().tolist() == list(range(9))


def test_a_refused_step_leaves_nothing_behind(model):
    """A gradient that is cleared without a step must not leak into the next one."""
    optimizer = Optimizer(model, training())
    model.eval()
    norms = []
    for ids in ([1, 2, 3], [4, 5, 6], [1, 2, 3]):
        model(torch.tensor(ids), Packing([3])).sum().backward()
        norms.append(float(optimizer.gradient_norm()))
        gradient = model.encoder.embeddings.token.weight.grad
        assert set(gradient.abs().sum(1).nonzero().flatten().tolist()) == set(ids)
        optimizer.clear()
    assert norms[0] == norms[2] != norms[1]
    assert all(parameter.grad is None for parameter in model.parameters())
