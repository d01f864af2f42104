import time

import numpy as np
import pytest
from tests.tables import labelled

from headway.examples.checks import duplicates
from headway.examples.checks.findings import AllRows
from headway.examples.checks.input_checks import TokenCounts, input_checks, length_checks
from headway.examples.checks.label_checks import label_checks
from headway.examples.examples import make_examples
from headway.examples.fields import find_columns
from headway.examples.labels import learn_labels
from headway.examples.splits import Splits, label_strata, make_splits
from headway.sources.read import read
from headway.tasks.image_classification.task import ImageClassification

WORDS = "the film was a long and rather slow but somehow charming story about people who never say it"
WORDS = WORDS.split()


def sentences(count, labels=("a", "b"), seed=0):
    rng = np.random.default_rng(seed)
    return [(f"{' '.join(rng.permutation(WORDS)[:12])} {i}", labels[i % len(labels)]) for i in range(count)]


def check(splits, count_tokens=None, max_length=0):
    """All that is looked for in texts with labels, by name."""
    pool = AllRows(splits)
    found = [*input_checks(pool), *label_checks(pool)]
    if count_tokens is not None:
        rows = pool.fetch(np.arange(len(pool)))
        lengths, unknown = np.array([count_tokens(row["text"]) for row in rows]).T
        found += length_checks(pool, TokenCounts(lengths, unknown, max_length))
    return {finding.name: finding for finding in found}


def split(examples):
    return make_splits(examples, groups=lambda rows: rows.keys.normal, strata=lambda rows: label_strata(rows.targets()))


@pytest.fixture
def findings(examples, table):
    """findings(train rows, test rows) → the findings by name; splits not given are one good row for each label."""

    def find(train, test=None, count_tokens=None, max_length=0, **options):
        learned = examples(train, **options)

        def part(rows, filler):
            rows_table = table(rows or [(f"{filler} {name}", name) for name in learned.labels.names])
            return make_examples(rows_table, learned.fields, learned.columns).labelled(learned.labels)

        splits = Splits(learned, part(None, "to watch"), part(test, "to measure"), "")
        return check(splits, count_tokens, max_length)

    return find


def test_good_data_is_told_to_be_good(findings):
    found = findings(sentences(100), sentences(20, seed=5))
    assert {finding.severity for finding in found.values()} == {"ok"}
    assert set(found) == {
        *(
            "empty_texts",
            "exact_duplicates",
            "near_duplicates",
            "conflicting_labels",
            "leak_train_validation",
            "leak_train_test",
            "class_imbalance",
        ),
    }


def test_labels_that_elsewhere_mean_missing(findings, write_json):
    rows = [(text, {"a": "fine", "b": "NaN"}[label]) for text, label in sentences(20)]
    finding = findings(rows)["missing_labels"]
    assert (finding.severity, finding.count) == ("warning", 12)  # ten to learn from, one to watch, one to measure
    assert "have the label 'NaN', as tables write what is missing" in finding.message
    assert finding.examples[0].startswith("rows0.csv, row 2 (line 3)")
    several = [{"text": text, "label": ["x", "null"] if label == "a" else ["x"]} for text, label in sentences(20)]
    table = read(write_json("several.jsonl", several))["train"]
    assert check(split(labelled(table)))["missing_labels"].count == 10


def test_texts_that_are_numbers(findings):
    found = findings([(f"{number / 7:.3f}", "ab"[number % 2]) for number in range(40)])
    assert found["numeric_texts"].severity == "warning"
    assert "in column 'text' are bare numbers" in found["numeric_texts"].message
    assert "--set text_column=" in found["numeric_texts"].message
    assert "numeric_texts" not in findings([(f"room {number}", "ab"[number % 2]) for number in range(40)])


def test_exact_duplicates(findings):
    found = findings(
        [*sentences(100), ("Again and\nagain", "a"), ("Again and\nagain", "a"), ("Again and\nagain ", "a")]
    )
    finding = found["exact_duplicates"]
    assert (finding.severity, finding.count) == ("note", 2)
    assert finding.share == pytest.approx(2 / 107)
    assert finding.message.startswith("2 rows (1.9%) repeat an earlier text word for word. ")
    assert finding.examples[0] == 'rows0.csv, row 102 (line 104): "Again and again"'
    assert findings([("x y", "a"), ("x y", "b"), ("z", "b")])["exact_duplicates"].severity == "warning"


def test_near_duplicates_in_case_spaces_and_punctuation(findings):
    found = findings([*sentences(100), ("Very  good!", "a"), ("very good", "a")])
    assert found["exact_duplicates"].severity == "ok"
    assert found["near_duplicates"].count == 1
    assert "Nearly the same: 1 row like another but for case" in found["near_duplicates"].message


def test_near_duplicates_in_a_few_words_and_across_splits(findings):
    long = " ".join(f"word{i}" for i in range(60))
    found = findings([*sentences(100), (long, "a")], [*sentences(20, seed=9), (long.replace("word30", "changed"), "a")])
    finding = found["near_duplicates"]
    assert finding.count == 1
    assert "1 such pair lies in different splits" in finding.message
    assert "≈" in finding.examples[0]
    assert found["leak_train_test"].severity == "ok"


def test_same_text_with_different_labels(findings):
    rows = [*sentences(50), ("Undecided", "a"), ("Undecided", "b"), ("Undecided", "a"), ("sure", "a"), ("sure", "a")]
    finding = findings(rows)["conflicting_labels"]
    assert (finding.severity, finding.count) == ("warning", 3)
    assert finding.message.startswith("1 text in 3 rows has different labels")
    assert finding.examples[0] == 'rows0.csv, row 51 (line 52): "Undecided" → a'


def test_leaks_between_splits(findings):
    train = sentences(50)
    test = [*sentences(8, seed=7), train[3], (train[4][0].upper() + "!", "a")]
    finding = findings(train, test)["leak_train_test"]
    assert (finding.severity, finding.count, finding.share) == ("warning", 2, 0.2)
    assert "2 of 10 test rows (20.0%) also stand in the training rows, 1 of them word for word" in finding.message
    assert finding.examples[0].startswith("rows2.csv, row 9 (line 10)")


def test_our_own_splits_do_not_leak(examples):
    rows = [*sentences(300), *[(text.upper(), label) for text, label in sentences(100)]]
    found = check(split(examples(rows)))
    assert found["leak_train_test"].severity == found["leak_train_validation"].severity == "ok"
    assert found["near_duplicates"].count == 100


@pytest.mark.parametrize(
    ("counts", "severity"), [((50, 50), "ok"), ((80, 20), "note"), ((500, 20), "warning"), ((200, 100, 5), "warning")]
)
def test_imbalance(findings, counts, severity):
    rows = [(f"text {label} {i}", label) for label, count in zip("abc", counts, strict=False) for i in range(count)]
    finding = findings(rows)["class_imbalance"]
    assert finding.severity == severity
    assert finding.examples[0] == f"a: {counts[0]}"
    assert isinstance(finding.share, float)


def test_labels_spelled_differently(findings):
    found = findings([(f"text {i}", ["pos", "Pos", " neg", "neg"][i % 4]) for i in range(40)])
    assert found["label_variants"].examples == ("'Pos' / 'pos'",)
    assert found["label_variants"].severity == "warning"
    assert found["label_spaces"].count == 10


def test_rows_that_were_left_out(findings, write):
    rows = [*sentences(20), ("  ", "a"), ("no label", ""), ("one more", "a")]
    found = findings(rows, skip_bad_rows=True)
    assert found["empty_texts"].count == found["empty_labels"].count == 1
    assert found["empty_texts"].examples == ("rows0.csv, row 21 (line 22)",)


def test_skipped_rows_are_in_the_findings(write):
    content = "text,label\n" + "".join(f"{text},{label}\n" for text, label in sentences(30)) + "bad\n"
    table = read(write("rows.csv", content), skip_bad_rows=True)["train"]
    found = check(split(labelled(table)))
    finding = found["bad_rows"]
    assert next(iter(found)) == "bad_rows"
    assert (finding.count, finding.severity) == (1, "warning")
    assert finding.examples[0].startswith("rows.csv, row 31 (line 32): 1 field")


def test_labels_that_a_split_lacks(findings):
    found = findings(sentences(30, ("a", "b")), sentences(5, ("a", "b"), seed=4))
    assert "absent_in_test" not in found


def test_lengths_and_unknown_tokens(findings):
    def count_tokens(text):
        return len(text.split()), text.count("zzz")

    rows = [*sentences(86), *[(f"{'long ' * 40}{i}", "a") for i in range(5)], *[(f"zzz {i}", "b") for i in range(5)]]
    found = findings(rows, count_tokens=count_tokens, max_length=20)
    assert found["truncated"].count == 5
    assert "5 rows (5.0%) are longer than 20 tokens" in found["truncated"].message
    assert found["truncated"].examples[0].startswith("rows0.csv, row 87 ")
    assert found["unknown_tokens"].count == 5
    assert found["unknown_tokens"].examples[0].endswith('"zzz 0"')
    good = findings(sentences(20), count_tokens=count_tokens, max_length=20)
    assert good["truncated"].severity == good["unknown_tokens"].severity == "ok"


def test_samples_are_said(findings, monkeypatch):
    monkeypatch.setattr(duplicates, "SIMILARITY_ROWS", 60)
    assert "(among 60 rows drawn by chance)" in findings(sentences(100))["near_duplicates"].message


def test_images_are_the_same_byte_for_byte(tmp_path, write_json):
    fields = ImageClassification.fields
    for index in range(12):
        (tmp_path / f"{index}.png").write_bytes(b"the same" if index in (3, 7) else bytes([index]) * 9)
    rows = [{"image": f"{index}.png", "label": "ab"[index % 2]} for index in range(12)]
    table = read(write_json("rows.jsonl", [*rows, {"image": "", "label": "a"}]))["train"]
    data = make_examples(table, fields, find_columns(table, fields))
    data = data.labelled(learn_labels(data.raw_labels))
    parts = [data.select(np.arange(*ends)) for ends in ((0, 6), (6, 9), (9, 12))]
    found = check(Splits(*parts, ""))
    assert found["exact_duplicates"].message.startswith("1 row (8.3%) repeats an earlier image byte for byte.")
    assert "1 of 3 validation rows (33.3%) also stand in the training rows" in found["leak_train_validation"].message
    shown = str(tmp_path / "7.png")
    shown = shown if len(shown) <= 80 else f"{shown[:79]}…"
    assert found["leak_train_validation"].examples == (f"rows.jsonl, row 8 (line 8): {shown}",)
    assert found["empty_texts"].message == "1 row without any image was left out."
    assert "near_duplicates" not in found
    assert "numeric_texts" not in found


def test_ten_thousand_rows_take_seconds(examples):
    data = examples([(f"{text} {text[::-1]} " * 4, label) for text, label in sentences(10_000)])
    start = time.perf_counter()
    check(split(data))
    assert time.perf_counter() - start < 15  # 2 on a free machine


def test_multi_label_data_is_checked_too(write_json):
    rows = [{"text": text, "tags": ["x"] if label == "a" else ["x", "y"]} for text, label in sentences(40)]
    rows += [{"text": "clash", "tags": ["x"]}, {"text": "clash", "tags": []}]
    table = read(write_json("rows.jsonl", rows))["train"]
    found = check(split(labelled(table)))
    assert found["conflicting_labels"].count == 2
    assert sorted(text.split(" → ")[1] for text in found["conflicting_labels"].examples) == ["no label", "x"]
