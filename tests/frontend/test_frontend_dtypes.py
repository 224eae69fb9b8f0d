"""Tensors other than dense real ones are refused by every function; constants are those of the traced dtype."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.errors import InvalidInputError, ModelFileError, TraceError
from autodual.frontend import lower_exported, trace
from autodual.frontend.onnx import load_onnx_bytes
from autodual.specs import HalfSpaces

KINDS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "complex": (lambda value: value.to(torch.complex64), r"is complex \(complex64\)"),
    "float8": (lambda value: value.to(torch.float8_e4m3fn), "holds float8_e4m3fn numbers"),
    "meta": (lambda value: value.to("meta"), "on the meta device"),
    "sparse": (lambda value: value.to_sparse(), "stored as sparse_coo"),
    "compressed": (lambda value: value.to_sparse_csr(), "stored as sparse_csr"),
    "quantised": (lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8), r"is quantised \(qint8\)"),
}


@pytest.fixture(scope="module")
def dual() -> autodual.DualNetwork:
    return autodual.compile_dual(nn.Linear(4, 3), torch.rand(2, 4))


@pytest.mark.parametrize(("change", "message"), KINDS.values(), ids=KINDS)
def test_every_function_refuses_them(
    dual: autodual.DualNetwork, change: Callable[[Tensor], Tensor], message: str
) -> None:
    """Weights before and after compilation, buffers, plain tensors, samples, objectives, sets and properties."""
    strange, x = change(torch.rand(3, 4)), torch.rand(2, 4)
    model = nn.Linear(4, 3)
    model.weight = nn.Parameter(strange, requires_grad=False)
    buffered = nn.Linear(4, 3)
    buffered.register_buffer("mask", strange)
    for network in (model, buffered):
        with pytest.raises(InvalidInputError, match=message):
            trace(network, x)
    later = autodual.compile_dual(nn.Linear(4, 3), x)
    later.model.weight = nn.Parameter(strange, requires_grad=False)
    for call in (
        lambda: later.bounds(x, autodual.LinfBall(0.1)),
        lambda: autodual.certify(dual, strange, autodual.LinfBall(0.1)),
        lambda: dual.lower_bounds(x, autodual.LinfBall(0.1), change(torch.eye(3))),
        lambda: autodual.LinfBall(change(torch.rand(2, 2))).at(x),
        lambda: HalfSpaces(change(torch.eye(3)), torch.zeros(3)),
    ):
        with pytest.raises(InvalidInputError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["complex", "float8"])
def test_programs_with_such_tensors_are_refused(kind: str) -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = KINDS[kind][0](torch.rand(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight.real if self.weight.is_complex() else self.weight.float()
            return x @ weight.T

    with pytest.raises(InvalidInputError, match=KINDS[kind][1]):
        lower_exported(torch.export.export(Holder(), (torch.rand(2, 4),)))


@pytest.mark.parametrize("kind", ["COMPLEX64", "COMPLEX128", "FLOAT8E4M3FN", "FLOAT8E5M2"])
@pytest.mark.parametrize("constant", [False, True])
def test_onnx_files_with_such_tensors_are_refused(kind: str, constant: bool) -> None:
    """As a weight or as a constant, even where a cast follows that would make them real."""
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    width = {"COMPLEX64": 8, "COMPLEX128": 16}.get(kind, 1)
    weight = helper.make_tensor("w", getattr(types, kind), [4, 3], bytes(12 * width), raw=True)
    nodes = [
        helper.make_node("Cast", ["w"], ["real"], to=types.FLOAT),
        helper.make_node("MatMul", ["x", "real"], ["y"]),
    ]
    if constant:
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=weight))
    ends = [helper.make_tensor_value_info(name, types.FLOAT, [1, size]) for name, size in (("x", 4), ("y", 3))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [] if constant else [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    with pytest.raises(ModelFileError, match=rf"'net' holds the tensor 'w' of {kind.lower()} numbers"):
        load_onnx_bytes("net", model.SerializeToString())


def test_uninitialised_and_integer_weights() -> None:
    with pytest.raises(InvalidInputError, match="has no values yet; run the model once"):
        trace(nn.LazyLinear(3), torch.rand(2, 4))
    model = nn.Linear(4, 3)
    model.weight = nn.Parameter(torch.ones(3, 4, dtype=torch.int8), requires_grad=False)
    with pytest.raises(TraceError, match="does not run"):
        trace(model, torch.rand(2, 4))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_quantised_modules_name_the_remedy() -> None:
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 3)), {nn.Linear})
    with pytest.raises(TraceError, match=r"module '0' is quantised .* from before"):
        trace(model, torch.rand(2, 4))


class Clamped(nn.Module):
    """Takes a constant from its input's dtype, as attention masks and safe logarithms do."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x.relu() + torch.finfo(x.dtype).eps)


@pytest.mark.parametrize("seed", range(8))
def test_constants_are_those_of_the_traced_dtype(seed: int) -> None:
    """The certified network is the float32 one: near zero, float64's constants would make it a different function."""
    torch.manual_seed(seed)
    layer = (nn.RMSNorm(3), Clamped())[seed % 2]
    model = nn.Sequential(nn.Linear(4, 3, bias=seed > 3), layer)
    x = 1e-3 * torch.rand(4, 4)
    dual = autodual.compile_dual(model, x)
    torch.testing.assert_close(dual.outputs(x.double()).float(), model(x), rtol=1e-4, atol=1e-5)
    for dtype in (torch.float32, torch.float64):
        autodual.certify(dual, x.to(dtype), autodual.LinfBall(1e-5))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_norms_use_the_constant_that_torch_computes_with(dtype: torch.dtype) -> None:
    model = nn.RMSNorm(4).to(dtype)
    x = (1e-3 * torch.rand(3, 4)).to(dtype)
    found = autodual.compile_dual(model, x).outputs(x.double())
    torch.testing.assert_close(found.to(dtype), model(x), rtol=4 * torch.finfo(dtype).eps, atol=0)
