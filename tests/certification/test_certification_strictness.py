"""Claims that hold with equality: decided where the extreme is a constant of an op, and never taken for proved else."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import autodual
from autodual.bounds.rows.attained_ends import _summed_exactly
from autodual.properties import load_property


class _Of(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def _verdict(function: Callable[[Tensor], Tensor], claim: str, path: Path, **options: object) -> str:
    """Of the violation `claim` of function(x) for x in [-2.5, 2.5]²."""
    outputs = function(torch.zeros(1, 2)).shape[1]
    text = "".join(
        f"(declare-const X_{i} Real)(assert (>= X_{i} -2.5))(assert (<= X_{i} 2.5))" for i in range(2)
    ) + "".join(f"(declare-const Y_{k} Real)" for k in range(outputs))
    (path / "p.vnnlib").write_text(f"{text}(assert {claim})")
    dual = autodual.compile_dual(_Of(function), torch.zeros(1, 2))
    return autodual.verify(dual, load_property(path / "p.vnnlib"), timeout=1.5, **options).status.value


_EQUAL = {
    "relu": (torch.relu, "(< Y_0 0)", "(<= Y_0 0)"),
    "sum of relus": (torch.relu, "(< (+ Y_0 Y_1) 0)", "(<= (+ Y_0 Y_1) 0)"),
    "weighted sum": (torch.relu, "(< (+ (* 0.3 Y_0) (* 1.7 Y_1)) 0)", "(<= (+ (* 0.3 Y_0) (* 1.7 Y_1)) 0)"),
    "clamp": (lambda x: x.clamp(0, 2), "(> Y_0 2)", "(>= Y_0 2)"),
    "both clamps": (lambda x: x.clamp(-1, 1), "(> (- Y_0 Y_1) 2)", "(>= (- Y_0 Y_1) 2)"),
    "half": (lambda x: x.clamp(-0.75, 1), "(< Y_0 -0.75)", "(<= Y_0 -0.75)"),
    "sign": (torch.sign, "(> Y_0 1)", "(>= Y_0 1)"),
    "hardsigmoid": (lambda x: functional.hardsigmoid(2 * x), "(> Y_0 1)", "(>= Y_0 1)"),
    "several claims": (functional.relu6, "(or (< Y_0 0) (> Y_1 6))", "(or (<= Y_0 0) (>= Y_1 6))"),
}


@pytest.mark.parametrize("name", _EQUAL)
def test_strict_claims_are_proved_and_weak_ones_refuted(name: str, tmp_path: Path) -> None:
    function, strict, weak = _EQUAL[name]
    assert _verdict(function, strict, tmp_path) == "unsat"
    assert _verdict(function, weak, tmp_path) == "sat"


@pytest.mark.parametrize("limit", [0.1, 0.3])
def test_decimals_that_no_number_equals_are_not_taken_for_equal(limit: float, tmp_path: Path) -> None:
    """The network's own limit is a float32 number beside the decimal, on this or that side of it."""
    single = float(torch.tensor(limit))
    exceeds = Fraction(single) > Fraction(str(limit))
    found = _verdict(lambda x: x.clamp(0, single), f"(> Y_0 {limit})", tmp_path)
    assert found != ("unsat" if exceeds else "sat")


@pytest.mark.parametrize(
    ("function", "claim"),
    [
        (lambda x: x.clamp(0, 2) * 1.1, "(> Y_0 2.2)"),  # 1.1 is above its decimal in float32
        (lambda x: torch.relu(x) - 1e-9, "(< Y_0 0)"),
    ],
)
def test_violations_that_rounding_hides_are_not_denied(
    function: Callable[[Tensor], Tensor], claim: str, tmp_path: Path
) -> None:
    assert _verdict(function, claim, tmp_path) != "unsat"


@settings(max_examples=60)
@given(
    terms=st.lists(st.tuples(st.integers(-(2**20), 2**20), st.integers(-60, 20)), min_size=1, max_size=12),
    single=st.booleans(),
)
def test_sums_called_exact_are_exact_in_rationals(terms: list[tuple[int, int]], single: bool) -> None:
    dtype = torch.float32 if single else torch.float64
    values = torch.tensor([[[number * 2.0**power for number, power in terms]]], dtype=dtype)
    exact = sum(Fraction(float(value)) for value in values.flatten())
    if bool(_summed_exactly(values, values.abs().sum(2))):
        for order in (values, values.flip(2)):
            assert Fraction(float(order.sum(2))) == exact
