"""How the report's charts are drawn, and those of every task: the learning curves.

Each is drawn with matplotlib on a `Figure` of its own (no pyplot, no global state) and becomes inline SVG whose colours
are the page's CSS variables (`--chart-ink` ...), so one chart serves light and dark mode, and whose text is text, drawn
by the browser in the page's font and any script. The same input gives the same bytes.
"""

import html
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, MaxNLocator

from headway.evaluation.metrics.metric import MetricInfo, in_prose
from headway.evaluation.record import Record, series

__all__ = ["COLOURS", "Chart", "curve_charts", "curves_png", "drawing", "percent", "svg"]

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

Curves = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Chart:
    """A chart for the page: what it shows, for those who cannot see it, and its inline SVG."""

    title: str
    svg: str


def curve_charts(record: Record, infos: Sequence[MetricInfo]) -> tuple[Chart, ...]:
    """Draw one small chart for each curve that has points: loss, metric, learning rate, gradient norm."""
    charts = []
    for panel in _panels(record.curves, record.metric, record.best_step, infos):
        with drawing():
            figure = Figure(figsize=(4.7, 2.7), layout="constrained")
            panel.draw(figure.add_subplot(), record.curves)
            charts.append(Chart(panel.title, svg(figure, panel.title)))
    return tuple(charts)


def curves_png(
    curves: Curves, infos: Sequence[MetricInfo], *, metric: str = "validation_loss", best_step: int = 0
) -> bytes:
    """Draw all learning curves on one PNG image, for the model folder.

    Args:
        curves: The events as in `Record.curves`.
        infos: The task's metrics.
        metric: The metric that early stopping watches.
        best_step: The step to mark; 0 marks none.
    """
    panels = _panels(curves, metric, best_step, infos)
    rows = max(1, (len(panels) + 1) // 2)
    with drawing():
        roomy = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)
        figure = Figure(figsize=(9.6, 2.9 * rows), layout=roomy, dpi=110)
        for position, panel in enumerate(panels, start=1):
            panel.draw(figure.add_subplot(rows, 2, position), curves)
        if not panels:
            figure.text(0.5, 0.5, "nothing was measured yet", ha="center", color=COLOURS["muted"])
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


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


def _panels(curves: Curves, metric: str, best_step: int, infos: Sequence[MetricInfo]) -> list[_Panel]:
    """Return the panels that have something to show. Where the loss is watched, the first metric stands beside it."""
    if metric == "validation_loss":
        metric = next((info.name for info in infos if series(curves, info.name)[0]), metric)
    panels = (
        _Panel("Loss", {"train_loss": "training", "validation_loss": "validation"}, best_step),
        _Panel(f"Validation {in_prose(metric, infos)}", {metric: ""}, best_step),
        _Panel("Learning rate", {"learning_rate": ""}),
        _Panel("Gradient norm", {"gradient_norm": ""}),
    )
    known = {key for event in curves for key in event if series((event,), key)[0]}
    shown = (replace(panel, lines={key: name for key, name in panel.lines.items() if key in known}) for panel in panels)
    return [panel for panel in shown if panel.lines and panel.lines.keys() != {"validation_loss"}]


def _thin(steps: list[float], values: list[float]) -> tuple[list[float], list[float]]:
    """Average neighbours until at most 400 points are left: no screen shows more, and the page stays small."""
    if len(steps) <= _MAX_POINTS:
        return steps, values
    groups = np.array_split(np.arange(len(steps)), _MAX_POINTS)
    x, y = np.asarray(steps), np.asarray(values)
    return [float(x[group].mean()) for group in groups], [float(y[group].mean()) for group in groups]


# --- for all charts


def percent(share: float, _: int) -> str:
    """Format a share for an axis: "40 %"."""
    return f"{100 * share:g}\N{NO-BREAK SPACE}%"


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's style, without changing matplotlib's global state."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Matplotlib measures text with its own font, which lacks many scripts; the browser that draws it does not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
        yield


def svg(figure: Figure, title: str) -> str:
    """Return the figure as an `<svg>` element in the page's colours, without ids that another chart may have."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r'<g id="[a-z0-9]+_\d+">', "<g>", text[text.index("<svg") :])
    text = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--chart-{name})")
    head = re.compile(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>')
    return head.sub(rf'<svg viewBox="\1" role="img" aria-label="{html.escape(title)}">', text, count=1)
