"""The simple things a person would do instead of training a transformer, scored on the same rows.

A model that is not clearly better than these is not worth its electricity; the report says so.
"""

import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from itertools import compress, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headway.evaluation.metrics.labels import paired_difference, score
from headway.evaluation.record import Baseline

__all__ = ["MAX_TRAIN_ROWS", "classification_baselines"]

MAX_TRAIN_ROWS = 50_000
_MAX_CHARACTERS = 50_000_000  # as many as 38,000 film reviews; all their phrases take about a gigabyte
# The solver keeps about 25 vectors of features times labels: 2 million numbers are 400 MB, whatever the data.
_MAX_WEIGHTS = 2_000_000
_MAX_FEATURES = 200_000
_TEXTS_AT_ONCE = 2_000
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")

AnyArray = NDArray[Any]
FloatArray = NDArray[np.float64]


def classification_baselines(
    train_texts: Iterable[str],
    train_targets: AnyArray,
    test_texts: Iterable[str],
    test_targets: AnyArray,
    label_names: Sequence[str],
    *,
    multi: bool = False,
    seed: int = 0,
    probabilities: AnyArray | None = None,
    resamples: int = 1000,
) -> tuple[Baseline, ...]:
    """Score the most common answer, and TF-IDF with logistic regression, as `score` scores the model.

    The texts are read once, in order, and need not fit in memory. Of more than 50,000 training rows (or 50 million
    characters) a seeded sample is learned from, and the description says so. Without a single character to learn
    from, the second baseline is left out.

    Args:
        train_texts: As many as `train_targets` has rows; for pairs, both texts joined.
        train_targets: Class indices, *shape:* (rows,), or 0 / 1, *shape:* (rows, num_labels), for multi-label.
        test_texts: The scored rows' texts.
        test_targets: Their truth, of the same kind.
        label_names: In the order of the class indices.
        multi: Each row may have any number of labels.
        seed: Of the sample of training rows and of the intervals.
        probabilities: The model's own, for the same test rows: each baseline then tells the model's paired lead.
        resamples: How many draws each interval rests on.
    """
    texts, targets = _sample(train_texts, train_targets, seed)

    def baseline(name: str, description: str, answers: FloatArray) -> Baseline:
        leads = {}
        if probabilities is not None:
            leads = paired_difference(test_targets, probabilities, answers, multi=multi, seed=seed, resamples=resamples)
        scores = score(test_targets, answers, label_names, multi=multi, seed=seed, resamples=resamples)
        return Baseline(name, description, scores, leads)

    common, what = _most_common(train_targets, label_names, multi)
    baselines = [baseline("majority class", what, np.tile(common, (len(test_targets), 1)))]
    learned = _learn(texts, targets, len(label_names), multi)
    if learned is not None:
        pipeline, what = learned
        if len(texts) < len(train_targets):
            what += f", learned from a random {len(texts):,} of the {len(train_targets):,} training rows"
        baselines.append(
            baseline("TF-IDF + logistic regression", what, _predict(pipeline, test_texts, len(label_names), multi))
        )
    return tuple(baselines)


def _sample(texts: Iterable[str], targets: AnyArray, seed: int) -> tuple[list[str], AnyArray]:
    """Keep what fits the bounds, chosen at random, in the rows' order."""
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(len(targets))[:MAX_TRAIN_ROWS])
    kept = list(compress(texts, np.isin(np.arange(len(targets)), chosen)))
    share = _MAX_CHARACTERS / max(1, sum(map(len, kept)))
    if share < 1:
        fitting = np.sort(generator.permutation(len(kept))[: max(1, int(len(kept) * share))])
        kept, chosen = [kept[position] for position in fitting], chosen[fitting]
    return kept, targets[chosen]


def _most_common(targets: AnyArray, label_names: Sequence[str], multi: bool) -> tuple[FloatArray, str]:
    """Return the best constant answer as probabilities, *shape:* (num_labels,), and what it is in words.

    For single labels these are the shares of the classes, so the largest one wins. For multi-label the answer is the
    fixed set of labels with the highest micro-F1 on the training rows; it consists of the most frequent ones.
    """
    num_labels = len(label_names)
    if not multi:
        shares = np.bincount(targets.astype(np.int64), minlength=num_labels) / len(targets)
        return shares, f"answers “{label_names[int(shares.argmax())]}” whatever the text"
    counts = targets.sum(axis=0, dtype=np.float64)
    order = np.argsort(-counts, kind="stable")
    sizes = np.arange(1, num_labels + 1)
    micro_f1 = 2 * counts[order].cumsum() / (counts.sum() + sizes * len(targets))
    chosen = order[: int(micro_f1.argmax()) + 1]
    answer = np.zeros(num_labels)
    answer[chosen] = 1.0
    return answer, f"gives every text the same labels: {', '.join(label_names[label] for label in chosen)}"


def _learn(texts: list[str], targets: AnyArray, num_labels: int, multi: bool) -> tuple[Any, str] | None:
    """Return the fitted scikit-learn pipeline and what it does in words; None when no text has a character."""
    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    if not any(text.strip() for text in texts):
        return None
    words = _has_words(texts)
    units = {"ngram_range": (1, 2), "token_pattern": r"\w+"} if words else {"ngram_range": (1, 3), "analyzer": "char"}
    size = min(_MAX_FEATURES, max(1_000, _MAX_WEIGHTS // num_labels))
    regression = LogisticRegression(max_iter=300)
    classifier = OneVsRestClassifier(regression) if multi else regression
    if not multi and len(np.unique(targets)) == 1:
        classifier = DummyClassifier(strategy="prior")
    pipeline = make_pipeline(TfidfVectorizer(max_features=size, sublinear_tf=True, **units), classifier)
    with warnings.catch_warnings():
        # A baseline that stops after 300 iterations, or sees a label on every row or on none, is still a baseline.
        warnings.simplefilter("ignore")
        pipeline.fit(texts, targets)
    what = "one- and two-word phrases" if words else "runs of one to three characters"
    each = " for each label" if multi else ""
    return pipeline, f"counts {what}, weighs them by rarity, and fits a linear classifier{each}"


def _predict(pipeline: Any, texts: Iterable[str], num_labels: int, multi: bool) -> FloatArray:
    """Predict chunk by chunk. Classes that were not learned have probability 0. *Shape:* (texts, num_labels)."""
    iterator, found = iter(texts), []
    while chunk := list(islice(iterator, _TEXTS_AT_ONCE)):
        answers = pipeline.predict_proba(chunk)
        if not multi:
            learned, answers = answers, np.zeros((len(chunk), num_labels))
            answers[:, pipeline.classes_] = learned
        # Of a single yes-or-no label scikit-learn returns both columns, no and yes.
        found.append(answers[:, -num_labels:])
    return np.concatenate(found)


def _has_words(texts: Sequence[str]) -> bool:
    """Tell whether most letters belong to a script that puts spaces between words (Chinese, Thai … do not)."""
    letters = [letter for text in islice(texts, 1_000) for letter in text[:200] if letter.isalpha()]
    unspaced = sum(unicodedata.name(letter, "").startswith(_UNSPACED) for letter in letters)
    return bool(letters) and unspaced < 0.3 * len(letters)
