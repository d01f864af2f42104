import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from markupsafe import Markup

from headway.evaluation import card, narrative
from headway.evaluation.label_details import LabelDetails, Mistake
from headway.evaluation.metrics import MetricInfo, score
from headway.evaluation.metrics.text import ChrfMetrics
from headway.evaluation.narrative import Summary
from headway.evaluation.record import Baseline, Interval, Record, Scores, unpack_details
from headway.evaluation.report import page as module
from headway.evaluation.report.label_sections import answers_in_words, label_limits, label_page
from headway.evaluation.report.task_page import CardFacts, Section, TaskPage
from headway.examples.checks.findings import Finding

DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks that every element is closed, and gathers headings, ids, tags and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.headings: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def page_of(record: Record) -> TaskPage:
    """As a task with labels makes it."""
    details = unpack_details(LabelDetails, record)
    facts = CardFacts(
        "text-classification",
        "Text classification",
        tags=("multi-label",) if details.multi_label else (),
        answers=answers_in_words(details, "text"),
        usage=(("With Headway", "sh", f"headway predict {narrative.public_folder(record.folder)}"),),
        limits=label_limits(record),
    )
    return label_page(record, usage=(("A text", f"headway predict {record.folder}"),), card=facts)


def render(record: Record) -> str:
    return module.render(record, page_of(record))


def model_card(record: Record, *, license: str | None = None) -> str:
    return card.model_card(record, page_of(record), license=license)


def summary(record: Record) -> Summary:
    return narrative.summary(record, page_of(record).metrics)


def words(page: str) -> str:
    return re.sub(r"[ \n]+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_page_is_whole_and_needs_no_network(record: Record):
    text = render(record)
    page = Page(text)
    assert page.headings[:5] == ["Results", "Classes", "Most confident mistakes", "Data", "Training"]
    assert page.headings[5:] == ["Facts", "How to use it", "How to read the numbers"]
    assert "script" not in page.tags
    assert all(address.startswith("#") for address in page.addresses)
    assert "3 classes" not in text
    assert "2 classes" in text
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    assert render(record) == text


def test_the_page_tells_the_result_beside_the_baselines(record: Record):
    text = words(render(record))
    accuracy = record.scores.metrics["accuracy"]
    assert f"{100 * accuracy.value:.1f}\N{NO-BREAK SPACE}%" in text
    assert "Clearly better than majority class and TF-IDF + logistic regression" in text
    assert "Validation loss turned at step 140" in text
    assert "headway predict runs/reviews" in text
    assert "22,713,986" in text
    assert "3 min 7 s" in text


def test_what_users_wrote_is_never_markup(single_record: Callable[..., Record], with_details: Callable[..., Record]):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7 * 7 }}"
    record = single_record((evil, "b", "c"), 120, 2.0, 1.0)
    record = replace(
        record,
        data={"train": evil},
        base_model=evil,
        split=evil,
        findings=(Finding(evil, "warning", evil, 1, 0.1, (evil,)), Finding(evil, "ok", evil)),
        recipe_notes=(evil,),
        folder=evil,
        settings={evil: evil},
        model={"family": evil},
        environment={"python": evil},
    )
    mistakes = (Mistake(evil, evil, evil, evil, 0.9), Mistake(evil, evil, evil, evil, 0.9, evil))
    record = with_details(record, mistakes=mistakes)
    page = render(record)
    assert not {"script", "img"} & Page(page).tags
    assert "{{ 7 * 7 }}" in page
    pictured = render(with_details(record, mistakes=(Mistake(evil, "", evil, evil, 0.9, "data:image/" + evil),)))
    assert "data:image/" + evil in Page(pictured).addresses
    assert "script" not in Page(pictured).tags
    assert "<script" not in re.sub(r"```.*?```", "", model_card(record), flags=re.DOTALL)


def test_an_evaluation_leaves_the_training_out(record: Record, with_details: Callable[..., Record]):
    alone = replace(
        record, base_model="", curves=(), best_step=0, last_step=0, total_steps=0, stopped_early=False, settings={},
        findings=(), data={"test": "new.csv"}, rows={"test": 300}, split="", baselines=(), speed={}, model={},
    )  # fmt: skip
    alone = with_details(alone, label_counts={}, mistakes=())
    page = render(alone)
    headings = Page(page).headings
    assert "Training" not in headings
    assert "Most confident mistakes" not in headings
    assert "Text classification: new.csv" in words(page)
    assert "Evaluation of runs/reviews ·" in words(page)
    assert "headway predict runs/reviews" in words(page)
    assert "No baseline was scored" in words(page)


@pytest.mark.parametrize("num_labels", [3, 20, 100])
def test_many_classes_fit(single_record: Callable[..., Record], num_labels: int):
    record = single_record([f"类别 {number}" for number in range(num_labels)], 400, 3.0, 2.0)
    page = render(record)
    Page(page)
    assert len(page) < 600_000
    assert ("The other 90" in page) == (num_labels == 100)
    assert "Most frequent mix-ups" in page


def test_several_labels_and_the_worst_case(several_record: Callable[..., Record], single_record: Callable[..., Record]):
    page = render(several_record(("quality", "price", "service"), 200))
    assert "Micro-F1" in page
    assert "no label" in page
    assert "Confusion matrix" not in page
    failed = single_record(("ham", "spam"), 300, -0.3, 2.0)
    assert "Worse than" in render(failed)
    assert "−0." in summary(failed).rows[0][3]


def test_mistakes_with_images_are_a_contact_sheet(record: Record, with_details: Callable[..., Record]):
    mistakes = [Mistake(f"cats/{number}.jpg", "", "cat", "dog", 0.9, DOT) for number in range(12)]
    page = render(with_details(record, mistakes=tuple(mistakes)))
    assert Page(page).addresses.count(DOT) == 12
    assert "cats/11.jpg" in page
    assert "img-src data:" in page
    outside = render(with_details(record, mistakes=(Mistake("a", "b", "c", "d", 0.9, "https://evil.example/x.png"),)))
    assert "evil.example" not in outside


def test_the_page_of_a_task_without_labels(record: Record):
    metrics = ChrfMetrics(lambda example: example)
    statistics = [metrics.statistics(text, "the cat sat on the mat") for text in ("the cat sat", "a cat on the mat")]
    scores = score(metrics, np.stack(statistics * 60))
    baseline = Baseline("copy", "copies its input", Scores(120, {"chrf": Interval(20.0, 18.0, 22.0)}))
    run = replace(record, task="translation", scores=scores, baselines=(baseline,), details={}, recipe_notes=("Note.",))
    facts = CardFacts("translation", "Translation", answers="The answers are German texts.")
    section = Section("Longest answers", Markup("<p>{}</p>").format("<none>"))
    task_page = TaskPage(metrics.infos, (section,), "English to German", (), facts)
    text = module.render(run, task_page)
    page = Page(text)
    assert page.headings == ["Results", "Longest answers", "Data", "Training", "Facts", "How to read the numbers"]
    assert "Translation: reviews.csv" in text
    assert "&lt;none&gt;" in text
    assert "nrefs:1|case:mixed" in text
    assert "label" not in words(text).replace("conflicting labels", "").replace("different labels", "").replace(
        "every label", ""
    )
    assert "ahead by" in words(text)
    published = card.model_card(run, task_page)
    assert ModelCard(published).data.eval_results[0].metric_type == "chrf"
    assert "nrefs:1|case:mixed" in published
    assert narrative.summary(run, metrics.infos).header == ("120 test rows", "chrF")


def test_folds_are_said(record: Record):
    text = words(render(replace(record, evaluation="crossvalidation", folds=5)))
    assert "300 rows, each answered by the one of 5 models that was not trained on it (cross-validation)." in text


def test_an_error_lower_is_better_is_said(record: Record):
    wer = MetricInfo("wer", "WER", True, "Word error rate.", higher_is_better=False)
    scored = Scores(300, {"wer": Interval(0.1, 0.08, 0.12)})
    run = replace(record, scores=scored, baselines=(Baseline("copy", "", scored),))
    page = TaskPage((wer,), (), "", (), CardFacts("automatic-speech-recognition", "Speech"))
    assert "The lead is in WER, where lower is better." in words(module.render(run, page))


def test_the_summary_is_a_table(record: Record):
    table = summary(record)
    assert table.header == ("300 test rows", "Accuracy", "Macro-F1", "MCC", "Calibration error")
    assert [row[0] for row in table.rows] == ["this model", "majority class", "TF-IDF + logistic regression"]
    assert {len(row) for row in table.rows} == {5}
    assert table.verdict.startswith("The model labels")


def test_the_hub_reads_the_model_card(record: Record):
    card = ModelCard(model_card(record, license="apache-2.0"), ignore_metadata_errors=False)
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert card.data.license == "apache-2.0"
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results["accuracy"] == pytest.approx(record.scores.metrics["accuracy"].value, abs=1e-4)
    assert "headway predict runs/reviews" in card.text
    assert "reviews.csv, row 17" not in card.text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bert-base-uncased", "bert-base-uncased"),
        ("google-bert/bert-base-uncased", "google-bert/bert-base-uncased"),
        ("google-bert/bert-base-uncased@main", "google-bert/bert-base-uncased"),
        ("scratch:tiny", None),
        ("./runs/reviews", None),
        ("/home/me/model", None),
        ("runs/old/model", None),
        ("mymodel", None),
    ],
)
def test_only_a_hub_name_is_a_base_model(record: Record, name: str, expected: str | None):
    card = ModelCard(model_card(replace(record, base_model=name)))
    assert card.data.base_model == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("minilm", "fine-tuned from [sentence-transformers/all-MiniLM-L6-v2]"),
        ("scratch:tiny", "trained from scratch"),
        ("runs/old/model", "the local folder runs/old/model,"),
        ("/home/me/model", "the local folder model,"),
    ],
)
def test_the_card_says_in_words_what_the_model_was_before(record: Record, name: str, words: str):
    assert words in model_card(replace(record, base_model=name))


def test_a_folder_is_no_hub_name(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-model").mkdir()
    assert ModelCard(model_card(replace(record, base_model="my-model"))).data.base_model is None


def test_a_card_names_no_local_path(record: Record, several_record: Callable[..., Record]):
    local = replace(record, data={"train": "/home/me/secret/reviews.csv"}, folder="/home/me/runs/reviews")
    assert "/home/me" not in model_card(local)
    hub = ModelCard(model_card(replace(record, data={"train": "hub:imdb:plain_text"})))
    assert hub.data.datasets == ["imdb"]
    several = ModelCard(model_card(several_record(("a", "b"), 50)))
    assert "multi-label" in several.data.tags
