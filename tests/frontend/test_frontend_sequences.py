"""Sequences of stock layers are taken down without torch.export, and as it takes them down."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from torch import nn

from autodual.errors import BudgetError, TraceError
from autodual.files.cost import require_affordable
from autodual.frontend import trace
from autodual.frontend.torch.tracing.sequence import steps_of, traced_sequence
from autodual.ir import format_graph

SEQUENCES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), groups=2, bias=False),
            nn.BatchNorm2d(4, affine=False),
            nn.ReLU(),
            nn.Sequential(nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3), nn.Flatten()),
            nn.Linear(45, 5),
            nn.BatchNorm1d(5),
        ),
        (2, 9, 7),
    ),
    "one axis": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3, padding=2), nn.BatchNorm1d(3), nn.Flatten(1, 2)), (2, 5)),
    "three axes": (
        lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.BatchNorm3d(2), nn.ReLU(), nn.Flatten(-2)),
        (1, 3, 4, 5),
    ),
    "pools": (
        lambda: nn.Sequential(
            nn.MaxPool2d(3, stride=(2, 1), padding=1, dilation=(1, 2)),
            nn.AvgPool2d((2, 3), padding=(1, 0), count_include_pad=False),
            nn.Flatten(2),
            nn.MaxPool1d(2, 1),
        ),
        (2, 9, 8),
    ),
    "scalar by scalar": (
        lambda: nn.Sequential(
            *(
                nn.LeakyReLU(0.2),
                nn.ELU(0.5),
                nn.CELU(2.0),
                nn.SELU(),
                nn.GELU(),
                nn.GELU("tanh"),
                nn.SiLU(),
                nn.Mish(),
            ),
            *(nn.Softplus(2.0, 5.0), nn.Sigmoid(), nn.LogSigmoid(), nn.Tanh(), nn.Hardtanh(-2.0, 0.5), nn.ReLU6()),
            *(nn.Hardsigmoid(), nn.Hardswish()),
        ),
        (3,),
    ),
    "in place": (lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2), nn.LeakyReLU(inplace=True)), (3,)),
    "linear along the last axis": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Flatten(1, 1), nn.ReLU()), (2, 4)),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_graph_is_that_of_torch_export(name, monkeypatch):
    make, shape = SEQUENCES[name]
    model, x = make(), torch.randn(2, *shape)
    assert traced_sequence(model, (torch.randn(7, *shape),)) is not None
    mine = trace(model, x)
    monkeypatch.setattr(importlib.import_module(f"{trace.__module__}"), "traced_sequence", lambda *given: None)
    theirs = trace(model, x)
    assert format_graph(mine.graph) == format_graph(theirs.graph)
    assert [node.source for node in mine.graph] == [node.source for node in theirs.graph]
    assert mine.names == theirs.names


@pytest.mark.parametrize("name", SEQUENCES)
def test_shapes_are_those_of_a_run(name):
    make, shape = SEQUENCES[name]
    model, x = make().eval(), torch.randn(3, *shape)
    steps = steps_of(model, shape)
    assert steps is not None
    for path, layer, step in steps:
        x = layer(x)
        assert x.shape[1:] == step.shape, path
        if isinstance(layer, nn.Conv2d):
            assert step.multiplications == x[0].numel() * layer.weight[0].numel()


class Doubled(nn.ReLU):
    def forward(self, value):
        return 2 * super().forward(value)


def _hooked(kind: str) -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    getattr(model[0], kind)(lambda module, given, *rest: None)
    return model


def _replaced() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model[1].forward = lambda value: 2 * value  # type: ignore[method-assign]
    return model


def _called() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model[1]._call_impl = lambda value: 2 * value  # type: ignore[method-assign]
    return model


def _constant() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4))
    weight = model[0].weight.detach()
    del model[0].weight
    model[0].weight = weight
    return model


def _hollow() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4))
    model._modules["last"] = None
    return model


def _twice() -> nn.Module:
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU(), layer)


def _tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    return model


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(4, 4), Doubled()),
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)),
        nn.Sequential(nn.Linear(4, 4), nn.Flatten(0)),
        nn.Sequential(nn.Linear(5, 4)),
        nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1)),
        nn.Sequential(nn.Linear(4, 4), nn.MaxPool1d(2)),
        nn.Sequential(),
        nn.Sequential(nn.Linear(4, 4), nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))),
        _hooked("register_forward_hook"),
        _hooked("register_forward_pre_hook"),
        _replaced(),
        _called(),
        _constant(),
        _hollow(),
        _twice(),
        _tied(),
        nn.Linear(4, 4),
    ],
)
def test_whatever_else_a_model_does_is_left_to_torch_export(model):
    assert traced_sequence(model, (torch.randn(3, 4),)) is None


@pytest.mark.parametrize("name, value", [("stride", (0, 0)), ("padding", None), ("groups", 0), ("weight", None)])
def test_layers_with_impossible_attributes_are_left_to_torch_export(name, value):
    model = nn.Sequential(nn.Conv2d(1, 1, 3))
    setattr(model[0], name, value)
    assert steps_of(model, (1, 4, 4)) is None


def test_a_layer_that_enlarges_samples_is_refused_before_it_runs():
    model = nn.Sequential(nn.Conv2d(1, 1, 1, padding=10**7), nn.Flatten())
    with pytest.raises(BudgetError, match="conv2d of one sample"):
        require_affordable("net.pt", model, [torch.zeros(1, 1, 2, 2)])


@pytest.mark.parametrize("padding", ["same", "reflect"])
def test_unusual_padding_is_left_to_torch_export(padding):
    how = {"padding": "same"} if padding == "same" else {"padding": 1, "padding_mode": "reflect"}
    assert traced_sequence(nn.Sequential(nn.Conv2d(1, 1, 3, **how)), (torch.randn(3, 1, 4, 4),)) is None


def test_names_that_differ_in_a_dot_alone_are_told_apart():
    inner = nn.Sequential(OrderedDict(b=nn.Linear(4, 4)))
    model = nn.Sequential(OrderedDict(a=inner, a_b=nn.Linear(4, 4)))
    names = trace(model, torch.randn(2, 4)).names
    assert sorted(names) == ["a.b.bias", "a.b.weight", "a_b.bias", "a_b.weight"]


def test_global_hooks_are_left_to_torch_export():
    handle = nn.modules.module.register_module_forward_hook(lambda module, given, found: 2 * found)
    try:
        assert traced_sequence(nn.Sequential(nn.Linear(4, 4)), (torch.randn(3, 4),)) is None
    finally:
        handle.remove()


def test_inputs_that_do_not_fit_are_explained_as_before():
    with pytest.raises(TraceError, match="does not run on inputs of the shape"):
        trace(nn.Sequential(nn.Linear(5, 4)), torch.randn(2, 4))


def test_a_sequence_is_bounded_without_loading_a_compiler():
    code = """
import sys, torch, autodual
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 2))
x = torch.rand(2, 1, 4, 4)
autodual.certify(autodual.compile_dual(model, x), x, autodual.LinfBall(0.1))
print([name for name in ("sympy", "networkx", "torch._dynamo") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
