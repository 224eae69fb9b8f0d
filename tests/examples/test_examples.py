"""The README's commands and code run as printed, and the shipped networks have the errors that their page states."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

import numpy
import pytest
import torch
from support.python_blocks import run_blocks
from torch import nn

import autodual
from autodual.data import load_dataset

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def commands() -> list[str]:
    """The README's shell commands that set up an environment."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    return [block.strip() for block in blocks if block.startswith("python3 -m venv")]


def test_the_python_of_the_readme_runs(capsys):
    namespace = run_blocks(ROOT / "README.md")
    statuses = capsys.readouterr().out.splitlines()
    # Statuses before training; after it also confidences, which are 1 because exact bounds cost less than estimates.
    assert len(statuses) == 16 and {line.split()[0] for line in statuses[:8]} == {"certified", "unknown"}
    assert {line.split()[1] for line in statuses[8:]} == {"1.0"}
    assert (namespace["lower"] <= namespace["upper"]).all()
    assert namespace["radii"].shape == namespace["suspects"].shape == (8,)


def test_continuous_integration_runs_the_second_command_word_for_word():
    first, second = commands()
    assert "\n" not in first and "\n" not in second
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines == ["set -eu", 'cd "$(dirname "$0")/.."', second]
    assert "pytest" in second and "autodual certify examples/mnist_0.1.pt --eps 0.1" in first


@pytest.mark.parametrize(
    ("name", "ball", "right", "certified"),
    [
        ("mnist_small.pt", autodual.LinfBall(0.1), 93, 83),
        ("mnist_0.1.pt", autodual.LinfBall(0.1), 98, 95),
        ("mnist_0.1_six_layer.pt", autodual.LinfBall(0.1, domain=(0.0, 1.0)), 99, 98),
        ("mnist_0.3.pt", autodual.LinfBall(0.3, domain=(0.0, 1.0)), 96, 89),
        ("mnist_0.3_six_layer.pt", autodual.LinfBall(0.3, domain=(0.0, 1.0)), 100, 96),
    ],
)
def test_a_shipped_network_certifies_as_its_page_says(name, ball, right, certified):
    """On the first 100 of the 1,000 images; the page states the errors for all of them."""
    model = autodual.load_model(EXAMPLES / name)
    data = load_dataset("sample").slice(0, 100)
    assert data.y is not None
    dual = autodual.compile_dual(model, example_input=data.x[:1])
    certificates = autodual.certify(dual, data.x, ball, labels=data.y)
    assert sum(certificate.predicted == certificate.label for certificate in certificates) >= right
    assert sum(certificate.certified for certificate in certificates) >= certified
    assert (EXAMPLES / name).stat().st_size < 4_000_000


def test_the_images_beside_the_network_are_the_shipped_ones():
    by_name, sample = load_dataset(EXAMPLES / "mnist_test_1000.npz"), load_dataset("sample")
    assert by_name.sha256 == sample.sha256 and len(by_name) == 1000


@pytest.fixture(scope="module")
def script():
    """The training script as a module."""
    spec = importlib.util.spec_from_file_location("train_mnist", EXAMPLES / "train_mnist.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks up its module there
    spec.loader.exec_module(module)
    return module


def test_the_training_script_trains_and_saves(script, tmp_path, monkeypatch, capsys):
    """On a few images of noise: each phase runs, and the saved network loads without flags."""
    monkeypatch.setattr(script, "HELD_OUT", 4)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    before = network[1].weight.detach().clone()
    x, y = torch.rand(24, 1, 28, 28), torch.arange(24) % 10
    script.train(network, x, y, script.Schedule(0.1, plain=8, ramp=8, full=8), batch_size=4, seed=0)
    assert "certified error at 0.1" in capsys.readouterr().out
    assert not torch.equal(before, network[1].weight)
    script.save(network, tmp_path / "out.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["out.pt"]
    numpy.testing.assert_array_equal(
        autodual.load_model(tmp_path / "out.pt")(x).detach().numpy(), network(x).detach().numpy()
    )


def test_the_schedule_ramps_and_decays(script):
    schedule = script.Schedule(0.1, plain=10, ramp=20, full=40)
    assert [schedule.radius(seen) for seen in (0, 9, 10, 30, 69)] == pytest.approx([0, 0, 0.01, 0.1, 0.1])
    assert schedule.radius(20) == pytest.approx(0.055)
    rates = [schedule.learning_rate(seen) for seen in (0, 30, 50, 70)]
    assert rates == pytest.approx([1e-3, 1e-3, 0.5e-3, 1e-5])
