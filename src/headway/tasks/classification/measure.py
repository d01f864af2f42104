"""Everything that is said about a classifier: its scores beside the baselines, its mistakes, its speed."""

import platform
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headway.checkpoints.model_facts import settings_in_use
from headway.device import describe_device
from headway.evaluation.baselines import score_baseline
from headway.evaluation.label_baselines import majority_baseline, tfidf_baseline
from headway.evaluation.label_details import Shown, find_mistakes, label_details
from headway.evaluation.metrics.labels import LabelMetrics
from headway.evaluation.metrics.metric import score
from headway.evaluation.record import Baseline, Record, pack_details
from headway.examples.checks.label_checks import Finding, left_out
from headway.examples.examples import Examples
from headway.tasks.classification.classifier import TextClassifier
from headway.tasks.classification.data import ClassificationData
from headway.tasks.classification.fit import Outcome

__all__ = ["measure_evaluation", "measure_run"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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
    splits = data.splits
    statistics, seconds = _timed_statistics(classifier, splits.test)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    progress = outcome.progress
    speed = {
        "training_seconds": progress.seconds,
        "training_tokens": float(progress.tokens),
        "training_tokens_per_second": progress.tokens / max(progress.seconds, 1e-9),
        "prediction_rows_per_second": len(splits.test) / max(seconds, 1e-9),
        "peak_memory_bytes": peak_memory(),
    }
    return Record(
        **_shared(classifier, splits.test, statistics, base_model, parts),
        data=data.sources,
        rows={name: len(part) for name, part in parts.items()},
        split=splits.description,
        findings=findings,
        curves=outcome.events,
        metric=outcome.metric,
        best_step=progress.best_step,
        last_step=progress.step,
        total_steps=outcome.total_steps,
        stopped_early=progress.stopped_early,
        refused_steps=progress.refused_steps,
        baselines=_baselines(classifier, data, statistics, settings["seed"]),
        speed=speed,
        model=_model_figures(classifier),
        settings=settings,
    )


def measure_evaluation(classifier: TextClassifier, examples: Examples, source: str) -> Record:
    """Score a classifier on labelled rows; what concerns a training stays empty."""
    statistics, seconds = _timed_statistics(classifier, examples)
    return Record(
        **_shared(classifier, examples, statistics, "", {"test": examples}),
        data={"test": source},
        rows={"test": len(examples)},
        split="Every row that could be read was scored.",
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
            "prediction_rows_per_second": len(examples) / max(seconds, 1e-9),
            "peak_memory_bytes": peak_memory(),
        },
        model=_model_figures(classifier),
        settings={},
    )


def peak_memory() -> float:
    """The most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


def _shared(
    classifier: TextClassifier,
    examples: Examples,
    statistics: FloatArray,
    base_model: str,
    parts: dict[str, Examples],
) -> dict[str, Any]:
    metrics = metrics_of(classifier)

    def show(rows: IntArray) -> list[Shown]:
        return [Shown(example.where, _joined(example.text, example.text_pair)) for example in examples.fetch(rows)]

    counts = {name: part.counts().tolist() for name, part in parts.items()}
    details = label_details(metrics, statistics, counts, find_mistakes(metrics, statistics, show))
    return {
        "headway_version": version("headway"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": "classification",
        "folder": classifier.folder,
        "base_model": base_model,
        "scores": score(metrics, statistics),
        "scored_on": "test",
        "environment": _environment(classifier),
        "details": pack_details(details),
    }


def metrics_of(classifier: TextClassifier) -> LabelMetrics:
    """The metrics of a classifier's labels."""
    return LabelMetrics(classifier.labels.names, classifier.labels.multi)


def _timed_statistics(classifier: TextClassifier, examples: Examples) -> tuple[FloatArray, float]:
    started = time.perf_counter()
    probabilities = classifier.probabilities_of(examples)
    seconds = time.perf_counter() - started
    return metrics_of(classifier).statistics_of(examples.targets(), probabilities), seconds


def _baselines(
    classifier: TextClassifier, data: ClassificationData, ours: FloatArray, seed: int
) -> tuple[Baseline, ...]:
    """The majority class and TF-IDF, fitted on the training rows and scored on the test rows."""
    names, multi = data.labels.names, data.labels.multi
    train, test = data.splits.train, data.splits.test
    targets, metrics = train.targets(), metrics_of(classifier)
    fitted = [
        majority_baseline(targets, len(test), names, multi=multi),
        tfidf_baseline(_texts(train), targets, _texts(test), names, multi=multi, seed=seed),
    ]
    return tuple(
        score_baseline(
            baseline.name,
            baseline.description,
            metrics,
            metrics.statistics_of(test.targets(), baseline.probabilities),
            ours=ours,
            seed=seed,
        )
        for baseline in fitted
        if baseline is not None
    )


def _texts(examples: Examples) -> Iterator[str]:
    return (_joined(example.text, example.text_pair) for example in examples)


def _joined(text: str, text_pair: str | None) -> str:
    return text if text_pair is None else f"{text} ‖ {text_pair}"


def _model_figures(classifier: TextClassifier) -> dict[str, str | int | float | bool]:
    architecture = classifier.engine.model.architecture
    parameters = sum(parameter.numel() for parameter in classifier.engine.model.parameters())
    return {"family": classifier.family, "parameters": parameters, **settings_in_use(architecture)}


def _environment(classifier: TextClassifier) -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": describe_device(classifier.engine.device),
        "precision": classifier.engine.precision,
        "system": f"{platform.system()} {platform.machine()}",
    }
