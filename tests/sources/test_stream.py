import gzip
import io
import json
import os
import subprocess
import sys
from itertools import islice

import pytest

from headway.errors import DataError
from headway.sources.readers import BadRowPolicy, stream


def test_files_of_every_format(write, write_parquet):
    rows = [{"text": "I love it", "id": "1"}, {"text": "no, never", "id": "2"}]
    assert list(stream(write("a.csv", 'text,id\nI love it,1\n"no, never",2\n'))) == rows
    assert list(stream(write("a.tsv", "text\tid\nI love it\t1\nno, never\t2\n"))) == rows
    assert list(stream(write("a.jsonl.gz", gzip.compress("\n".join(map(json.dumps, rows)).encode())))) == rows
    assert list(stream(write_parquet("a.parquet", {"text": ["I love it", "no, never"], "id": ["1", "2"]}))) == rows


def test_json_values_are_kept(write_json):
    rows = [{"text": "a", "n": 1, "more": [True, None]}, {"text": None}]
    assert list(stream(write_json("a.jsonl", rows))) == rows


def test_a_text_file_is_one_text_a_line_and_none_is_lost(write):
    path = write("a.txt", "\ufeffone\r\n\r\n  two, three\nfour")
    assert [row["text"] for row in stream(path)] == ["one", "", "  two, three", "four"]


@pytest.mark.parametrize(
    ("content", "format", "rows"),
    [
        (b'{"text": "a"}\n{"text": "b"}\n', None, [{"text": "a"}, {"text": "b"}]),
        (b"text,label\na,b\n", None, [{"text": "text,label"}, {"text": "a,b"}]),
        (b"text,label\na,b\n", "csv", [{"text": "a", "label": "b"}]),
        (b"{not json}\n", None, [{"text": "{not json}"}]),
        (gzip.compress(b"packed\n", mtime=0), None, [{"text": "packed"}]),
        (b"", None, []),
    ],
)
def test_a_pipe_is_read_by_its_first_line_or_as_told(content, format, rows):
    assert list(stream(io.BytesIO(content), format=format)) == rows


@pytest.mark.parametrize(
    ("format", "first", "second"),
    [(None, b"one\n", b"two\n"), (None, b'{"text": "one"}\n', b'{"text": "two"}\n'), ("csv", b"text\none\n", b"two\n")],
)
def test_a_row_of_a_pipe_is_answered_before_the_next_one_is_written(format, first, second):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as feeder:
        rows = stream(pipe, format=format)
        feeder.write(first)
        assert next(rows)["text"] == "one"
        feeder.write(second)
        assert next(rows)["text"] == "two"


def test_the_standard_input():
    code = "from headway.sources.readers import stream; print([row['text'] for row in stream('-')])"
    run = subprocess.run([sys.executable, "-c", code], input=b"one\ntwo\n", capture_output=True, check=True)
    assert run.stdout.decode().strip() == "['one', 'two']"


def test_a_stream_reads_no_further_than_it_is_asked(write):
    path = write("a.csv", "text,label\n" + "fine,1\n" * 10 + "bad\n")
    assert len(list(islice(stream(path), 10))) == 10
    with pytest.raises(DataError, match=r"a.csv, row 11 \(line 12\): 1 field where the header has 2"):
        list(stream(path))
    faults = BadRowPolicy(skip=True)
    assert len(list(stream(path, faults=faults))) == 10
    assert [bad.where for bad in faults.seen().listed] == ["a.csv, row 11 (line 12)"]


def test_errors_of_a_pipe_say_where():
    with pytest.raises(DataError, match="the pipe, row 2: byte 0xE9 is not UTF-8"):
        list(stream(io.BytesIO(b"fine\ncaf\xe9\n")))
    with pytest.raises(DataError, match="is a PNG image"):
        list(stream(io.BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(50))))


def test_streaming_needs_no_datasets_library(write):
    path = write("a.csv", "text\nhello\n")
    code = f"import sys; from headway.sources.readers import stream; list(stream({path!r}))"
    code += "; print('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"False"
