import bz2
import csv
import gzip
import io
import json
import lzma
import tempfile
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.errors import DataError, HeadwayError
from headway.sources import chunks
from headway.sources import table_cache as store
from headway.sources.read import read

ROWS = [("I love it", "pos"), ("Terrible, really", "neg"), ('She said "fine"\nand left', "pos")]
TEXTS = [text for text, _ in ROWS]
PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def texts_of(table):
    return table.values("text", range(len(table)))


def test_csv_is_read_with_its_places(write):
    table = read(write("reviews.csv", rows=ROWS))["train"]
    assert texts_of(table) == TEXTS
    assert table.column_names == ("text", "label")
    assert [table.where(i) for i in range(3)] == [
        "reviews.csv, row 1 (line 2)",
        "reviews.csv, row 2 (line 3)",
        "reviews.csv, row 3 (line 4)",
    ]
    assert table.files == (table.source,)
    assert table.bad_rows.count == 0


def test_line_numbers_count_the_lines_within_quoted_texts(write):
    table = read(write("reviews.csv", rows=[("one\ntwo\nthree", "a"), ("next", "b")]))["train"]
    assert table.where(1) == "reviews.csv, row 2 (line 5)"


@pytest.mark.parametrize("ending", ["", *PACKED])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "ndjson", "json", "parquet"])
def test_every_format_gives_the_same_rows(write, write_parquet, kind, ending):
    if kind == "parquet":
        content = Path(write_parquet("x.parquet", {"text": TEXTS, "label": [b for _, b in ROWS]})).read_bytes()
    elif kind in ("csv", "tsv"):
        text = io.StringIO(newline="")
        csv.writer(text, delimiter="," if kind == "csv" else "\t").writerows([("text", "label"), *ROWS])
        content = text.getvalue().encode()
    else:
        content = "".join(json.dumps({"text": a, "label": b}) + "\n" for a, b in ROWS).encode()
    table = read(write(f"reviews.{kind}{ending}", PACKED[ending](content) if ending else content))["train"]
    assert texts_of(table) == TEXTS
    assert table.values("label", [2, 0]) == ["pos", "pos"]


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("keep", [slice(-20), slice(40)])
def test_a_damaged_compressed_file_is_one_sentence(write, ending, keep):
    content = PACKED[ending](("text,label\n" + "".join(f"text {i**7},a\n" for i in range(5000))).encode())
    with pytest.raises(DataError, match="the compressed file is damaged or cut short"):
        read(write(f"a.csv{ending}", content[keep] if keep.stop < 0 else content[:40] + bytes(60)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip),
            st.sampled_from(["NA", "null", "None", "1", "01", "true", " x ", "é", "a,b", '"']),
        ),
        min_size=1,
        max_size=20,
    ),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    bom=st.booleans(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_a_csv_writer_writes_is_read_back_exactly(rows, delimiter, bom, quoting):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows([("text", "label"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows.{'tsv' if delimiter == chr(9) else 'csv'}"
        path.write_bytes(text.getvalue().encode("utf-8-sig" if bom else "utf-8"))
        table = read(str(path))["train"]
        assert list(zip(texts_of(table), table.values("label", range(len(table))), strict=True)) == rows


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"text": st.text(st.characters(codec="utf-8")) | st.none()},
            optional={
                "label": st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab"),
                "more": st.lists(st.integers() | st.text("ab") | st.none()) | st.dictionaries(st.text("k"), st.none()),
            },
        ),
        min_size=1,
        max_size=15,
    )
)
def test_json_values_of_any_types_come_back(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        table = read(str(path))["train"]
        for name in table.column_names:
            assert table.values(name, range(len(table))) == [row.get(name) for row in rows]


def test_types_that_change_late_in_the_file_are_no_matter(write_json, monkeypatch):
    monkeypatch.setattr(chunks, "BATCH_ROWS", 10)
    rows = [{"text": f"text {i}", "label": i % 2, "flag": True, "number": 1} for i in range(40)]
    rows += [{"flag": 3, "number": 0.5}] * 10
    rows += [{"text": "late", "label": "two"}, {"text": None, "label": [1, None]}, {"label": 0.5, "note": {"a": [1]}}]
    table = read(write_json("rows.jsonl", rows))["train"]
    assert table.mixed == {"label", "note", "flag", "number"}
    assert table.values("label", [38, 39, 50, 51, 52]) == [0, 1, "two", [1, None], 0.5]
    assert table.values("note", [0, 52]) == [None, {"a": [1]}]
    assert table.values("flag", [39, 40, 50]) == [True, 3, None]
    assert table.values("number", [39, 40, 50]) == [1, 0.5, None]
    assert table.where(51) == "rows.jsonl, row 52 (line 52)"


@pytest.mark.parametrize("value", ["NA", "null", "None", "nan", "007", "1e5", "TRUE", "2020-01-01"])
def test_a_csv_field_stays_the_text_that_it_is(write, value):
    assert texts_of(read(write("rows.csv", rows=[(value, "a")]))["train"]) == [value]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("text;label\nI came, I saw;1\n", ["I came, I saw"]),
        ("sep=;\r\ntext;label\r\nhello, you;1\r\n", ["hello, you"]),
        ("\ufefftext,label\r\nhello,1\r\n", ["hello"]),
        ("text , label\nhello,1\n", ["hello"]),
        ("\n\ntext,label\n\nhello,1\n   \nyou,2\n\n", ["hello", "you"]),
        ('"text","label"\n"a ""b"" c",1', ['a "b" c']),
        ("text\njust one column\n", ["just one column"]),
        (",text,label\n0,hello,1\n", ["hello"]),
        ("text,label\n" + "x" * 300_000 + ",1\n", ["x" * 300_000]),
    ],
)
def test_the_csv_files_that_people_have(write, content, texts):
    assert texts_of(read(write("rows.csv", content))["train"]) == texts


def test_quotation_marks_in_a_tsv_may_be_letters(write):
    glue = 'text\tlabel\n"Great" movie\t1\n"an unclosed one\t0\nin the " middle\t0\n'
    assert texts_of(read(write("glue.tsv", glue))["train"]) == ['"Great" movie', '"an unclosed one', 'in the " middle']
    excel = 'text\tlabel\n"say ""hi"" to\nme"\t1\nfine\t0\n'
    assert texts_of(read(write("excel.tsv", excel))["train"]) == ['say "hi" to\nme', "fine"]


def test_parquet_types_become_everyday_ones_and_class_names_are_kept(write_parquet, tmp_path):
    columns = {"text": pa.array(["a", "b"]).dictionary_encode(), "label": pa.array(["x", "y"], pa.large_string())}
    table = read(write_parquet("rows.parquet", columns))["train"]
    assert texts_of(table) == ["a", "b"]
    features = datasets.Features(text=datasets.Value("large_string"), label=datasets.ClassLabel(names=["ham", "spam"]))
    datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features).to_parquet(tmp_path / "hf.parquet")
    assert read(str(tmp_path / "hf.parquet"))["train"].class_names("label") == ["ham", "spam"]


def test_a_folder_with_splits(write):
    for name in ("train-0.csv", "train-1.csv", "dev.csv", "test.csv"):
        write(f"set/{name}", rows=[(name, "a"), ("more", "b")])
    write("set/README.md", "not data")
    splits = read(str(Path(write("set/.hidden.csv", "x")).parent))
    assert list(splits) == ["train", "validation", "test"]
    assert texts_of(splits["train"]) == ["train-0.csv", "more", "train-1.csv", "more"]
    assert splits["train"].where(3) == "train-1.csv, row 2 (line 3)"
    assert texts_of(splits["validation"])[0] == "dev.csv"


def test_any_other_folder_is_one_training_set(write):
    write("set/testimonials.csv", rows=[("a", "x")])
    write("set/b.jsonl", '{"label": "y", "text": "b"}\n')
    splits = read(str(Path(write("set/c.csv", rows=[("c", "z")])).parent))
    assert list(splits) == ["train"]
    assert texts_of(splits["train"]) == ["b", "c", "a"]


def test_the_sample_is_there():
    table = read("sample:reviews")["train"]
    assert len(table) > 2000
    assert table.where(0) == "sample:reviews, row 1 (line 2)"


def test_the_second_time_nothing_is_read(write, monkeypatch):
    path = write("rows.csv", rows=ROWS)
    read(path)
    monkeypatch.setattr(store, "_write", None)
    assert texts_of(read(path)["train"]) == TEXTS


def test_a_changed_file_is_read_again_and_its_old_rows_are_removed(write, own_cache):
    read(write("rows.csv", rows=ROWS))
    assert texts_of(read(write("rows.csv", rows=[*ROWS, ("new", "a")]))["train"]) == [*TEXTS, "new"]
    assert len(list((own_cache / "headway").iterdir())) == 1


def test_a_failed_read_leaves_nothing_behind(write, own_cache):
    with pytest.raises(DataError):
        read(write("rows.csv", "text,label\nonly one\n"))
    assert list((own_cache / "headway").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(write, monkeypatch):
    blocked = write("file", "not a folder")
    monkeypatch.setenv("HF_DATASETS_CACHE", blocked)
    with pytest.raises(HeadwayError, match="set HF_DATASETS_CACHE to another folder"):
        read(write("rows.csv", rows=ROWS))


def test_nothing_is_printed(write, capfd):
    read(write("rows.csv", rows=ROWS))
    assert capfd.readouterr() == ("", "")


def test_a_hub_data_set_is_read_by_its_splits(monkeypatch, tmp_path):
    folder = tmp_path / "reviews"
    folder.mkdir()
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["neg", "pos"]))
    for split in ("train", "test"):
        rows = datasets.Dataset.from_dict({"text": [f"{split} text"] * 3, "label": [0, 1, -1]}, features)
        rows.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    tables = read(f"hub:{folder}")  # `datasets` takes a folder where it takes a name
    assert list(tables) == ["train", "test"]
    assert tables["test"].where(2) == f"hub:{folder} (test), row 3"
    assert texts_of(tables["train"]) == ["train text"] * 3
