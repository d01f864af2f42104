"""The table of names, read in both directions, for shapes that other families need too."""

import pytest
import torch

from headway.checkpoints.rules import Alias, Concat, Drop, Rename, Transpose, WeightTable

TABLE = WeightTable(
    (
        Alias("{norm*}.gamma", "{norm*}.weight"),
        Alias("layers", "model.layers"),
        Drop("lm_head"),
        Drop("model.layers.{n}.mask"),
        Rename("model.layers.{n}.to.{side}", "blocks.{n}.{side}_gate"),
        Concat(("model.layers.{n}.q", "model.layers.{n}.k"), "blocks.{n}.query_key"),
        Transpose("model.layers.{n}.conv", "blocks.{n}.dense"),
        Rename("model.norm", "norm"),
    )
)


@pytest.mark.parametrize(
    ("stored", "current"),
    [
        ("model.layers.3.q.weight", "model.layers.3.q.weight"),
        ("layers.3.q.weight", "model.layers.3.q.weight"),
        ("layers.3.deep.norm.gamma", "model.layers.3.deep.norm.weight"),
        ("model.norm.gamma", "model.norm.weight"),
        ("gamma", "gamma"),
        ("layersnorm.weight", "layersnorm.weight"),
        ("lm_head.dense.bias", None),
        ("lm_header.bias", "lm_header.bias"),
        ("model.layers.0.mask", None),
        ("model.layers.0.1.mask", "model.layers.0.1.mask"),
    ],
)
def test_stored_names_become_current_or_are_dropped(stored: str, current: str | None) -> None:
    assert TABLE.current_name(stored) == current


def test_a_renamed_tensor_is_the_same_memory() -> None:
    tensor = torch.arange(4.0)
    views = TABLE.views("blocks.12.left_gate.bias", tensor)
    assert list(views) == ["model.layers.12.to.left.bias"]
    views["model.layers.12.to.left.bias"].fill_(7)
    assert tensor.tolist() == [7] * 4


def test_a_fused_tensor_is_split_by_rows_in_order() -> None:
    tensor = torch.arange(12.0).view(4, 3)
    views = TABLE.views("blocks.0.query_key.weight", tensor)
    assert {name: view.tolist() for name, view in views.items()} == {
        "model.layers.0.q.weight": [[0, 1, 2], [3, 4, 5]],
        "model.layers.0.k.weight": [[6, 7, 8], [9, 10, 11]],
    }


def test_a_matrix_is_transposed_and_its_bias_is_not() -> None:
    matrix = torch.arange(6.0).view(2, 3)
    [view] = TABLE.views("blocks.0.dense.weight", matrix).values()
    view.copy_(torch.ones(3, 2).cumsum(0))
    assert matrix.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert TABLE.views("blocks.0.dense.bias", torch.ones(3))["model.layers.0.conv.bias"].shape == (3,)


def test_a_weight_without_a_rule_is_a_mistake_in_the_table() -> None:
    with pytest.raises(LookupError, match=r"no rule for the weight blocks\.0\.other\.weight"):
        TABLE.views("blocks.0.other.weight", torch.ones(1))
