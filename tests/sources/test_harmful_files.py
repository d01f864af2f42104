"""Data files that are made to do harm are refused with one sentence, or read in little memory."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Ask = Callable[..., Any]  # an answer of the fixture `ask`
Refuse = Callable[..., str]


def test_the_probe_sees_memory(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "x" * 50_000_000}))
    answer = ask("stream", tmp_path / "rows.jsonl")
    assert answer.kind == "read"
    assert 50 < answer.megabytes < 400


def gzip_bomb(file: Path, head: bytes, unit: bytes, size: int) -> None:
    block = unit * (2**20 // len(unit))
    with gzip.open(file, "wb", compresslevel=1) as packed:
        packed.write(head)
        for _ in range(size // len(block)):
            packed.write(block)


@pytest.mark.parametrize(
    ("name", "head", "words"),
    [
        ("a.csv.gz", b"", "line 1: longer than 64 MB, so this is no file of rows"),
        ("b.csv.gz", b"text,label\n", "line 2: longer than 64 MB"),
        ("c.tsv.gz", b"text\tlabel\n", "line 2: longer than 64 MB"),
        ("d.jsonl.gz", b'{"text": "', "line 1: longer than 64 MB"),
        ("e.parquet.gz", b"", "is not a readable Parquet file"),
        ("f.csv.gz", b'text,label\n"', "longer than 64 MB"),
    ],
)
@pytest.mark.parametrize("reader", ["read", "stream"])
def test_a_bomb_of_one_endless_line(
    refuse: Refuse, tmp_path: Path, reader: str, name: str, head: bytes, words: str
) -> None:
    gzip_bomb(tmp_path / name, head, b"x", 2**28)
    assert (tmp_path / name).stat().st_size < 2 * 2**20
    assert words in refuse(reader, tmp_path / name, megabytes=200)


def test_a_bomb_of_an_open_quote(refuse: Refuse, tmp_path: Path) -> None:
    gzip_bomb(tmp_path / "open.csv.gz", b'text,label\n"', b"xxxxxxx\n", 2**29)
    # Python's csv keeps a field with four bytes a character, in a buffer that doubles: 192 MB for the longest one.
    message = refuse("read", tmp_path / "open.csv.gz", megabytes=256)
    assert "row 1 (line 2): a quotation mark opens a field here and is never closed" in message


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.jsonl.gz"])
def test_a_bomb_of_many_rows_is_read_in_little_memory(ask: Ask, tmp_path: Path, name: str) -> None:
    head, row = (b"text,label\n", b"good,1\n") if "csv" in name else (b"", b'{"text": "good", "label": 1}\n')
    gzip_bomb(tmp_path / name, head, row * 100, 2**22)
    answer = ask("stream", tmp_path / name)
    assert answer.kind == "read", answer
    assert answer.megabytes < 30


def test_a_bomb_of_blank_rows_is_read_in_little_memory(ask: Ask, tmp_path: Path) -> None:
    gzip_bomb(tmp_path / "blank.csv.gz", b"text,label\ngood,1\n", b"\n", 2**22)
    answer = ask("stream", tmp_path / "blank.csv.gz")
    assert answer.kind == "read", answer
    assert answer.megabytes < 30


def parquet(file: Path, texts: object, **options: object) -> Path:
    table = pa.table({"text": texts, "label": ["a"] * len(texts)})
    pq.write_table(table, file, **options)
    assert file.stat().st_size < 2 * 2**20
    return file


@pytest.mark.parametrize("plain", [True, False], ids=["string", "dictionary"])
@pytest.mark.parametrize("reader", ["read", "stream"])
def test_a_text_that_a_dictionary_repeats_is_not_written_out_at_once(
    ask: Ask, tmp_path: Path, reader: str, plain: bool
) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 4096, pa.int32()), ["x" * 2**18])
    file = parquet(tmp_path / "repeated.parquet", texts, store_schema=not plain)
    answer = ask(reader, file)
    assert answer.kind == "read", answer
    # A gigabyte in all; what is read goes to the disk, whose pages the system may count while they are mapped.
    assert answer.megabytes < 300


@pytest.mark.parametrize("reader", ["read", "stream"])
def test_a_text_in_parquet_may_be_as_long_as_in_a_csv(refuse: Refuse, tmp_path: Path, reader: str) -> None:
    texts = pa.DictionaryArray.from_arrays(pa.array([1] * 5000 + [0] * 5000, pa.int32()), ["x" * (2**24 + 1), "good"])
    file = parquet(tmp_path / "long.parquet", texts, store_schema=False, compression="gzip", row_group_size=4000)
    message = refuse(reader, file, megabytes=400)
    assert "long.parquet, row 5001: 'text' has 16,777,217 bytes, more than the 16,777,216 that are read" in message


@pytest.mark.parametrize("rows", [1, 5000])
def test_a_huge_text_is_not_unpacked(refuse: Refuse, tmp_path: Path, rows: int) -> None:
    texts = ["good"] * (rows - 1) + ["x" * 300_000_000]
    file = parquet(tmp_path / "huge.parquet", texts, compression="gzip")
    message = refuse("read", file)
    assert "huge.parquet, from row 1:" in message
    assert " bytes unpack to 300," in message
    assert "Write the file again with fewer rows in a group" in message


def test_long_texts_without_a_dictionary_are_read_some_at_a_time(ask: Ask, tmp_path: Path) -> None:
    texts = [f"{row} " + "x" * 2**20 for row in range(200)]
    file = parquet(tmp_path / "long.parquet", texts, compression="zstd", use_dictionary=False, write_batch_size=4)
    answer = ask("stream", file)
    assert answer.kind == "read", answer
    assert answer.megabytes < 300


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (b"\x25\x02\x18\x04text", b"\x25\x00\x18\x04text", "DataError"),  # "never null", against the counts of nulls
        (b"\x25\x02\x18\x04text", b"\x25\x02\x18\x04te\tt", "read"),  # not the name that the columns themselves give
    ],
)
def test_a_damaged_description_of_columns_ends_no_process(
    ask: Ask, tmp_path: Path, old: bytes, new: bytes, kind: str
) -> None:
    file = parquet(tmp_path / "columns.parquet", ["good", "bad"])
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new))
    answer = ask("stream", file)
    assert answer.kind == kind, answer
    assert kind == "read" or "columns.parquet is not a readable Parquet file (Definition level" in answer.message
