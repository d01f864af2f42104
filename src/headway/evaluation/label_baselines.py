"""Baselines for tasks with labels: the most common answer, and a linear classifier on words or pixels.

Each is fitted on the training rows (of one fold) and returns probabilities for the scored rows.
"""

import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelBaseline", "linear_baseline", "majority_baseline", "tfidf_baseline"]

MAX_TRAIN_ROWS = 50_000
_MAX_CHARACTERS = 50_000_000  # as many as 38,000 film reviews; all their phrases take about a gigabyte
# The solver keeps about 25 vectors of features times labels: 2 million numbers are 400 MB, whatever the data.
_MAX_WEIGHTS = 2_000_000
_MAX_FEATURES = 200_000
_TEXTS_AT_ONCE = 2_000
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")

AnyArray = NDArray[Any]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LabelBaseline:
    """A fitted baseline's name, what it does in words, and its probabilities. *Shape:* (scored rows, num_labels)."""

    name: str
    description: str
    probabilities: FloatArray


def majority_baseline(
    train_targets: AnyArray,
    scored_rows: int,
    label_names: Sequence[str],
    *,
    multi: bool = False,
    what: str = "text",
) -> LabelBaseline:
    """Always give the best constant answer.

    Args:
        train_targets: Class indices, *shape:* (rows,), or 0 / 1, *shape:* (rows, num_labels), for multi-label.
        scored_rows: How many rows to answer.
        label_names: In the order of the class indices.
        multi: Each row may have any number of labels.
        what: What a row holds: "text" or "image".
    """
    answer, description = _most_common(train_targets, label_names, multi, what)
    return LabelBaseline("majority class", description, np.tile(answer, (scored_rows, 1)))


def tfidf_baseline(
    train_texts: Iterable[str],
    train_targets: AnyArray,
    scored_texts: Iterable[str],
    label_names: Sequence[str],
    *,
    multi: bool = False,
    seed: int = 0,
) -> LabelBaseline | None:
    """Count words (characters, in scripts without spaces), weight them by rarity and fit a linear classifier.

    The texts are read once, in order, and need not fit in memory. Of more than 50,000 training rows (or 50 million
    characters) a seeded sample is used, and the description says so.

    Args:
        train_texts: As many as `train_targets` has rows; for pairs, both texts joined.
        train_targets: Class indices, *shape:* (rows,), or 0 / 1, *shape:* (rows, num_labels), for multi-label.
        scored_texts: The texts to answer.
        label_names: In the order of the class indices.
        multi: Each row may have any number of labels.
        seed: Seed of the sample of training rows.

    Returns:
        None if the training texts have not a single character to learn from.
    """
    texts, targets = _sample(train_texts, train_targets, seed)
    if not any(text.strip() for text in texts):
        return None
    vectorizer, units = _vectorizer(texts, len(label_names))
    pipeline = _fit(vectorizer, texts, targets, multi)
    each = " for each label" if multi else ""
    description = f"counts {units}, weights them by rarity, and fits a linear classifier{each}"
    description += _sampled(len(texts), len(train_targets))
    return LabelBaseline(
        "TF-IDF + logistic regression", description, _predict(pipeline, scored_texts, len(label_names), multi)
    )


def linear_baseline(
    train_features: AnyArray,
    train_targets: AnyArray,
    scored_features: AnyArray,
    label_names: Sequence[str],
    *,
    name: str,
    description: str,
    multi: bool = False,
    seed: int = 0,
) -> LabelBaseline:
    """Fit logistic regression on features as they are, such as the pixels of small images.

    Of more than 50,000 training rows a seeded sample is used, and the description says so.

    Args:
        train_features: *Shape:* (rows, features)
        train_targets: Class indices, *shape:* (rows,), or 0 / 1, *shape:* (rows, num_labels), for multi-label.
        scored_features: *Shape:* (scored rows, features)
        label_names: In the order of the class indices.
        name: Of the baseline: "logistic regression on pixels".
        description: What it does: "reads each image at 16 × 16 pixels and fits a linear classifier".
        multi: Each row may have any number of labels.
        seed: Seed of the sample of training rows.
    """
    from sklearn.preprocessing import StandardScaler

    chosen = _chosen(len(train_targets), np.random.default_rng(seed))
    pipeline = _fit(StandardScaler(), train_features[chosen], train_targets[chosen], multi)
    answers = _columns(pipeline, pipeline.predict_proba(scored_features), len(label_names), multi)
    return LabelBaseline(name, description + _sampled(len(chosen), len(train_targets)), answers)


def _sampled(used: int, rows: int) -> str:
    return f", fitted on a random {used:,} of the {rows:,} training rows" if used < rows else ""


def _chosen(rows: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Choose at most MAX_TRAIN_ROWS rows at random, sorted."""
    return np.sort(generator.permutation(rows)[:MAX_TRAIN_ROWS])


def _sample(texts: Iterable[str], targets: AnyArray, seed: int) -> tuple[list[str], AnyArray]:
    """Keep what stays within the bounds, chosen at random, in the rows' order."""
    generator = np.random.default_rng(seed)
    chosen = _chosen(len(targets), generator)
    kept = list(compress(texts, np.isin(np.arange(len(targets)), chosen)))
    share = _MAX_CHARACTERS / max(1, sum(map(len, kept)))
    if share < 1:
        fitting = np.sort(generator.permutation(len(kept))[: max(1, int(len(kept) * share))])
        kept, chosen = [kept[position] for position in fitting], chosen[fitting]
    return kept, targets[chosen]


def _most_common(targets: AnyArray, label_names: Sequence[str], multi: bool, what: str) -> tuple[FloatArray, str]:
    """Return the best constant answer as probabilities, *shape:* (num_labels,), and what it is in words.

    For single labels these are the shares of the classes, so the largest one wins. For multi-label the answer is the
    fixed set of labels with the highest micro-F1 on the training rows; it consists of the most frequent ones.
    """
    num_labels = len(label_names)
    if not multi:
        shares = np.bincount(targets.astype(np.int64), minlength=num_labels) / len(targets)
        return shares, f"answers “{label_names[int(shares.argmax())]}” whatever the {what}"
    counts = targets.sum(axis=0, dtype=np.float64)
    order = np.argsort(-counts, kind="stable")
    sizes = np.arange(1, num_labels + 1)
    micro_f1 = 2 * counts[order].cumsum() / (counts.sum() + sizes * len(targets))
    chosen = order[: int(micro_f1.argmax()) + 1]
    answer = np.zeros(num_labels)
    answer[chosen] = 1.0
    return answer, f"gives every {what} the same labels: {', '.join(label_names[label] for label in chosen)}"


def _vectorizer(texts: list[str], num_labels: int) -> tuple[Any, str]:
    """Return scikit-learn's vectorizer for texts of this kind, and what it counts in words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = _has_words(texts)
    units = {"ngram_range": (1, 2), "token_pattern": r"\w+"} if words else {"ngram_range": (1, 3), "analyzer": "char"}
    size = min(_MAX_FEATURES, max(1_000, _MAX_WEIGHTS // num_labels))
    what = "one- and two-word phrases" if words else "sequences of one to three characters"
    return TfidfVectorizer(max_features=size, sublinear_tf=True, **units), what


def _fit(features: Any, rows: Any, targets: AnyArray, multi: bool) -> Any:
    """Return the fitted scikit-learn pipeline of a feature step and logistic regression."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    regression = LogisticRegression(max_iter=300)
    classifier = OneVsRestClassifier(regression) if multi else regression
    if not multi and len(np.unique(targets)) == 1:
        classifier = DummyClassifier(strategy="prior")
    pipeline = make_pipeline(features, classifier)
    with warnings.catch_warnings():
        # A baseline that stops after 300 iterations, or sees a label on every row or on none, is still a baseline.
        warnings.simplefilter("ignore")
        pipeline.fit(rows, targets)
    return pipeline


def _predict(pipeline: Any, texts: Iterable[str], num_labels: int, multi: bool) -> FloatArray:
    """Predict chunk by chunk. *Shape:* (texts, num_labels)."""
    iterator, found = iter(texts), []
    while chunk := list(islice(iterator, _TEXTS_AT_ONCE)):
        found.append(_columns(pipeline, pipeline.predict_proba(chunk), num_labels, multi))
    return np.concatenate(found)


def _columns(pipeline: Any, answers: FloatArray, num_labels: int, multi: bool) -> FloatArray:
    """One column per label; classes that the training rows lack have probability 0. *Shape:* (rows, num_labels)."""
    if not multi:
        learned, answers = answers, np.zeros((len(answers), num_labels))
        answers[:, pipeline.classes_] = learned
    # Of a single yes-or-no label scikit-learn returns both columns, no and yes.
    return answers[:, -num_labels:]


def _has_words(texts: Sequence[str]) -> bool:
    """Tell whether most letters belong to a script that puts spaces between words (Chinese, Thai … do not)."""
    letters = [letter for text in islice(texts, 1_000) for letter in text[:200] if letter.isalpha()]
    unspaced = sum(unicodedata.name(letter, "").startswith(_UNSPACED) for letter in letters)
    return bool(letters) and unspaced < 0.3 * len(letters)
