"""What a task adds to the report, the model card and the terminal's summary."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from headway.evaluation.metrics.metric import MetricInfo

__all__ = ["CardFacts", "Section", "TaskPage"]


@dataclass(frozen=True)
class Section:
    """A section of the report: its heading and its content, whose text is escaped already."""

    title: str
    html: Markup


@dataclass(frozen=True)
class CardFacts:
    """What the model card says of a task.

    Attributes:
        pipeline_tag: The hub's name of the task: "text-classification".
        task_name: Its name for people: "Text classification".
        tags: Further tags for the hub.
        answers: What the model returns, in a sentence: "The answers are “negative”, “positive”."
        usage: Title, language and code of each example: ("With Headway", "sh", "headway predict …").
        inputs: What it reads: "texts", "images".
        unlike: How other inputs may differ: "another language, subject or length".
        limits: Known weaknesses, in sentences.
    """

    pipeline_tag: str
    task_name: str
    tags: Sequence[str] = ()
    answers: str = ""
    usage: Sequence[tuple[str, str, str]] = ()
    inputs: str = "texts"
    unlike: str = "another language, subject or length"
    limits: Sequence[str] = ()


@dataclass(frozen=True)
class TaskPage:
    """What a task adds to the report; made from a record alone.

    Attributes:
        metrics: The metrics, the headline first.
        sections: The task's own sections; they stand between the results and the data.
        subtitle: A few words under the title: "2 classes".
        usage: Title and code of each example of how to use the model.
        card: For the model card.
        reservations: What weakens the verdict, in sentences.
        data_figure: A `<figure>` beside the table of the data; None for none.
        glossary: Further terms and what they mean.
    """

    metrics: Sequence[MetricInfo]
    sections: Sequence[Section]
    subtitle: str
    usage: Sequence[tuple[str, str]]
    card: CardFacts
    reservations: Sequence[str] = ()
    data_figure: Markup | None = None
    glossary: Sequence[tuple[str, str]] = ()
