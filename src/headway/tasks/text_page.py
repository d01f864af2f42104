"""What tasks that write text add to the report and the model card."""

import shlex
from collections.abc import Sequence

from headway.evaluation.metrics import MetricInfo
from headway.evaluation.narrative import public_folder, title_of
from headway.evaluation.record import Record
from headway.evaluation.report.task_page import CardFacts, TaskPage
from headway.evaluation.report.text_sections import text_sections

__all__ = ["text_task_page"]


def text_task_page(
    record: Record, metrics: Sequence[MetricInfo], *, pipeline_tag: str, sample: str, answers: str
) -> TaskPage:
    """Return what the report and the model card of a model that writes text show beside the common parts.

    Args:
        record: The run; its details are `headway.evaluation.text_details.TextDetails`.
        metrics: The task's metrics, the headline first.
        pipeline_tag: The hub's name of the task: "translation".
        sample: One input.
        answers: What the model writes, in a sentence.
    """
    folder, quoted = shlex.quote(record.folder), shlex.quote(sample)
    public = shlex.quote(public_folder(record.folder))
    return TaskPage(
        metrics=metrics,
        sections=text_sections(record, metrics[0]),
        subtitle="",
        usage=(
            (
                "Predict: a text, a file, and a text as it is written",
                f"headway predict {folder} {quoted}\n"
                f"headway predict {folder} --input texts.csv --output answers.csv\n"
                f"headway predict {folder} --stream {quoted}",
            ),
            ("Score it on other rows with references", f"headway evaluate {folder} rows.csv"),
            ("In Python", f"import headway\n\nmodel = headway.load({record.folder!r})\nmodel.predict([{sample!r}])"),
        ),
        card=CardFacts(
            pipeline_tag=pipeline_tag,
            task_name=title_of(record),
            answers=answers,
            usage=(("With Headway", "sh", f"headway predict {public} {quoted}"),),
        ),
    )
