"""Everything that is said about a classifier: its scores beside the baselines, its mistakes, its speed."""

import platform
import resource
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headway.checkpoints.model_facts import settings_in_use
from headway.device import describe_device
from headway.evaluation.baselines import classification_baselines
from headway.evaluation.metrics.labels import score
from headway.evaluation.record import Mistake, Record, Scores
from headway.examples.checks.label_checks import Finding, left_out
from headway.examples.examples import Examples
from headway.nn.linear import num_parameters
from headway.tasks.classification.classifier import TextClassifier
from headway.tasks.classification.data import ClassificationData
from headway.tasks.classification.fit import Outcome

__all__ = ["measure_evaluation", "measure_run"]

MISTAKES_SHOWN = 20

FloatArray = NDArray[np.float32]


def measure_run(
    classifier: TextClassifier,
    data: ClassificationData,
    findings: tuple[Finding, ...],
    outcome: Outcome,
    settings: dict[str, Any],
    *,
    base_model: str,
) -> Record:
    """Score a trained classifier on the test rows, beside the baselines, and gather what the report shows."""
    splits, labels = data.splits, data.labels
    answers, seconds = _timed_probabilities(classifier, splits.test)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    progress = outcome.progress
    speed = {
        "training_seconds": progress.seconds,
        "training_tokens": float(progress.tokens),
        "training_tokens_per_second": progress.tokens / max(progress.seconds, 1e-9),
        "prediction_texts_per_second": len(splits.test) / max(seconds, 1e-9),
        "peak_memory_bytes": peak_memory(),
    }
    baselines = classification_baselines(
        (_joined(example.text, example.text_pair) for example in splits.train),
        splits.train.targets(),
        [_joined(example.text, example.text_pair) for example in splits.test],
        splits.test.targets(),
        labels.names,
        multi=labels.multi,
        seed=settings["seed"],
        probabilities=answers,
    )
    return Record(
        **_shared(classifier, splits.test, answers, base_model),
        data=data.sources,
        rows={name: len(part) for name, part in parts.items()},
        split=splits.description,
        label_counts={name: tuple(part.counts().tolist()) for name, part in parts.items()},
        findings=findings,
        curves=outcome.events,
        metric=outcome.metric,
        best_step=progress.best_step,
        last_step=progress.step,
        total_steps=outcome.total_steps,
        stopped_early=progress.stopped_early,
        refused_steps=progress.refused_steps,
        baselines=baselines,
        speed=speed,
        model=_model_figures(classifier),
        settings=settings,
    )


def measure_evaluation(classifier: TextClassifier, examples: Examples, source: str) -> Record:
    """Score a classifier on labelled rows; what concerns a training stays empty."""
    answers, seconds = _timed_probabilities(classifier, examples)
    return Record(
        **_shared(classifier, examples, answers, ""),
        data={"test": source},
        rows={"test": len(examples)},
        split="Every row that could be read was scored.",
        label_counts={"test": tuple(examples.counts().tolist())},
        findings=tuple(finding for finding in left_out([examples]) if finding.severity != "ok"),
        curves=(),
        metric="",
        best_step=0,
        last_step=0,
        total_steps=0,
        stopped_early=False,
        refused_steps=0,
        baselines=(),
        speed={
            "prediction_texts_per_second": len(examples) / max(seconds, 1e-9),
            "peak_memory_bytes": peak_memory(),
        },
        model=_model_figures(classifier),
        settings={},
    )


def peak_memory() -> float:
    """The most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def _shared(classifier: TextClassifier, examples: Examples, answers: FloatArray, base_model: str) -> dict[str, Any]:
    return {
        "headway_version": version("headway"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": "classification",
        "folder": classifier.folder,
        "base_model": base_model,
        "label_names": classifier.labels.names,
        "multi_label": classifier.labels.multi,
        "scores": _scores(classifier, examples, answers),
        "scored_on": "test",
        "mistakes": _mistakes(classifier, examples, answers),
        "environment": _environment(classifier),
    }


def _scores(classifier: TextClassifier, examples: Examples, answers: FloatArray) -> Scores:
    return score(examples.targets(), answers, classifier.labels.names, multi=classifier.labels.multi)


def _timed_probabilities(classifier: TextClassifier, examples: Examples) -> tuple[FloatArray, float]:
    started = time.perf_counter()
    answers = classifier.probabilities_of(examples)
    return answers, time.perf_counter() - started


def _mistakes(classifier: TextClassifier, examples: Examples, answers: FloatArray) -> tuple[Mistake, ...]:
    """The wrong answers that the classifier is surest of."""
    targets = examples.targets()
    if classifier.labels.multi:
        wrong = ((answers >= 0.5) != (targets > 0.5)).any(1)
        certainty = np.maximum(answers, 1 - answers).min(1)
    else:
        wrong = answers.argmax(1) != targets
        certainty = answers.max(1)
    rows = np.flatnonzero(wrong)
    rows = rows[np.argsort(-certainty[rows], kind="stable")][:MISTAKES_SHOWN]
    predictions = classifier.answers(answers[rows])
    return tuple(
        Mistake(
            where=example.where,
            text=_joined(example.text, example.text_pair),
            truth=_truth(classifier, example.label),
            predicted=prediction.label if isinstance(prediction.label, str) else ", ".join(prediction.label) or "none",
            confidence=float(certainty[row]),
        )
        for row, example, prediction in zip(rows, examples.fetch(rows), predictions, strict=True)
    )


def _truth(classifier: TextClassifier, label: int | tuple[int, ...] | None) -> str:
    if isinstance(label, int):
        return classifier.labels.names[label]
    return ", ".join(classifier.labels.names[index] for index in label or ()) or "none"


def _joined(text: str, text_pair: str | None) -> str:
    return text if text_pair is None else f"{text} ‖ {text_pair}"


def _model_figures(classifier: TextClassifier) -> dict[str, str | int | float | bool]:
    architecture = classifier.engine.model.architecture
    parameters = num_parameters(classifier.engine.model)
    return {"family": classifier.family, "parameters": parameters, **settings_in_use(architecture)}


def _environment(classifier: TextClassifier) -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": describe_device(classifier.engine.device),
        "precision": classifier.engine.precision,
        "system": f"{platform.system()} {platform.machine()}",
    }
