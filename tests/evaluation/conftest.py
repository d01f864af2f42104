"""Records as real runs leave them: probabilities are drawn from a seed and scored by the real code."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from headway.evaluation.baselines import score_baseline
from headway.evaluation.label_details import LabelDetails, Mistake, label_details
from headway.evaluation.metrics import score
from headway.evaluation.metrics.label_metrics import LabelMetrics
from headway.evaluation.record import Record, Scores, pack_details, unpack_details
from headway.examples.checks.label_checks import Finding

TEXTS = (
    "I wanted to like it, I really did, but after two weeks the hinge broke and nobody answered my letters.",
    "Not bad at all <b>for the price</b>; the battery, though, is a joke & the manual is in one language only.",
    "Well. It does what it says on the box, and if you never open the box it will last for ever.",
    "Die Lieferung kam pünktlich – 充電器は入っていませんでした。 Still, I'd order it again tomorrow.",
)


def probabilities(targets: np.ndarray, num_labels: int, skill: float, seed: int) -> np.ndarray:
    """Softmax of noise plus `skill` on the right class. *Shape:* (rows, num_labels)."""
    logits = np.random.default_rng(seed).normal(size=(len(targets), num_labels)) * 1.6
    logits[np.arange(len(targets)), targets] += skill
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def curves(shape: str, steps: int = 240) -> tuple[dict[str, float], ...]:
    """A training whose validation loss turns ("turning"), keeps falling ("falling") or was never measured ("none")."""
    noise = np.random.default_rng(4)
    events: list[dict[str, float]] = []
    for step in range(4, steps + 1, 4):
        warm = min(1.0, step / 24) * (1 - step / (steps * 1.25))
        loss = 0.12 + 0.6 * np.exp(-step / 70) + 0.05 * noise.normal()
        norm = 1.2 + 2.5 * np.exp(-step / 40) + 0.3 * abs(noise.normal())
        event = {"train_loss": loss, "learning_rate": 5e-5 * warm, "gradient_norm": norm, "tokens_per_second": 1850.0}
        events.append({"step": float(step), "epoch": step / 80} | event)
        if step % 20 == 0 and shape != "none":
            rise = 0.0011 * max(0, step - 140) if shape == "turning" else 0.0
            validation = {
                "validation_loss": 0.3 + 0.42 * np.exp(-step / 60) + rise,
                "accuracy": 0.9 - 0.4 * np.exp(-step / 40),
            }
            events.append({"step": float(step), "epoch": step / 80} | validation)
    return tuple({key: float(value) for key, value in event.items()} for event in events)


def single(names: Sequence[str], rows: int, skill: float, baseline_skill: float, **changes: object) -> Record:
    """A run on classes, with a TF-IDF baseline of the given skill that finds the same rows hard."""
    generator = np.random.default_rng(7)
    shares = generator.dirichlet(np.full(len(names), 6.0))
    targets = generator.choice(len(names), size=rows, p=shares)
    metrics = LabelMetrics(tuple(names))
    ours, theirs = (probabilities(targets, len(names), level, 11) for level in (skill, baseline_skill))
    common = np.tile(shares, (rows, 1))
    statistics = metrics.statistics_of(targets, ours)
    baselines = tuple(
        score_baseline(name, what, metrics, metrics.statistics_of(targets, other), ours=statistics)
        for name, what, other in (
            ("majority class", f"answers “{names[int(shares.argmax())]}” whatever the text", common),
            (
                "TF-IDF + logistic regression",
                "counts one- and two-word phrases, weights them by rarity, and fits a linear classifier",
                theirs,
            ),
        )
    )
    wrong = [row for row in np.argsort(-ours.max(axis=1)) if ours[row].argmax() != targets[row]][:12]
    mistakes = tuple(
        Mistake(
            where=f"reviews.csv, row {row + 1}",
            text=TEXTS[position % len(TEXTS)],
            truth=names[targets[row]],
            predicted=names[int(ours[row].argmax())],
            confidence=float(ours[row].max()),
        )
        for position, row in enumerate(wrong)
    )
    counts = {
        split: tuple(int(count) for count in np.round(shares * size))
        for split, size in (("train", 2400), ("validation", rows), ("test", rows))
    }
    details = pack_details(label_details(metrics, statistics, counts, mistakes))
    run = replace(plain(names, rows), scores=score(metrics, statistics), baselines=baselines, details=details)
    return replace(run, **changes)


def several(names: Sequence[str], rows: int) -> Record:
    """A run on several labels per row."""
    generator = np.random.default_rng(3)
    targets = (generator.random((rows, len(names))) < np.linspace(0.35, 0.04, len(names))).astype(np.float32)
    ours = np.clip(0.55 * targets + generator.random(targets.shape) * 0.58, 0, 1)
    theirs = np.clip(0.4 * targets + generator.random(targets.shape) * 0.62, 0, 1)
    metrics = LabelMetrics(tuple(names), multi=True)
    statistics = metrics.statistics_of(targets, ours)
    baseline = score_baseline(
        "TF-IDF + logistic regression",
        "counts one- and two-word phrases, weights them by rarity, and fits a linear classifier for each label",
        metrics,
        metrics.statistics_of(targets, theirs),
        ours=statistics,
    )
    mistake = Mistake("reviews.csv, row 9", TEXTS[0], "quality, service", "", 0.93)
    counts = {
        "train": tuple(int(count) for count in 5 * targets.sum(axis=0)),
        "test": tuple(map(int, targets.sum(axis=0))),
    }
    details = pack_details(label_details(metrics, statistics, counts, (mistake,)))
    return replace(plain(names, rows), scores=score(metrics, statistics), baselines=(baseline,), metric="micro_f1",
                   details=details)  # fmt: skip


def changed_details(record: Record, **changes: object) -> Record:
    """The record with other details."""
    return replace(record, details=pack_details(replace(unpack_details(LabelDetails, record), **changes)))


def plain(names: Sequence[str], rows: int) -> Record:
    """All that does not depend on the predictions."""
    return Record(
        headway_version="0.1.0",
        created="2026-03-14T15:09:26+00:00",
        task="text_classification",
        folder="runs/reviews",
        base_model="minilm",
        data={"train": "data/reviews.csv"},
        rows={"train": 2400, "validation": rows, "test": rows},
        split="80 % train, 10 % validation, 10 % test; every label in the same share; duplicates on one side; seed 0.",
        findings=(
            Finding("empty_rows", "ok", "No row is empty."),
            Finding("exact_duplicates", "note", "31 rows (1.0 %) repeat another one; they stay on one side.",
                    31, 0.0103, ('reviews.csv, row 17: "Great value."', 'reviews.csv, row 904: "Great value."')),
            Finding("conflicting_labels", "warning", "4 texts occur with different labels; check which one is right.",
                    4, 0.0013, ('reviews.csv, row 63: "It <i>works</i>."',)),
            Finding("leak_train_test", "ok", "No test row is also a training row."),
            Finding("truncated", "ok", "No text is longer than the model's 512 tokens."),
        ),
        curves=curves("turning"),
        metric="validation_loss",
        best_step=140,
        last_step=240,
        total_steps=300,
        stopped_early=True,
        refused_steps=0,
        scores=Scores(0, {}),
        scored_on="test",
        baselines=(),
        speed={"training_seconds": 187.4, "training_tokens": 346_210.0, "training_tokens_per_second": 1847.0,
               "prediction_rows_per_second": 131.2, "peak_memory_bytes": 1.21e9},
        model={"family": "bert", "parameters": 22_713_986, "blocks": 6, "d_model": 384, "heads": 12, "max_length": 512},
        settings={"seed": 0, "epochs": 3, "learning_rate": 5e-5, "batch": {"size": 32}},
        environment={"python": "3.11.9", "torch": "2.13.0", "device": "cpu", "threads": "2"},
    )  # fmt: skip


@pytest.fixture(scope="session")
def record() -> Record:
    """Two classes, 300 test rows, clearly better than the baselines; validation turned at step 140."""
    return single(("negative", "positive"), 300, 3.2, 2.2)


@pytest.fixture(scope="session")
def single_record() -> Callable[..., Record]:
    return single


@pytest.fixture(scope="session")
def several_record() -> Callable[..., Record]:
    return several


@pytest.fixture(scope="session")
def with_details() -> Callable[..., Record]:
    return changed_details


@pytest.fixture(scope="session")
def make_curves() -> Callable[..., tuple[dict[str, float], ...]]:
    return curves
