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


@pytest.fixture
def finished(tmp_path: Path) -> RunFolder:
    """A folder with a measured model, as a run leaves it."""
    folder = RunFolder(tmp_path / "run")
    folder.open({"model": "old"}, resume=False)
    folder.config.write_text("{}")
    folder.card.write_text("the old model is good")
    folder.finish("{}")
    return folder


def test_a_finished_folder_is_free_of_state(finished: RunFolder) -> None:
    assert finished.is_finished()
    assert not finished.states.folder.exists()


def test_from_its_opening_on_a_folder_does_not_count_as_finished(finished: RunFolder) -> None:
    finished.open({"model": "new"}, resume=False)
    assert not finished.is_finished()
    assert not finished.config.exists()
    assert not finished.card.exists()


def test_a_killed_run_is_told_as_what_it_is(finished: RunFolder) -> None:
    finished.states.folder.mkdir()
    finished.states.state_file.write_text("")  # killed between the record and the state's removal
    with pytest.raises(UserError, match="a model is here already"):
        finished.check({"model": "new"}, resume=False, overwrite=False)
    finished.record.unlink()  # killed between config.json and the record
    with pytest.raises(UserError, match="an interrupted run is here"):
        finished.check({"model": "new"}, resume=False, overwrite=False)


def test_what_a_killed_write_left_behind_goes_and_what_is_the_users_stays(finished: RunFolder) -> None:
    for place in (finished.folder, finished.own):
        (place / ".model.safetensors.k2_x9abc.tmp").write_text("half of the weights")
    (finished.folder / ".notes.tmp").write_text("")
    finished.open({"model": "old"}, resume=True)
    assert [file.name for file in finished.folder.rglob(".*")] == [".notes.tmp"]


def test_a_model_is_not_replaced_by_what_is_trained_from_it(finished: RunFolder) -> None:
    request = {"model": f"{finished.folder}/../run"}
    for resume, overwrite in ((False, False), (False, True)):
        with pytest.raises(UserError, match=r"the model to start from is in this folder.*another --output"):
            finished.check(request, resume=resume, overwrite=overwrite)
