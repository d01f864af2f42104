"""The names of the figures, how they are printed, and what they mean."""

from dataclasses import dataclass

from headway.evaluation.record import Interval

__all__ = ["METRICS", "Metric", "in_prose"]


@dataclass(frozen=True)
class Metric:
    """How a figure is called, whether it is printed in percent, and what it is."""

    label: str
    percent: bool
    meaning: str

    def show(self, value: float) -> str:
        """Print a value: "87.3 %" or "0.741"."""
        return f"{self._number(value)}\N{NO-BREAK SPACE}%" if self.percent else self._number(value)

    def show_range(self, interval: Interval) -> str:
        """Print the ends of an interval: "83.5–91.0 %"; with a word between when one of them has a sign."""
        dash = "–" if interval.low >= 0 else " to "
        unit = "\N{NO-BREAK SPACE}%" if self.percent else ""
        return f"{self._number(interval.low)}{dash}{self._number(interval.high)}{unit}"

    def show_difference(self, value: float) -> str:
        """Print a difference with its sign, percent as points without the word: "+3.1", "−0.012", "0.0"."""
        text = f"{100 * value:+.1f}" if self.percent else f"{value:+.3f}"
        return text.replace("-", "\N{MINUS SIGN}") if float(text) else text[1:]

    def _number(self, value: float) -> str:
        text = f"{100 * value:.1f}" if self.percent else f"{value:.3f}"
        return text.replace("-", "\N{MINUS SIGN}")


METRICS = {
    "accuracy": Metric("Accuracy", True, "The share of rows that got the right label."),
    "macro_f1": Metric(
        "Macro-F1", False, "F1 of each class, averaged so that a rare class counts as much as a common one."
    ),
    "mcc": Metric(
        "MCC",
        False,
        "Matthews correlation between truth and answer: 1 is perfect, 0 is what chance or a constant answer gives, "
        "whatever the balance of the classes.",
    ),
    "ece": Metric(
        "Calibration error",
        False,
        "Expected calibration error (ECE): by how much confidence and accuracy differ on average, over 15 bins of "
        "confidence. 0 is best. On few rows chance alone raises it, which its interval allows for.",
    ),
    "micro_f1": Metric("Micro-F1", False, "F1 over all label decisions together, so common labels count most."),
    "mean_average_precision": Metric(
        "Mean average precision",
        False,
        "For each label, how well its rows are ranked before the others, averaged over the labels that occur. "
        "It does not depend on the threshold of 0.5.",
    ),
    "subset_accuracy": Metric("Exact sets", True, "The share of rows whose whole set of labels is right."),
}


def in_prose(name: str) -> str:
    """Return a figure's name as it stands inside a sentence: "accuracy", "Macro-F1", "validation loss"."""
    if name not in METRICS:
        return name.replace("_", " ")
    label = METRICS[name].label
    return label.lower() if label[1:].islower() else label
