import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from headway.evaluation.record import Mistake, Record
from headway.evaluation.report.page import model_card, render, summary
from headway.examples.checks.label_checks import Finding

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


def words(page: str) -> str:
    return re.sub(r"[ \n]+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_page_is_whole_and_needs_no_network(record: Record):
    text = render(record)
    page = Page(text)
    assert page.headings[:5] == ["Results", "Classes", "Most confident mistakes", "Data", "Training"]
    assert page.headings[5:] == ["Facts", "Use it", "How to read the figures"]
    assert "script" not in page.tags
    assert all(address.startswith("#") for address in page.addresses)
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


def test_what_users_wrote_is_never_markup(single_record: Callable[..., Record]):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7 * 7 }}"
    record = single_record((evil, "b", "c"), 120, 2.0, 1.0)
    record = replace(
        record,
        data={"train": evil},
        base_model=evil,
        split=evil,
        findings=(Finding(evil, "warning", evil, 1, 0.1, (evil,)), Finding(evil, "ok", evil)),
        mistakes=(Mistake(evil, evil, evil, evil, 0.9),),
        folder=evil,
        settings={evil: evil},
        model={"family": evil},
        environment={"python": evil},
    )
    page = render(record)
    assert not {"script", "img"} & Page(page).tags
    assert "{{ 7 * 7 }}" in page
    assert "<script" not in re.sub(r"```.*?```", "", model_card(record), flags=re.DOTALL)


def test_an_evaluation_leaves_the_training_out(record: Record):
    alone = replace(
        record, base_model="", curves=(), best_step=0, last_step=0, total_steps=0, stopped_early=False, settings={},
        findings=(), label_counts={}, data={"test": "new.csv"}, rows={"test": 300}, split="", baselines=(), mistakes=(),
        speed={}, model={},
    )  # fmt: skip
    page = render(alone)
    headings = Page(page).headings
    assert "Training" not in headings
    assert "Most confident mistakes" not in headings
    assert "Classification: new.csv" in words(page)
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
    assert "What is taken for what" not in page
    failed = single_record(("ham", "spam"), 300, -0.3, 2.0)
    assert "Worse than" in render(failed)
    assert "−0." in summary(failed).rows[0][3]


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
