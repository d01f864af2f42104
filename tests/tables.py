"""Files to read, written where a test wants them, and a cache of their own for every test."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headway.examples.examples import Examples, make_examples
from headway.examples.fields import find_columns
from headway.examples.labels import learn_labels
from headway.sources.read import read
from headway.sources.table import Table
from headway.tasks.classification.task import TextClassification

Write = Callable[..., str]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(folder))
    return folder


@pytest.fixture
def write(tmp_path) -> Write:
    """write("reviews.csv", "text,label\\n…") or write("reviews.csv", rows=[("I love it", "pos"), …])."""

    def write_file(name: str, content: str | bytes = b"", rows: Iterable[Sequence[object]] = ()) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if rows:
            content = as_csv([("text", "label"), *rows])
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write_file


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


@pytest.fixture
def write_json(tmp_path) -> Write:
    def write_file(name: str, rows: Iterable[object]) -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    return write_file


@pytest.fixture
def write_parquet(tmp_path) -> Write:
    def write_file(name: str, columns: dict[str, object]) -> str:
        pq.write_table(pa.table(columns), tmp_path / name)
        return str(tmp_path / name)

    return write_file


@pytest.fixture
def table(write) -> Callable[..., Table]:
    """table(rows) reads rows of (text, label) through a CSV."""
    count = iter(range(1000))
    return lambda rows: read(write(f"rows{next(count)}.csv", rows=rows))["train"]


FIELDS = TextClassification.fields
"""A text, perhaps a second one, and a label."""


@pytest.fixture
def examples(table) -> Callable[..., Examples]:
    """examples(rows) for rows of (text, label)."""
    return lambda rows, **options: labelled(table(rows), **options)


def labelled(rows: Table, *, skip_bad_rows: bool = False, **told: Sequence[str]) -> Examples:
    """Examples of texts and the labels that are found among them; `label=["stars"]` tells a column."""
    made = make_examples(rows, FIELDS, find_columns(rows, FIELDS, told))
    return made.labelled(learn_labels(made.raw_labels), skip_bad_rows=skip_bad_rows)
