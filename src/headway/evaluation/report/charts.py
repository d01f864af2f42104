"""The images of the report: learning curves, confusion matrix, reliability, class balance.

Each is drawn with matplotlib on a `Figure` of its own (no pyplot, no global state) and comes out as inline SVG whose
colours are the page's CSS variables (`--chart-ink` ...), so one image serves light and dark mode, and whose text is
text, drawn by the browser in the page's font and any script. The same input gives the same bytes.
"""

import html
import io
import math
import re
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from headway.evaluation.metrics.names import in_prose
from headway.evaluation.record import Bin, Record

__all__ = [
    "COLOURS",
    "Chart",
    "balance_svg",
    "confusion_svg",
    "curve_charts",
    "curves_png",
    "reliability_svg",
    "series",
]

# The colours of the PNG, and of the page in light mode; in the SVG each becomes `var(--chart-NAME)`.
COLOURS = {
    "ink": "#1c2230",
    "muted": "#5d6776",
    "grid": "#e1e5ea",
    "first": "#2a5fc9",
    "second": "#c4570f",
    "wrong": "#b42b24",
}
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib; the page puts its own in its place
    "font.size": 8.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "headway",
    "text.parse_math": False,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.6,
    "xtick.color": COLOURS["grid"],
    "ytick.color": COLOURS["grid"],
    "xtick.labelcolor": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["muted"],
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
}
_MAX_POINTS = 400
_MAX_TICKS = 40
_MAX_NUMBERED = 25  # classes whose confusion matrix has room for the counts
_MAX_LABEL_WIDTH = 22

Curves = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Chart:
    """An image for the page: what it shows, for those who do not see it, and its inline SVG."""

    title: str
    svg: str


def series(curves: Curves, key: str) -> tuple[list[float], list[float]]:
    """Return the steps and the finite values of one key, in order."""
    points = [(event["step"], event[key]) for event in curves if key in event and math.isfinite(event[key])]
    return [step for step, _ in points], [value for _, value in points]


def curve_charts(record: Record) -> tuple[Chart, ...]:
    """Draw one small image for each curve that has points: loss, metric, learning rate, gradient norm."""
    charts = []
    for panel in _panels(record.curves, record.metric, record.best_step):
        with _drawing():
            figure = Figure(figsize=(4.7, 2.7), layout="constrained")
            panel.draw(figure.add_subplot(), record.curves)
            charts.append(Chart(panel.title, _svg(figure, panel.title)))
    return tuple(charts)


def curves_png(run: Record | Curves, *, metric: str = "validation_loss", best_step: int = 0) -> bytes:
    """Draw all learning curves on one PNG image, for the model folder.

    Args:
        run: The events as in `Record.curves`, or a record, which brings `metric` and `best_step` itself.
        metric: The figure that early stopping watches.
        best_step: The step to mark; 0 marks none.
    """
    curves: Curves
    if isinstance(run, Record):
        curves, metric, best_step = run.curves, run.metric, run.best_step
    else:
        curves = run
    panels = _panels(curves, metric, best_step)
    rows = max(1, (len(panels) + 1) // 2)
    with _drawing():
        roomy = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)
        figure = Figure(figsize=(9.6, 2.9 * rows), layout=roomy, dpi=110)
        for position, panel in enumerate(panels, start=1):
            panel.draw(figure.add_subplot(rows, 2, position), curves)
        if not panels:
            figure.text(0.5, 0.5, "nothing was measured yet", ha="center", color=COLOURS["muted"])
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def confusion_svg(confusion: Sequence[Sequence[int]], label_names: Sequence[str]) -> str:
    """Draw the confusion matrix: rows are the truth, shade is the share of the row, red is wrong."""
    counts = np.asarray(confusion, dtype=np.float64)
    num_labels = len(counts)
    side = min(8.6, max(4.2, 2.6 + 0.24 * num_labels))
    with _drawing():
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
        return _svg(figure, "Confusion matrix")


def reliability_svg(bins: Sequence[Bin]) -> str:
    """Draw accuracy against confidence: on the dashed line the model is right as often as it says."""
    confidence, accuracy, count = (np.array([getattr(bar, name) for bar in bins]) for name in Bin.__annotations__)
    start = 0.5 if confidence.min() >= 0.5 else 0.0
    with _drawing():
        figure = Figure(figsize=(4.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.plot((0, 1), (0, 1), color=COLOURS["muted"], linewidth=0.9, linestyle=(0, (4, 3)))
        axes.vlines(confidence, confidence, accuracy, color=COLOURS["wrong"], linewidth=1.4, alpha=0.7)
        axes.scatter(confidence, accuracy, s=18 + 170 * count / count.sum(), color=COLOURS["first"], zorder=3)
        axes.set(xlim=(start, 1.02), ylim=(min(start, max(0.0, float(accuracy.min()) - 0.05)), 1.04))
        axes.set_xlabel("confidence: how sure the model says it is")
        axes.set_ylabel("accuracy: how often it is right")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(_percent))
            axis.set_major_locator(MaxNLocator(5))
        axes.grid()
        return _svg(figure, "Reliability diagram")


def balance_svg(label_counts: Mapping[str, Sequence[int]], rows: Mapping[str, int], label_names: Sequence[str]) -> str:
    """Draw the share of each split's rows that has a label. Of more than 40 labels the 20 most and 20 least common."""
    shares = {split: np.asarray(counts) / rows[split] for split, counts in label_counts.items() if any(counts)}
    first, *others = shares
    order = np.argsort(-shares[first], kind="stable")
    if len(order) > _MAX_TICKS:
        order = np.concatenate([order[: _MAX_TICKS // 2], order[-_MAX_TICKS // 2 :]])
    places = np.arange(len(order))
    with _drawing():
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
        axes.xaxis.set_major_formatter(FuncFormatter(_percent))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x")
        if others:
            figure.legend(loc="outside upper right", ncols=3, fontsize=8, labelcolor=COLOURS["muted"])
        return _svg(figure, "Share of each label by split")


# --- the panels of the learning curves


@dataclass(frozen=True)
class _Panel:
    """One set of axes over the steps: the lines to draw by key and legend, and the step to mark."""

    title: str
    lines: dict[str, str]
    marked: int = 0

    def draw(self, axes: Axes, curves: Curves) -> None:
        axes.set_title(self.title)
        for key, legend in self.lines.items():
            of_training = key in _TRAINING_KEYS
            steps, values = _thin(*series(curves, key))
            colour = COLOURS["first" if of_training else "second"]
            marker = "" if of_training and len(steps) > 1 else "o"
            axes.plot(steps, values, color=colour, linewidth=1.5, marker=marker, markersize=3.2, label=legend)
        if self.marked:
            axes.axvline(
                self.marked, color=COLOURS["muted"], linewidth=0.9, linestyle=(0, (2, 2)), label="kept weights"
            )
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}".replace("e-0", "e-")))
        axes.grid(axis="y")
        if self.marked or any(self.lines.values()):
            axes.legend(
                loc="lower right",
                bbox_to_anchor=(1.0, 1.0),
                ncols=3,
                fontsize=8,
                labelcolor=COLOURS["muted"],
                handlelength=1.6,
                columnspacing=1.2,
                borderaxespad=0.1,
            )


_TRAINING_KEYS = ("train_loss", "learning_rate", "gradient_norm")


def _panels(curves: Curves, metric: str, best_step: int) -> list[_Panel]:
    """Return the panels that have something to show."""
    if metric == "validation_loss":
        validations = (event for event in curves if "validation_loss" in event)
        metric = next((key for event in validations for key in event if key not in _NO_METRIC), metric)
    panels = (
        _Panel("Loss", {"train_loss": "training", "validation_loss": "validation"}, best_step),
        _Panel(f"Validation {in_prose(metric)}", {metric: ""}, best_step),
        _Panel("Learning rate", {"learning_rate": ""}),
        _Panel("Gradient norm", {"gradient_norm": ""}),
    )
    known = {key for event in curves for key in event if series((event,), key)[0]}
    shown = (replace(panel, lines={key: name for key, name in panel.lines.items() if key in known}) for panel in panels)
    return [panel for panel in shown if panel.lines and panel.lines.keys() != {"validation_loss"}]


_NO_METRIC = ("step", "epoch", "validation_loss")


def _thin(steps: list[float], values: list[float]) -> tuple[list[float], list[float]]:
    """Average neighbours until at most 400 points are left: no screen shows more, and the page stays small."""
    if len(steps) <= _MAX_POINTS:
        return steps, values
    groups = np.array_split(np.arange(len(steps)), _MAX_POINTS)
    x, y = np.asarray(steps), np.asarray(values)
    return [float(x[group].mean()) for group in groups], [float(y[group].mean()) for group in groups]


# --- pieces


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


def _percent(share: float, _: int) -> str:
    return f"{100 * share:g}\N{NO-BREAK SPACE}%"


@contextmanager
def _drawing() -> Iterator[None]:
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Matplotlib measures text with its own font, which lacks many scripts; the browser that draws it does not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        yield


def _svg(figure: Figure, title: str) -> str:
    """Return the figure as an `<svg>` element in the page's colours, without ids that another chart may have."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = re.sub(r'<g id="[a-z0-9]+_\d+">', "<g>", svg[svg.index("<svg") :])
    svg = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--chart-{name})")
    head = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>')
    return head.sub(rf'<svg viewBox="\1" role="img" aria-label="{html.escape(title)}">', svg, count=1)
