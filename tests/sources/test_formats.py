"""Formats that people have beside CSV and JSON lines: each gives the same rows."""

import io
import json
import zipfile

import pyarrow as pa
import pytest
from PIL import Image

from headway.errors import DataError
from headway.sources.read import read, stream

ROWS = [
    {"text": f"The knife no. {number} cuts well, mostly", "label": "good" if number % 2 else "bad"}
    for number in range(8)
]
CSV = "text,label\n" + "".join(f'"{row["text"]}",{row["label"]}\n' for row in ROWS)
JSON_LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
FASTTEXT = "".join(f"__label__{row['label']} {row['text']}\n" for row in ROWS)


def zipped(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
        archive.writestr("__MACOSX/._a.csv", "litter")
    return packed.getvalue()


def damaged(archive: bytes) -> bytes:
    """One byte of the packed file is another."""
    place = archive.index(b"The knife")
    return archive[:place] + b"t" + archive[place + 1 :]


@pytest.mark.parametrize(
    ("name", "content"),
    {
        "a.csv.zip": zipped(a_csv=CSV),
        "renamed.zip": zipped(a_jsonl=JSON_LINES),
        "a.csv.zst": pa.compress(CSV.encode(), codec="zstd", asbytes=True),
        "array.json": json.dumps(ROWS),
        "pretty.json": json.dumps(ROWS, indent=2),
        "objects.json": "\n".join(json.dumps(row, indent=1) for row in ROWS),
        "wrapped.json": json.dumps({"version": 1, "data": ROWS}),
        "pandas.json": json.dumps({name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in ROWS[0]}),
        "columns.json": json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}),
        "fasttext.txt": FASTTEXT,
        "backslash.csv": CSV.replace("well,", 'well \\"').replace("mostly", 'ok\\", mostly'),
        "space.csv": CSV.replace(",good", ', "good"').replace(",bad", ', "bad"'),
    }.items(),
)
def test_each_gives_the_rows(write, name, content):
    table = read(write(name, content))["train"]
    expected = ROWS
    if name == "backslash.csv":
        expected = [
            {**row, "text": row["text"].replace("well,", 'well "').replace("mostly", 'ok", mostly')} for row in ROWS
        ]
    assert list(table.rows()) == expected


def test_an_array_may_come_through_a_pipe():
    assert [row for table in stream(io.BytesIO(json.dumps(ROWS).encode())) for row in table.rows()] == ROWS


def test_several_labels_in_a_line_of_fasttext(write):
    path = write("several.txt", FASTTEXT.replace("__label__good", "__label__good __label__sharp"))
    labels = [row["label"] for row in read(path)["train"].rows()]
    assert labels[:2] == [["bad"], ["good", "sharp"]]


def test_a_spreadsheet(tmp_path):
    book = tmp_path / "book.xlsx"
    book.write_bytes(spreadsheet([["text", "stars", "label"], ["sharp", 5, "good"], ["blunt", 1.5, "bad"]]))
    table = read(book)["train"]
    assert list(table.rows()) == [
        {"text": "sharp", "stars": 5, "label": "good"},
        {"text": "blunt", "stars": 1.5, "label": "bad"},
    ]
    assert table.where(1) == "book.xlsx, row 2 (line 3)"


def spreadsheet(rows: list[list[object]]) -> bytes:
    """The smallest workbook that spreadsheets open: cells with their values in place."""
    cells = "".join(
        "<row>"
        + "".join(
            f'<c t="inlineStr"><is><t>{v}</t></is></c>' if isinstance(v, str) else f"<c><v>{v}</v></c>" for v in row
        )
        + "</row>"
        for row in rows
    )
    kinds = "http://schemas.openxmlformats.org"
    office = f"{kinds}/officeDocument/2006/relationships"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{kinds}/package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{kinds}/package/2006/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{kinds}/spreadsheetml/2006/main" xmlns:r="{office}"><sheets>'
        '<sheet name="Reviews" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{kinds}/package/2006/relationships"><Relationship '
        f'Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{kinds}/spreadsheetml/2006/main"><sheetData>{cells}</sheetData>'
        "</worksheet>",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return packed.getvalue()


def test_class_folders_of_texts(tmp_path):
    for split in ("train", "test"):
        for label in ("pos", "neg"):
            for number in range(3):
                place = tmp_path / "reviews" / split / label
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{number}.txt").write_text(f"{label} {number}\nsecond line", encoding="utf-8")
    (tmp_path / "reviews" / "train" / "unsup").mkdir()
    (tmp_path / "reviews" / "train" / "unsup" / "0.txt").write_text("nobody knows", encoding="utf-8")
    tables = read(tmp_path / "reviews")
    assert {name: len(table) for name, table in tables.items()} == {"train": 6, "test": 6}
    assert next(tables["train"].rows()) == {"text": "neg 0\nsecond line", "label": "neg"}
    assert tables["train"].where(0) == "train/neg/0.txt"
    assert "unsup have no class" in tables["train"].notes[0]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("two.zip", zipped(a_csv=CSV, b_csv=CSV), "ZIP archive of 2 files"),
        ("cut.json", json.dumps(ROWS)[:-40], "breaks off or is damaged behind object 7"),
        ("more.json", json.dumps(ROWS) + "\n[]", "more behind the JSON array"),
        ("several.json", json.dumps({"a": ROWS, "b": ROWS}), "several lists of rows \\(a, b\\)"),
        ("texts.json", json.dumps(["a", "b"]), "row 1: not an object"),
        ("above.csv", "Export of reviews\nCreated: 2024\n\n" + CSV, "header seems to be line 4 \\(text, label\\)"),
        (
            "above.tsv.csv",
            "# made by hand\n" + CSV.replace('"', "").replace(", mostly,", "\t").replace("text,", "text\t"),
            "line 2",
        ),
        ("book.xlsx", b"PK\x03\x04no", "cannot be read"),
        ("half.json", json.dumps([{"text": "a \ud83d", "label": "x"}] * 3), "row 1: .* unpaired surrogate"),
        ("half2.json", json.dumps({"data": [{"text": "a \ud83d"}] * 3}, indent=1), "row 1: .* unpaired surrogate"),
        (
            "latin.json",
            json.dumps(ROWS, indent=1).encode().replace(b"0 c", b"\xc3\xb6 c").replace(b"7 c", b"\xf6 c"),
            "line 31: byte 0xF6",
        ),
        ("damaged.csv.zip", damaged(zipped(a_csv=CSV)), "damaged"),
        ("nameless.csv.zip", zipped(a_csv=CSV).replace(b"a.csv", b"\0.csv"), "this ZIP archive cannot be read"),
        ("quoted.csv", 'Export of reviews\n\n"text","label"\n' + CSV.partition("\n")[2], "seems to be line 3"),
    ],
)
def test_what_cannot_be_read_is_told(write, name, content, told):
    with pytest.raises(DataError, match=told):
        read(write(name, content))


def test_a_repeated_header_and_a_delimiter_at_each_end_are_left_out(write):
    lines = CSV.splitlines()
    table = read(write("twice.csv", "\n".join([*lines[:4], lines[0], *lines[4:]])))["train"]
    assert list(table.rows()) == ROWS
    assert table.notes == ("twice.csv, row 4 (line 5) repeats the header and was left out.",)
    table = read(write("ends.csv", lines[0] + "\n" + "".join(f"{line},\n" for line in lines[1:])))["train"]
    assert list(table.rows()) == ROWS
    assert "a delimiter stands at the end of lines" in table.notes[0]


@pytest.mark.timeout(60)  # it did not come to an end in two minutes
def test_a_damaged_array_is_refused_at_once_however_long_it_is(write):
    """Looking for the end of what can have none must not read the whole file again at each of its lines."""
    content = json.dumps(ROWS * 20_000, indent=1).replace('"label":', '"label"', 1)
    with pytest.raises(DataError, match="damaged behind object 0"):
        read(write("damaged.json", content))


def test_lines_of_objects_with_lists_are_rows(write):
    rows = [{"id": number, "parts": [{"a": 1}, {"a": 2}], "label": "x"} for number in range(5)]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    assert list(read(write("a.jsonl", content))["train"].rows()) == rows
    with pytest.raises(DataError, match=r"row 6 \(line 6\): this is not JSON"):  # no document that is read as a whole
        read(write("b.jsonl", content + "{broken\n"))


def test_texts_with_the_delimiter_are_not_taken_for_a_header_further_down(write):
    one_column = read(write("one.csv", "text\n" + "".join(f"{row['text'][:9]} | so so\n" for row in ROWS)))["train"]
    assert len(one_column) == len(ROWS)
    with pytest.raises(DataError, match=r"row 1 \(line 2\): 3 fields where the header has 2.*quotation marks"):
        read(write("two.csv", CSV.replace('"', "")))


def test_texts_beside_images_only_describe_them(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / label / "1.png")
        (tmp_path / label / "1.txt").write_text("0 0.5 0.5 1 1", encoding="utf-8")
    assert read(tmp_path)["train"].column_names == ("image", "label")


def test_a_bad_text_in_a_folder_is_named_or_skipped(tmp_path):
    for number, content in enumerate((b"fine", b"nul\0", "schön".encode("cp1252"))):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[number % 2] / f"{number}.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"b.1\.txt, line 1: the text contains a NUL byte"):
        read(tmp_path)
    table = read(tmp_path, skip_bad_rows=True)["train"]
    assert [row["text"] for row in table.rows()] == ["fine", "schön"]
    assert table.bad_rows.count == 1
    assert "Windows-1252" in table.notes[0]
