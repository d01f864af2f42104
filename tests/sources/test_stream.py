import gzip
import io
import json
import os
import subprocess
import sys

import pytest

from headway.errors import DataError
from headway.sources.read import BadRowPolicy, stream


def rows_of(source, **options):
    return [row for table in stream(source, **options) for row in table.rows()]


def test_files_of_every_format(write, write_parquet):
    rows = [{"text": "I love it", "id": "1"}, {"text": "no, never", "id": "2"}]
    assert rows_of(write("a.csv", 'text,id\nI love it,1\n"no, never",2\n')) == rows
    assert rows_of(write("a.tsv", "text\tid\nI love it\t1\nno, never\t2\n")) == rows
    assert rows_of(write("a.jsonl.gz", gzip.compress("\n".join(map(json.dumps, rows)).encode()))) == rows
    assert rows_of(write_parquet("a.parquet", {"text": ["I love it", "no, never"], "id": ["1", "2"]})) == rows


def test_json_values_are_kept(write_json):
    rows = [{"text": "a", "n": 1, "more": [True, None]}, {"text": None}]
    assert rows_of(write_json("a.jsonl", rows)) == [rows[0], {"text": None, "n": None, "more": None}]


def test_a_text_file_is_one_text_a_line_and_none_is_lost(write):
    path = write("a.txt", "\ufeffone\r\n\r\n  two, three\nfour")
    assert [row["text"] for row in rows_of(path)] == ["one", "", "  two, three", "four"]


@pytest.mark.parametrize(
    ("content", "format", "rows"),
    [
        (b'{"text": "a"}\n{"text": "b"}\n', None, [{"text": "a"}, {"text": "b"}]),
        (b"great, thanks\nnever again, sorry\n", None, [{"text": "great, thanks"}, {"text": "never again, sorry"}]),
        (b"[sarcasm] great\n", None, [{"text": "[sarcasm] great"}]),
        (b"text,label\na,b\n", "text", [{"text": "text,label"}, {"text": "a,b"}]),
        (b"text,label\na,b\n", "csv", [{"text": "a", "label": "b"}]),
        (b"{not json}\n", None, [{"text": "{not json}"}]),
        (gzip.compress(b"packed\n", mtime=0), None, [{"text": "packed"}]),
        (b"", None, []),
    ],
)
def test_a_pipe_is_read_by_its_first_line_or_as_told(content, format, rows):
    assert rows_of(io.BytesIO(content), format=format) == rows


@pytest.mark.parametrize(
    ("format", "first", "second"),
    [(None, b"one\n", b"two\n"), (None, b'{"text": "one"}\n', b'{"text": "two"}\n'), ("csv", b"text\none\n", b"two\n")],
)
def test_a_row_of_a_pipe_is_answered_before_the_next_one_is_written(format, first, second):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as feeder:
        blocks = stream(pipe, format=format)
        feeder.write(first)
        assert next(blocks).values("text", [0]) == ["one"]
        feeder.write(second)
        block = next(blocks)
        assert block.values("text", [0]) == ["two"]
        assert "row 2" in block.where(0)


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (b"id,Review\n1,so good\n", {"id": "1", "Review": "so good"}),
        (b"id\treview\n1\tso good\n", {"id": "1", "review": "so good"}),
        (b"\xef\xbb\xbf id ; review \r\n1;so good\r\n", {"id": "1", "review": "so good"}),
        (b'"review"\n"so, so good"\n', {"review": "so, so good"}),
        (b"sep=;\nid;review\n1;so good\n", {"id": "1", "review": "so good"}),
        (gzip.compress(b"id,review\n1,so good\n"), {"id": "1", "review": "so good"}),
    ],
    ids=["csv", "tsv", "semicolons", "one column", "Excel", "compressed"],
)
def test_a_table_in_a_pipe_is_known_by_its_header(content, row):
    (table,) = stream(io.BytesIO(content), columns={"review"})
    assert list(table.rows()) == [row]
    assert "is read as a table with the columns" in table.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,words\n1,so good\n2,bad\n", "seems to be a table with the columns id, words.*--input-format csv"),
        (b'["a", "b"]\n', "the pipe is one JSON document.*jq"),
    ],
)
def test_what_is_no_text_per_line_is_refused_with_the_way(content, message):
    with pytest.raises(DataError, match=message):
        rows_of(io.BytesIO(content), columns={"review"})


def test_the_standard_input():
    code = (
        "from headway.sources.read import stream; print([row['text'] for table in stream('-') for row in table.rows()])"
    )
    run = subprocess.run([sys.executable, "-c", code], input=b"one\ntwo\n", capture_output=True, check=True)
    assert run.stdout.decode().strip() == "['one', 'two']"


def test_the_rows_before_a_bad_one_are_given_before_the_error(write):
    path = write("a.csv", "text,label\n" + "fine,1\n" * 3000 + "bad\n")
    given = []
    with pytest.raises(DataError, match=r"a.csv, row 3001 \(line 3002\): 1 field where the header has 2"):
        given.extend(map(len, stream(path)))
    assert sum(given) == 3000
    policy = BadRowPolicy(skip=True)
    assert len(rows_of(path, policy=policy)) == 3000
    assert [bad.where for bad in policy.seen().listed] == ["a.csv, row 3001 (line 3002)"]


def test_the_rows_of_a_pipe_before_a_bad_one_are_given_before_the_error():
    given = []
    with pytest.raises(DataError, match="the pipe, row 3: byte 0xE9"):
        given.extend(
            row["text"] for table in stream(io.BytesIO(b"one\ncaf\xc3\xa9\ncaf\xe9\n")) for row in table.rows()
        )
    assert given == ["one", "café"]


def test_blocks_are_small_and_know_where_their_rows_stand(write, write_parquet):
    texts = [f"text {i}" for i in range(5000)]
    for path in (write("a.csv", rows=[(text, "1") for text in texts]), write_parquet("a.parquet", {"text": texts})):
        blocks = list(stream(path))
        assert max(map(len, blocks)) <= 2048
        assert [text for block in blocks for text in block.values("text", range(len(block)))] == texts
        assert "row 4097" in blocks[2].where(0)
    long = list(stream(write("long.csv", rows=[("x" * 2**20, "1")] * 20)))
    assert all(len(block) < 10 for block in long)


def test_columns_that_came_once_stay_and_types_may_change(write_json):
    rows = [{"text": f"t{i}", "label": 1} for i in range(2048)] + [{"text": "late"}, {"text": 5, "label": "x"}]
    blocks = list(stream(write_json("a.jsonl", rows)))
    assert [block.column_names for block in blocks] == [("text", "label")] * 2
    assert blocks[1].values("text", [0, 1]) == ["late", 5]
    assert blocks[1].values("label", [0, 1]) == [None, "x"]


def test_errors_of_a_pipe_say_where():
    with pytest.raises(DataError, match="the pipe, row 2: byte 0xE9 is not UTF-8"):
        rows_of(io.BytesIO(b"caf\xc3\xa9\ncaf\xe9\n"))
    with pytest.raises(DataError, match="is a PNG image"):
        rows_of(io.BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(50)))


def test_reading_files_and_rows_needs_no_datasets_library(write):
    path = write("a.csv", rows=[("hello", "a")])
    code = f"import sys; from headway.sources.read import read, stream; list(stream({path!r})), read({path!r})"
    code += "; read([{'text': 'a'}]); print('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"False"
