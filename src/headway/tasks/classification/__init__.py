"""Text classification: single-label (sentiment …), multi-label, and pairs of texts."""

from headway.tasks.classification.classifier import Prediction, TextClassifier
from headway.tasks.classification.run import train_classifier

__all__ = ["Prediction", "TextClassifier", "train_classifier"]
