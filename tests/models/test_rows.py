"""Only the rows that a head reads are computed in the last block: the same numbers, and less work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from headway.checkpoints.load import load_classifier
from headway.models.config import RelativePositions, StackConfig
from headway.models.stack import Stack
from headway.nn.packing import Packing
from headway.nn.rows import Rows

CLOSE = {"atol": 1e-6, "rtol": 1e-5}
LENGTHS = [6, 6, 1, 30, 2, 13]
RELATIVE = {"positions": "relative", "relative": RelativePositions(num_buckets=8, max_distance=20)}
STACKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "pre-norm": {"pre_norm": True, "final_norm": True},
    "causal": {"causal": True},
    "window": {"windows": (3, 3)},
    "causal window": {"causal": True, "windows": (None, 4)},
    "rotary": {"positions": "rotary", "rotary_thetas": (1e4, 1e3), "windows": (None, 5)},
    "relative": RELATIVE,
    "causal relative": {**RELATIVE, "causal": True},
    "relative window": {**RELATIVE, "windows": (None, 2)},
    "relative, one layer": {**RELATIVE, "num_layers": 1},
}
ROWS: dict[str, Callable[[Packing], Rows]] = {
    "first": Rows.first,
    "last": Rows.last,
    "inner": lambda packing: Rows(packing, [length // 2 for length in packing.lengths]),
}


@contextmanager
def full_computation(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stacks compute all rows, of which the wanted are taken at the end."""
    forward = Stack.forward

    def full(self: Stack, *args: Any, rows: Rows | None = None, **rest: Any) -> Tensor:
        hidden = forward(self, *args, **rest)
        return hidden if rows is None else rows.take(hidden)

    with patch.context() as within:
        within.setattr(Stack, "forward", full)
        yield


def assert_same_gradients(ours: list[Tensor], full: list[Tensor]) -> None:
    total = torch.stack([gradient.norm() for gradient in full]).norm()
    for mine, theirs in zip(ours, full, strict=True):
        assert (mine - theirs).norm() <= 1e-5 * theirs.norm() + 1e-6 * total


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("choose", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("settings", STACKS.values(), ids=STACKS)
def test_chosen_rows_are_those_of_the_full_computation(
    settings: dict[str, Any], choose: Callable[[Packing], Rows], training: bool
) -> None:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_ff": 24, "num_layers": 2, "num_heads": 2, "vocabulary_size": 50, "max_positions": 40}
    stack = Stack(StackConfig(**sizes | settings)).eval()
    packing = Packing(LENGTHS)
    rows, ids = choose(packing), torch.randint(50, (packing.num_tokens,))
    with torch.set_grad_enabled(training):
        full, short = rows.take(stack(ids, packing)), stack(ids, packing, rows=rows)
    torch.testing.assert_close(short, full, **CLOSE)
    if training:
        weight, parameters = torch.randn_like(full), list(stack.parameters())
        grads = [torch.autograd.grad((out * weight).sum(), parameters) for out in (short, full)]
        assert_same_gradients(*([grad.to_dense() for grad in side] for side in grads))


def text_of(model: Any) -> tuple[Tensor, Packing]:
    longest = min(model.architecture.input_stack.max_positions, 30)
    packing = Packing([3, longest, 1, longest // 2, 3])
    return torch.randint(5, 97, (packing.num_tokens,), generator=torch.Generator().manual_seed(0)), packing


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_every_family_answers_as_with_the_full_computation(
    random_classifier: Path, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_classifier(random_classifier).model
    ids, packing = text_of(model)
    with torch.set_grad_enabled(training):
        short = model(ids, packing)
        with full_computation(monkeypatch):
            full = model(ids, packing)
    torch.testing.assert_close(short, full, atol=1e-5, rtol=1e-5)  # wide weights, as in the parity tests
    if training:
        parameters = list(model.parameters())
        grads = [torch.autograd.grad(out.square().sum(), parameters, allow_unused=True) for out in (short, full)]
        assert_same_gradients(*([grad.to_dense() for grad in side if grad is not None] for side in grads))


@pytest.fixture(params=["bert", "gpt2", "modernbert"])
def user_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder as `transformers` writes it, of a model that reads the first token or the last."""
    import transformers as hf

    sizes = {"vocab_size": 97, "num_labels": 3}
    if request.param == "bert":
        config = hf.BertConfig(
            hidden_size=32, num_attention_heads=4, num_hidden_layers=2, intermediate_size=64, **sizes
        )
    elif request.param == "gpt2":
        config = hf.GPT2Config(n_embd=32, n_head=4, n_layer=2, n_inner=64, n_positions=64, pad_token_id=0, **sizes)
    else:
        ids = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0)
        shape = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 64}
        config = hf.ModernBertConfig(**shape, local_attention=8, classifier_pooling="cls", **sizes, **ids)
    hf.AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    return tmp_path


def matrix_products(model: torch.nn.Module, ids: Tensor, packing: Packing) -> int:
    """Operations of the linear layers in one forward pass."""
    with FlopCounterMode(display=False) as counter:
        model(ids, packing)
    counts = counter.get_flop_counts()["Global"]
    return sum(counts.get(operation, 0) for operation in (torch.ops.aten.mm, torch.ops.aten.addmm))


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
def test_the_last_block_skips_what_the_head_does_not_read(
    user_folder: Path, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_classifier(user_folder).model.train(training)
    ids, packing = text_of(model)
    with torch.set_grad_enabled(training):
        ours = matrix_products(model, ids, packing)
        with full_computation(monkeypatch):
            full = matrix_products(model, ids, packing)
    stack = model.architecture.input_stack
    up = 2 * stack.d_ff if stack.gated else stack.d_ff
    skipped = packing.num_tokens - len(packing)
    # Queries and outputs, then the feed-forward layer; where a window hides keys, those too.
    saved = 2 * skipped * stack.d_model * (2 * stack.d_model + up + stack.d_ff)
    if stack.windows and stack.windows[-1] is not None:
        unseen = packing.num_tokens - sum(min(length, stack.windows[-1] + 1) for length in packing.lengths)
        saved += 2 * unseen * stack.d_model * 2 * stack.d_model
    assert full - ours == saved
    assert ours < 0.85 * full


@torch.no_grad()
def test_no_mask_is_left_in_the_last_block(user_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def watched(query: Tensor, *args: Tensor, attn_mask: Tensor | None = None, **rest: Any) -> Tensor:
        calls.append((query.shape[2], attn_mask))
        return fused(query, *args, attn_mask=attn_mask, **rest)

    fused = functional.scaled_dot_product_attention
    monkeypatch.setattr(functional, "scaled_dot_product_attention", watched)
    model = load_classifier(user_folder).model
    model(torch.arange(5, 25), Packing([20]))
    assert len(calls) == 2
    assert calls[0][0] == 20
    assert calls[1] == (1, None)


def test_rows_outside_their_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="rows at"):
        Rows(Packing([3, 2]), [1, 2])
