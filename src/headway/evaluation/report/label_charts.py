"""The charts of labels: confusion matrix, reliability diagram, share of each label."""

import math
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from headway.evaluation.label_details import Bin
from headway.evaluation.report.charts import COLOURS, drawing, percent, svg

__all__ = ["balance_svg", "confusion_svg", "reliability_svg"]

_MAX_TICKS = 40
_MAX_NUMBERED = 25  # classes whose confusion matrix has room for the counts
_MAX_LABEL_WIDTH = 22


def confusion_svg(confusion: Sequence[Sequence[int]], label_names: Sequence[str]) -> str:
    """Draw the confusion matrix: rows are the truth, shade is the share of the row, red is wrong."""
    counts = np.asarray(confusion, dtype=np.float64)
    num_labels = len(counts)
    side = min(8.6, max(4.2, 2.6 + 0.24 * num_labels))
    with drawing():
        figure = Figure(figsize=(side, side * 0.92), layout="constrained")
        axes = figure.add_subplot()
        _draw_cells(axes, counts)
        if num_labels <= _MAX_NUMBERED:
            size = 8.5 if num_labels <= 12 else 7
            for row, column in np.argwhere(counts > 0):
                axes.text(column, row, f"{int(counts[row, column]):,}", ha="center", va="center", fontsize=size)
        _name_ticks(axes, label_names)
        axes.set(xlim=(-0.5, num_labels - 0.5), ylim=(num_labels - 0.5, -0.5), aspect="equal")
        axes.set_xlabel("predicted")
        axes.set_ylabel("truth")
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.tick_params(length=0)
        return svg(figure, "Confusion matrix")


def reliability_svg(bins: Sequence[Bin]) -> str:
    """Draw accuracy against confidence: on the dashed line the model is right as often as it says."""
    confidence, accuracy, count = (np.array([getattr(bar, name) for bar in bins]) for name in Bin.__annotations__)
    start = 0.5 if confidence.min() >= 0.5 else 0.0
    with drawing():
        figure = Figure(figsize=(4.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.plot((0, 1), (0, 1), color=COLOURS["muted"], linewidth=0.9, linestyle=(0, (4, 3)))
        axes.vlines(confidence, confidence, accuracy, color=COLOURS["wrong"], linewidth=1.4, alpha=0.7)
        axes.scatter(confidence, accuracy, s=18 + 170 * count / count.sum(), color=COLOURS["first"], zorder=3)
        axes.set(xlim=(start, 1.02), ylim=(min(start, max(0.0, float(accuracy.min()) - 0.05)), 1.04))
        axes.set_xlabel("confidence: how sure the model says it is")
        axes.set_ylabel("accuracy: how often it is right")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(percent))
            axis.set_major_locator(MaxNLocator(5))
        axes.grid()
        return svg(figure, "Reliability diagram")


def balance_svg(label_counts: Mapping[str, Sequence[int]], rows: Mapping[str, int], label_names: Sequence[str]) -> str:
    """Draw the share of each split's rows that has a label. Of more than 40 labels the 20 most and 20 least common."""
    shares = {split: np.asarray(counts) / rows[split] for split, counts in label_counts.items() if any(counts)}
    first, *others = shares
    order = np.argsort(-shares[first], kind="stable")
    if len(order) > _MAX_TICKS:
        order = np.concatenate([order[: _MAX_TICKS // 2], order[-_MAX_TICKS // 2 :]])
    places = np.arange(len(order))
    with drawing():
        figure = Figure(figsize=(4.7, 0.85 + 0.24 * len(order)), layout="constrained")
        axes = figure.add_subplot()
        axes.barh(places, shares[first][order], height=0.62, color=COLOURS["first"], alpha=0.75, label=first)
        for split, marker, shift in zip(others, "oD", (-0.14, 0.14), strict=False):
            colour = COLOURS["second"] if marker == "o" else COLOURS["ink"]
            axes.plot(shares[split][order], places + shift, marker, color=colour, markersize=3.6, label=split)
        axes.set_yticks(places, [_short(label_names[label]) for label in order], color=COLOURS["ink"])
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(FuncFormatter(percent))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x")
        if others:
            figure.legend(loc="outside upper right", ncols=3, fontsize=8, labelcolor=COLOURS["muted"])
        return svg(figure, "Share of each label by split")


def _draw_cells(axes: Axes, counts: NDArray[np.float64]) -> None:
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    cells = np.argwhere(counts > 0)
    # The shade is never so deep that the number in the cell could not be read in ink.
    colours = [
        to_rgba(COLOURS["first" if row == column else "wrong"], 0.08 + 0.5 * shares[row, column])
        for row, column in cells
    ]
    squares = [Rectangle((column - 0.48, row - 0.48), 0.96, 0.96) for row, column in cells]
    axes.add_collection(PatchCollection(squares, facecolors=colours, edgecolors="none"))


def _name_ticks(axes: Axes, label_names: Sequence[str]) -> None:
    every = math.ceil(len(label_names) / _MAX_TICKS)
    ticks = range(0, len(label_names), every)
    names = [_short(label_names[tick]) for tick in ticks]
    size = 8.5 if len(label_names) <= _MAX_NUMBERED else 6.5
    turned = 90 if len(label_names) > 6 else 35 if max(map(len, names)) > 8 else 0
    alignment = {90: "center", 35: "right", 0: "center"}[turned]
    axes.set_xticks(ticks, names, rotation=turned, ha=alignment, rotation_mode="default" if turned != 35 else "anchor")
    axes.set_yticks(ticks, names)
    axes.tick_params(labelsize=size, labelcolor=COLOURS["ink"])


def _short(name: str) -> str:
    """Cut a label to what fits beside an axis; characters without a glyph in print become spaces."""
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    width, kept = 0, ""
    for letter in printable:
        width += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if width > _MAX_LABEL_WIDTH:
            return kept.rstrip() + "…"
        kept += letter
    return kept
