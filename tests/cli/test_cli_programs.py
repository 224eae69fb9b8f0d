"""Programs of torch.export with a fixed batch size are certified on the command line as in Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest
import torch
from autodual_cli.options.option_wording import in_options
from torch import Tensor, nn

import autodual


class Heads(nn.Module):
    """Two outputs, and a view with the batch size as a constant."""

    def __init__(self, network: nn.Module, batch: int):
        super().__init__()
        self.network, self.batch = network, batch

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.network(x).view(self.batch, -1)
        return scores, -scores


@pytest.mark.parametrize("batch", [1, 5])
def test_a_fixed_batch_is_certified(
    invoke, tmp_path: Path, data_file: Path, model_file: Path, network: nn.Module, batch: int
) -> None:
    examples = (torch.rand(batch, 4),)
    torch.export.save(torch.export.export(network, examples), tmp_path / "one.pt2")
    torch.export.save(torch.export.export(Heads(network, batch), examples), tmp_path / "two.pt2")
    margins = {}
    for name, extra in {
        "m": (model_file,),
        "one": (tmp_path / "one.pt2",),
        "two": (tmp_path / "two.pt2", "--output-index", 0),
        "m, scaled": (model_file, "--mean", "0.1", "--std", "0.9"),
        "one, scaled": (tmp_path / "one.pt2", "--mean", "0.1", "--std", "0.9"),
        "two, scaled": (tmp_path / "two.pt2", "--output-index", 0, "--mean", "0.1", "--std", "0.9"),
    }.items():
        out = tmp_path / f"{name}.json"
        result = invoke("certify", *extra, "--data", data_file, "--eps", "0.02", "--limit", 3, "--json", out)
        assert result.exit_code == 0, result.stderr
        margins[name] = [row["margin"] for row in json.loads(out.read_text())["certificates"]]
    program = torch.export.load(tmp_path / "one.pt2")
    assert len(margins["m"]) == 3 and isinstance(autodual.compile_dual(program), autodual.DualNetwork)
    for name in ("one", "two"):
        assert margins[name] == pytest.approx(margins["m"], abs=1e-4)
    for name in ("one, scaled", "two, scaled"):
        assert margins[name] == pytest.approx(margins["m, scaled"], abs=1e-4)


def test_a_refusal_names_the_batch_size(invoke, tmp_path: Path, data_file: Path) -> None:
    class Swapped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.transpose(0, 1).relu().transpose(0, 1)

    torch.export.save(torch.export.export(Swapped(), (torch.rand(3, 4),)), tmp_path / "m.pt2")
    result = invoke("certify", tmp_path / "m.pt2", "--data", data_file, "--eps", "0.02")
    assert result.exit_code == 2 and "The batch size 3 is baked into the program" in result.stderr


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("pass factory='package.module:factory'.", "pass --arch package.module:factory."),
        ("leave out factory=.", "leave out --arch."),
        ("accept the risk with unsafe=True.", "accept the risk with --unsafe-load."),
        ("choose one with output=0 (the first)", "choose one with --output-index 0 (the first)"),
        ("give more with memory_budget=", "give more with --memory"),
        ("the file 'my_output=3.pt'", "the file 'my_output=3.pt'"),
    ],
)
def test_messages_name_options(message: str, words: str) -> None:
    assert in_options(message) == words


@pytest.mark.parametrize("axes", [("sample axis", "store it as [1, 2, 5, 5]"), ("channels", "[N, channels, height")])
def test_data_with_other_axes_than_the_network_takes(invoke, tmp_path: Path, axes: tuple[str, str]) -> None:
    torch.save(nn.Sequential(nn.Conv2d(2, 1, 3), nn.Flatten(), nn.Linear(9, 3)), tmp_path / "m.pt")
    x = torch.rand(2, 5, 5) if axes[0] == "sample axis" else torch.rand(3, 5, 5, 2)
    numpy.savez(tmp_path / "d.npz", x=x.numpy())
    result = invoke("certify", tmp_path / "m.pt", "--data", tmp_path / "d.npz", "--eps", "0.1")
    assert result.exit_code == 2 and axes[1] in result.stderr


def test_a_float64_network_keeps_its_weights(invoke, tmp_path: Path, data_file: Path) -> None:
    """Weights rounded to float32 would make both scores equal, so nothing could be certified."""
    model = nn.Linear(4, 2, bias=False).double()
    model.weight.data[:] = torch.tensor([[1.0], [1.0 - 1e-12]], dtype=torch.float64)
    torch.save(model, tmp_path / "m.pt")
    x = numpy.load(data_file)["x"].astype(numpy.float64) + 0.1
    numpy.savez(tmp_path / "d.npz", x=x)
    result = invoke(
        "certify", tmp_path / "m.pt", "--data", tmp_path / "d.npz", "--eps", "0", "--require-certified", 100
    )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("dynamic", [None, {0: torch.export.Dim.AUTO}])
def test_a_program_exported_in_training_mode(invoke, tmp_path: Path, data_file: Path, dynamic: object) -> None:
    shapes = None if dynamic is None else (dynamic,)
    for layer in (nn.BatchNorm1d(4), nn.Dropout(0.5)):
        model = nn.Sequential(nn.Linear(4, 4), layer).train()
        program = torch.export.export(model, (torch.rand(3, 4),), dynamic_shapes=shapes)
        torch.export.save(program, tmp_path / "m.pt2")
        result = invoke("certify", tmp_path / "m.pt2", "--data", data_file, "--eps", "0.1")
        assert result.exit_code == 2 and "call model.eval() before the" in result.stderr
        assert "baked" not in result.stderr
