"""What text classification adds to its report and model card."""

import shlex

from headway.evaluation.label_details import LabelDetails
from headway.evaluation.narrative import public_folder
from headway.evaluation.record import Record, unpack_details
from headway.evaluation.report.label_sections import answers_in_words, label_limits, label_page
from headway.evaluation.report.task_page import CardFacts, TaskPage

__all__ = ["classification_page"]


def classification_page(record: Record) -> TaskPage:
    """Return what the report and the model card of a text classifier show beside the common parts."""
    folder = shlex.quote(record.folder)
    usage = (
        (
            "Predict: a text, a file, a pipe",
            f'headway predict {folder} "A text to judge."\n'
            f"headway predict {folder} --input texts.csv --output answers.csv",
        ),
        ("Score it on other labelled rows", f"headway evaluate {folder} labelled.csv"),
        (
            "In Python",
            f'import headway\n\nclassifier = headway.load({record.folder!r})\nclassifier.predict(["A text to judge."])',
        ),
    )
    return label_page(record, usage=usage, card=_card(record))


def _card(record: Record) -> CardFacts:
    details, folder = unpack_details(LabelDetails, record), public_folder(record.folder)
    every = ', top_k=None, function_to_apply="sigmoid"' if details.multi_label else ""
    return CardFacts(
        pipeline_tag="text-classification",
        task_name="Text classification",
        tags=("multi-label",) if details.multi_label else (),
        answers=answers_in_words(details, "text"),
        usage=(
            ("With Headway", "sh", f'headway predict {shlex.quote(folder)} "A text to judge."'),
            (
                "With transformers",
                "python",
                "from transformers import pipeline\n\n"
                f'classify = pipeline("text-classification", model={folder!r}{every})\n'
                'classify("A text to judge.")',
            ),
        ),
        limits=label_limits(record),
    )
