"""Text classification: single-label (sentiment …), multi-label, and pairs of texts."""

from headway.tasks.classification.classifier import Prediction, TextClassifier

__all__ = ["Prediction", "TextClassifier"]
