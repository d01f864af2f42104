"""The whole way of a classifier: read, check, train, measure, save."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from headway.batching.text_encoder import TextEncoder
from headway.checkpoints.hub import locate
from headway.checkpoints.load import LoadedClassifier, classifier_architecture, empty_classifier, load_classifier
from headway.checkpoints.scratch import is_scratch, new_architecture, new_classifier
from headway.checkpoints.tokenizer_files import load_tokenizer
from headway.device import choose_device, choose_precision
from headway.examples.examples import Examples
from headway.settings import Settings, for_new_weights
from headway.sources.read import require
from headway.tasks.classification.classifier import TextClassifier
from headway.tasks.classification.data import ClassificationData, read_classification_data
from headway.tasks.classification.engine import Engine, sequence_limit
from headway.tasks.classification.fit import check_metric, choose_metric, fit
from headway.tasks.classification.measure import measure_run
from headway.tasks.folder import RunFolder
from headway.tasks.reporter import Reporter
from headway.tokenizers.tokenizer import Tokenizer
from headway.training.optimizer import freeze
from headway.training.state import seed_everything

__all__ = ["train_classifier"]

_VOCABULARY_EXAMPLES = 200_000
"""Examples at most that a vocabulary is learned from: memory stays bounded, and more do not change it."""


def train_classifier(
    data: str,
    *,
    model: str,
    output: str | Path,
    validation: str | None = None,
    test: str | None = None,
    settings: Settings,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> TextClassifier:
    """Fine-tune a classifier on a file of examples and measure it.

    Args:
        data: A file, a folder, `hub:NAME` or `sample:NAME`.
        model: A model folder, a hub name, `minilm`, or `scratch:tiny`, `scratch:small`, `scratch:base`.
        output: The folder that the model, its record and its report are written to.
        validation: Where the validation rows are, if not to be taken from `data`.
        test: Where the test rows are, if not to be taken from `data`.
        settings: Everything else.
        resume: Go on with the interrupted run in `output`, bit for bit as if it had not been interrupted.
        overwrite: Replace what is in `output`.
        reporter: Hears how it goes.

    Raises:
        UserError: The data, the model or the settings cannot be used.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        TrainingError: Training cannot go on.
    """
    reporter = reporter or Reporter()
    folder = RunFolder(output)
    settings = for_new_weights(settings) if is_scratch(model) else settings
    request = {"task": "classification", "data": data, "validation": validation, "test": test, "model": model}
    folder.check({**request, **settings.model_dump()}, resume=resume, overwrite=overwrite)
    if resume and folder.is_finished():
        reporter.note(f"{folder.folder}: this run is finished already; there is nothing to resume.")
        return TextClassifier.load(folder.folder, device=settings.device)

    device = _prepare_machine(settings)
    base = _look_ahead([source for source in (data, validation, test) if source is not None], model, settings)
    reporter.stage(f"Reading {data}")
    examples = read_classification_data(data, validation, test, settings)
    metric = choose_metric(settings.metric, examples.labels.multi)
    _tell_columns(examples, reporter)
    reporter.stage(f"{'Making' if base is None else 'Loading'} {model}")
    classifier = _untrained(model, base, examples, settings, device, folder, reporter)

    reporter.stage("Checking the data")
    findings = examples.findings(classifier.engine.encoder)
    reporter.findings(findings)
    request["fingerprint"] = examples.fingerprint()
    folder.open({**request, **settings.model_dump()}, resume=resume)
    outcome = fit(classifier.engine, examples, settings, metric, folder, reporter, resume=resume)
    reporter.stage("Measuring")
    record = measure_run(classifier, examples, findings, outcome, settings.model_dump(), base_model=model)
    classifier.save(folder.folder, record)
    folder.states.remove()
    reporter.result(record, str(folder.folder))
    return classifier


def _look_ahead(sources: list[str], model: str, settings: Settings) -> Path | None:
    """Refuse what can be known to fail before a large file is read for nothing.

    Returns:
        The folder of the model to start from; None from scratch.
    """
    for source in sources:
        require(source)
    check_metric(settings.metric)
    base = None if is_scratch(model) else locate(model)
    architecture = new_architecture(model, "classification") if base is None else classifier_architecture(base)
    sequence_limit(architecture, settings.max_length)
    freeze(empty_classifier(architecture, num_labels=2), settings.freeze_layers)
    return base


def _tell_columns(data: ClassificationData, reporter: Reporter) -> None:
    reporter.note(f"Texts are in {' and '.join(data.columns.texts)}, labels in {', '.join(data.columns.labels)}.")
    reporter.note(data.splits.description)


def _untrained(
    model: str,
    base: Path | None,
    data: ClassificationData,
    settings: Settings,
    device: torch.device,
    folder: RunFolder,
    reporter: Reporter,
) -> TextClassifier:
    """A classifier for the data's labels, not trained yet."""
    seed_everything(settings.seed)
    if base is None:
        loaded, tokenizer = _from_scratch(model, data, settings, reporter)
    else:
        loaded, tokenizer = _from_checkpoint(model, base, data, settings, reporter)
    limit = sequence_limit(loaded.model.architecture, settings.max_length)
    precision = choose_precision(settings.precision, device)
    engine = Engine(
        loaded.model.to(device),
        TextEncoder(tokenizer, limit, empty_id=loaded.model.architecture.padding_id),
        device,
        precision,
    )
    return TextClassifier(engine, data.labels, loaded.config, data.columns, folder=str(folder.folder))


def _from_checkpoint(
    model: str, source: Path, data: ClassificationData, settings: Settings, reporter: Reporter
) -> tuple[LoadedClassifier, Tokenizer]:
    """With the checkpoint's weights; what the checkpoint lacks is drawn and told."""
    labels = data.labels
    loaded = load_classifier(source, label_names=labels.names, multi=labels.multi, dropouts=_dropouts(settings))
    if loaded.fresh:
        reporter.note(f"Freshly drawn weights: {', '.join(loaded.fresh)}. All others are those of {model}.")
    return loaded, load_tokenizer(source, loaded.model.architecture.input_stack.vocabulary_size)


def _from_scratch(
    model: str, data: ClassificationData, settings: Settings, reporter: Reporter
) -> tuple[LoadedClassifier, Tokenizer]:
    """With weights and a vocabulary of its own, learned from the training texts only."""
    loaded, tokenizer = new_classifier(
        model,
        "classification",
        _some_texts(data.splits.train),
        label_names=data.labels.names,
        multi=data.labels.multi,
        dropouts=_dropouts(settings),
    )
    parameters = sum(parameter.numel() for parameter in loaded.model.parameters())
    reporter.note(
        f"A new {loaded.family} model of {parameters / 1e6:,.1f} million parameters, all drawn, and a vocabulary of "
        f"{tokenizer.largest_id + 1:,} tokens from the training texts. A trained checkpoint needs far fewer examples."
    )
    return loaded, tokenizer


def _some_texts(examples: Examples) -> Iterator[str]:
    """The texts that a vocabulary is learned from: all, or evenly chosen ones."""
    chosen = np.unique(np.linspace(0, len(examples) - 1, _VOCABULARY_EXAMPLES).astype(np.int64))
    for example in examples.select(chosen):
        yield example.text
        if example.text_pair is not None:
            yield example.text_pair


def _prepare_machine(settings: Settings) -> torch.device:
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    return choose_device(settings.device)


def _dropouts(settings: Settings) -> dict[str, float]:
    wanted = {name: getattr(settings, name) for name in ("dropout", "attention_dropout", "head_dropout")}
    return {name: value for name, value in wanted.items() if value is not None}
