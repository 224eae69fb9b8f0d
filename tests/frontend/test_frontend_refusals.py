"""Models that the frontend refuses, with messages that say where, why and what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from autodual.errors import BatchMixingError, InvalidInputError, TraceError, UnsupportedOpsError
from autodual.frontend import lowers, require_finite, trace

torch.set_num_threads(1)


class Applied(nn.Module):
    def __init__(self, function: Callable[..., object]):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> object:
        return self.function(self, x)


MIXING: dict[str, tuple[Callable[..., object], str]] = {
    "mean over the batch": (lambda m, x: x.mean(0), "works along axis 0"),
    "centred": (lambda m, x: x - x.mean(), "reduces over all axes"),
    "centred, keeping the axis": (lambda m, x: x - x.mean(0, keepdim=True), "works along axis 0"),
    "flattened": (lambda m, x: x.flatten(), "leaves the output's batch axis"),
    "viewed flat": (lambda m, x: x.view(-1), "leaves the output's batch axis"),
    "first sample": (lambda m, x: x[0], "works along axis 0"),
    "first samples": (lambda m, x: x[:2], "takes a part of the batch"),
    "last samples": (lambda m, x: x[1:], "takes a part of the batch"),
    "every other sample": (lambda m, x: x[::2], "takes a part of the batch"),
    "all but the last": (lambda m, x: x[:-1], "takes a part of the batch"),
    "batches side by side": (lambda m, x: torch.cat([x, x], 0), "works along axis 0"),
    "batches stacked": (lambda m, x: torch.stack([x, x]), "leaves the output's batch axis"),
    "split batch": (lambda m, x: x.split(1)[0], "works along axis 0"),
    "loop over samples": (lambda m, x: torch.stack([row * 2 for row in x]), "works along axis 0"),
    "Gram matrix": (lambda m, x: x @ x.T, "batch axes do not meet"),
    "sum of a matrix and its transpose": (lambda m, x: x[:, :1] + x[:, 1:2].T, "batch axes do not meet"),
    "mean over the batch, moved": (lambda m, x: x.T.mean(1), "works along axis 1, the batch axis"),
    "mean over the batch and more": (lambda m, x: x.reshape(-1, 2).mean(0)[None] + x[:, :2], "works along axis 0"),
    "softmax over the batch": (lambda m, x: x.T.softmax(-1).T, "works along axis 1, the batch axis"),
    "convolution over the batch": (
        lambda m, x: functional.conv1d(x.T[:, None], m.weight[:1, None, :1])[:, 0].T,
        "batch axis has been moved or merged",
    ),
    "permuted": (lambda m, x: x.permute(1, 0), "leaves the output's batch axis"),
    "scaled by the batch size": (lambda m, x: x / x.shape[0], "computes with the batch size"),
    "numbered samples": (lambda m, x: x + torch.arange(x.shape[0])[:, None], "computes with the batch size"),
    "merged with channels": (lambda m, x: x.reshape(x.shape[0] * 4, 1), "leaves the output's batch axis"),
    "fixed batch size": (lambda m, x: x.view(2, -1), "merges the batch axis with another axis"),
    "squeezed batch": (lambda m, x: x.squeeze(0), "works along axis 0"),
    "axis before the batch": (lambda m, x: x[None], "leaves the output's batch axis"),
    "constant with more axes": (lambda m, x: x + m.weight[None, :1], "moves the batch axis"),
    "padded batch": (lambda m, x: functional.pad(x, (0, 0, 1, 0)), "pads the batch axis"),
    "batch statistics": (lambda m, x: functional.batch_norm(x, None, None, training=True), "statistics of the batch"),
    "expanded over the batch": (lambda m, x: x[:, None].expand(-1, x.shape[0], -1), "does not hold one value"),
    "scaled by its largest entry": (lambda m, x: x * x.max().item(), "reduces over all axes"),
    "decision on the batch size": (lambda m, x: x if x.shape[0] > 4 else -x, "decides by its batch size"),
    "special case of one sample": (lambda m, x: x if x.shape[0] == 1 else -x, "something else for a batch of 1"),
}


@pytest.mark.parametrize("name", MIXING)
def test_samples_that_influence_each_other_are_refused(name: str) -> None:
    function, reason = MIXING[name]
    with pytest.raises(BatchMixingError) as caught:
        trace(Applied(function), torch.randn(2, 4))
    message = str(caught.value)
    assert reason in message
    if "something else" not in reason:
        assert __file__ in message, "the message should name the user's line"


def test_mixing_names_the_module_that_mixes() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ModuleDict({"inner": Applied(lambda m, x: x.sum(0))})["inner"])
    with pytest.raises(BatchMixingError, match=r"aten.sum.dim_IntList in module '1' at .*refusals.py:\d+: return self"):
        trace(model, torch.randn(2, 4))


def _branches(model: nn.Module, x: Tensor) -> Tensor:
    if x.sum() > 0:
        return x
    return -x


UNTRACEABLE: dict[str, tuple[Callable[..., object], str]] = {
    "control flow": (
        _branches,
        r"at .*refusals.py:\d+: if x.sum\(\) > 0:.* depend on the values of its input.*Rewrite",
    ),
    "len": (lambda m, x: x.view(len(x), -1), r"plain number at .*refusals.py:\d+: .*; write x.shape\[0\]"),
    "failing model": (
        lambda m, x: x @ torch.ones(7, 3),
        r"itself does not run .*at .*refusals.py:\d+: .*cannot be multiplied",
    ),
    "numpy": (lambda m, x: torch.tensor(x.numpy()), r"at .*refusals.py:\d+: .*numpy"),
    "half precision inside": (lambda m, x: (x.half() * 1.7 + x.half()).float(), "cast back before computing on"),
    "not finite": (lambda m, x: x / 0, "yields NaN or infinity"),
    "no input": (lambda m, x: m.weight, "does not depend on its input"),
}


@pytest.mark.parametrize("name", UNTRACEABLE)
def test_untraceable_models_are_explained(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    function, message = UNTRACEABLE[name]
    with pytest.raises(TraceError, match=message):
        trace(Applied(function), torch.randn(2, 4))
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def test_all_unsupported_operations_are_reported_at_once() -> None:
    class Unsupported(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.erfinv(x)
            y = y[:, 1:].relu() + 1
            return y.lgamma() + x.bool()[:, 1:]

    with pytest.raises(UnsupportedOpsError) as caught:
        trace(nn.Sequential(nn.Linear(4, 4), Unsupported()), torch.randn(2, 4))
    inverse, gamma, cast = caught.value.ops
    assert (inverse.target, gamma.target) == ("aten.erfinv.default", "aten.lgamma.default")
    assert {op.module for op in caught.value.ops} == {"1"}
    assert inverse.source.startswith(f"{__file__}:") and inverse.source.endswith(": y = torch.erfinv(x)")
    assert "@autodual.extend.lowers(torch.ops.aten.erfinv.default)" in inverse.hint
    assert cast.hint == "it makes truth values of numbers; compare them with something"


UNSUPPORTED: dict[str, tuple[Callable[..., object], str]] = {
    "mask of the input": (lambda m, x: x[x > 0], "positions depend on the input"),
    "mask": (lambda m, x: x[:, m.weight[0] > 0], "how many entries a mask picks"),
    "active dropout": (lambda m, x: functional.dropout(x, 0.5), "dropout is active"),
    "random constant": (lambda m, x: x + torch.randn(4), "its result is random"),
    "random like the input": (lambda m, x: x + torch.randn_like(x), "its result is random"),
    "rounding mean": (lambda m, x: x.mean(1, dtype=torch.float16), "rounds from torch.float32 to torch.float16"),
    "cast to eight bits": (lambda m, x: x.to(torch.float8_e5m2).float(), "rounds from torch.float32 to torch.float8"),
    "remainder by the input": (lambda m, x: x % x.exp(), "divisor depends on the input"),
    "sum of truth values": (lambda m, x: (x > 0) + (x < 1), r"write x \| y"),
    "truth value of a number": (lambda m, x: x.bool() * x, "truth values of numbers"),
    "bits of numbers": (lambda m, x: ~(x > 0).long() * x, "numbers rather than truth values"),
    "places of maxima": (lambda m, x: x.max(1)[1] + x[:, 0], "places of extremes have no bounds"),
    "negative base": (lambda m, x: (-2.0) ** x, "use a positive base"),
    "input as weight": (lambda m, x: functional.linear(m.weight, x), "its weight depends on the input"),
    "number of a parameter": (lambda m, x: x * m.weight.sum().item(), "turns a tensor into a Python number"),
    "positions from the input": (lambda m, x: m.weight[(x > 0).long()], "positions depend on the input"),
    "gathered by the input": (lambda m, x: x.gather(1, (x > 0).long()), "positions depend on the input"),
    "number of entries that are not zero": (lambda m, x: x.norm(p=0, dim=1), "norm of order 1"),
    "variance of one value": (lambda m, x: x[:, :1].var(1), "divides by zero"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_unsupported_operations_say_why(name: str) -> None:
    function, reason = UNSUPPORTED[name]
    with pytest.raises(UnsupportedOpsError, match=reason):
        trace(Applied(function), torch.randn(2, 4))


def test_one_of_several_outputs_must_be_chosen() -> None:
    model = Applied(lambda m, x: {"a": x, "b": (x * 2, torch.ones(3))})
    with pytest.raises(InvalidInputError, match="3 outputs; choose one"):
        trace(model, torch.randn(2, 4))
    with pytest.raises(InvalidInputError, match="output=5 does not exist"):
        trace(model, torch.randn(2, 4), output=5)
    traced = trace(model, torch.randn(2, 4), output=1)
    assert (traced.graph.outputs, traced.output) == (("mul",), 1)


@pytest.mark.parametrize(
    "example", [torch.arange(4), torch.tensor(1.0), torch.zeros(0, 4), (), (torch.zeros(1, 4), torch.zeros(2, 4)), "x"]
)
def test_wrong_examples(example: object) -> None:
    with pytest.raises(InvalidInputError, match="example input"):
        trace(nn.Linear(4, 4), example)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_parameters_that_are_not_finite_are_named(value: float) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    with torch.no_grad():
        model[1].weight[0, 0] = value
    with pytest.raises(InvalidInputError, match=r"'1\.weight' holds NaN or infinity"):
        trace(model, torch.randn(1, 4))
    with pytest.raises(InvalidInputError, match=r"'1\.weight'"):
        require_finite(dict(model.named_parameters()))


def test_a_model_with_a_memory_is_refused() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return x * self.calls

    model = Counter()
    with pytest.raises(TraceError, match="changes its buffer 'calls' and reads it"):
        trace(model, torch.randn(1, 4))
    assert model.calls == 0


def test_hidden_state_is_found_by_the_comparison() -> None:
    class Alternating(nn.Module):
        sign = 1.0

        def forward(self, x: Tensor) -> Tensor:
            Alternating.sign = -Alternating.sign
            return x * self.sign

    with pytest.raises(TraceError, match=r"differs from the model .* hidden state"):
        trace(Alternating(), torch.randn(1, 4))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_script_modules_are_refused() -> None:
    with pytest.raises(TraceError, match="TorchScript"):
        trace(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), torch.ones(1, 2))


def test_a_rule_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match=r"aten\.relu\.default is already lowered by Relu"):
        lowers(torch.ops.aten.relu.default)(lambda builder, x: x)


def test_samples_of_another_shape_are_named_as_the_cause() -> None:
    with pytest.raises(
        TraceError, match=r"does not run on inputs of the shape \[N, 5\] .*: .*the shape that it was made"
    ):
        trace(nn.Sequential(nn.Linear(4, 3)), torch.rand(2, 5))
