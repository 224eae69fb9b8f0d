"""Steps by captured graphs are the steps without them, whatever schedules and modes of modules do meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_training import tiny_recipe, tiny_training

from autodual.errors import InvalidInputError, TrainingError

# Numbers that stand at their ends at first, or later on: each of these forms of the loss has a graph of its own.
RUNS: dict[str, dict[str, Any]] = {
    "interval": {
        "loss": {"kind": "interval"},
        "radius": {"kind": "linear", "start": 0.0, "end": 1.0, "finish": 2.0},
        "scheduled": {"kappa": {"kind": "linear", "start": 0.5, "end": 0.0, "finish": 0.5}},
    },
    "dual at the end": {
        "loss": {"kind": "crown-ibp"},
        "radius": {"kind": "linear", "start": 0.5, "end": 1.0, "finish": 1.0},
        "scheduled": {"beta": {"kind": "linear", "start": 0.5, "end": 0.2, "finish": 1.0}},
    },
}
SMALL = {
    "validation": {"attack_steps": 0},
    "optimiser": {"clip": 1.0},
    "network": {"arch": "mlp:8", "batch_norm": True},
}


@pytest.mark.parametrize("run", RUNS)
def test_captured_steps_are_the_steps(run, tmp_path: Path) -> None:
    weights = []
    for execution in ("eager", "graph"):
        training = tiny_training(tmp_path / execution, execution=execution, **SMALL, **RUNS[run])
        for _ in range(5):
            training.step()
        weights.append(dict(training.network.state_dict()))
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-6, atol=1e-7)


def test_a_compiler_takes_each_step_whole(tmp_path: Path, monkeypatch) -> None:
    taken = []

    def compiler(graph, **options):
        taken.append(options)
        return graph

    monkeypatch.setattr(torch, "compile", compiler)
    tiny_training(tmp_path, execution="compiled", **SMALL, **RUNS["interval"]).step()
    assert taken == [{"fullgraph": True, "mode": None}]


def test_only_bounds_are_captured(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="'execution' graph and compiled are for losses of bounds"):
        tiny_recipe(execution="graph", loss={"kind": "pgd", "steps": 2}, scheduled={})
    with pytest.raises(InvalidInputError, match="without projections"):
        tiny_recipe(execution="graph", loss="robust", projection=5, scheduled={})
    with pytest.raises(TrainingError, match='needs execution = "eager"'):
        tiny_training(tmp_path, execution="graph").step()
