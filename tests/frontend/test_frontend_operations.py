"""Every family of operations, compared with the model sample by sample in double precision."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as functional
from support.agreement import Applied, assert_same, evaluate
from torch import Tensor, nn

from autodual.frontend import trace

torch.set_num_threads(1)


VECTOR, SEQUENCE, IMAGE, VOLUME = (4,), (3, 4), (3, 6, 5), (2, 4, 5, 6)

FUNCTIONS: dict[str, tuple[tuple[int, ...], Callable[..., Tensor]]] = {
    "relu": (IMAGE, lambda m, x: x.relu()),
    "relu in place": (IMAGE, lambda m, x: (x + 1).relu_()),
    "add in place": (VECTOR, lambda m, x: x.clone().mul_(3).add_(x, alpha=2).sub_(1)),
    "linear": (VECTOR, lambda m, x: functional.linear(x, m.square, m.vector)),
    "linear on a sequence": (SEQUENCE, lambda m, x: functional.linear(x, m.square)),
    "linear to a scalar": (VECTOR, lambda m, x: functional.linear(x, m.vector)),
    "matmul": (SEQUENCE, lambda m, x: x @ m.matrix),
    "matmul with a transposed constant": (VECTOR, lambda m, x: x @ m.square.T),
    "matmul with a vector": (SEQUENCE, lambda m, x: x @ m.vector),
    "matmul from the left": (IMAGE, lambda m, x: m.matrix.T[:, :4] @ x[..., :4, :]),
    "mm": (VECTOR, lambda m, x: torch.mm(x, m.matrix)),
    "mv": (VECTOR, lambda m, x: torch.mv(x, m.vector)),
    "addmm": (VECTOR, lambda m, x: torch.addmm(m.vector, x, m.square)),
    "addmm scaled": (VECTOR, lambda m, x: torch.addmm(m.vector[:1], x, m.square, beta=2, alpha=3)),
    "addmm with a branch": (VECTOR, lambda m, x: torch.addmm(x, x, m.square, beta=0.5)),
    "add with alpha": (VECTOR, lambda m, x: torch.add(x, x.relu(), alpha=0.3)),
    "add a number": (VECTOR, lambda m, x: 0.1 + x + 2),
    "add a parameter": (IMAGE, lambda m, x: m.channels + x + m.vector[0]),
    "add a number times a parameter": (VECTOR, lambda m, x: torch.add(x, m.vector, alpha=3)),
    "add with broadcasting": (IMAGE, lambda m, x: x.mean((2, 3), keepdim=True) + x),
    "subtract": (VECTOR, lambda m, x: x - x.relu() - m.vector - 0.7),
    "subtract with alpha": (VECTOR, lambda m, x: torch.sub(x, x.relu(), alpha=2)),
    "constant minus branch": (VECTOR, lambda m, x: m.vector - x),
    "number minus branch": (VECTOR, lambda m, x: 1 - x),
    "rsub": (VECTOR, lambda m, x: torch.rsub(x, m.vector, alpha=2)),
    "subtract with broadcasting": (IMAGE, lambda m, x: x[:, :1] - x[:, 1:]),
    "negative": (VECTOR, lambda m, x: -x),
    "multiply": (IMAGE, lambda m, x: m.channels * x * 0.1 * m.vector.sum()),
    "multiply by integers": (VECTOR, lambda m, x: x * m.integers),
    "divide": (VECTOR, lambda m, x: x / (m.vector.abs() + 1) / 3),
    "constant enlarges": ((1, 4), lambda m, x: x * m.square + m.token),
    "constants of one sample with a batch axis": (VECTOR, lambda m, x: x + m.vector[None]),
    "double and back": (VECTOR, lambda m, x: x.double().to(torch.float64)),
    "identities": (VECTOR, lambda m, x: x.contiguous().detach().clone().to(x).type_as(x)),
    "view": (IMAGE, lambda m, x: x.view(x.size(0), -1)),
    "view with a free batch": (IMAGE, lambda m, x: x.view(-1, 3 * 6 * 5)),
    "reshape": (IMAGE, lambda m, x: x.transpose(1, 2).reshape(x.shape[0], 2, 45)),
    "flatten": (IMAGE, lambda m, x: x.flatten(1)),
    "flatten some": (IMAGE, lambda m, x: x.flatten(-2)),
    "unflatten": (VECTOR, lambda m, x: x.unflatten(1, (2, 2))),
    "permute": (IMAGE, lambda m, x: x.permute(0, -1, 1, 2)),
    "transpose": (IMAGE, lambda m, x: x.transpose(-1, 1)),
    "movedim": (IMAGE, lambda m, x: x.movedim(1, -1)),
    "squeeze": ((1, 4, 1), lambda m, x: x.squeeze(1).squeeze(-1)),
    "squeeze several": ((1, 4, 1), lambda m, x: x.squeeze((1, 2, 3))),
    "squeeze everything": ((1, 4, 1), lambda m, x: x.squeeze()),
    "unsqueeze": (VECTOR, lambda m, x: x.unsqueeze(1).unsqueeze(-1)[:, None]),
    "expand": ((1, 4), lambda m, x: x.expand(-1, 3, 4)),
    "expand by size": ((1, 4), lambda m, x: x.expand(x.size(0), 3, -1)),
    "cat": (IMAGE, lambda m, x: torch.cat([x, x.relu(), x[:, :1]], 1)),
    "cat of constants": (SEQUENCE, lambda m, x: torch.cat([m.token.expand(x.shape[0], -1, -1), x], 1)),
    "cat of repeated constants": (SEQUENCE, lambda m, x: torch.cat([m.token.repeat(x.shape[0], 2, 1), x], -2)),
    "cat of zeros": (SEQUENCE, lambda m, x: torch.cat([x, torch.zeros_like(x), x.new_ones(x.shape[0], 1, 4)], 1)),
    "cat of fresh zeros": (SEQUENCE, lambda m, x: torch.cat([x, torch.zeros(x.shape[0], 1, 4, dtype=x.dtype)], 1)),
    "cat with an empty tensor": (SEQUENCE, lambda m, x: torch.cat([x.new_zeros(0), x, x], 1)),
    "affine of a repeated constant": (SEQUENCE, lambda m, x: x + (m.token.expand(x.shape[0], -1, -1) * 2 + 1)),
    "stack": (VECTOR, lambda m, x: torch.stack([x, x.relu(), 2 * x], -1)),
    "split": (IMAGE, lambda m, x: torch.cat(x.split(4, 2)[::-1], 2)),
    "split with sizes": (IMAGE, lambda m, x: x.split([1, 3, 2], 2)[1]),
    "chunk": (IMAGE, lambda m, x: x.chunk(4, -1)[1]),
    "chunk more than there are": (VECTOR, lambda m, x: x.chunk(3, 1)[-1]),
    "unbind": (IMAGE, lambda m, x: x.unbind(1)[2] - x.unbind(1)[0]),
    "narrow": (IMAGE, lambda m, x: x.narrow(2, 1, 3).narrow(-1, -4, 2)),
    "slices": (IMAGE, lambda m, x: x[:, -2:, 1:100:2, :-1]),
    "slices in place": (SEQUENCE, lambda m, x: _assign(x)),
    "ellipsis": (IMAGE, lambda m, x: x[..., -100:3]),
    "empty slice": (IMAGE, lambda m, x: torch.cat([x[:, 5:], x[:, 2:1], x], 1)),
    "select": (IMAGE, lambda m, x: x[:, -1, 2]),
    "average pool 1d": (SEQUENCE, lambda m, x: functional.avg_pool1d(x, 3, 2, 1, True, False)),
    "average pool 2d": (IMAGE, lambda m, x: functional.avg_pool2d(x, (2, 3), 2, 1, True, False)),
    "average pool with divisor": (IMAGE, lambda m, x: functional.avg_pool2d(x, 2, divisor_override=3)),
    "average pool 3d": (VOLUME, lambda m, x: functional.avg_pool3d(x, 2, padding=1)),
    "average pool without channels": (SEQUENCE, lambda m, x: functional.avg_pool2d(x, 2)),
    "adaptive pool 1d": (SEQUENCE, lambda m, x: functional.adaptive_avg_pool1d(x, 3)),
    "adaptive pool 2d": (IMAGE, lambda m, x: functional.adaptive_avg_pool2d(x, (4, None))),
    "adaptive pool to one": (IMAGE, lambda m, x: functional.adaptive_avg_pool2d(x, 1)),
    "adaptive pool 3d": (VOLUME, lambda m, x: functional.adaptive_avg_pool3d(x, (2, 1, 3))),
    "pad": (IMAGE, lambda m, x: functional.pad(x, (1, -2, 0, 3), value=0.5)),
    "pad all axes": (VECTOR, lambda m, x: functional.pad(x, (1, 2, 0, 0))),
    "mean": (IMAGE, lambda m, x: x.mean((-1, 2))),
    "mean of one axis": (IMAGE, lambda m, x: x.mean(1, keepdim=True)),
    "sum": (IMAGE, lambda m, x: x.sum(-1) + x.sum((1, 3)).unsqueeze(1)[..., :6]),
    "scalar output": (VECTOR, lambda m, x: x.sum(1)),
    "functional dropout": (
        IMAGE,
        lambda m, x: functional.feature_alpha_dropout(functional.dropout(x, 0.5, m.training), 0.3, m.training),
    ),
    "input as output": (VECTOR, lambda m, x: x),
    "unused input": (VECTOR, lambda m, x: m.vector.expand(x.shape[0], -1) * 2),
    "computed weight": (VECTOR, lambda m, x: functional.linear(x, (m.square @ m.square.T).tanh() / m.square.norm())),
    "parts of a constant": (VECTOR, lambda m, x: x * m.square.unbind(0)[1] + m.square.split(3)[1]),
    "fixed size of a literal": (VECTOR, lambda m, x: x + torch.tensor([0.1, 0.2, 0.3, 0.4])),
    "gradients on inside": (VECTOR, lambda m, x: _with_gradients(x)),
    "conv1d": (SEQUENCE, lambda m, x: functional.conv1d(x, m.kernel[..., 0], stride=2, padding=2, dilation=2)),
    "conv2d": (IMAGE, lambda m, x: functional.conv2d(x, m.kernel, stride=(2, 1), padding=(0, 1))),
    "conv2d with groups": (IMAGE, lambda m, x: functional.conv2d(x, m.kernel[:, :1], m.kernel[:, 0, 0, 0], groups=3)),
    "conv2d same, odd": (IMAGE, lambda m, x: functional.conv2d(x, m.kernel, padding="same", dilation=(2, 1))),
    "conv2d valid": (IMAGE, lambda m, x: functional.conv2d(x, m.kernel, padding="valid")),
    "conv3d": (VOLUME, lambda m, x: functional.conv3d(x, m.kernel[:4, :2, :, :, None], padding=1)),
}


def _assign(x: Tensor) -> Tensor:
    y = x.clone()
    y += 1
    y *= 2
    return y + x


def _with_gradients(x: Tensor) -> Tensor:
    with torch.enable_grad():
        y = x * 2
    with torch.no_grad():
        return y + 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operation(name: str) -> None:
    shape, function = FUNCTIONS[name]
    assert_same(Applied(function), shape)


def _batch_norm(kind: type[nn.Module], *args: object, **options: object) -> nn.Module:
    norm = kind(*args, **options)
    generator = torch.Generator().manual_seed(2)
    for tensor in (*norm.parameters(), norm.running_mean, norm.running_var):
        tensor.data = torch.rand(tensor.shape, generator=generator) + 0.3
    return norm


MODULES: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "linear without bias": (VECTOR, lambda: nn.Linear(4, 2, bias=False)),
    "conv same": (IMAGE, lambda: nn.Conv2d(3, 4, 3, padding="same")),
    "conv same with an even kernel": (IMAGE, lambda: nn.Conv2d(3, 4, (2, 4), padding="same")),
    "conv1d same with an even kernel": (SEQUENCE, lambda: nn.Conv1d(3, 4, 4, padding="same")),
    "conv3d same with an even kernel": (VOLUME, lambda: nn.Conv3d(2, 3, (2, 3, 4), padding="same")),
    "depthwise": (IMAGE, lambda: nn.Conv2d(3, 6, 3, groups=3, padding=1, dilation=2)),
    "batch norm 1d": (VECTOR, lambda: _batch_norm(nn.BatchNorm1d, 4)),
    "batch norm of a sequence": (SEQUENCE, lambda: _batch_norm(nn.BatchNorm1d, 3, eps=1e-2)),
    "batch norm 2d": (IMAGE, lambda: _batch_norm(nn.BatchNorm2d, 3)),
    "batch norm 2d without affine": (IMAGE, lambda: _batch_norm(nn.BatchNorm2d, 3, affine=False)),
    "batch norm 3d": (VOLUME, lambda: _batch_norm(nn.BatchNorm3d, 2)),
    "batch norm in place": (IMAGE, lambda: nn.Sequential(_batch_norm(nn.BatchNorm2d, 3), nn.ReLU(inplace=True))),
    "zero pad": (IMAGE, lambda: nn.ZeroPad2d((1, 2, -1, 0))),
    "dropout": (VECTOR, lambda: nn.Sequential(nn.Dropout(0.5), nn.AlphaDropout(0.5), nn.Identity())),
    "weight norm": (VECTOR, lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))),
    "unflatten": (VECTOR, lambda: nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Flatten())),
    "global pool": (IMAGE, lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    shape, make = MODULES[name]
    assert_same(make(), shape)


@pytest.mark.parametrize("channels", [2, 3, 4, 7, 11])
def test_extents_equal_to_the_batch_size_are_not_mistaken_for_it(channels: int) -> None:
    """The batch sizes used inside (7 to trace, 3 and 1 to compare, 4 here) as channels and as extents."""
    body = nn.Sequential(
        nn.Conv2d(channels, channels, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(channels**3, channels),
        nn.BatchNorm1d(channels),
    )
    assert_same(body, (channels, channels, channels))


def test_several_inputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(3, 2), nn.Linear(4, 2)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return torch.cat([self.left(x) + self.right(y), y], 1)

    model = Two()
    traced = trace(model, (torch.randn(2, 3), torch.randn(2, 4)))
    assert traced.graph.inputs == ("x", "y")
    x, y = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(evaluate(traced, model, x, y), model.double()(x, y))


def test_inputs_that_never_meet_share_the_batch_axis() -> None:
    class Apart(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return torch.relu(y)

    traced = trace(Apart(), (torch.randn(2, 3), torch.randn(2, 4)))
    assert [node.name for node in traced.graph] == ["x", "y", "relu"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)).to(dtype)
    traced = trace(model, torch.randn(1, 4))
    x = torch.randn(3, 4, dtype=torch.float64)
    torch.testing.assert_close(evaluate(traced, model, x), model.double()(x))


def test_widening_casts_are_exact_and_lowered_as_identities() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4).half(), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x).float())

    traced = trace(Mixed(), torch.randn(1, 4))
    assert [node.op.kind for node in traced.graph] == ["input", "linear", "linear"]
