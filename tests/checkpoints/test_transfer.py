"""Numbers between a checkpoint and a model whose family's table is not right."""

from pathlib import Path

import pytest

from headway.checkpoints.family import all_families, read_architecture
from headway.checkpoints.load import empty_classifier
from headway.checkpoints.rules import WeightTable
from headway.checkpoints.transfer import Checkpoint, load_weights
from headway.checkpoints.weights import open_weights
from headway.errors import CheckpointError
from headway.files import read_json


def test_all_weights_without_a_rule_are_listed_beside_what_they_leave_over(folder: Path) -> None:
    """Whoever writes a family's table learns at once what is still to be done."""
    family = all_families()["bert"]
    architecture = read_architecture(family, read_json(folder / "config.json"), folder)
    rules = [rule for rule in family.rules(architecture) if "feed_forward.up" not in str(rule)]
    checkpoint = Checkpoint.read(folder, WeightTable(rules), open_weights(folder))
    model = empty_classifier(architecture, 3)
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, checkpoint)
    without, unknown = str(caught.value).splitlines()[1:]
    assert (
        "no rule for 4 of the model's own weights: encoder.blocks.{0–1}.feed_forward.up.weight, "
        "encoder.blocks.{0–1}.feed_forward.up.bias. The file of the family must name them."
    ) in without
    assert "4 weights have no place in the model: bert.encoder.layer.{0–1}.intermediate.dense." in unknown

    with pytest.raises(CheckpointError, match="no rule for 4"):
        load_weights(model, checkpoint, ignored=[name for name in model.state_dict() if "feed_forward.up" in name])
