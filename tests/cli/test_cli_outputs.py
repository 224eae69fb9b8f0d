"""Networks with several outputs: --output-index chooses one, for every kind of model file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import autodual

FACTORY = """
import torch
from torch import nn


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.scores, self.value = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 2)

    def forward(self, x):
        hidden = torch.relu(self.body(x))
        return {"value": self.value(hidden), "scores": self.scores(hidden)}
"""


@pytest.fixture
def heads(tmp_path: Path) -> tuple[Path, nn.Module]:
    """An architecture file and its network; output 0 is the value, output 1 the scores."""
    place = tmp_path / "heads.py"
    place.write_text(FACTORY)
    names: dict = {}
    exec(compile(FACTORY, str(place), "exec"), names)
    torch.manual_seed(0)
    return place, names["Heads"]().eval()


def _margins(result_file: Path) -> list[list[float]]:
    return [row["margins"] for row in json.loads(result_file.read_text())["certificates"]]


def test_the_chosen_output_is_bounded(heads, invoke, data_file, tmp_path) -> None:
    """A state dict and an exported program give the same margins."""
    place, model = heads
    torch.save(model.state_dict(), tmp_path / "state.pt")
    program = torch.export.export(model, (torch.rand(2, 4),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(program, tmp_path / "program.pt2")
    common = ("--eps", 0.01, "--data", data_file, "--limit", 3, "--output-index", 1, "--overwrite", "--json")
    found = []
    for arguments in ((tmp_path / "state.pt", "--arch", f"{place}:Heads"), (tmp_path / "program.pt2",)):
        result = invoke("certify", *arguments, *common, tmp_path / "found.json")
        assert result.exit_code == 0, result.output
        found.append(_margins(tmp_path / "found.json"))
    assert len(found[0][0]) == 3
    torch.testing.assert_close(torch.tensor(found[0]), torch.tensor(found[1]), atol=1e-5, rtol=0)


def test_the_library_bounds_the_chosen_output_too(heads) -> None:
    _, model = heads
    x, ball, rows = torch.rand(3, 4), autodual.LinfBall(0.0), torch.eye(3)
    lower = autodual.compile_dual(model, x, output=1).lower_bounds(x, ball, rows)
    expected: Tensor = model(x)["scores"]
    torch.testing.assert_close(lower, expected, atol=1e-5, rtol=0)


def test_without_a_choice_the_error_names_the_option(heads, invoke, data_file, tmp_path) -> None:
    place, model = heads
    torch.save(model.state_dict(), tmp_path / "state.pt")
    common = ("certify", tmp_path / "state.pt", "--arch", f"{place}:Heads", "--eps", 0.01, "--data", data_file)
    result = invoke(*common)
    assert result.exit_code == 2 and "--output-index" in result.output
    result = invoke(*common, "--output-index", 2)
    assert result.exit_code == 2 and "has 2 output(s)" in result.output
