"""The model folder, before anything is in it."""

from pathlib import Path

import pytest

from headway.errors import UserError
from headway.tasks.folder import RunFolder


@pytest.mark.parametrize("below", ["reviews.csv", "reviews.csv/run", "reviews.csv/runs/first"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_below_a_file_is_refused_before_any_work(tmp_path: Path, below: str, overwrite: bool) -> None:
    (tmp_path / "reviews.csv").write_text("text,label\n")
    with pytest.raises(UserError, match=r"reviews\.csv: is a file\. Choose a folder"):
        RunFolder(tmp_path / below).check({}, resume=False, overwrite=overwrite)


def test_a_place_where_nothing_can_be_written_is_refused_before_any_work() -> None:
    with pytest.raises(UserError, match=r"/proc: nothing can be written here \(.*\)\. Choose another --output"):
        RunFolder("/proc/headway/run").check({}, resume=False, overwrite=False)


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    RunFolder(tmp_path / "runs" / "first").check({}, resume=False, overwrite=False)
    assert not list(tmp_path.iterdir())
