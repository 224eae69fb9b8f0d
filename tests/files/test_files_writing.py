"""Files are written whole or not at all, and no existing file is lost without permission."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path

import pytest
from support.killing import killed_at_each_step

from autodual.errors import DataError, InvalidInputError
from autodual.files.locking import sole_writer
from autodual.files.writing import clear_leftovers, is_stream, write_bytes, write_text

LONGEST_NAME = "é" * 127 + "x"  # 255 bytes


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_that_exists_stays_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "link"
    write_text(path, "old", overwrite=False)
    link.symlink_to(path)
    for name in (path, link):
        with pytest.raises(DataError, match="exists already and was left as it was"):
            write_text(name, "new", overwrite=False)
    assert path.read_text() == "old"
    write_text(link, "new")
    assert path.read_text() == "new" and link.is_symlink() and names(tmp_path) == ["a", "link"]


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on file systems without hard links."""
    for no_links in (False, True):
        path = tmp_path / str(no_links)

        def appear(_descriptor: int, path: Path = path) -> None:
            path.write_text("theirs")

        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        if no_links:
            monkeypatch.setattr(os, "link", refuse)
            write_text(tmp_path / "new", "whole", overwrite=False)
            assert (tmp_path / "new").read_text() == "whole"
        monkeypatch.setattr(os, "fsync", appear)
        with pytest.raises(DataError, match="exists already"):
            write_text(path, "ours", overwrite=False)
        monkeypatch.undo()
        assert path.read_text() == "theirs"
    assert names(tmp_path) == ["False", "True", "new"]


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    link, private = tmp_path / "link.json", tmp_path / "private"
    link.symlink_to("file.json")
    write_text(link, "new", overwrite=False)
    assert link.is_symlink() and (tmp_path / "file.json").read_text() == "new"
    private.touch(0o600)
    write_text(private, "new")
    assert private.stat().st_mode & 0o777 == 0o600
    plain = tmp_path / "plain"
    plain.touch()
    assert plain.stat().st_mode == (tmp_path / "file.json").stat().st_mode


def test_pipes_are_written_to(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    content = os.urandom(200_000)  # more than a pipe holds
    write_bytes(pipe, content, overwrite=False)
    reader.join()
    assert read == [content] and pipe.is_fifo() and names(tmp_path) == ["pipe"]


def test_the_standard_output_is_written_to(capfd: pytest.CaptureFixture[str]) -> None:
    """Standard output is a regular file here, as after `> file`, and must not be replaced."""
    assert is_stream("/dev/stdout")
    write_text("/dev/stdout", "shown", overwrite=False)
    assert capfd.readouterr().out == "shown"


@pytest.mark.parametrize("device", ["/dev/full", "/", "/absent/a", "x" * 300, "/proc/a"])
def test_a_failure_to_write_is_one_sentence(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^'.*' cannot be written: .*\.$"):
        write_text(device, "text")
    assert names(tmp_path) == []


def test_names_may_be_as_long_and_as_strange_as_the_system_allows(tmp_path: Path) -> None:
    for name in (LONGEST_NAME, os.fsdecode(b"\xff\xfe"), "a\nb", "-"):
        with sole_writer(tmp_path / name):
            write_text(tmp_path / name, name, overwrite=False)
    assert len(names(tmp_path)) == 4


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_killed_process_leaves_the_old_or_the_new_file(tmp_path: Path, overwrite: bool) -> None:
    """The process is killed at each step in turn; the next writer removes the temporary files it left."""
    folder, steps = tmp_path / "folder", 0
    path = folder / LONGEST_NAME
    others = [".other.1234abcd.tmp", ".x.tmp"]

    def prepare() -> None:
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        for name in others:
            (folder / name).touch()
        if overwrite:
            path.write_text("old")

    def write() -> None:
        with sole_writer(path):
            write_text(path, "new", overwrite=overwrite)

    for _ in killed_at_each_step(write, folder, prepare):
        steps += 1
        found = path.read_text() if path.exists() else None
        assert found in ("new", "old" if overwrite else None)
        with sole_writer(path):
            pass
        assert set(names(folder)) - {LONGEST_NAME} == set(others)
    assert steps >= 5 and path.read_text() == "new"


def test_only_leftovers_of_the_file_are_cleared(tmp_path: Path) -> None:
    kept = [".a.json.tmp", ".a.json.12345678.tmp.x", ".a.json.NOTHEX00.tmp", ".b.json.1234abcd.tmp", "a.json"]
    for name in [*kept, ".a.json.1234abcd.tmp"]:
        (tmp_path / name).touch()
    clear_leftovers(tmp_path / "a.json")
    assert names(tmp_path) == sorted(kept)


def test_there_is_one_writer_at_a_time(tmp_path: Path) -> None:
    """A second process is refused until the first has ended, also when it was killed."""
    path, context = tmp_path / "a", multiprocessing.get_context("fork")
    held = context.Event()

    def hold() -> None:
        with sole_writer(path):
            held.set()
            threading.Event().wait()

    process = context.Process(target=hold)
    process.start()
    assert held.wait(30)
    with pytest.raises(InvalidInputError, match="Another process is writing"), sole_writer(path):
        pass
    process.kill()
    process.join()
    with sole_writer(path):
        pass
    assert names(tmp_path) == []


def test_a_lock_is_never_taken_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("text")
    (tmp_path / ".a.lock").symlink_to(precious)
    with pytest.raises(InvalidInputError, match="cannot be written"), sole_writer(tmp_path / "a"):
        pass
    assert precious.read_text() == "text" and (tmp_path / ".a.lock").is_symlink()
