"""Every file that cannot be used gets one sentence: what is wrong, where, and what to do."""

import gzip
import io
import json
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headway.errors import DataError
from headway.examples.fields import find_columns
from headway.examples.labels import learn_labels, read_labels
from headway.sources.read import read
from headway.tasks.classification.task import TextClassification

GOOD = "text,label\n" + "".join(f"good number {i},{'pos' if i % 2 else 'neg'}\n" for i in range(30))


def office_document():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "x")
    return buffer.getvalue()


def latin_parquet():
    """A column that calls itself text and is not UTF-8."""
    text = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\4\0\0\0"), pa.py_buffer("café".encode("latin-1")))
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": text, "label": ["a"]}), buffer)
    return buffer.getvalue()


def latin_name_parquet():
    """A column's name that is no UTF-8."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"café": ["good", "bad"], "label": ["a", "b"]}), buffer, store_schema=False)
    return buffer.getvalue().replace("café".encode(), b"caf\xe9\xe9")


REFUSED = {
    "empty.csv": (b"", ["empty.csv is empty", "header line such as text,label"]),
    "empty.jsonl": (b"", ["empty.jsonl is empty"]),
    "header.csv": (b"text,label\n", ["header.csv has no rows below its header"]),
    "twice.csv": (b"text,label,text\na,b,c\n", ["two columns are called 'text'", "Rename one"]),
    "headless.csv": (b"text " * 300 + b",label\na,b\n", ["(the header): the name of a column has 1,499 characters"]),
    "mac.csv": (GOOD.replace("\n", "\r").encode(), ["old Macs", "Save it again"]),
    "image.csv": (b"\x89PNG\r\n\x1a\n" + bytes(500), ["image.csv is a PNG image"]),
    "photo.jsonl": (b"\xff\xd8\xff\xe0" + bytes(500), ["JPEG"]),
    "book.csv": (office_document(), ["ZIP archive or an office document", "save the table as CSV"]),
    "book.xlsx": (office_document(), ["this spreadsheet cannot be read", "or as CSV"]),
    "noise.csv": (os.urandom(5000), ["is a binary file"]),
    "other.csv": (b"PAR1" + bytes(100), ["Parquet", ".parquet"]),
    "fake.parquet": (b"hello", ["fake.parquet is not a readable Parquet file", "download it again"]),
    "endless.parquet.gz": (gzip.compress(bytes(10**6)), ["endless.parquet.gz is not a readable Parquet file. Write"]),
    "name.parquet": (latin_name_parquet(), ["name.parquet is not a readable Parquet file (", "utf-8", "download it"]),
    "latin.parquet": (latin_parquet(), ["latin.parquet is not a readable Parquet file (", "UTF", "download it again"]),
    "short.csv.gz": (gzip.compress(os.urandom(9000).hex().encode())[:-2000], ["damaged or cut short", "Download"]),
    "notes.txt": (b"hello\n", ["plain text has no labels", "CSV"]),
    "rows.dat": (GOOD.encode(), ["its name does not end like", "CSV"]),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("skip_bad_rows", [False, True])
def test_files_that_are_no_data(write, name, skip_bad_rows):
    content, parts = REFUSED[name]
    with pytest.raises(DataError) as refusal:
        read(write(name, content), skip_bad_rows=skip_bad_rows)
    message = str(refusal.value)
    assert all(part in message for part in [name, *parts]), message
    assert "\n" not in message


BAD_ROWS = {
    "few.csv": ("only one field", "1 field where the header has 2 (text, label)", "Add what is missing"),
    "many.csv": ("well, there is a comma,pos", "3 fields where the header has 2", "quotation marks"),
    "latin.csv": ("café au lait,pos".encode("latin-1"), "byte 0xE9 is not UTF-8", "Save the file as UTF-8"),
    "nul.csv": ("with\0nul,pos", "a NUL byte", "Remove it"),
    "open.csv": ('"never closed,pos', "is never closed", "Close it"),
    "middle.csv": ('"he said "hi" to me",pos', "ends in the middle", "written twice"),
    "broken.jsonl": ('{"text": "a", "label": ', "this is not JSON", "Fix the line"),
    "text.jsonl": ('"text"', "but not an object", "Fix the line"),
    "half.jsonl": ('{"text": "a \\ud83d", "label": 1}', "unpaired surrogate", "Fix the line"),
    "digits.jsonl": ('{"text": "a", "label": ' + "9" * 5000 + "}", "too large", "Fix the line"),
    "deep.jsonl": ('{"text": ' + "[" * 100_000, "too large", "Fix the line"),
}


def with_bad_row(name, row):
    good = [line.encode() for line in GOOD.splitlines()]
    good[1] = "naïve,pos".encode()  # a character beyond ASCII: the file is UTF-8
    if name.endswith(".jsonl"):
        good = [b"", *(json.dumps({"text": f"good {i}", "label": i % 2}).encode() for i in range(30))]
    row = row if isinstance(row, bytes) else row.encode()
    return b"\n".join([*good[:17], row, *good[17:], b""])


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_with_its_remedy(write, name):
    row, *parts = BAD_ROWS[name]
    with pytest.raises(DataError) as refusal:
        read(write(name, with_bad_row(name, row)))
    message = str(refusal.value)
    expected = [f"{name}, row 17 (line 18): ", *parts, "or leave such rows out with --skip-bad-rows."]
    assert all(part in message for part in expected), message


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_can_be_skipped_and_are_counted_and_listed(write, name):
    row, reason, _ = BAD_ROWS[name]
    table = read(write(name, with_bad_row(name, row)), skip_bad_rows=True)["train"]
    assert len(table) == 30
    assert table.bad_rows.count == 1
    assert table.bad_rows.listed[0].where == f"{name}, row 17 (line 18)"
    assert reason in table.bad_rows.listed[0].reason
    assert table.where(16) == f"{name}, row 18 (line 19)"


def test_the_list_of_skipped_rows_is_bounded_but_their_count_is_not(write):
    table = read(write("rows.csv", GOOD + "one field\n" * 250 + "last,pos\n"), skip_bad_rows=True)["train"]
    assert table.bad_rows.count == 250
    assert len(table.bad_rows.listed) == 100
    assert table.where(30) == "rows.csv, row 281 (line 282)"


def test_when_every_row_is_bad_the_first_reason_is_given(write):
    with pytest.raises(
        DataError, match=r"none of the 3 rows can be used. The first: rows.csv, row 1 \(line 2\): 1 field"
    ):
        read(write("rows.csv", "text,label\na\nb\nc\n"), skip_bad_rows=True)


def test_a_broken_header_cannot_be_skipped(write):
    with pytest.raises(DataError, match=r"rows.csv, line 1 \(the header\): byte 0xE9"):
        read(write("rows.csv", b"text\xc3\xa9\xe9,label\na,b\n"), skip_bad_rows=True)


def test_a_quote_that_swallows_the_file_stops_at_the_limit(write, monkeypatch):
    import csv

    from headway.sources.formats import csv_rows

    monkeypatch.setattr(csv_rows, "FIELD_LIMIT", 1000)
    before = csv.field_size_limit(1000)
    try:
        with pytest.raises(
            DataError, match=r"row 1 \(line 2\): a quotation mark opens a field here and is never closed"
        ):
            read(write("rows.csv", 'text,label\n"open,pos\n' + "x,y\n" * 1000))
    finally:
        csv.field_size_limit(before)


def test_sources_that_are_not_there(write, monkeypatch):
    path = write("reviews.csv", GOOD)
    with pytest.raises(DataError, match=r"reviws.csv: no such file or folder. Did you mean .*reviews.csv\?"):
        read(path.replace("reviews", "reviws"))
    with pytest.raises(DataError, match=r"no such sample. There are: .*reviews"):
        read("sample:nothing")
    with pytest.raises(DataError, match=r"names no data set: write hub:NAME"):
        read("hub:")


def test_a_hub_that_does_not_answer_is_one_sentence(monkeypatch):
    import datasets

    def offline(*names):
        raise ConnectionError("Couldn't reach the Hub.\nMany lines")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(
        DataError, match=r"hub:glue:sst2 could not be loaded from the hub: Couldn't reach.*Many lines. Check"
    ):
        read("hub:glue:sst2")


def test_folders_that_cannot_be_read(write):
    folder = Path(write("nothing/readme.md", "x")).parent
    with pytest.raises(DataError, match=r"no data in this folder \(only readme.md\)"):
        read(str(folder))
    write("differ/a.csv", GOOD)
    folder = Path(write("differ/b.csv", "text,sentiment\na,b\n")).parent
    with pytest.raises(DataError, match=r"b.csv has no column label, which a.csv has"):
        read(str(folder))
    write("extra/a.csv", "text\na\n")
    with pytest.raises(DataError, match=r"a.csv has no column label, which b.csv has"):
        read(str(Path(write("extra/b.csv", GOOD)).parent))
    with pytest.raises(DataError, match=r"which file is for training"):
        read(str(Path(write("tests/test.csv", GOOD)).parent))
    write("unclear/train.csv", GOOD)
    with pytest.raises(DataError, match=r"other.csv: to which split"):
        read(str(Path(write("unclear/other.csv", GOOD)).parent))


def test_a_csv_without_a_header_is_recognised_by_its_labels(write):
    table = read(write("rows.csv", "I love it,1\nI hate it,0\nso so,1\nvery good,0\n"))["train"]
    with pytest.raises(DataError, match=r"the first line seems to be an example already: '1'"):
        learn_labels(read_labels(table, find_columns(table, TextClassification.fields)["label"]))
