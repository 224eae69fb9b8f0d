"""`autodual train` runs no code that only a file names, follows no links, and leaves other files alone."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from autodual_cli.process.progress_bar import progress
from autodual_cli.tasks import training_run as command
from support.hostile_recipes import hostile_recipes
from support.tiny_training import tiny_data

from autodual.train.training import Training

FIXED = ["--set", "data.hold_out=8", "--set", "validation.attack_steps=1", "--batch-size", 8, "--threads", 1, "--quiet"]
PLAIN = ["--arch", "mlp:4", "--epochs", 1]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    data = tiny_data()
    assert data.y is not None
    numpy.savez(tmp_path / "images.npz", x=data.x.numpy(), y=data.y.numpy())
    return tmp_path / "images.npz"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """An architecture file that creates the file `mark` when it is imported."""
    path = tmp_path / "own.py"
    path.write_text(
        "from pathlib import Path\nfrom torch import nn\n"
        f"Path({str(tmp_path / 'mark')!r}).touch()\n"
        "def build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n"
        "def none():\n    return None\n"
        "def narrow():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))\n"
        "def frozen():\n    return build().requires_grad_(False)\n"
    )
    return path


def line_of(done: Any) -> str:
    """The single line of output of a refused command."""
    assert done.exit_code == 2, done.output
    lines = done.output.strip().splitlines()
    assert len(lines) == 1 and len(lines[0]) < 500, done.output
    return lines[0]


def test_code_that_a_recipe_names_runs_only_if_the_command_line_names_it_too(invoke, images, code, tmp_path) -> None:
    run, recipe, mark = tmp_path / "run", tmp_path / "recipe.toml", tmp_path / "mark"
    recipe.write_text(f'epochs = 1\n[network]\narch = "{code}:build"\n')
    fixed = ["--recipe", recipe, "--data", images, *FIXED, "--output", run]
    assert f"give --arch {code}:build" in line_of(invoke("train", *fixed))
    assert not mark.exists() and not run.exists()
    assert invoke("train", *fixed, "--arch", f"{code}:build").exit_code == 0
    assert mark.exists()


def test_resuming_asks_again_for_the_code(invoke, images, code, tmp_path, monkeypatch) -> None:
    run, mark = tmp_path / "run", tmp_path / "mark"
    monkeypatch.chdir(tmp_path)
    begun = invoke("train", "--data", images, *FIXED, "--epochs", 1, "--arch", "own.py:build", "--output", run)
    assert begun.exit_code == 0, begun.output
    mark.unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume = ["train", "--output", run, "--resume", "--quiet"]
    assert "give --arch own.py:build" in line_of(invoke(*resume))
    assert "not by that of --arch" in line_of(invoke(*resume, "--arch", "os:system"))
    assert not mark.exists()
    assert invoke(*resume, "--arch", f"{code}:build").exit_code == 0
    assert mark.exists()


@pytest.mark.parametrize("also_described", [False, True])
def test_a_forged_checkpoint_runs_nothing(invoke, images, code, tmp_path, also_described) -> None:
    run, mark = tmp_path / "run", tmp_path / "mark"
    assert invoke("train", "--data", images, *FIXED, *PLAIN, "--output", run).exit_code == 0
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    state["recipe"]["network"]["arch"] = f"{code}:build"
    torch.save(state, run / "checkpoint.pt")
    if also_described:
        described = json.loads((run / "run.json").read_text())
        described["recipe"]["network"]["arch"] = f"{code}:build"
        (run / "run.json").write_text(json.dumps(described))
    words = "give --arch" if also_described else "hold different recipes"
    assert words in line_of(invoke("train", "--output", run, "--resume"))
    assert not mark.exists()


DAMAGED = [
    None,
    "",
    "[1]",
    "{}",
    "[" * 100_000,
    '{"schema": "autodual.training/1", "recipe": {"epochs": "x"}}',
    '{"schema": "autodual.training/1", "recipe": 3}',
    '{"schema": "autodual.training/1", "recipe": {"data": 3}}',
    '{"schema": "autodual.training/1", "recipe": RECIPE, "data_dir": 3}',
    '{"schema": "autodual.training/1", "recipe": RECIPE, "data_dir": "a\\u0000"}',
    '{"schema": "autodual.training/1", "recipe": RECIPE, "provenance": 3}',
]


def test_a_run_without_its_description_is_not_resumed(invoke, images, tmp_path) -> None:
    run = tmp_path / "run"
    assert invoke("train", "--data", images, *FIXED, *PLAIN, "--output", run).exit_code == 0
    recipe = json.dumps(json.loads((run / "run.json").read_text())["recipe"])
    for content in DAMAGED:
        (run / "run.json").unlink()
        if content is not None:
            (run / "run.json").write_text(content.replace("RECIPE", recipe))
        assert "damaged" in line_of(invoke("train", "--output", run, "--resume"))
        line_of(invoke("report", run))
        if content is None:
            (run / "run.json").touch()
    assert invoke("train", "--data", images, *FIXED, *PLAIN, "--output", run, "--overwrite").exit_code == 0
    assert invoke("train", "--output", run, "--resume", "--quiet").exit_code == 0


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("none", "returned a NoneType"),
        ("narrow", "want 3 scores"),
        ("frozen", "no parameter to train"),
        ("gone", "no factory"),
    ],
)
def test_factories_without_a_suitable_network_are_refused(invoke, images, code, tmp_path, function, words) -> None:
    done = invoke("train", "--data", images, *FIXED, "--arch", f"{code}:{function}", "--output", tmp_path / "run")
    assert words in line_of(done)
    assert not (tmp_path / "run").exists()


# These are hostile through the data they name, so the test must not pass --data.
NAMES_DATA = {"date.yaml", "control.yaml", "lone-surrogate.yaml", "control.toml", "newline.toml", "long-path.toml"}


def test_hostile_recipes_are_refused_in_one_line(invoke, images, tmp_path) -> None:
    for name, write in hostile_recipes():
        write(tmp_path / name)
        data = [] if name in NAMES_DATA else ["--data", images]
        line_of(invoke("train", "--recipe", tmp_path / name, *data, *FIXED, "--output", tmp_path / "run"))
    assert not (tmp_path / "run").exists() and not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "optimiser.clip=-1"], "'optimiser.clip' must be at least 0"),
        (["--set", "loss=" + "[" * 3000], "'loss.kind' must be one of"),
        (["--seed", "-1"], "'seed' must be at least 0"),
        (["--domain", "5,6"], "is empty"),
        (["--set", "data.shift=8"], "out of sight"),
        (["--batch-norm", "--batch-size", "1"], "a batch norm cannot learn"),
        (["--arch", "wide:1", "--set", "data.mean=[1,2]", "--set", "data.std=[1,2]"], "holds 2 numbers"),
        (["--set", 'network={"arch": "os:system"}'], "the factory|cannot be|factory failed"),
    ],
)
def test_refused_settings_leave_no_folder(invoke, images, tmp_path, arguments, words) -> None:
    arch = [] if "network" in str(arguments) or "--arch" in arguments else PLAIN
    line = line_of(invoke("train", "--data", images, *FIXED, *arch, *arguments, "--output", tmp_path / "run"))
    assert re.search(words, line), line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("label", "words"), [(10**9, "has the label 1000000000"), (10**6, "at most 10000 classes")])
def test_labels_beyond_all_classes_are_refused(invoke, tmp_path, label, words) -> None:
    numpy.savez(tmp_path / "data.npz", x=numpy.zeros((32, 4), "float32"), y=numpy.array([0] * 31 + [label]))
    done = invoke("train", "--data", tmp_path / "data.npz", *FIXED, *PLAIN, "--output", tmp_path / "run")
    assert words in line_of(done) and not (tmp_path / "run").exists()


OWN = [".lock", "checkpoint.pt", "network.pt", "last.pt", "log.csv", "run.json", "cascade.pt", "tensorboard", "stage-1"]


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("extra", [[], ["--overwrite"]])
def test_links_are_never_followed(invoke, images, tmp_path, name, extra) -> None:
    run, precious = tmp_path / "run", tmp_path / "precious"
    run.mkdir()
    precious.write_text("dear")
    (run / name).symlink_to(precious)
    done = invoke("train", "--data", images, *FIXED, *PLAIN, "--output", run, *extra)
    assert "a link" in line_of(done) and precious.read_text() == "dear"
    (run / name).unlink()
    (run / name).symlink_to(tmp_path / "absent")
    assert "a link" in line_of(invoke("train", "--data", images, *FIXED, *PLAIN, "--output", run, *extra))
    assert not (tmp_path / "absent").exists() and (run / name).is_symlink()


@pytest.mark.parametrize("name", OWN[1:7])
def test_existing_files_are_replaced_only_with_overwrite(invoke, images, tmp_path, name) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / name).write_text("dear")
    fixed = ["train", "--data", images, *FIXED, *PLAIN, "--output", run]
    assert "--overwrite" in line_of(invoke(*fixed)) and (run / name).read_text() == "dear"
    assert sorted(path.name for path in run.iterdir()) == [name]
    assert invoke(*fixed, "--overwrite").exit_code == 0
    assert not (run / name).exists() or (run / name).read_bytes() != b"dear"


def test_only_its_own_temporary_files_are_removed_and_only_under_the_lock(invoke, images, tmp_path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    own, others = (
        [".checkpoint.pt.ab_12345.tmp", ".log.csv.00000000.tmp"],
        [".notes.tmp", ".a.pt.12345678.tmp", "x.tmp"],
    )
    for name in [*own, *others]:
        (run / name).write_text("dear")
    (run / ".lock").write_text("held")
    fixed = ["train", "--data", images, *FIXED, *PLAIN, "--output", run]
    fcntl = pytest.importorskip("fcntl")
    with (run / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another process" in line_of(invoke(*fixed))
        assert all((run / name).read_text() == "dear" for name in [*own, *others])
    assert invoke(*fixed).exit_code == 0
    assert not any((run / name).exists() for name in own)
    assert all((run / name).read_text() == "dear" for name in others) and (run / ".lock").read_text() == "held"


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(invoke, images, tmp_path) -> None:
    run, fixed = tmp_path / "run", ["train", "--data", images, *FIXED, *PLAIN]
    assert invoke(*fixed, "--output", run).exit_code == 0
    for name in ("checkpoint.pt", "network.pt", "last.pt", "log.csv"):
        (run / name).unlink()
    assert invoke(*fixed, "--output", run).exit_code == 0


@pytest.mark.parametrize("place", ["a" * 300, "/".join(["b" * 200] * 30), "images.npz", "images.npz/run", "/proc/run"])
def test_places_where_no_folder_can_be_are_refused(invoke, images, tmp_path, monkeypatch, place) -> None:
    monkeypatch.chdir(tmp_path)
    for extra in (["--data", images, *FIXED, *PLAIN], ["--resume"]):
        done = invoke("train", *extra, "--output", place)
        assert done.exit_code == 2 and len(done.output.strip().splitlines()) == 1, done.output


def test_overwriting_and_resuming_exclude_each_other(invoke, tmp_path) -> None:
    assert "either --resume" in line_of(invoke("train", "--output", tmp_path / "run", "--resume", "--overwrite"))


def test_a_pipe_as_lock_file_is_refused(invoke, images, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / ".lock")
    done = invoke("train", "--data", images, *FIXED, *PLAIN, "--output", tmp_path / "run")
    assert "it is no file" in line_of(done)


class Screen:
    """A stream that claims to be a terminal and records its text."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing is buffered."""

    def isatty(self) -> bool:
        return True


def test_lines_are_printed_above_the_progress_bar(monkeypatch) -> None:
    screen = Screen()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("sys.stdout", screen)
    with progress(10, 0, enabled=True) as display:
        display(4, "half [way]")
        for number in range(3):
            display.say(f"line {number} [0, 1]")
    for number in range(3):
        before, _, after = screen.text.partition(f"line {number} [0, 1]")
        assert before.endswith("\x1b[2K") and after.startswith("\n")


def test_the_progress_bar_counts_every_sample(invoke, images, tmp_path, monkeypatch) -> None:
    """27 samples in batches of 10 make two batches; the second has 17 samples."""
    shown: list[tuple[int, str]] = []
    counts = {}

    class Display:
        def __init__(self, total: int, done: int, *, enabled: bool) -> None:
            counts["total"], counts["done"] = total, done

        def __enter__(self) -> Display:
            return self

        def __exit__(self, *_details: object) -> None:
            """Nothing to close."""

        def __call__(self, count: int, headline: str) -> None:
            shown.append((count, headline))

        def say(self, line: str, *, err: bool = False) -> None:
            """Nothing is shown."""

    monkeypatch.setattr(command, "progress", Display)
    fixed = ["--data", images, *PLAIN, "--set", "data.hold_out=5", "--batch-size", 10, "--threads", 1]
    assert invoke("train", *fixed, "--epochs", 3, "--output", tmp_path / "run").exit_code == 0
    assert counts == {"total": 81, "done": 0} and sum(count for count, _ in shown) == 81
    assert not any("nan" in headline for _, headline in shown) and shown[-1][1].startswith("epoch 3 ")


def test_warnings_are_lines_of_their_own(invoke, images, tmp_path, monkeypatch) -> None:
    step = Training.step

    def warned(self: Training, *, stop: bool = False) -> bool:
        warnings.warn("look here", stacklevel=1)
        return step(self, stop=stop)

    monkeypatch.setattr(Training, "step", warned)
    done = invoke("train", "--data", images, *PLAIN, *FIXED, "--output", tmp_path / "run")
    assert done.exit_code == 0 and "Warning: look here\n" in done.stderr and ".py" not in done.stderr
