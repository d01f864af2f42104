"""What was measured in a section, and whether what was promised is kept: as JSON and as a page."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import Arm, Comparison, Figures

__all__ = ["Section", "markdown", "summary"]

# By how much the accuracy of int8 may differ from that of float32.
ACCURACY_POINTS = 0.3


@dataclass(frozen=True)
class Section:
    """Arms that are measured side by side, and what is promised of them."""

    title: str
    unit: str
    arms: tuple[Arm, ...]
    comparisons: tuple[Comparison, ...]
    truth: tuple[str, ...] = ()
    """The right label of each example, where arms answer."""
    reference: str | None = None
    """The arm whose answers the others' are compared with."""
    precisions: tuple[str, ...] = ()
    """Our arm in float32 and the one in int8."""


def summary(section: Section, figures: Figures) -> dict[str, Any]:
    """Everything that was measured in a section, ready for JSON."""
    reference = _first(figures, section.reference, "labels")
    logits = _first(figures, section.reference, "logits")
    arms = []
    for arm in section.arms:
        runs = figures.rounds.get(arm.title, [])
        described: dict[str, Any] = {
            "title": arm.title,
            "rate": figures.middle(arm.title),
            "rates": figures.values(arm.title),
            "peak_memory_bytes": max(figures.values(arm.title, "peak_memory_bytes"), default=None),
            "runs": [{key: value for key, value in run.items() if key not in ("labels", "logits")} for run in runs],
        }
        labels = _first(figures, arm.title, "labels")
        if labels:
            described["accuracy"] = _same(labels, section.truth)
            described["agreement"] = _same(labels, reference) if reference else None
            described["logits_within"] = _largest_difference(_first(figures, arm.title, "logits"), logits)
        arms.append(described)
    comparisons = []
    for comparison in section.comparisons:
        ratios = figures.ratios(comparison)
        middle = statistics.median(ratios) if ratios else None
        comparisons.append(
            {
                "ours": comparison.ours,
                "theirs": comparison.theirs,
                "figure": comparison.figure,
                "ratio": middle,
                "ratios": ratios,
                "promise": comparison.promise,
                "kept": _kept(middle, comparison.promise),
            }
        )
    return {
        "title": section.title,
        "unit": section.unit,
        "comparisons": comparisons,
        "arms": arms,
        "int8_accuracy": _int8_accuracy(section, {arm["title"]: arm for arm in arms}),
        "errors": figures.errors(),
    }


def _kept(ratio: float | None, promise: float | None) -> bool | None:
    return None if ratio is None or promise is None else ratio >= promise


def _int8_accuracy(section: Section, arms: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """What int8 weights cost, in points of accuracy; None where both precisions were not measured."""
    accuracies = [arms[title]["accuracy"] for title in section.precisions if "accuracy" in arms[title]]
    if len(accuracies) < 2:
        return None
    points = 100 * (accuracies[1] - accuracies[0])
    return {"points": points, "promise": ACCURACY_POINTS, "kept": abs(points) <= ACCURACY_POINTS}


def _first(figures: Figures, arm: str | None, what: str) -> list[Any]:
    """What the arm answered in its first round that ran through; every round gives the same answers."""
    return next((run[what] for run in figures.rounds.get(arm or "", []) if what in run), [])


def _largest_difference(logits: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> float | None:
    """None where an arm returns no logits."""
    rows = zip(logits, others, strict=False)
    return max((abs(a - b) for row, other in rows for a, b in zip(row, other, strict=True)), default=None)


def _same(labels: Sequence[str], others: Sequence[str]) -> float:
    """The share of `labels` that the first of `others` repeat."""
    return sum(a == b for a, b in zip(labels, others, strict=False)) / len(labels)


def markdown(title: str, result: dict[str, Any]) -> str:
    """The result as a page of tables, ratios first."""
    lines = [f"# {title}", ""]
    for section in result["sections"]:
        lines += [f"## {section['title']}", "", *_ratio_table(section), "", *_arm_table(section), ""]
        if section["int8_accuracy"]:
            cost = section["int8_accuracy"]
            lines += [
                f"Headway int8's accuracy is {cost['points']:+.2f} points from float32's (target: within "
                f"{cost['promise']}, {_yes(cost['kept'])}).",
                "",
            ]
        lines += [f"- {arm} failed: {error}" for arm, error in section["errors"].items()]
        lines += [""] if section["errors"] else []
    lines += ["## Where and when", "", *(f"- {key}: {value}" for key, value in result["environment"].items())]
    return "\n".join(lines) + "\n"


def _ratio_table(section: dict[str, Any]) -> list[str]:
    lines = ["| ratio | median | lowest–highest | target | |", "|---|---|---|---|---|"]
    for row in section["comparisons"]:
        name = f"{row['ours']} ÷ {row['theirs']}"
        if row["figure"] == "rate_first_row":
            name += ", its last block cut to the rows that are read"
        promise = f"{row['promise']} ×" if row["promise"] else ""
        if row["ratio"] is None:
            lines.append(f"| {name} | not measured | | {promise} | |")
            continue
        span = f"{min(row['ratios']):.2f}–{max(row['ratios']):.2f}"
        lines.append(f"| {name} | **{row['ratio']:.2f} ×** | {span} | {promise} | {_yes(row['kept'])} |")
    return lines


def _yes(kept: bool | None) -> str:
    return {True: "met", False: "**missed**", None: ""}[kept]


def _arm_table(section: dict[str, Any]) -> list[str]:
    judged = any("accuracy" in arm for arm in section["arms"])
    more = " accuracy | same answer as transformers | logits differ by at most |" if judged else ""
    lines = [f"| arm | {section['unit']} | runs | peak memory |{more}", "|---|---|---|---|" + "---|---|---|" * judged]
    for arm in section["arms"]:
        if arm["rate"] is None:
            continue
        line = (
            f"| {arm['title']} | {arm['rate']:,.0f} | {len(arm['rates'])} | {arm['peak_memory_bytes'] / 1e6:,.0f} MB |"
        )
        if judged:
            within = "" if arm["logits_within"] is None else f"{arm['logits_within']:.1e}"
            line += f" {arm['accuracy']:.2%} | {_percent(arm['agreement'])} | {within} |"
        lines.append(line)
    return lines


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"
