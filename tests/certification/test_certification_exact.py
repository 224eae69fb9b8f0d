"""Values that are exact get no rounding allowance, and float64 decides what float32 loses inside a network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import autodual
from autodual.certification import VerdictStatus, verify
from autodual.properties import load_property
from autodual.specs import Formula, HalfSpaces

FAR = autodual.LinfBall(50.0)


def _linear(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def _certified(model: nn.Module, text: str, *, size: int = 3) -> set[bool]:
    x = 100 * torch.rand(4, size, generator=torch.Generator().manual_seed(0))
    return {one.certified for one in autodual.certify(autodual.compile_dual(model), x, FAR, spec=Formula(text))}


@pytest.mark.parametrize(
    ("last", "claim", "false"),
    [
        (nn.ReLU(), "y0 > -1e-300 and y1 >= 0", "y0 > 0"),
        (nn.Hardtanh(-0.5, 0.25), "y0 > -0.5000000000000002 and y1 <= 0.25 and y2 >= -0.5", "y1 < 0.25"),
        (nn.Sigmoid(), "y0 > -1e-300 and y1 <= 1", "y0 > 0.5"),
        (nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Unflatten(1, (5, 1))), "y0 > -1e-300", "y0 > 0"),
    ],
)
def test_limits_of_an_activation_are_proved_to_the_last_digit(last: nn.Module, claim: str, false: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), last)
    assert _certified(model, claim) == {True}
    assert _certified(model, false) == {False}


def test_a_rounded_product_gets_an_allowance() -> None:
    """A third of the clamp's lower limit is rounded, so that the bound must be a little lower."""
    model = nn.Sequential(_linear([[1.0]], [0.0]), nn.Hardtanh(0.1, 0.3))
    third = HalfSpaces([[1 / 3]], [0.1 / 3])
    x = torch.full((1, 1), -9.0)
    dual = autodual.compile_dual(model)
    (found,) = autodual.certify(dual, x, autodual.LinfBall(1.0), spec=third)
    assert not found.certified and -1e-14 < found.margin < 0


def test_a_product_that_underflows_gets_an_allowance() -> None:
    """The exact minimum, at the clamp's lower limit, is -2^-160, which is zero in float32."""
    low, row = -(2.0**-100), torch.tensor([[2.0**-60]])
    dual, x = autodual.compile_dual(nn.Hardtanh(low, 1.0)), torch.tensor([[-1.0]])
    bound = dual(x, autodual.LinfBall(0.5), row, rigorous=True, slopes="adaptive").lower
    assert float(bound) <= low * 2.0**-60


def test_digits_lost_inside_the_network_are_recovered_in_float64() -> None:
    """In float32 the sign of (10⁶ + 10x) - 10⁶ is undecided, but bounds behind it do not show that this is rounding."""

    class Sign(nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return z.sign()

    first, second = _linear([[10.0, 0.0], [0.0, 10.0]], [1e6, 1e6]), _linear([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0])
    dual = autodual.compile_dual(nn.Sequential(first, nn.ReLU(), second, Sign()))
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    for found in autodual.certify(dual, x, autodual.LinfBall(1e-2)):
        assert found.certified and found.arithmetic == "float64" and found.margin == pytest.approx(2.0)


def test_a_coefficient_below_float32s_range_is_not_treated_as_zero() -> None:
    """1e-50·y > -1e-30 is false at y = -1e21, and float32 cannot represent 1e-50."""
    dual = autodual.compile_dual(nn.Sequential(_linear([[1.0]], [-1e21])))
    for text in ("1e-50*y0 > -1e-30", "1e-50*y0 < -1e-30"):
        (found,) = autodual.certify(dual, torch.zeros(1, 1), autodual.LinfBall(0.1), spec=Formula(text))
        assert found.certified == ("<" in text) and found.arithmetic == "float64"
        radius = autodual.certified_radius(dual, torch.zeros(1, 1).double(), autodual.LinfBall, spec=Formula(text))
        assert bool(radius > 0) == ("<" in text)


DECLARED = "(declare-const X_0 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)"
BOX = "(assert (>= X_0 1))(assert (<= X_0 2))"


def _verdict(tmp_path: Path, model: nn.Module, text: str) -> VerdictStatus:
    (tmp_path / "p.vnnlib").write_text(DECLARED + BOX + text)
    dual = autodual.compile_dual(model, torch.ones(1, 1))
    return verify(dual, load_property(tmp_path / "p.vnnlib"), attack=None, timeout=1).status


def test_sums_of_rows_use_the_coefficients_of_the_file(tmp_path: Path) -> None:
    """Each row is zero at every input, but the rounded coefficients add up to 5.5e-17·Y_0, which is positive."""
    model = _linear([[10.0], [1.0]], [0.0, 0.0])
    rows = "(assert (<= (- (* 0.1 Y_0) Y_1) 0))(assert (<= (- (* 0.2 Y_0) (* 2 Y_1)) 0))"
    rows += "(assert (<= (+ (* -0.3 Y_0) (* 3 Y_1)) 0))"
    assert _verdict(tmp_path, nn.Sequential(model), rows) is not VerdictStatus.UNSAT


@pytest.mark.parametrize(("sign", "status"), [("<", VerdictStatus.UNSAT), ("<=", VerdictStatus.SAT)])
def test_a_strict_violation_needs_more_than_a_tie(tmp_path: Path, sign: str, status: VerdictStatus) -> None:
    """Y_0 = relu(-x) is zero throughout, never below."""
    model = nn.Sequential(_linear([[-1.0], [1.0]], [0.0, 0.0]), nn.ReLU())
    assert _verdict(tmp_path, model, f"(assert ({sign} Y_0 0.0))") is status
