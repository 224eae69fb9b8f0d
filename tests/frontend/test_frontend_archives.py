"""Programs of torch.export, saved and loaded, with a dynamic and with a fixed batch size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from autodual.errors import BatchMixingError, InvalidInputError, TraceError, UnsupportedOpsError
from autodual.frontend import lower_exported, trace
from autodual.ir import Environment, format_graph

torch.set_num_threads(1)


class Small(nn.Module):
    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(channels, channels, 3), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.head = nn.Linear(4 * channels, 2)
        self.shift = torch.tensor([0.1, 0.2])
        self.register_buffer("scale", torch.tensor([2.0, 3.0]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(1)) * self.scale + self.shift


def archived(model: nn.Module, path: Path, batch: int, dynamic: object = None, *shape: int) -> ExportedProgram:
    inputs = (torch.randn(batch, *(shape or (3, 4, 4))),)
    dynamic_shapes = None if dynamic is None else ({0: dynamic},)
    torch.export.save(torch.export.export(model.eval(), inputs, dynamic_shapes=dynamic_shapes, strict=False), path)
    return torch.export.load(path)


@pytest.mark.parametrize(
    ("batch", "dynamic"), [(2, Dim.AUTO), (4, Dim("batch", min=2, max=16)), (5, Dim("n", min=4)), (1, None), (4, None)]
)
def test_a_loaded_program_computes_what_the_model_computes(tmp_path: Path, batch: int, dynamic: object) -> None:
    model = Small()
    program = archived(model, tmp_path / "model.pt2", batch, dynamic)
    traced = lower_exported(program)
    module = program.module()
    x = torch.randn(3, 3, 4, 4, dtype=torch.float64)
    environment = Environment(traced.lookup(module), x.dtype, x.device)
    value = traced.graph.evaluate([x], environment)[traced.graph.outputs[0]]
    model = model.double()
    model.shift, model.scale = model.shift.double(), model.scale.double()
    torch.testing.assert_close(value, model(x))
    assert set(traced.constants) == {"constant_shift"}
    assert "scale" in traced.names and "head.weight" in traced.names


def test_an_archive_and_the_model_give_the_same_graph(tmp_path: Path) -> None:
    model = Small()
    loaded = lower_exported(archived(model, tmp_path / "model.pt2", 2, Dim.AUTO))
    assert format_graph(loaded.graph) == format_graph(trace(model, torch.randn(1, 3, 4, 4)).graph)


@pytest.mark.parametrize("batch", [2, 3])
def test_channels_equal_to_a_fixed_batch_size(tmp_path: Path, batch: int) -> None:
    program = archived(Small(batch), tmp_path / "model.pt2", batch, None, batch, 4, 4)
    assert lower_exported(program).graph.outputs


class Applied(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.T,
        lambda x: x @ x,
        lambda x: x + x.mean(0),
        lambda x: x + torch.arange(4.0)[:, None],
        lambda x: x[:2],
        lambda x: x.flatten(),
        lambda x: torch.cat([x, x]),
        lambda x: torch.nn.functional.linear(x.sum(1), torch.ones(4, 4)),
        lambda x: torch.ones(4, 4) @ x,
        lambda x: x.sum(1) + x,
        lambda x: x[None].relu()[0],
    ],
)
def test_mixing_is_noticed_in_a_square_fixed_batch(tmp_path: Path, function: Callable[[Tensor], Tensor]) -> None:
    """Batch and features have the same size, so that only the operations' structure can tell them apart."""
    program = archived(Applied(function), tmp_path / "model.pt2", 4, None, 4)
    with pytest.raises(BatchMixingError):
        lower_exported(program)


@pytest.mark.parametrize("function", [lambda x: x.squeeze(), lambda x: x.squeeze(0), lambda x: x.flatten()])
def test_losing_the_axis_of_a_single_sample_is_refused(tmp_path: Path, function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(BatchMixingError):
        lower_exported(archived(Applied(function), tmp_path / "model.pt2", 1, None, 4))


def test_inputs_must_share_the_batch_size() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x

    program = torch.export.export(Two(), (torch.randn(2, 3), torch.randn(4, 3)))
    with pytest.raises(TraceError, match="do not share one batch size \\(x: 2, y: 4\\)"):
        lower_exported(program)


def test_only_the_batch_may_vary() -> None:
    dynamic = ({0: Dim.AUTO, 1: Dim.AUTO},)
    program = torch.export.export(nn.ReLU(), (torch.randn(2, 3),), dynamic_shapes=dynamic)
    with pytest.raises(TraceError, match="fixed extents behind it"):
        lower_exported(program)


def test_integer_inputs_are_refused() -> None:
    program = torch.export.export(nn.Embedding(4, 3), (torch.tensor([1, 2]),))
    with pytest.raises(TraceError, match="only floating inputs"):
        lower_exported(program)


def test_a_program_in_training_mode_is_refused() -> None:
    program = torch.export.export(nn.BatchNorm1d(3), (torch.randn(4, 3),), dynamic_shapes=({0: Dim.AUTO},))
    with pytest.raises(BatchMixingError, match="statistics of the batch"):
        lower_exported(program)


def test_a_program_that_was_decomposed_already() -> None:
    model = Small().eval()
    exported = torch.export.export(model, (torch.randn(2, 3, 4, 4),), dynamic_shapes=({0: Dim.AUTO},))
    traced = lower_exported(exported.run_decompositions())
    assert [node.op.kind for node in traced.graph][1:4] == ["convolution", "elementwise_affine", "relu"]


def test_unsupported_operations_and_outputs_of_archives(tmp_path: Path) -> None:
    program = archived(Applied(torch.lgamma), tmp_path / "model.pt2", 2, Dim.AUTO, 4)
    with pytest.raises(UnsupportedOpsError, match=r"aten\.lgamma\.default"):
        lower_exported(program)
    with pytest.raises(InvalidInputError, match="output=1 does not exist"):
        lower_exported(program, output=1)
