"""Result files are not overwritten unasked, and not lost if the system fails or the process is killed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from support.killing import killed_at_each_step

import autodual
from autodual.errors import InvalidInputError
from autodual.files.locking import sole_writer

EPS = ["--eps", "0.05"]


def rows_of(path: Path) -> list[dict]:
    return json.loads(path.read_text())["certificates"]


@pytest.fixture
def certify(invoke, model_file, data_file):
    return lambda *arguments: invoke("certify", model_file, "--data", data_file, *EPS, *arguments)


@pytest.fixture
def nothing_runs(monkeypatch):
    """Fails the test as soon as a command starts to compute."""

    def work(*arguments, **options):
        raise AssertionError("the work was begun")

    for name in ("certify", "certified_radius", "detect", "compile_dual"):
        monkeypatch.setattr(autodual, name, work)


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize(
    "command",
    [
        ["certify", "MODEL", *EPS, "--data", "DATA", "--json"],
        ["certify", "MODEL", *EPS, "--data", "DATA", "--csv"],
        ["attack", "MODEL", *EPS, "--attack", "1", "--data", "DATA", "--save-points"],
        ["radius", "MODEL", "--data", "DATA", "--json"],
        ["detect", "MODEL", *EPS, "--data", "DATA", "--csv"],
        ["verify", "MODEL", "absent.vnnlib", "--json"],
        ["inspect", "MODEL", "--dot"],
        ["report", "RESULT", "--html"],
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_existing_files_are_not_overwritten(invoke, tmp_path, model_file, data_file, command, linked):
    precious, target = tmp_path / "precious", tmp_path / "target"
    precious.write_text("years of work")
    if linked:
        target.symlink_to(precious)
    else:
        target = precious
    result = tmp_path / "result.json"
    result.write_text('{"schema": "autodual.detect/1", "settings": {}, "summary": {"seconds": 1}, "detections": []}')
    places = {"MODEL": model_file, "DATA": data_file, "RESULT": result}
    outcome = invoke(*(places.get(word, word) for word in command), target)
    assert outcome.exit_code == 2, outcome.output
    assert "exists already" in outcome.stderr and "--overwrite to replace it" in outcome.stderr
    assert precious.read_text() == "years of work"


def test_overwriting_and_resuming_need_their_options(certify, tmp_path):
    out, table = tmp_path / "out.json", tmp_path / "out.csv"
    files = ["--json", out, "--csv", table]
    assert certify(*files, "--limit", 4).exit_code == 0
    refused = certify(*files)
    assert refused.exit_code == 2 and "give --resume to go on from it, --overwrite to replace it" in refused.stderr
    assert certify(*files, "--resume").exit_code == 0
    assert len(rows_of(out)) == 12 and len(table.read_text().splitlines()) == 13
    assert certify(*files, "--limit", 2, "--overwrite").exit_code == 0
    assert len(rows_of(out)) == 2 and len(table.read_text().splitlines()) == 3
    both = certify(*files, "--resume", "--overwrite")
    assert both.exit_code == 2 and "Give either --resume" in both.stderr


def test_a_resumed_run_replaces_only_its_own_table(certify, tmp_path):
    out, table = tmp_path / "out.json", tmp_path / "out.csv"
    assert certify("--json", out, "--limit", 4).exit_code == 0
    for content in ("a shopping list", "index,label\n0,7\n"):
        table.write_text(content)
        refused = certify("--json", out, "--csv", table, "--resume")
        assert refused.exit_code == 2 and "is not the table of the run" in refused.stderr
        assert table.read_text() == content
    out.write_text("a shopping list")
    refused = certify("--json", out, "--resume")
    assert refused.exit_code == 2 and out.read_text() == "a shopping list"


def test_counterexamples_and_pages_are_kept(invoke, certify, tmp_path):
    out, points = tmp_path / "out.json", tmp_path / "points"
    certify("--json", out, "--attack", 20, "--eps", "0.3")
    report = ["report", out, "--html", tmp_path / "page.html", "--counterexamples", points]
    assert invoke(*report).exit_code == 0
    point = min(points.iterdir())
    point.write_text("mine")
    (tmp_path / "page.html").unlink()
    again = invoke(*report)
    assert again.exit_code == 2 and "exists already" in again.stderr
    assert point.read_text() == "mine" and not (tmp_path / "page.html").exists()
    assert invoke(*report, "--overwrite").exit_code == 0 and point.read_bytes().startswith(b"\x93NUMPY")


def test_documents_with_invalid_paths_give_an_error_line_or_a_page(invoke, certify, tmp_path):
    """Names that no file system allows, or that are not valid Unicode."""
    assert certify("--json", tmp_path / "out.json", "--limit", 1).exit_code == 0
    document = json.loads((tmp_path / "out.json").read_text())
    for number, name in enumerate(("a\0b", "x" * 5000, "\udcff\ud800", "")):
        document["settings"].update(model=name, data=name)
        strange = tmp_path / f"{number}.json"
        strange.write_text(json.dumps(document))
        replayed, page = invoke("replay", strange), invoke("report", strange)
        assert replayed.exit_code == 2 and isinstance(replayed.exception, SystemExit)
        assert page.exit_code == 0, page.output


def test_if_the_file_cannot_be_written_the_results_are_still_printed(certify, tmp_path):
    """The disk is full for the JSON file: the table is printed, the CSV file written, and then the command fails."""
    outcome = certify("--json", "/dev/full", "--csv", tmp_path / "out.csv", "--quiet")
    assert outcome.exit_code == 2 and "'/dev/full' cannot be written: No space left on device." in outcome.stderr
    assert "certified error" in outcome.stdout and len((tmp_path / "out.csv").read_text().splitlines()) == 13


def test_a_save_that_fails_does_not_end_the_run(certify, tmp_path, monkeypatch):
    out, fails = tmp_path / "out.json", [True, True]
    original = os.fsync

    def fsync(descriptor):
        if fails:
            fails.pop()
            raise OSError(28, "No space left on device")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr("autodual_cli.jobs.result_files._SECONDS_BETWEEN_SAVES", 0.0)
    outcome = certify("--json", out, "--batch-size", 4)
    assert outcome.exit_code == 0 and len(rows_of(out)) == 12
    assert outcome.stderr.count("No space left on device. The run goes on, and will try again.") == 1


def test_an_error_in_the_middle_loses_nothing(certify, tmp_path, monkeypatch):
    original, calls = autodual.certify, []

    def certify_twice(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise InvalidInputError("the third batch is bad.")
        return original(*arguments, **options)

    monkeypatch.setattr(autodual, "certify", certify_twice)
    outcome = certify("--json", tmp_path / "out.json", "--batch-size", 4)
    assert outcome.exit_code == 2 and "the third batch is bad" in outcome.stderr
    assert "samples           8" in outcome.stdout and len(rows_of(tmp_path / "out.json")) == 8


WRITING = {
    "certify": ["certify", "MODEL", *EPS, "--data", "DATA", "--csv"],
    "attack": ["attack", "MODEL", *EPS, "--attack", "1", "--data", "DATA", "--save-points"],
    "radius": ["radius", "MODEL", "--data", "DATA", "--json"],
    "detect": ["detect", "MODEL", *EPS, "--data", "DATA", "--csv"],
    "verify": ["verify", "MODEL", "GOAL", "--json"],
    "inspect": ["inspect", "MODEL", "--dot"],
    "report": ["report", "RESULT", "--html"],
}
"""The arguments of every command that writes a file, up to the file's name."""


@pytest.fixture
def write_by(invoke, model_file, data_file, tmp_path):
    """Runs one of the commands; its result goes to the file given."""
    result, goal = tmp_path / "result.json", tmp_path / "goal.vnnlib"
    result.write_text('{"schema": "autodual.detect/1", "settings": {}, "summary": {"seconds": 1}, "detections": []}')
    inputs = "".join(f"(declare-const X_{i} Real)(assert (>= X_{i} 0.4))(assert (<= X_{i} 0.5))" for i in range(4))
    goal.write_text(f"{inputs}{''.join(f'(declare-const Y_{i} Real)' for i in range(3))}(assert (>= Y_0 100))")
    places = {"MODEL": model_file, "DATA": data_file, "RESULT": result, "GOAL": goal}

    def write(name, target, *more):
        return invoke(*(places.get(word, word) for word in WRITING[name]), target, *more)

    return write


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("name", WRITING)
def test_two_runs_do_not_share_an_output(write_by, tmp_path, name):
    with sole_writer(tmp_path / "out"):
        outcome = write_by(name, tmp_path / "out")
    assert outcome.exit_code == 2 and "Another process is writing" in outcome.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize("name", WRITING)
def test_a_folder_that_cannot_be_written_is_found_before_the_work(write_by, name):
    """/proc refuses new files even to the superuser, who may write to folders that are read-only."""
    outcome = write_by(name, "/proc/out")
    assert outcome.exit_code == 2 and "'/proc/out' cannot be written" in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 1


@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize("name", WRITING)
def test_a_command_that_is_killed_anywhere_leaves_a_whole_file_or_none(write_by, tmp_path, name):
    """Killed at each file operation in turn; the next run of the command removes the killed one's temporary files."""
    folder = tmp_path / "results"

    def prepare():
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()

    prepare()
    assert write_by(name, folder / "out").exit_code in (0, 1)  # 1: a sample is not certified
    whole = _without_times(folder / "out")

    def run():
        assert write_by(name, folder / "out").exit_code in (0, 1)

    for _ in killed_at_each_step(run, folder, prepare):
        if (folder / "out").exists():
            assert _without_times(folder / "out") == whole
        assert write_by(name, folder / "out", "--overwrite").exit_code in (0, 1)
        assert [file.name for file in folder.iterdir()] == ["out"]


def _without_times(path):
    """The content without durations, start time and the option --overwrite."""
    return re.sub(r'("(seconds|started)[a-z_]*": [^\n]*|"--overwrite",?\s*)', "", path.read_text("latin-1"))


@pytest.mark.usefixtures("compiled_once")
def test_a_run_that_is_killed_anywhere_is_resumed(certify, tmp_path, monkeypatch):
    """Killed at each file operation in turn: the file is complete, and resuming gives all rows and cleans up."""
    monkeypatch.setattr("autodual_cli.jobs.result_files._SECONDS_BETWEEN_SAVES", 0.0)
    folder = tmp_path / "results"
    files = ["--json", folder / "out.json", "--csv", folder / "out.csv", "--quiet", "--limit", 4, "--batch-size", 2]
    assert certify("--json", tmp_path / "whole.json", "--limit", 4).exit_code == 0
    whole, seen = rows_of(tmp_path / "whole.json"), set()

    def prepare():
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()

    def run():
        outcome = certify(*files)
        assert outcome.exit_code == 0

    for step in killed_at_each_step(run, folder, prepare):
        done = len(rows_of(folder / "out.json")) if (folder / "out.json").exists() else 0
        seen.add(done)
        if step % 4 == 0:
            outcome = certify(*files, "--resume")
            assert outcome.exit_code == 0, outcome.output
            assert rows_of(folder / "out.json") == whole
            assert sorted(file.name for file in folder.iterdir()) == ["out.csv", "out.json"]
    assert seen == {0, 2, 4} and rows_of(folder / "out.json") == whole
