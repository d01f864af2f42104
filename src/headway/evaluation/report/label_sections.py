"""What tasks with labels, of texts or of images, add to the report."""

from collections.abc import Sequence

from markupsafe import Markup

from headway.evaluation.label_details import Bin, ClassScore, LabelDetails, Mistake, label_reservations
from headway.evaluation.metrics.label_metrics import NUM_BINS, LabelMetrics
from headway.evaluation.record import Record, Scores, unpack_details
from headway.evaluation.report.label_charts import balance_svg, confusion_svg, reliability_svg
from headway.evaluation.report.rendering import render_template
from headway.evaluation.report.task_page import CardFacts, Section, TaskPage

__all__ = ["answers_in_words", "label_limits", "label_page", "read_reliability"]

_MANY_CLASSES = 20
_MAX_TEXT = 700


def label_page(record: Record, *, usage: Sequence[tuple[str, str]], card: CardFacts) -> TaskPage:
    """Return what a task with labels adds to its report.

    Args:
        record: The run; its details are `LabelDetails`.
        usage: Title and code of each example of how to use the model.
        card: For the model card; `answers_in_words` and `label_limits` write two of its parts.
    """
    details = unpack_details(LabelDetails, record)
    count = len(details.label_names)
    sections = [Section("Labels" if details.multi_label else "Classes", _scores_html(record, details))]
    if details.mistakes:
        sections.append(Section("Most confident mistakes", _mistakes_html(details.mistakes)))
    given = "label" if details.multi_label else "class"
    return TaskPage(
        metrics=LabelMetrics(details.label_names, details.multi_label).infos,
        sections=sections,
        subtitle=f"{count} labels, any number per row" if details.multi_label else f"{count} classes",
        usage=usage,
        card=card,
        reservations=label_reservations(details),
        data_figure=_balance_figure(record, details),
        glossary=[
            (
                "Precision, recall, F1",
                f"Precision: of the rows predicted as a {given}, the share that belongs to it. Recall: of the rows "
                f"that belong to a {given}, the share that is predicted as it. F1: their harmonic mean.",
            )
        ],
    )


def label_limits(record: Record) -> list[str]:
    """Say for the model card where the model is weakest and how far its confidence is off."""
    details, limits = unpack_details(LabelDetails, record), []
    weak = sorted((one for one in details.classes if one.support), key=lambda one: one.f1.value)[:3]
    if len(details.label_names) > 2 and weak:
        names = ", ".join(f"“{one.name}” (F1 {one.f1.value:.2f}, {one.support:,} rows)" for one in weak)
        limits.append(f"It is weakest at {names}.")
    if not details.multi_label:
        error = record.scores.metrics["ece"]
        limits.append(f"Its confidence is off by {100 * error.value:.1f} points on average (ECE, {NUM_BINS} bins).")
    return limits


def answers_in_words(details: LabelDetails, what: str) -> str:
    """Say for the model card what the model answers.

    Args:
        details: Of the record.
        what: What a row holds: "text" or "image".
    """
    shown = ", ".join(f"“{name}”" for name in details.label_names[:20])
    more = len(details.label_names) - 20
    shown += f" and {more} more" if more > 0 else ""
    return f"The answers are {shown}{f', any number of them per {what}' if details.multi_label else ''}."


def read_reliability(scores: Scores, reliability: Sequence[Bin]) -> str:
    """Say whether the model's confidence can be taken at face value; "" without bins."""
    if not reliability:
        return ""
    sure = sum(bar.confidence * bar.count for bar in reliability) / scores.rows
    accuracy = scores.metrics["accuracy"]
    gap = f"on average it is {100 * sure:.0f} % sure and {100 * accuracy.value:.0f} % right"
    if sure > accuracy.high:
        sentence = f"The model is overconfident: {gap}."
    elif sure < accuracy.low:
        sentence = f"The model is underconfident: {gap}."
    else:
        sentence = f"Overall its confidence is calibrated: {gap}, a difference that chance explains."
    top = reliability[-1]
    if top.confidence > 1 - 1 / NUM_BINS and 0 < top.count < scores.rows:
        sentence += (
            f" The {100 * top.count / scores.rows:.0f} % of the rows where it is surest (above 93 %) "
            f"are right {100 * top.accuracy:.3g} % of the time."
        )
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%")


def _scores_html(record: Record, details: LabelDetails) -> Markup:
    confusion, reliability = details.confusion, details.reliability
    return render_template(
        "label_scores.html",
        multi_label=details.multi_label,
        num_labels=len(details.label_names),
        classes=_classes(details),
        confusion=_drawn(confusion_svg(confusion, details.label_names)) if confusion else None,
        reliability=_drawn(reliability_svg(reliability)) if reliability else None,
        reliability_sentence=read_reliability(record.scores, reliability),
        mixed_up=_mix_ups(details),
    )


def _mistakes_html(mistakes: Sequence[Mistake]) -> Markup:
    """A contact sheet of those that are images, a list of the others."""
    pictured = [mistake for mistake in mistakes if mistake.image.startswith("data:image/")]
    written = [mistake for mistake in mistakes if not mistake.image.startswith("data:image/")]
    return render_template("label_mistakes.html", pictured=pictured, written=written, max_text=_MAX_TEXT)


def _balance_figure(record: Record, details: LabelDetails) -> Markup | None:
    counts = {split: row for split, row in details.label_counts.items() if any(row)}
    if not counts:
        return None
    note = " A row may have several, or none." if details.multi_label else ""
    chart = _drawn(balance_svg(counts, record.rows, details.label_names))
    caption = "<figcaption><b>Share of the rows that have each label.</b>{}</figcaption>"
    return Markup("<figure>" + caption + "{}</figure>").format(note, chart)


def _drawn(svg: str) -> Markup:
    return Markup(svg)


def _classes(details: LabelDetails) -> dict[str, tuple[ClassScore, ...]]:
    """Return the classes to show; of many, the ten with the lowest F1 come first and the rest is folded away."""
    if len(details.classes) <= _MANY_CLASSES:
        return {"shown": details.classes, "folded": ()}
    ranked = tuple(sorted(details.classes, key=lambda one: (one.support == 0, one.f1.value)))
    return {"shown": ranked[:10], "folded": ranked[10:]}


def _mix_ups(details: LabelDetails) -> list[tuple[str, str, int, float]]:
    """Return the most frequent mix-ups of more than two classes: truth, prediction, rows, share of the truth's rows."""
    if len(details.confusion) < 3:
        return []
    cells = [
        (details.label_names[row], details.label_names[column], count, count / sum(counts))
        for row, counts in enumerate(details.confusion)
        for column, count in enumerate(counts)
        if row != column and count
    ]
    return sorted(cells, key=lambda cell: -cell[2])[:8]
