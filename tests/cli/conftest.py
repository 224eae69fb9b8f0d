"""Small networks and data sets on disk, and a runner for the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from autodual_cli.main import cli
from autodual_cli.subject import model_and_data
from autodual_cli.tasks import network_and_property
from click.testing import CliRunner, Result
from torch import nn

from autodual.dual import LinearRelaxation, dual_rule
from autodual.dual.relu import ReluRule
from autodual.ir import ops

Invoke = Callable[..., Result]


@pytest.fixture
def invoke() -> Invoke:
    """Runs `autodual ARGUMENTS` in this process; arguments may be paths and numbers."""
    return lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def network() -> nn.Sequential:
    """A small classifier of four features into three classes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


@pytest.fixture
def model_file(tmp_path: Path, network: nn.Module) -> Path:
    torch.save(network, tmp_path / "model.pt")
    return tmp_path / "model.pt"


@pytest.fixture
def data_file(tmp_path: Path, network: nn.Module) -> Path:
    """Twelve samples, labelled with the predicted classes; only the label of sample 3 is wrong."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(12, 4, generator=generator)
    with torch.no_grad():
        y = network(x).argmax(1)
    y[3] = (y[3] + 1) % 3
    numpy.savez(tmp_path / "data.npz", x=x.numpy(), y=y.numpy())
    return tmp_path / "data.npz"


@pytest.fixture
def compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks with equal weights and options share one compiled dual network, which saves time."""
    original, known = model_and_data.compile_dual, {}

    def compile_dual(model: nn.Module, example_input: torch.Tensor, **options: Any) -> Any:
        weights = [tensor.tolist() for tensor in model.state_dict().values()]
        key = f"{model} {weights} {example_input.dtype} {options}"
        if key not in known:
            known[key] = original(model, example_input=example_input, **options)
        return known[key]

    for room in (model_and_data, network_and_property):
        monkeypatch.setattr(room, "compile_dual", compile_dual)


@pytest.fixture
def unsound() -> Iterator[None]:
    """An unsound ReLU rule: its lower line is too high by twice the width of the interval."""

    @dual_rule(ops.Relu, replace=True)
    class Unsound(ReluRule):
        def adaptive(self, op: Any, bounds: Any, environment: Any) -> LinearRelaxation:
            lines, (z,) = super().adaptive(op, bounds, environment), bounds
            gap = torch.where((z.lower < 0) & (z.upper > 0), z.upper - z.lower, 0 * z.lower)
            return replace(lines, lower_intercept=lines.lower_intercept + 2 * gap, grounded=False)

    yield
    dual_rule(ops.Relu, replace=True)(ReluRule)
