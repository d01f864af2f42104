"""Text classification: a label, or several, for a text or a pair of texts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headway.batching.batch import Batch, Encoded
from headway.checkpoints.label_config import is_classifier
from headway.checkpoints.load import classifier_architecture, empty_classifier, load_classifier
from headway.checkpoints.save import save_classifier
from headway.checkpoints.scratch import new_architecture, new_classifier
from headway.checkpoints.tokenizer_files import load_tokenizer
from headway.device import Precision, choose_precision
from headway.evaluation.label_baselines import tfidf_baseline
from headway.evaluation.label_details import Shown
from headway.evaluation.record import Record
from headway.evaluation.report import TaskPage
from headway.examples.examples import Example, Examples, joined
from headway.examples.fields import Field, looks_like_images
from headway.settings import AugmentationSettings, Settings
from headway.tasks.label_loss import LabelLoss
from headway.tasks.label_task import (
    LABEL_FIELD,
    LabelModel,
    LabelSpec,
    LabelTask,
    label_smoothed_loss,
    label_spec_of,
)
from headway.tasks.task import BaselineAnswers, Match, ModelSource
from headway.tasks.text_model import new_model_note, sequence_limit, text_encoder, vocabulary_texts
from headway.tokenizers.text_encoder import TextEncoder
from headway.tokenizers.tokenizer import Text
from headway.training.optimizer import freeze

__all__ = ["TextClassification", "TextClassifier"]

TEXT_FIELD = Field(
    name="text",
    kind="text",
    setting="text_column",
    usual_names=(
        ("text",),
        (
            *("review", "review_text", "reviewtext", "sentence", "content", "comment", "comment_text", "tweet", "body"),
            *("message", "document", "post", "utterance", "article", "review_body", "full_text", "clean_text", "sms"),
        ),
        ("title", "headline", "description", "question", "query", "subject", "summary", "phrase", "input", "prompt"),
    ),
)

PAIR_FIELD = Field(
    name="text_pair",
    kind="text",
    setting="text_pair_column",
    optional=True,
    partners=(
        ("premise", "hypothesis"),
        ("sentence1", "sentence2"),
        ("sentence_1", "sentence_2"),
        ("question1", "question2"),
        ("text_a", "text_b"),
        ("text1", "text2"),
        ("text_1", "text_2"),
        ("sentence_a", "sentence_b"),
        ("question", "sentence"),
        ("question", "passage"),
        ("query", "passage"),
        ("query", "document"),
    ),
)


@dataclass(kw_only=True)
class TextClassifier(LabelModel):
    """A network that gives texts labels, and the encoder of its texts."""

    encoder: TextEncoder


class TextClassification(LabelTask[TextClassifier]):
    """See `headway.tasks.task.Task`."""

    name = "text_classification"
    fields = (TEXT_FIELD, PAIR_FIELD, LABEL_FIELD)
    noun = "text"
    default_model = "minilm"
    unused_settings = LabelTask.unused_settings | frozenset(AugmentationSettings.model_fields)

    def recognise_table(self, columns: Mapping[str, Sequence[Any]]) -> Match:
        """Certain with a column of labels by name, and no images; possible with any texts."""
        named = {name.strip().lower() for name in columns}
        texts = any(isinstance(value, str) for values in columns.values() for value in values)
        if not texts:
            return Match.NO
        if any(map(looks_like_images, columns.values())):
            return Match.POSSIBLE
        certain = any(name in tier for name in named for tier in LABEL_FIELD.usual_names[:2])
        return Match.CERTAIN if certain else Match.POSSIBLE

    def recognise_model(self, config: Mapping[str, Any]) -> Match:
        """Certain for what was saved as a classifier of sequences."""
        kinds = [str(kind) for kind in config.get("architectures") or ()]
        if any("ForSequenceClassification" in kind for kind in kinds):
            return Match.CERTAIN
        return Match.NO if kinds and not is_classifier(config) else Match.POSSIBLE

    def check_model(self, source: ModelSource, settings: Settings) -> None:
        """Refuse what does not classify texts, or does not have so many positions or layers."""
        if source.folder is None:
            config = new_architecture(source.name, self.name)
        else:
            config = classifier_architecture(source.folder)
        sequence_limit(config, settings.data.max_length)
        freeze(empty_classifier(config, num_labels=2), settings.training.freeze_layers)

    def load(
        self, source: ModelSource, spec: LabelSpec, rows: Examples, settings: Settings, device: torch.device
    ) -> TextClassifier:
        """A checkpoint's weights with a head for the data's labels, or new weights and a new vocabulary."""
        labels = spec.labels
        if source.folder is None:
            loaded, tokenizer = new_classifier(
                source.name,
                self.name,
                texts=vocabulary_texts(rows),
                label_names=labels.names,
                multi=labels.multi,
                dropouts=settings.training.dropouts,
            )
            note = new_model_note(loaded, tokenizer)
        else:
            loaded = load_classifier(
                source.folder, label_names=labels.names, multi=labels.multi, dropouts=settings.training.dropouts
            )
            tokenizer = load_tokenizer(source.folder, loaded.model.architecture.input_stack.vocabulary_size)
            note = f"Randomly initialised weights: {', '.join(loaded.fresh)}. All others are those of {source.name}."
        return TextClassifier(
            network=loaded.model.to(device),
            config=loaded.config,
            device=device,
            precision=choose_precision(settings.machine.precision, device),
            notes=(note,) if source.folder is None or loaded.fresh else (),
            loss=label_smoothed_loss(settings, spec, rows, device),
            encoder=text_encoder(loaded.model.architecture, tokenizer, settings.data.max_length),
        )

    def open(
        self, folder: Path, known: Mapping[str, Any], settings: Settings, device: torch.device, precision: Precision
    ) -> tuple[LabelSpec, TextClassifier]:
        """A trained classifier."""
        loaded = load_classifier(folder)
        config = loaded.model.architecture
        tokenizer = load_tokenizer(folder, config.input_stack.vocabulary_size)
        network = loaded.model.to(device)
        spec = label_spec_of(loaded)
        model = TextClassifier(
            network=network,
            config=loaded.config,
            device=device,
            precision=precision,
            loss=LabelLoss(spec.labels.multi),
            encoder=text_encoder(config, tokenizer, settings.data.max_length or known.get("max_length")),
        )
        return spec, model

    def save(self, folder: Path, model: TextClassifier, spec: LabelSpec) -> Mapping[str, Any]:
        """Write a folder that Headway, `transformers` and every tool of that format opens."""
        save_classifier(
            folder,
            model.network,  # type: ignore[arg-type]
            config=model.config,
            label_names=spec.labels.names,
            multi=spec.labels.multi,
            tokenizer=model.encoder.tokenizer,
            max_length=model.encoder.max_length,
        )
        return {"max_length": model.encoder.max_length}

    def encode(
        self,
        model: TextClassifier,
        examples: Sequence[Example],
        *,
        targets: bool,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> list[Encoded]:
        """Tokens of the text, or of both texts together, and the label."""
        return [
            Encoded(
                input_ids=sequence.input_ids,
                token_types=sequence.token_types,
                label=example["label"] if targets else None,
                full_length=sequence.full_length,
                num_unknown=sequence.num_unknown,
            )
            for example, sequence in zip(examples, model.encoder.encode([_text(one) for one in examples]), strict=True)
        ]

    def max_length(self, model: TextClassifier) -> int:
        """The most tokens that the model reads."""
        return model.encoder.max_length

    def logits(self, model: TextClassifier, batch: Batch) -> Tensor:
        """One score per label."""
        scores: Tensor = model.network(batch.input_ids, batch.packing, batch.token_types)
        return scores

    def baselines(self, train: Examples, scored: Examples, spec: LabelSpec, seed: int) -> Iterable[BaselineAnswers]:
        """The most common answer, and logistic regression on TF-IDF."""
        yield from super().baselines(train, scored, spec, seed)
        labels = spec.labels
        words = tfidf_baseline(
            train.texts(), train.targets(), scored.texts(), labels.names, multi=labels.multi, seed=seed
        )
        if words is not None:
            yield self.as_baseline(words, spec)

    def shown(self, example: Example) -> Shown:
        """The text, or both."""
        return Shown(example.where, joined(example, ("text", "text_pair")))

    def page(self, record: Record) -> TaskPage:
        """Classes, confusion, calibration, mistakes, and how to use the model."""
        from headway.tasks.label_page import LabelUsage, label_task_page  # draws charts, which answering needs not

        usage = LabelUsage(
            "text", "A text to judge.", "texts.csv", "labelled.csv", "another language, subject or length"
        )
        return label_task_page(record, usage)


def _text(example: Example) -> Text:
    pair = example.get("text_pair")
    return example["text"] if pair is None else (example["text"], pair)
