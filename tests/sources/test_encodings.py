"""Texts in other encodings are read as what they are, and the user is told."""

import io

import pytest

from headway.errors import DataError, SettingsError
from headway.sources.encodings import codec_named
from headway.sources.read import BadRowPolicy, Dialect, read, stream

GERMAN = "Der Ständer ist schön, aber zu groß – Maß falsch"
SAMPLES = {
    "cp1252": GERMAN,
    "latin-1": "Une très jolie lampe d'été, déjà cassée",
    "cp1251": "Хороший складной нож очень удобен в руке",
    "koi8-r": "Хороший складной нож очень удобен в руке",
    "cp1250": "Zażółć gęślą jaźń, bardzo dobry nóż łatwy",
    "shift_jis": "このナイフはとても使いやすい",
    "gb18030": "这把刀非常好用而且便宜",
    "utf-16": GERMAN,
    "utf-16-le": "The knife is good – really",
    "utf-16-be": "\ufeff" + GERMAN,
}


def rows(text: str) -> str:
    return "text,label\n" + "".join(f'"{text} no. {number}",{"ab"[number % 2]}\n' for number in range(30))


@pytest.mark.parametrize("encoding", SAMPLES)
def test_the_encoding_is_told_and_reported(write, encoding):
    text = SAMPLES[encoding].removeprefix("\ufeff")
    content = ("\ufeff" if encoding == "utf-16-be" else "") + rows(text)
    table = read(write("reviews.csv", content.encode(encoding)))["train"]
    assert [row["text"] for row in table.rows()] == [f"{text} no. {number}" for number in range(30)]
    assert len(table.notes) == 1
    assert "is read as" in table.notes[0]
    assert list(read(write("reviews.csv", content.encode(encoding)))["train"].notes) == list(table.notes)  # the cache


def test_what_the_user_says_is_obeyed(write):
    text = "žluťoučký kůň"
    table = read(write("a.csv", rows(text).encode("iso8859-2")), dialect=Dialect("iso8859-2"))["train"]
    assert next(table.rows())["text"] == f"{text} no. 0"
    assert table.notes == ()
    wide = read(write("b.csv", rows(text).encode("utf-32")), dialect=Dialect("utf-32"))["train"]
    assert next(wide.rows())["text"] == f"{text} no. 0"
    bars = read(write("c.csv", "text~label\na, b; c~x\n"), dialect=Dialect(delimiter="~"))["train"]
    assert list(bars.rows()) == [{"text": "a, b; c", "label": "x"}]


def test_one_damaged_line_in_a_file_of_utf8_is_that_line_s_fault(write):
    content = rows("schön").encode().replace("schön no. 9".encode(), b"sch\xf6n no. 9")
    with pytest.raises(DataError, match=r"row 10 \(line 11\): byte 0xF6 is not UTF-8"):
        read(write("a.csv", content))
    assert read(write("a.csv", content), skip_bad_rows=True)["train"].bad_rows.count == 1


def test_skipping_rows_is_no_remedy_for_a_whole_file(write):
    # Bytes that no likely encoding has: skipping would leave out nearly every row.
    content = b"text,label\n" + b"".join(b'"\xff\xfe\x81\x8d %d \x90\x9d",a\n' % number for number in range(30))
    with pytest.raises(DataError) as refused:
        read(write("a.csv", content), skip_bad_rows=True)
    assert "encoding=NAME" in str(refused.value)
    assert "skip" not in str(refused.value)


def test_a_pipe_is_told_too_without_waiting_for_its_end():
    policy = BadRowPolicy()
    lines = f"{GERMAN}\n".encode("cp1252") * 3
    texts = [row["text"] for table in stream(io.BytesIO(lines), policy=policy) for row in table.rows()]
    assert texts == [GERMAN] * 3
    assert "Windows-1252" in policy.notes[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("klingon", "unknown encoding"),
        ("a\0b", "unknown encoding"),
        ("hex", "not in it"),
        ("unicode_escape", "not in it"),
    ],
)
def test_unknown_encodings_are_refused(name, message):
    with pytest.raises(SettingsError, match=message):
        codec_named(name)


@pytest.mark.parametrize("damage", ["cut short", "half of a character"])
def test_a_damaged_text_in_utf16_is_never_read_with_replacements(write, damage):
    content = rows("sharp \N{GRINNING FACE}").encode("utf-16-le")
    place = content.index("\N{GRINNING FACE}".encode("utf-16-le"))
    broken = content[:-1] if damage == "cut short" else content[:place] + content[place + 2 :]
    with pytest.raises(DataError, match=r"a.csv is not UTF-16 throughout: it is damaged or cut short"):
        read(write("a.csv", b"\xff\xfe" + broken))
