"""The script for a lent GPU, at a tiny size on the processor: train, certify, go on with either."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy
import pytest
from autodual_cli.main import cli
from click.testing import CliRunner

from autodual.train.recipe import Recipe, assemble, read_recipe

EXAMPLES = Path(__file__).parents[2] / "examples"

RECIPE = """
epochs = 2
batch_size = 8
radius = 1.0
[network]
arch = "mlp:4"
[data]
hold_out = 4
[set]
eps = 0.01
[validation]
attack_steps = 0
"""


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_and_certify", EXAMPLES / "train_and_certify.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_trains_certifies_and_goes_on(script: ModuleType, tmp_path: Path, monkeypatch) -> None:
    commands: list[list[str]] = []

    def here(command: list[str], _seconds: float) -> int:
        commands.append(command)
        return CliRunner().invoke(cli, command).exit_code

    monkeypatch.setattr(script, "limited", here)
    generator = numpy.random.default_rng(0)
    data, recipe, run = tmp_path / "data.npz", tmp_path / "recipe.toml", tmp_path / "run"
    numpy.savez(data, x=generator.random((24, 4), dtype="float32"), y=numpy.arange(24) % 3)
    recipe.write_text(RECIPE)
    where = ["--data-dir", tmp_path, "--output", run, "--test", data, "--device", "cpu", "--attack", "2"]
    arguments = [str(one) for one in ("train_and_certify.py", recipe, *where, "--limit", 6, "--", "--data", data)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert script.main() == 0
    document = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert document["networks"][0]["summary"]["count"] == 6
    assert script.main() == 0
    assert ["--resume" in command for command in commands] == [False, False, True, True]


def test_a_command_that_takes_too_long_is_stopped(script: ModuleType) -> None:
    assert script.limited(["--version"], 60.0) == 0
    assert script.limited(["verify", "--help"], 0.0) != 0


@pytest.mark.parametrize("eps", ["0.1", "0.3"])
def test_its_recipes_are_those_of_the_processor_with_another_network(eps: str) -> None:
    """So that what short runs on a processor teach holds for the long run on a GPU."""
    folder = EXAMPLES / "recipes"
    small, large = (read_recipe(folder / f"mnist_linf_{eps}_{name}.toml") for name in ("six_layer", "seven_layer_gpu"))
    assert assemble(Recipe, {**large, "network": small["network"], "memory": small["memory"]}) == assemble(
        Recipe, small
    )
