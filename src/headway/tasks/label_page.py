"""What tasks with labels add to the report and the model card."""

import shlex
from dataclasses import dataclass

from headway.evaluation.label_details import LabelDetails
from headway.evaluation.narrative import public_folder
from headway.evaluation.record import Record, unpack_details
from headway.evaluation.report.label_sections import answers_in_words, label_limits, label_page
from headway.evaluation.report.task_page import CardFacts, TaskPage

__all__ = ["LabelUsage", "label_task_page"]


@dataclass(frozen=True)
class LabelUsage:
    """How a classifier is used, in the words of its inputs."""

    noun: str
    """ "text" or "image"."""
    sample: str
    """One input on the command line."""
    file: str
    """A file or folder of inputs."""
    labelled: str
    """A file or folder with labels."""
    unlike: str
    """How other inputs may differ from those of the training."""


def label_task_page(record: Record, usage: LabelUsage) -> TaskPage:
    """Return what the report and the model card of a classifier show beside the common parts."""
    folder, noun = shlex.quote(record.folder), usage.noun
    examples = (
        (
            f"Predict: {'an' if noun[0] in 'aeiou' else 'a'} {noun}, a file, a pipe",
            f"headway predict {folder} {shlex.quote(usage.sample)}\n"
            f"headway predict {folder} --input {usage.file} --output answers.csv",
        ),
        (f"Score it on other labelled {noun}s", f"headway evaluate {folder} {usage.labelled}"),
        (
            "In Python",
            f"import headway\n\nclassifier = headway.load({record.folder!r})\nclassifier.predict([{usage.sample!r}])",
        ),
    )
    return label_page(record, usage=examples, card=_card(record, usage))


def _card(record: Record, usage: LabelUsage) -> CardFacts:
    details, folder = unpack_details(LabelDetails, record), public_folder(record.folder)
    tag = f"{usage.noun}-classification"
    every = ', top_k=None, function_to_apply="sigmoid"' if details.multi_label else ""
    return CardFacts(
        pipeline_tag=tag,
        task_name=f"{usage.noun.capitalize()} classification",
        tags=("multi-label",) if details.multi_label else (),
        answers=answers_in_words(details, usage.noun),
        usage=(
            ("With Headway", "sh", f"headway predict {shlex.quote(folder)} {shlex.quote(usage.sample)}"),
            (
                "With transformers",
                "python",
                "from transformers import pipeline\n\n"
                f'classify = pipeline("{tag}", model={folder!r}{every})\nclassify({usage.sample!r})',
            ),
        ),
        inputs=f"{usage.noun}s",
        unlike=usage.unlike,
        limits=label_limits(record),
    )
