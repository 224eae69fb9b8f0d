"""The example of each kind of extension, one file outside the package, works as described."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from autodual_cli.main import cli
from click.testing import CliRunner
from torch import nn

import autodual
from autodual.extend import Loss, default_pipeline, named_loss
from autodual.train.losses.named_losses import LOSSES
from autodual.train.recipe import Recipe, assemble, disassemble

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "extending"


def example(name: str) -> ModuleType:
    """One of the files as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclasses look up their module there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.ReLU(), nn.Linear(16, 3)).double().eval()


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.rand(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_a_pass_removes_repeated_relus_and_bounds_stay_sound(network, x):
    step = example("own_pass").RemoveRepeatedRelus()
    dual = autodual.compile_dual(network, x, passes=[step, *default_pipeline()])
    whole = autodual.compile_dual(network, x)
    assert len(whole.plan.sites) == 2 and len(dual.plan.sites) == 1
    ball, outputs = autodual.LinfBall(0.2), torch.eye(3, dtype=torch.float64)
    lower = dual.lower_bounds(x, ball, outputs)
    sampled = network(ball.at(x).sample(2000).flatten(0, 1)).reshape(2000, 6, 3).amin(0)
    assert (lower <= sampled + 1e-12).all()
    assert (lower.mean() >= whole.lower_bounds(x, ball, outputs).mean()).all()


def test_a_loss_trains_and_is_named_in_recipes():
    module = example("own_loss")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    x, labels = module.moons(40)
    dual, ball = autodual.compile_dual(model, x), autodual.LinfBall(0.05)
    loss = module.CertifiedHinge()
    # At radius 0 the certified margin is the clean margin, which is computed here independently.
    scores = model(x)
    margin = (scores.gather(1, labels[:, None]) - scores.gather(1, 1 - labels[:, None])).squeeze(1)
    plain = nn.functional.cross_entropy(scores, labels)
    expected = plain + (0.5 - margin).relu().mean()
    torch.testing.assert_close(loss(dual, x, labels, autodual.LinfBall(0.0)), expected, atol=1e-5, rtol=1e-5)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    first = loss(dual, x, labels, ball).item()
    for _ in range(20):
        optimiser.zero_grad()
        loss(dual, x, labels, ball).backward()
        optimiser.step()
    assert loss(dual, x, labels, ball).item() < first
    try:
        recipe = assemble(Recipe, {"loss": {"kind": "certified-hinge", "margin": 0.25}})
        assert recipe.loss == module.CertifiedHinge(margin=0.25)
        assert assemble(Recipe, disassemble(recipe)) == recipe
    finally:
        del LOSSES["certified-hinge"]


def test_a_second_loss_of_a_name_is_refused():
    with pytest.raises(ValueError, match="the loss 'robust' is Robust already; choose another name"):

        @named_loss("robust")
        class Other(LOSSES["clean"]):
            pass

    for kind in (Loss, dict, 3):
        with pytest.raises(TypeError, match="a loss is a frozen dataclass"):
            named_loss("mine")(kind)
    assert "mine" not in LOSSES


def test_an_attack_falsifies_only_what_is_false(x):
    attack = example("own_attack").RandomSearch(tries=30)
    torch.manual_seed(0)
    model, ball = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).double().eval(), autodual.LinfBall(0.4)
    dual = autodual.compile_dual(model, x)
    found = autodual.certify(dual, x, ball, attack=attack)
    refuted = [(row, one) for row, one in enumerate(found) if str(one.status) == "falsified"]
    assert refuted
    for row, one in refuted:
        point = torch.as_tensor(one.counterexample)
        assert ((point - x[row]).abs() <= 0.4).all() and model(point[None]).argmax() != one.predicted


def test_a_command_of_another_package_is_listed_and_runs(tmp_path, monkeypatch):
    record = tmp_path / "curves-1.0.dist-info"  # as an installer leaves it
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: curves\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[autodual.commands]\ncurve = own_command:curve\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(FOLDER))
    listed = CliRunner().invoke(cli, ["--help"])
    assert "Command of the package 'curves'." in listed.output and "own_command" not in sys.modules
    model = str(FOLDER.parent / "mnist_small.pt")
    called = CliRunner().invoke(cli, ["curve", model, "--limit", "2", "--radius", "0.01"])
    assert (called.exit_code, called.output) == (0, "0.01\t100.0%\n")
    absent = CliRunner().invoke(cli, ["curve", "absent.pt"])
    assert absent.exit_code == 2 and absent.stderr == "Error: There is no model file 'absent.pt'.\n"
