import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tables import labelled

from headway.errors import DataError
from headway.examples.row_keys import letters
from headway.examples.splits import label_strata, make_folds
from headway.examples.splits import make_splits as split
from headway.sources.read import read


def normal(example):
    return letters(example["text"]), letters(example.get("text_pair") or "")


def same_inputs(examples):
    return examples.keys.normal


def labels(examples):
    return label_strata(examples.targets())


def make_splits(*parts, **options):
    """Splits as tasks with labels make them."""
    return split(*parts, groups=same_inputs, strata=labels, **options)


def read_labelled(path, **told):
    return labelled(read(str(path))["train"], **told)


def balanced(count, labels="ab"):
    return [(f"text number {i}", labels[i % len(labels)]) for i in range(count)]


def test_shares_and_description(examples):
    splits = make_splits(examples(balanced(1000)), seed=3)
    assert [len(part) for part in splits.parts().values()] == [800, 100, 100]
    assert [part.counts().tolist() for part in splits.parts().values()] == [[400, 400], [50, 50], [50, 50]]
    assert "with seed 3" in splits.description
    assert "800 train, 100 validation, 100 test rows" in splits.description


def test_every_row_is_in_one_part_only(examples):
    splits = make_splits(examples(balanced(101, "abc")))
    rows = np.concatenate([part.rows for part in splits.parts().values()])
    assert sorted(rows.tolist()) == list(range(101))


def test_the_seed_decides(examples):
    data = examples(balanced(200))
    tests = [make_splits(data, seed=seed).test.rows.tolist() for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


def test_the_same_in_every_process(write):
    path = write("rows.csv", rows=[(f"text {i % 150}", "ab"[i % 2]) for i in range(400)])
    code = (
        "from headway.sources.read import read; from tests.examples.test_splits import make_splits, read_labelled\n"
        f"print(make_splits(read_labelled({path!r})).test.rows.tolist())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert len(answers) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(range(40)), st.sampled_from(["", "!", "  ", " ?"]), st.sampled_from("abc")),
        min_size=30,
        max_size=120,
    )
)
def test_no_text_is_on_two_sides_and_labels_stay_in_train(rows):
    lines = [f"{'Text' if number % 2 else 'tEXT'} {number}{end},{label}\n" for number, end, label in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_text("".join(["text,label\n", *lines, *(f"more {i},{label}\n" for i, label in enumerate("aabbcc"))]))
        splits = make_splits(read_labelled(path), validation_fraction=0.2, test_fraction=0.2)
        sides = [{normal(example) for example in part} for part in splits.parts().values()]
        assert sum(map(len, sides)) == len(set.union(*sides))
        assert all(sides)
        assert (splits.train.counts() > 0).all()


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(20, 300), min_size=2, max_size=6), seed=st.integers(0, 99))
def test_labels_keep_their_proportion(counts, seed):
    rows = [f"text {label} {i},{label}\n" for label, count in enumerate(counts) for i in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_text("text,label\n" + "".join(rows))
        splits = make_splits(read_labelled(path), seed=seed)
        for part in (splits.validation, splits.test):
            assert np.abs(part.counts() - 0.1 * np.array(counts)).max() <= 1
            assert len(part) == round(0.1 * sum(counts))


def test_a_rare_label_stays_in_train(examples):
    data = examples([*balanced(40), ("the only one", "c"), ("one of two", "d"), ("two of two", "d")])
    for seed in range(10):
        splits = make_splits(data, validation_fraction=0.4, test_fraction=0.4, seed=seed)
        assert splits.train.counts()[2] == 1
        assert splits.train.counts()[3] >= 1


def test_copies_without_end_do_not_fill_the_test(examples):
    rows = [*balanced(100), *[("copied text", "a")] * 60]
    splits = make_splits(examples(rows))
    assert len(splits.test) == pytest.approx(16, abs=2)
    assert "copied text" in {example["text"] for example in splits.train}


def test_pairs_are_the_same_only_if_both_texts_are(write_json):
    rows = [{"premise": "same", "hypothesis": f"h {i // 2}", "label": i % 2} for i in range(100)]
    splits = make_splits(read_labelled(write_json("rows.jsonl", rows)))
    assert len(splits.test) == pytest.approx(10, abs=2)
    hypotheses = [{example["text_pair"] for example in part} for part in splits.parts().values()]
    assert sum(map(len, hypotheses)) == 50


def test_multi_label_rows_count_as_their_rarest_label(write_json):
    rows = [{"text": f"t {i}", "label": ["common"] + ["rare"] * (i % 10 == 0)} for i in range(200)]
    rows += [{"text": f"n {i}", "label": []} for i in range(50)]
    splits = make_splits(read_labelled(write_json("rows.jsonl", rows), label=["label"]))
    assert splits.test.counts().tolist() == [20, 2]
    assert len(splits.test) == 25


def test_given_splits_are_kept(examples):
    train, other = examples(balanced(100)), examples(balanced(20))
    splits = make_splits(train, test=other)
    assert splits.test is other
    assert [len(part) for part in splits.parts().values()] == [90, 10, 20]
    assert "the test rows were used as given" in splits.description
    splits = make_splits(train, other, other)
    assert splits.train is train
    assert splits.description == "The splits were used as given: 100 train, 20 validation, 20 test rows."


def test_too_few_rows(examples):
    with pytest.raises(DataError, match=r"has only 6 usable rows, too few .* for validation and test: at least 10"):
        make_splits(examples(balanced(6)))
    with pytest.raises(DataError, match="too few different inputs"):
        make_splits(examples([("same", "a"), ("other", "b")] * 10))
    smallest = make_splits(examples(balanced(10)))
    assert [len(part) for part in smallest.parts().values()] == [8, 1, 1]


def test_without_strata_nothing_is_said_of_labels(examples):
    splits = split(examples(balanced(100)), groups=same_inputs)
    assert [len(part) for part in splits.parts().values()] == [80, 10, 10]
    assert "label" not in splits.description
    assert "rows with the same input on the same side" in splits.description


def test_groups_are_whatever_the_task_says(examples):
    """The rows of one document, say: ten of them, whose texts are all different."""
    data = examples(balanced(200))
    splits = split(data, groups=lambda part: part.rows // 20)
    documents = [set((part.rows // 20).tolist()) for part in splits.parts().values()]
    assert sum(map(len, documents)) == 10
    assert all(documents)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=40, max_size=150),
    count=st.integers(2, 6),
    seed=st.integers(0, 99),
)
def test_folds_part_no_group_and_none_is_empty(rows, count, seed):
    lines = [f"text {number},{label}\n" for number, label in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_text("text,label\n" + "".join(lines) + "".join(f"more {i},{'abc'[i % 3]}\n" for i in range(30)))
        data = read_labelled(path)
        folds = make_folds(data, count, groups=same_inputs, strata=labels, seed=seed)
    assert folds.shape == (len(data),)
    assert set(folds.tolist()) == set(range(count))
    held_out_in = {}
    for key, fold in zip(data.keys.normal.tolist(), folds.tolist(), strict=True):
        assert held_out_in.setdefault(key, fold) == fold


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(20, 300), min_size=2, max_size=5), count=st.integers(2, 10), seed=st.integers(0, 99))
def test_every_fold_has_its_share_of_every_label(counts, count, seed):
    rows = [f"text {label} {i},{label}\n" for label, number in enumerate(counts) for i in range(number)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_text("text,label\n" + "".join(rows))
        data = read_labelled(path)
        folds = make_folds(data, count, groups=same_inputs, strata=labels, seed=seed)
    sizes = np.zeros((count, len(counts)))
    np.add.at(sizes, (folds, data.targets()), 1)
    assert np.abs(sizes - np.array(counts) / count).max() < 1
    assert sizes.sum(axis=1).max() - sizes.sum(axis=1).min() <= 1


def test_a_large_group_fills_a_fold_alone(examples):
    data = examples([*[("copied text", "a")] * 100, *balanced(200, "a"), *balanced(10, "b")])
    folds = make_folds(data, 3, groups=same_inputs, strata=labels)
    assert sorted(Counter(folds.tolist()).values()) == [103, 103, 104]


def test_the_seed_decides_about_folds(examples):
    data = examples(balanced(60))
    folds = [make_folds(data, 5, groups=same_inputs, strata=labels, seed=seed).tolist() for seed in (0, 0, 1)]
    assert folds[0] == folds[1] != folds[2]
    assert Counter(folds[0]) == dict.fromkeys(range(5), 12)


def test_too_few_inputs_for_folds(examples):
    data = examples([(f"text {i % 4}", "ab"[i % 2]) for i in range(40)])
    with pytest.raises(DataError, match=r"rows0.csv has too few different inputs for 5 folds\. Add rows\."):
        make_folds(data, 5, groups=same_inputs, strata=labels)
    assert len(set(make_folds(data, 4, groups=same_inputs).tolist())) == 4


@pytest.mark.parametrize(
    ("targets", "strata"),
    [
        (np.array([3, 1, 3]), [1, 0, 1]),
        (np.array([[1, 1], [1, 0], [0, 0], [1, 0]], dtype=np.float32), [1, 0, 2, 0]),
    ],
    ids=["classes", "sets of labels"],
)
def test_what_a_row_counts_as(targets, strata):
    assert label_strata(targets).tolist() == strata
