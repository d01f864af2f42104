"""Copying a text: a small task whose answers are texts. `docs/add-a-task.md` writes it step by step."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from headway.batching.batch import Batch, Encoded, collate
from headway.checkpoints.load import load_language_model
from headway.checkpoints.save import save_language_model
from headway.checkpoints.scratch import new_architecture, new_language_model
from headway.checkpoints.tokenizer_files import load_tokenizer
from headway.device import choose_precision
from headway.evaluation.metrics.text import ChrfMetrics
from headway.evaluation.record import Record, pack_details
from headway.evaluation.report import TaskPage
from headway.evaluation.text_details import text_details
from headway.examples.examples import Example, Examples
from headway.examples.fields import Field
from headway.models.shift import shift_right
from headway.nn.packing import Packing
from headway.settings import Settings
from headway.tasks.task import BaselineAnswers, Match, ModelSource, Part, Task, TaskModel
from headway.tasks.text_model import new_model_note, sequence_limit, text_encoder, vocabulary_texts
from headway.tasks.text_page import text_task_page
from headway.tokenizers.pieces import text_pieces
from headway.tokenizers.text_encoder import TextEncoder
from headway.training.loss import LossSum

TEXT = Field(name="text", kind="text", setting="text_column", usual_names=(("text",),))
NAMES = (("reference", "references"),)
REFERENCES = Field(name="references", kind="text", role="target", setting="target_column", usual_names=NAMES, many=True)
SHAPE = "summarization"  # new models take the shape of those that summarise: BART's


@dataclass(kw_only=True)
class Copier(TaskModel):
    encoder: TextEncoder


class Copying(Task[None, Copier, str]):
    name = "copying"
    fields = (TEXT, REFERENCES)
    metric_names = ("chrf",)
    default_model = "scratch:tiny"
    segments = True

    def recognise_table(self, columns: Mapping[str, Sequence[Any]]) -> Match:
        return Match.CERTAIN if any(name.lower().startswith("reference") for name in columns) else Match.NO

    def recognise_model(self, config: Mapping[str, Any]) -> Match:
        return Match.NO

    def learn_spec(self, rows: Examples, settings: Settings) -> None:
        return None

    def check_model(self, source: ModelSource, settings: Settings) -> None:
        sequence_limit(new_architecture(source.name, SHAPE), settings.data.max_length)

    def load(self, source: ModelSource, spec: None, rows: Examples, settings: Settings, device: torch.device) -> Copier:
        dropouts, precision = settings.training.dropouts, choose_precision(settings.machine.precision, device)
        new, tokenizer = new_language_model(source.name, SHAPE, vocabulary_texts(rows), dropouts=dropouts)
        encoder = text_encoder(new.model.architecture, tokenizer, settings.data.max_length)
        parts = {"network": new.model.to(device), "config": new.config, "encoder": encoder}
        return Copier(**parts, device=device, precision=precision, notes=(new_model_note(new, tokenizer),))

    def save(self, folder: Path, model: Copier, spec: None) -> Mapping[str, Any]:
        save_language_model(folder, model.network, config=model.config, tokenizer=model.encoder.tokenizer)
        return {"max_length": model.encoder.max_length}

    def open(self, folder: Path, known: Any, settings: Settings, device: torch.device, precision: Any) -> Any:
        old, length = load_language_model(folder), settings.data.max_length or known.get("max_length")
        encoder = text_encoder(old.model.architecture, load_tokenizer(folder), length)
        parts = {"network": old.model.to(device), "config": old.config, "encoder": encoder}
        return None, Copier(**parts, device=device, precision=precision)

    def max_length(self, model: Copier) -> int:
        return model.encoder.max_length

    def encode(self, model: Copier, examples: Sequence[Example], *, targets: bool, rngs: Any = None) -> list[Encoded]:
        reads = model.encoder.encode([one["text"] for one in examples])
        writes = model.encoder.encode([one["references"][0] for one in examples]) if targets else [None] * len(reads)
        return [
            Encoded(input_ids=read.input_ids, full_length=read.full_length, target_ids=write and write.input_ids)
            for read, write in zip(reads, writes, strict=True)
        ]

    def loss(self, model: Copier, batch: Batch) -> LossSum:
        known = shift_right(batch.target_ids, batch.target_packing, model.network.architecture.start_id)
        scores = model.network.decode(known, batch.target_packing, model.network.encode(batch.input_ids, batch.packing))
        nll = functional.cross_entropy(scores.float(), batch.target_ids, reduction="sum")
        return LossSum(nll, nll.detach(), divisor=float(len(known)), count=float(len(known)))

    def segment(self, model: Copier, example: Example, settings: Settings) -> Sequence[Example]:
        words, parts, free = example["text"].split(" "), [], 0
        for word, cost in zip(words, model.encoder.encode([f" {word}" for word in words]), strict=True):
            if cost.full_length - 2 > free:  # two tokens are special
                parts, free = [*parts, []], model.encoder.max_length - 2
            parts[-1].append(word)
            free -= cost.full_length - 2
        return [example.with_values(text=" ".join(part)) for part in parts]

    def answer(self, model: Copier, spec: None, batch: Batch, settings: Settings, outputs: Any = None) -> list[Part]:
        answers: list[list[int]] = [[] for _ in range(len(batch))]
        for number, token in greedy_tokens(model, batch, settings):
            answers[number].append(token)
        return [Part(text) for text in model.encoder.tokenizer.decode(answers)]

    def join(self, example: Example, parts: Sequence[Part]) -> str:
        return " ".join(part.value for part in parts)

    def stream(self, model: Copier, spec: None, example: Example, settings: Settings) -> Iterator[str]:
        for number, segment in enumerate(self.segment(model, example, settings)):
            batch = collate(self.encode(model, [segment], targets=False), model.device)
            yield from " " * (number > 0)
            yield from text_pieces(model.encoder.tokenizer, (t for _, t in greedy_tokens(model, batch, settings)))

    def row(self, answer: str) -> dict[str, Any]:
        return {"output": answer}

    def metrics(self, spec: None) -> ChrfMetrics:
        return ChrfMetrics(lambda example: example["references"])

    def baselines(self, train: Examples, scored: Examples, spec: None, seed: int) -> Iterable[BaselineAnswers]:
        yield BaselineAnswers("nothing", "leaves the answer empty", [""] * len(scored))

    def details(self, spec: None, splits: Any, scored: Examples, answers: Sequence[str]) -> dict[str, Any]:
        return pack_details(text_details(self.metrics(spec), scored, answers))

    def page(self, record: Record) -> TaskPage:
        infos = self.metrics(None).infos
        return text_task_page(record, infos, pipeline_tag="text2text-generation", sample="red cat", answers="A copy.")


def greedy_tokens(model: Copier, batch: Batch, settings: Settings) -> Iterator[tuple[int, int]]:
    """The number of a text and its most likely next token, until each has ended; what has ended leaves the batch."""
    network, running = model.network, torch.arange(len(batch), device=model.device)
    memory, cache = network.encode(batch.input_ids, batch.packing), network.new_cache(len(batch))
    tokens = torch.full_like(running, network.architecture.start_id)
    for _ in range(settings.generation.max_new_tokens or model.encoder.max_length):
        tokens = network.decode(tokens, Packing([1] * len(running), model.device), memory, cache).argmax(-1)
        going = (tokens != model.config["eos_token_id"]).nonzero()[:, 0]
        if len(going) == 0:
            return
        running, tokens = running[going], tokens[going]
        cache.select(going)
        yield from zip(running.tolist(), tokens.tolist(), strict=True)
