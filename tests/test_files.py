"""Writing without losing."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headway.errors import HeadwayError
from headway.files import remove_leftovers, replacing, write_atomically


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyError("anything")

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_may_not_be_written_gets_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HeadwayError, match="could not be written"):
        write_atomically(tmp_path / "file" / "inside", "text")


@pytest.mark.parametrize("how", ["python", "torch", "safetensors"])
def test_no_room_is_told_in_one_sentence_whoever_writes(tmp_path, how):
    # A limit on the size of files stands for a full disk: the system refuses the write in the same place.
    code = f"""
import resource, signal, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from headway.errors import HeadwayError
from headway.files import replacing
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
weights = {{"a": torch.zeros(100_000)}}
try:
    with replacing(Path({str(tmp_path / "file")!r})) as temporary:
        if {how!r} == "python":
            temporary.write_bytes(bytes(400_000))
        elif {how!r} == "torch":
            with temporary.open("wb") as file:
                torch.save(weights, file)
        else:
            save_file(weights, temporary)
except HeadwayError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"{tmp_path / 'file'}: could not be written: file too large.", done.stderr
    assert not list(tmp_path.iterdir())


def test_a_place_that_may_not_be_written_is_told_without_an_option_that_the_command_may_lack(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("headway.files.tempfile.mkstemp", refuse)  # a superuser may write anywhere
    with pytest.raises(HeadwayError, match=r"report\.html: could not be written: you may not write there") as refusal:
        write_atomically(tmp_path / "report.html", "")
    assert "--" not in str(refusal.value)


def test_windows_which_opens_no_folders_and_flushes_only_what_may_be_written_is_served(tmp_path, monkeypatch):
    open_file, flush = os.open, os.fsync

    def open_no_folder(path, *arguments, **options):
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(path, *arguments, **options)

    def flush_what_may_be_written(descriptor):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flush(descriptor)

    monkeypatch.setattr("headway.files.sys.platform", "win32")
    monkeypatch.setattr(os, "open", open_no_folder)
    monkeypatch.setattr(os, "fsync", flush_what_may_be_written)
    write_atomically(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"


def test_what_a_killed_write_left_is_removed_and_nothing_else(tmp_path):
    with replacing(tmp_path / "weights") as temporary:
        temporary.write_text("")
        left = tmp_path / temporary.name
        os.link(left, tmp_path / "kept")
    (tmp_path / "kept").rename(left)  # as if the process had been killed while it wrote
    (tmp_path / ".mine.tmp").write_text("")
    remove_leftovers(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".mine.tmp", "weights"]
    remove_leftovers(tmp_path / "not there")
