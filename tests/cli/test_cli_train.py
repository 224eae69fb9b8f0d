"""`autodual train`: the trained network goes into `certify` unchanged; stopping, resuming, several processes."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest
import torch
from support.tiny_training import tiny_data

SETTINGS = ["--set", "data.hold_out=8", "--set", "validation.attack_steps=2", "--batch-size", 4, "--threads", 1]
RECIPE = """
epochs = 2
[network]
arch = "wide:1"
[data]
hold_out = 8
[set]
eps = 0.02
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    data = tiny_data()
    assert data.y is not None
    numpy.savez(tmp_path / "images.npz", x=data.x.numpy(), y=data.y.numpy())
    return tmp_path / "images.npz"


def test_the_saved_network_is_certified_without_further_options(invoke, images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["--arch", "wide:1", "--eps", 0.01, "--norm", "linf", "--domain", "0,2", "--mean", 0.5, "--std", 0.25]
    done = invoke("train", "--data", images, *arguments, *SETTINGS, "--epochs", 6, "--output", run)
    assert done.exit_code == 0, done.output
    assert "epoch 6/6" in done.output and f"autodual certify {run / 'network.pt'}" in done.output
    assert len(list(csv.DictReader((run / "log.csv").open()))) == 6
    certified = invoke("certify", run / "network.pt", "--data", images, "--json", tmp_path / "out.json")
    assert certified.exit_code == 0, certified.output
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["summary"]["count"] == 32
    assert document["settings"]["eps"] == pytest.approx(0.01)
    assert document["settings"]["domain"] == [0.0, 2.0]
    described = json.loads((run / "run.json").read_text())
    assert described["recipe"]["network"]["arch"] == "wide:1" and described["provenance"]["command"]


def test_a_recipe_file_and_options_that_override_it(invoke, images: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    arguments = ["--recipe", tmp_path / "recipe.toml", "--data", images, "--epochs", 1, "--loss", "crown-ibp"]
    done = invoke("train", *arguments, "--set", "loss.kappa=0.25", "--output", tmp_path / "run", "--quiet")
    assert done.exit_code == 0 and done.output == ""
    recipe = json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]
    assert recipe["epochs"] == 1 and recipe["set"]["eps"] == 0.02
    assert recipe["loss"]["kind"] == "crown-ibp" and recipe["loss"]["kappa"] == 0.25


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_and_resuming_gives_the_same_weights(
    invoke, images: Path, tmp_path: Path, number: signal.Signals
) -> None:
    fixed = ["--data", images, "--arch", "wide:1", *SETTINGS, "--epochs", 40]
    command = [sys.executable, "-m", "autodual_cli", "train", *fixed, "--output", tmp_path / "stopped"]
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "stopped" / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number, error
    assert "--resume" in error
    step = torch.load(tmp_path / "stopped" / "checkpoint.pt", weights_only=True)["progress"]["step"]
    assert 0 < step < 240
    resumed = invoke("train", "--output", tmp_path / "stopped", "--resume", "--threads", 1, "--quiet")
    assert resumed.exit_code == 0, resumed.output
    whole = invoke("train", *fixed, "--output", tmp_path / "whole", "--quiet")
    assert whole.exit_code == 0
    states = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("stopped", "whole")]
    assert all(torch.equal(states[0]["network"][name], value) for name, value in states[1]["network"].items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--loss", "magic"], "'loss.kind' must be one of"),
        (["--arch", "tiny"], "is no architecture"),
        (["--arch", "wide:x"], "needs a whole number"),
        (["--set", "loss.kapa=1"], "'loss.kapa' is unknown"),
        (["--set", "kappa"], "KEY=VALUE"),
        (["--recipe", "absent.toml"], "there is no recipe"),
        (["--data", "absent.npz"], "no data file"),
        (["--device", "tpu"], "is no device"),
        (["--resume"], "leave out --data, "),
        (["--epochs", "0"], "Invalid value"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(invoke, images: Path, tmp_path: Path, arguments, words) -> None:
    given = arguments if "--data" in arguments else [*arguments, "--data", images]
    done = invoke("train", *given, "--set", "data.hold_out=8", "--output", tmp_path / "run")
    assert done.exit_code == 2
    assert re.search(words, done.output), done.output
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_written_over_and_data_must_be_the_same(invoke, images: Path, tmp_path: Path) -> None:
    arguments = [
        "--data",
        images,
        "--arch",
        "wide:1",
        *SETTINGS,
        "--epochs",
        1,
        "--output",
        tmp_path / "run",
        "--quiet",
    ]
    assert invoke("train", *arguments).exit_code == 0
    again = invoke("train", *arguments)
    assert again.exit_code == 2 and "already holds a run" in again.output
    data = tiny_data(40)
    assert data.y is not None
    numpy.savez(images, x=data.x.numpy(), y=data.y.numpy())
    changed = invoke("train", "--output", tmp_path / "run", "--resume")
    assert changed.exit_code == 2 and "is not what the run" in changed.output


def test_certify_needs_the_code_of_the_users_own_architecture_again(invoke, images: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))\n"
    )
    arch = f"{tmp_path}/mine.py:build"
    done = invoke("train", "--data", images, "--arch", arch, *SETTINGS, "--epochs", 1, "--output", tmp_path / "run")
    assert done.exit_code == 0, done.output
    refused = invoke("certify", tmp_path / "run" / "network.pt", "--data", images)
    assert refused.exit_code == 2 and f"--arch {arch}" in refused.output
    taken = invoke("certify", tmp_path / "run" / "network.pt", "--data", images, "--arch", arch)
    assert taken.exit_code == 0, taken.output


def test_two_processes_train_through_torchrun(images: Path, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "autodual_cli"]
    fixed = ["--data", images, "--arch", "wide:1", *SETTINGS, "--epochs", 2, "--cascade", 2]
    arguments = ["train", *fixed, "--output", tmp_path / "run"]
    done = subprocess.run([*map(str, [*run, *arguments])], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 2/2") == 2 and done.stdout.count("Stage 2 of 2") == 1
    for stage in ("stage-1", "stage-2"):
        assert len(list(csv.DictReader((tmp_path / "run" / stage / "log.csv").open()))) == 2
    assert len(torch.load(tmp_path / "run" / "cascade.pt", weights_only=True)) == 2


def test_a_run_is_evaluated_into_one_page(invoke, images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = [
        "--data",
        images,
        "--arch",
        "wide:1",
        "--eps",
        0.01,
        *SETTINGS,
        "--epochs",
        4,
        "--output",
        run,
        "--quiet",
    ]
    assert invoke("train", *arguments).exit_code == 0
    refused = invoke("report", run)
    assert refused.exit_code == 2 and "--data" in refused.output
    options = ["--data", images, "--limit", 20, "--radii", 6, "--attack-steps", 3]
    done = invoke("report", run, *options)
    assert done.exit_code == 0, done.output
    document = json.loads((run / "report.json").read_text())
    summary = document["summary"]
    assert summary["clean_error"] <= summary["fgsm_error"] <= 1
    assert summary["clean_error"] <= summary["pgd_error"] <= summary["certified_error"]
    assert len(document["radii"]) == 6 and document["radii"] == sorted(document["radii"])
    assert all(sum(counts) == 20 for sets in document["activation_sets"].values() for counts in sets.values())
    assert len(document["filters"]) == 4 and len(document["log"]) == 4
    page = (run / "report.html").read_text()
    assert page.count("<svg") == 3 + len(document["activation_sets"]) and page.count("<img") == 4
    assert "http" not in page.replace("http://www.w3.org", "")
    nothing = invoke("report", tmp_path)
    assert nothing.exit_code == 2 and "no trained network" in nothing.output
    attacked = invoke("report", run, *options, "--no-certificates", "--overwrite")
    assert attacked.exit_code == 0, attacked.output
    assert "pgd" in attacked.output and "certified" not in attacked.output.splitlines()[-2]
    found = json.loads((run / "report.json").read_text())
    assert found["summary"]["pgd_error"] == summary["pgd_error"] and found["summary"]["certified_error"] is None
    assert found["radii"] == [] and found["activation_sets"] == {}
    page = (run / "report.html").read_text()
    assert "Nothing is proved" in page and "certified error" not in page
    assert invoke("train", *arguments, "--overwrite").exit_code == 0
    assert not [path.name for path in run.iterdir() if path.name.startswith("report")]  # they told of the old network


def test_a_test_set_is_measured_shown_and_must_stay_the_same(invoke, images: Path, tmp_path: Path, monkeypatch) -> None:
    data, run = tiny_data(40), tmp_path / "run"
    assert data.y is not None
    numpy.savez(tmp_path / "test.npz", x=data.x.numpy()[32:], y=data.y.numpy()[32:])
    monkeypatch.chdir(tmp_path)
    curves = ["--set", "data.test=test.npz", "--set", 'curves.sets=["train", "test"]', "--set", "radius=1.0"]
    arguments = ["--data", images, "--arch", "mlp:4", "--loss", "fgsm", "--eps", 0.01, *SETTINGS, *curves]
    done = invoke("train", *arguments, "--epochs", 2, "--output", run)
    assert done.exit_code == 0, done.output
    assert "test errors: clean" in done.output and "minibatch errors: robust" in done.output
    assert "test robust error: best" in done.output and "nothing was chosen by it" in done.output
    rows = list(csv.DictReader((run / "log.csv").open()))
    assert all(0 <= float(row["test_robust_error"]) <= 1 for row in rows) and rows[0]["certified_error"] == "nan"
    report = invoke("report", run, "--data", tmp_path / "test.npz", "--radii", 0, "--attack-steps", 2)
    assert report.exit_code == 0, report.output
    learning = json.loads((run / "report.json").read_text())["learning"]
    assert {(row["set"], row["error"]) for row in learning} == {
        (name, error) for name in ("training", "validation", "test") for error in ("clean", "robust")
    }
    page = (run / "report.html").read_text()
    assert "Learning curves" in page and "nothing was chosen by it" in page and "Catastrophic overfitting" in page
    numpy.savez(tmp_path / "test.npz", x=data.x.numpy()[31:39], y=data.y.numpy()[31:39])
    refused = invoke("train", "--output", run, "--resume")
    assert refused.exit_code == 2 and "is not what the run" in refused.output and "test.npz" in refused.output


def test_a_cascade_is_trained_and_certified(invoke, images: Path, tmp_path: Path) -> None:
    run, arguments = tmp_path / "run", ["--data", images, "--arch", "wide:1", "--eps", 0.01, *SETTINGS]
    arguments += ["--learning-rate", 3e-3, "--set", "radius=1.0", "--set", "validation.every=8"]
    done = invoke("train", *arguments, "--epochs", 8, "--cascade", 2, "--output", run)
    assert done.exit_code == 0, done.output
    left = [int(count) for count in re.findall(r"Stage . of 2: (\d+) samples", done.output)]
    assert left[0] == 24 > left[1] > 0
    assert f"autodual certify --cascade {run / 'cascade.pt'}" in done.output
    assert json.loads((run / "run.json").read_text()) == json.loads((run / "stage-2" / "run.json").read_text())
    certified = invoke("certify", "--cascade", run / "cascade.pt", "--data", images, "--json", tmp_path / "out.json")
    assert certified.exit_code == 0, certified.output
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["settings"]["stages"] == 2 and document["settings"]["eps"] == pytest.approx(0.01)
    again = invoke("train", "--output", run, "--resume")
    assert again.exit_code == 0 and "2 stages" in again.output


def test_a_signal_between_two_stages_says_how_to_resume(
    invoke, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signalled(*_arguments, **_options):
        signal.raise_signal(signal.SIGTERM)

    run, fixed = tmp_path / "run", ["--data", images, "--arch", "wide:1", *SETTINGS, "--epochs", 1, "--cascade", 2]
    with monkeypatch.context() as patched:
        patched.setattr("autodual.train.stages.uncertified", signalled)
        stopped = invoke("train", *fixed, "--output", run)
    assert stopped.exit_code == 128 + signal.SIGTERM
    assert f"go on with: autodual train --output {run} --resume" in stopped.stderr
    resumed = invoke("train", "--output", run, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert "Stage 2 of 2" in resumed.output and (run / "stage-2" / "network.pt").is_file()


def test_folders_of_cascades_are_not_taken_for_single_runs(invoke, images: Path, tmp_path: Path) -> None:
    run, arguments = tmp_path / "run", ["--data", images, "--arch", "wide:1", *SETTINGS]
    assert invoke("train", *arguments, "--epochs", 1, "--cascade", 2, "--output", run).exit_code == 0
    report = invoke("report", run)
    assert report.exit_code == 2 and "holds a cascade" in report.output and "stage-1" in report.output
    inside = invoke("train", "--output", run / "stage-1", "--resume")
    assert inside.exit_code == 2 and "is a stage of a cascade" in inside.output
    assert not (run / "stage-1" / "stage-1").exists()
    assert invoke("train", *arguments, "--output", run).exit_code == 2


def test_a_run_is_resumed_from_another_folder(invoke, images: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(images.parent)
    fixed = ["--data", images.name, "--arch", "wide:1", *SETTINGS, "--epochs", 1, "--output", tmp_path / "run"]
    assert invoke("train", *fixed).exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = invoke("train", "--output", tmp_path / "run", "--resume")
    assert again.exit_code == 0, again.output


def test_tensorboard_shows_each_epoch_once_also_after_resuming(invoke, images: Path, tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run, fixed = tmp_path / "run", ["--data", images, "--arch", "wide:1", *SETTINGS, "--epochs", 3, "--tensorboard"]
    assert invoke("train", *fixed, "--output", run).exit_code == 0
    # As if killed in the third epoch: the event files hold three epochs, the checkpoint only two.
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    state["progress"].update(step=2 * state["progress"]["step"] // 3, rows=state["progress"]["rows"][:2])
    torch.save(state, run / "checkpoint.pt")
    assert invoke("train", "--output", run, "--resume", "--tensorboard").exit_code == 0
    events = accumulators.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("certified_error")] == [1, 2, 3]
