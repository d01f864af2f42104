"""Models that were made for another task: their bodies serve, their heads do not."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from headway.checkpoints.family import all_families
from headway.checkpoints.load import load_classifier
from headway.errors import CheckpointError

CLASSES = [
    "BertForTokenClassification",
    "BertForQuestionAnswering",
    "BertForPreTraining",
    "RobertaForTokenClassification",
    "RobertaForMultipleChoice",
    "RobertaForQuestionAnswering",
    "DistilBertForQuestionAnswering",
    "ElectraForTokenClassification",
    "ElectraForMultipleChoice",
    "ElectraForPreTraining",
    "AlbertForQuestionAnswering",
    "ModernBertForTokenClassification",
    "GPT2DoubleHeadsModel",
    "GPT2ForTokenClassification",
    "GPT2ForQuestionAnswering",
    "BartForQuestionAnswering",
    "MBartForQuestionAnswering",
    "T5ForQuestionAnswering",
    "ViTForMaskedImageModeling",
    "DeiTForMaskedImageModeling",
]


@pytest.mark.parametrize("name", CLASSES)
def test_a_model_of_another_task_trains_with_a_head_of_its_own(
    name: str, tmp_path: Path, draw_config: Callable[[str, random.Random], Any]
) -> None:
    import transformers

    kind = getattr(transformers, name)
    torch.manual_seed(0)
    theirs = kind(draw_config(kind.config_class.model_type, random.Random(name)))
    theirs.save_pretrained(tmp_path)
    input = "image" if name.startswith(("ViT", "DeiT")) else "text"
    with pytest.raises(CheckpointError, match=r"is not a classifier: .* Choose a classifier, or train it"):
        load_classifier(tmp_path, input=input)
    ours = load_classifier(tmp_path, label_names=("left", "right", "none"), input=input)
    assert "classification_head.weight" in ours.fresh
    table = all_families()[ours.family].table(ours.model.architecture)
    stored = {table.current_name(name): weight for name, weight in theirs.state_dict().items()}
    for our_name, weight in ours.model.state_dict().items():
        if our_name not in ours.fresh:
            for their_name, view in table.views(our_name, weight).items():
                assert torch.equal(view, stored[their_name]), their_name
