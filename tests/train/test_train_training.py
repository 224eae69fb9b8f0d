"""The training loop learns, resumes to the last bit, survives kills, and makes the same steps in several processes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.killed_training import EPOCHS
from support.tiny_training import VALUES, finish, same, tiny_data, tiny_training

import autodual
from autodual.errors import DataError, InvalidInputError, ModelFileError, TrainingError
from autodual.train.checkpoint import SCHEMA, RunFolder
from autodual.train.recipe import disassemble

SUPPORT = Path(__file__).parents[1] / "support"


def test_training_learns_and_keeps_the_best_network_on_held_out_samples(tmp_path: Path) -> None:
    training = tiny_training(
        tmp_path, epochs=8, loss={"kind": "interval", "kappa": 0.5}, scheduled={}, learning_rate=3e-3
    )
    finish(training)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [float(row["epoch"]) for row in rows] == list(range(1, 9))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert training.selection.best[0] == min(float(row["certified_error"]) for row in rows)
    network = autodual.load_model(tmp_path / "network.pt")
    held = training.samples
    with torch.no_grad():
        clean = float((network(held.held_x).argmax(1) != held.held_y).float().mean())
    assert clean == pytest.approx(training.selection.best[2])


@pytest.mark.parametrize(("count", "sizes"), [(23, [4] * 5 + [3]), (25, [4] * 5 + [5]), (26, [4] * 6 + [2]), (1, [1])])
def test_no_batch_has_a_single_sample(tmp_path: Path, count: int, sizes: list[int]) -> None:
    """A batch norm after a fully connected layer cannot learn from a single sample."""
    training = tiny_training(tmp_path)
    training.samples = training.samples.select(torch.arange(24).repeat(2)[:count], torch.arange(8))
    seen = []
    for step in range(training.steps_an_epoch):
        training.progress.step = step
        seen.append(training._batch())
    assert [len(batch) for batch in seen] == sizes
    assert torch.cat(seen).sort().values.tolist() == list(range(count))


@pytest.mark.parametrize(
    ("count", "processes", "expected"), [(43, 1, 3), (43, 2, 2), (44, 2, 3), (45, 3, 2), (7, 4, 1)]
)
def test_no_process_gets_a_single_sample_of_a_batch(tmp_path: Path, count: int, processes: int, expected: int) -> None:
    """Expected is the number of batches: of 20 samples, and a last one that may be smaller or larger."""
    samples = tiny_training(tmp_path).samples.select(torch.zeros(count, dtype=torch.long), torch.arange(8))
    assert samples.batches(20, processes) == expected


@pytest.mark.parametrize("stop", [1, 4, 6, 9])
@pytest.mark.parametrize("loss", ["mtl-ibp", "projected"])
def test_a_resumed_run_is_the_same_to_the_last_bit(tmp_path: Path, stop: int, loss: str) -> None:
    values = {} if loss == "mtl-ibp" else {"loss": "robust", "scheduled": {}, "projection": 3}
    whole = finish(tiny_training(tmp_path / "whole", **values))
    first = tiny_training(tmp_path / "parts", **values)
    for step in range(stop):
        assert first.step(stop=step == stop - 1) == (step == stop - 1)
    torch.manual_seed(99)  # other code may use the generator in between
    torch.rand(3)
    second = tiny_training(tmp_path / "parts", resume=True, **values)
    assert second.progress.step == stop
    assert same(finish(second), whole)
    networks = [
        torch.load(tmp_path / name / "network.pt", weights_only=True)["state_dict"] for name in ("whole", "parts")
    ]
    assert same(*networks)
    logs = [
        [
            {key: row[key] for key in row if key != "seconds"}
            for row in csv.DictReader((tmp_path / name / "log.csv").open())
        ]
        for name in ("whole", "parts")
    ]
    assert logs[0] == logs[1]


def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    whole = finish(tiny_training(tmp_path / "whole", epochs=EPOCHS))
    script = [sys.executable, str(SUPPORT / "killed_training.py"), str(tmp_path / "killed"), "20"]
    done = subprocess.run(script, capture_output=True, text=True, check=True, timeout=300)
    assert int(done.stdout) == 20, done.stderr
    assert same(finish(tiny_training(tmp_path / "killed", resume=True, epochs=EPOCHS)), whole)
    leftovers = [path.name for path in (tmp_path / "killed").iterdir() if path.name.endswith(".tmp")]
    assert not leftovers


def test_two_processes_make_the_steps_of_one(tmp_path: Path) -> None:
    values = {
        "data": {"hold_out": 8},
        "network": {"arch": "wide:1"},
        "loss": {"kind": "interval", "kappa": 0.3},
        "scheduled": {},
        "batch_size": 5,  # shares of unequal size, and a smaller last batch
    }
    whole = finish(tiny_training(tmp_path / "one", **values))
    code = (
        "import sys, torch; sys.path.insert(0, sys.argv[1]); torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from support.tiny_training import finish, tiny_training\n"
        "from autodual.world import world_of_environment\n"
        f"with world_of_environment(torch.device('cpu')) as world:\n"
        f"    finish(tiny_training(Path(sys.argv[2]), world=world, **{values!r}))\n"
    )
    (tmp_path / "script.py").write_text(code)
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", tmp_path / "script.py"]
    subprocess.run(
        [*map(str, run), str(SUPPORT.parent), str(tmp_path / "two")], check=True, timeout=240, capture_output=True
    )
    logs = [list(csv.DictReader((tmp_path / name / "log.csv").open())) for name in ("one", "two")]
    for one, two in zip(*logs, strict=True):
        for name in one.keys() - {"seconds"}:
            assert float(two[name]) == pytest.approx(float(one[name]), rel=1e-4, nan_ok=True), name
    state = torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)
    for name, value in whole.items():
        torch.testing.assert_close(state["network"][name], value, rtol=1e-4, atol=1e-5)
    with pytest.raises(InvalidInputError, match="by 2 process"):
        tiny_training(tmp_path / "two", resume=True, **values)


def test_a_run_of_an_earlier_version_goes_on_with_its_network(tmp_path: Path) -> None:
    """Its files call the network by a name that now stands for another one."""
    values = {"network": {"arch": "wide-128:2"}, "loss": {"kind": "interval", "kappa": 0.3}, "scheduled": {}}
    whole = finish(tiny_training(tmp_path / "whole", **values))
    training = tiny_training(tmp_path / "run", **values)
    for last in (False, False, True):
        training.step(stop=last)
    training.folder.describe({"schema": SCHEMA, "recipe": disassemble(training.recipe)})
    now = training.folder.described()
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    state["version"], state["recipe"]["network"]["arch"] = 2, "wide:2"
    torch.save(state, tmp_path / "run" / "checkpoint.pt")
    then = json.loads((tmp_path / "run" / "run.json").read_text())
    then["schema"], then["recipe"]["network"]["arch"] = "autodual.training/1", "wide:2"
    (tmp_path / "run" / "run.json").write_text(json.dumps(then))
    assert training.folder.described() == now
    assert same(finish(tiny_training(tmp_path / "run", resume=True, **values)), whole)


def test_the_saved_weights_are_averages(tmp_path: Path) -> None:
    training = tiny_training(tmp_path)
    finish(training)
    assert training.average is not None
    saved = torch.load(tmp_path / "network.pt", weights_only=True)["state_dict"]
    last = training.network.state_dict()
    assert any(not torch.equal(saved[name], last[name]) for name in saved)


def test_normalisation_is_part_of_the_network(tmp_path: Path) -> None:
    data = {**VALUES["data"], "mean": [0.5], "std": [0.25]}
    training = tiny_training(tmp_path, data=data, optimiser={"averaging": 0.5})
    finish(training)
    network = autodual.load_model(tmp_path / "network.pt")
    x = tiny_data().x
    assert training.average is not None
    with torch.no_grad(), training.dual.substituting(training.average.tensors):
        expected = training.dual.outputs(x)
    if training.progress.rows[-1]["certified_error"] == training.selection.best[0] and training.selection.waited == 0:
        torch.testing.assert_close(network(x), expected)
    assert isinstance(network[0], autodual.architectures.Normalise)


def test_in_mixed_precision_bounds_and_weights_stay_in_float32(tmp_path: Path) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        values = {"precision": precision, "loss": {"kind": "interval", "kappa": 0.5}, "scheduled": {}}
        training = tiny_training(tmp_path / precision, **values)
        finish(training)
        assert all(value.dtype != torch.bfloat16 for value in training.network.state_dict().values())
        losses.append(training.progress.rows[0]["loss"])
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.02)


def test_patience_ends_a_run_early(tmp_path: Path) -> None:
    training = tiny_training(tmp_path, epochs=50, learning_rate=0.0, validation={"patience": 2, "attack_steps": 0})
    finish(training)
    assert len(training.progress.rows) == 3 and training.done


def test_a_loss_of_nan_stops_the_run_and_keeps_the_saved_files(tmp_path: Path) -> None:
    training = tiny_training(tmp_path, learning_rate=1e18, optimiser={"kind": "sgd"})
    with pytest.raises(TrainingError, match="lower the learning rate"):
        finish(training)
    assert not (tmp_path / "checkpoint.pt").exists() or torch.load(tmp_path / "checkpoint.pt", weights_only=True)


def test_folders_and_recipes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "run")
    training.step(stop=True)
    with pytest.raises(InvalidInputError, match="already holds a run"):
        tiny_training(tmp_path / "run")
    with pytest.raises(InvalidInputError, match="no checkpoint"):
        tiny_training(tmp_path / "absent", resume=True)
    with pytest.raises(InvalidInputError, match="another recipe"):
        tiny_training(tmp_path / "run", resume=True, seed=6)
    with pytest.raises(DataError, match="leaves none"):
        tiny_training(tmp_path / "none", data={"hold_out": 32})
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"half")
    with pytest.raises(ModelFileError, match="damaged"):
        RunFolder(tmp_path / "run").load()


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.locked(), pytest.raises(InvalidInputError, match="another process"), folder.locked():
        pass
    with folder.locked():
        pass


@pytest.mark.parametrize("last", [6, 12])
def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path, last: int) -> None:
    """In the last step of an epoch the loss is finite, but its gradient is infinite."""
    training = tiny_training(tmp_path, network={"arch": "mlp:4"})
    for _ in range(last - 1):
        training.step()
    saved = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    parameter = next(training.network.parameters())
    parameter.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(TrainingError, match=f"infinite or NaN in epoch {last // 6}: lower the learning rate"):
        training.step()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == saved
