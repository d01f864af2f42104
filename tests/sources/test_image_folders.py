"""Images in class folders, beside tables, and within tables."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from headway.errors import DataError
from headway.sources.read import read, require, stream


@pytest.fixture
def draw(tmp_path):
    def draw_image(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (2, 2)).save(path)
        return tmp_path / names[0].split("/")[0]

    return draw_image


def pairs(table):
    return [(row["image"], row.get("label")) for row in table.rows()]


def test_class_folders_without_their_litter(draw, write):
    folder = draw("set/cat/0.png", "set/cat/1.JPG", "set/cat/deep/2.png", "set/dog/0.png")
    litter = ".DS_Store cat/.DS_Store cat/._0.png dog/Thumbs.db .ipynb_checkpoints/x.png __MACOSX/cat.png readme.txt"
    for name in litter.split():
        write(f"set/{name}", b"\0\0\0\1Bud1")
    (folder / "emptyclass").mkdir()
    (folder / "gone.png").symlink_to("nowhere.png")
    require(folder)
    table = read(folder)["train"]
    assert pairs(table) == [("cat/0.png", "cat"), ("cat/1.JPG", "cat"), ("cat/deep/2.png", "cat"), ("dog/0.png", "dog")]
    assert table.folder == folder
    assert table.where(1) == "set/cat/1.JPG"
    assert [name in table.notes[0] for name in ("8 files or folders", ".DS_Store", "and 3 more")] == [True] * 3
    assert table.notes[1] == f"{folder}: no images in emptyclass, so there is no such class."
    assert [row["image"] for block in stream(str(folder)) for row in block.rows()] == [path for path, _ in pairs(table)]


def test_splits_above_the_classes(draw):
    folder = draw(*(f"set/{split}/{label}/0.png" for split in ("train", "val", "test") for label in ("a", "b")))
    tables = read(folder)
    assert list(tables) == ["train", "validation", "test"]
    assert pairs(tables["validation"]) == [("val/a/0.png", "a"), ("val/b/0.png", "b")]
    draw("set/other/a/0.png")
    with pytest.raises(DataError, match="other: to which split"):
        read(folder)


def test_a_train_may_be_a_class(draw):
    assert [label for _, label in pairs(read(draw("set/train/0.png", "set/car/0.png"))["train"])] == ["car", "train"]


def test_images_beside_class_folders_are_left_out_and_said(draw):
    table = read(draw("set/a/0.png", "set/b/0.png", "set/preview.png"))["train"]
    assert len(table) == 2
    assert "an image was left out, in no class folder: preview.png" in table.notes[0]


def test_images_without_classes_have_no_label(draw):
    table = read(draw("set/0.png", "set/1.png"))["train"]
    assert table.column_names == ("image",)


def test_links_are_followed_but_not_in_circles(draw, tmp_path):
    folder = draw("set/a/0.png", "elsewhere/1.png")
    folder = tmp_path / "set"
    (folder / "b").symlink_to(tmp_path / "elsewhere")
    (folder / "a" / "round").symlink_to(folder)
    assert pairs(read(folder)["train"]) == [("a/0.png", "a"), ("b/1.png", "b")]


def test_names_that_are_not_utf8_are_left_out(draw):
    folder = draw("set/a/0.png", "set/b/0.png")
    Path(os.fsdecode(os.fsencode(folder / "a") + b"/caf\xe9.png")).write_bytes(b"")
    assert "caf\\udce9.png" in read(folder)["train"].notes[0]


def test_the_fingerprint_changes_with_a_file(draw):
    folder = draw("set/a/0.png", "set/b/0.png")
    before = read(folder)["train"].fingerprint()
    assert read(folder)["train"].fingerprint() == before
    Image.new("RGB", (9, 9)).save(folder / "a" / "0.png")
    assert read(folder)["train"].fingerprint() != before


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_metadata_beside_images_and_paths_relative_to_any_table(draw, write, name):
    folder = draw("set/0.png", "set/1.png")
    rows = {"csv": "file_name,label\n0.png,a\n1.png,b\n", "jsonl": '{"file_name": "0.png", "label": "a"}\n'}
    path = write(f"set/{name}", rows[name.split(".")[1]])
    for source in (folder, path):
        for table in (read(source)["train"], next(stream(source))):
            assert table.folder == folder
            assert (table.folder / table.values("file_name", [0])[0]).is_file()


def test_metadata_in_folders_of_splits(draw, write):
    folder = draw("set/train/0.png", "set/test/0.png")
    for split in ("train", "test"):
        write(f"set/{split}/metadata.csv", "file_name,label\n0.png,a\n")
    tables = read(folder)
    assert list(tables) == ["train", "test"]
    assert tables["test"].folder == folder / "test"


def test_parquet_with_bytes_or_the_structs_of_the_hub(draw, write_parquet):
    folder = draw("set/0.png")
    content = (folder / "0.png").read_bytes()
    table = read(write_parquet("bytes.parquet", {"image": pa.array([content], pa.binary())}))["train"]
    assert table.values("image", [0]) == [content]
    structs = pa.array(
        [{"path": None, "bytes": content}, None], pa.struct([("path", pa.string()), ("bytes", pa.large_binary())])
    )
    path = write_parquet("structs.parquet", {"image": structs})
    for table in (read(path)["train"], next(stream(path))):
        assert table.values("image", [0, 1]) == [{"bytes": content, "path": None}, None]


def test_single_images_are_streamed(draw):
    folder = draw("set/0.png", "set/1.png")
    (table,) = stream([folder / "0.png", folder / "1.png"])
    assert table.values("image", [0, 1]) == [str(folder / "0.png"), str(folder / "1.png")]
    assert table.where(1) == "1.png"
    with pytest.raises(DataError, match=r"0.png is a PNG image"):
        read(folder / "0.png")
