"""Attacks through steps and quantisers: values stay exact, gradients are those of surrogates."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import autodual
from autodual.attacks import Pgd, counterexamples
from autodual.certification.verdicts.order_of_outputs import deciding_node
from autodual.ir import Environment, ops
from autodual.ir.scalars import CurveOp, StairOp, declarations
from autodual.properties import load_property
from autodual.specs import ClassMargin

_NOWHERE = Environment({}.__getitem__, torch.float64, torch.device("cpu"))
_EXAMPLES = [op for each in declarations() for op in (each.examples() if each.examples else [each.op()])]


class Binarised(nn.Module):
    """Signs of random sums of signs, as binarised networks have them; softmax at the end."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.first = nn.Parameter(torch.randn(300, 64, generator=generator).sign())
        self.second = nn.Parameter(torch.randn(64, 4, generator=generator).sign())

    def forward(self, x: Tensor) -> Tensor:
        hidden = ((10 * x).round() @ self.first + 0.5).sign()
        return (100 * (hidden @ self.second)).softmax(1)


@pytest.fixture(scope="module")
def binarised() -> autodual.DualNetwork:
    return autodual.compile_dual(Binarised(), torch.zeros(1, 300))


def _before_softmax(dual: autodual.DualNetwork) -> str:
    return next(node.inputs[0] for node in dual.plan.graph if isinstance(node.op, ops.LogSoftmax))


def test_values_are_the_networks_own_and_gradients_are_not_zero(binarised: autodual.DualNetwork) -> None:
    x = torch.randn(50, 300, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = binarised.outputs(x, surrogates=True)
    assert torch.equal(found, binarised.outputs(x))
    logits = _before_softmax(binarised)
    surrogate, own = (
        torch.autograd.grad(values.square().sum(), x, materialize_grads=True, allow_unused=True)[0]
        for values in (binarised.outputs(x, surrogates=chosen, node=logits) for chosen in (True, False))
    )
    assert (surrogate != 0).any(1).all()
    assert not own.any()


@pytest.mark.parametrize("op", [op for op in _EXAMPLES if isinstance(op, StairOp)], ids=lambda op: op.kind)
def test_every_step_function_has_a_surrogate_that_rises(op: StairOp) -> None:
    x = torch.linspace(-2.3, 2.3, 47, dtype=torch.float64, requires_grad=True)
    found = op.surrogate([x], _NOWHERE)
    assert found.shape == x.shape
    assert (torch.autograd.grad(found.sum(), x)[0] > 0).all()


def test_attacks_find_counterexamples_behind_signs_and_softmax(binarised: autodual.DualNetwork) -> None:
    """More often than any of 200 random corners is one."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(40, 300, generator=generator)
    region, labels = autodual.LinfBall(0.12).at(x), binarised.outputs(x).argmax(1)
    corners = region.corners(200, generator)
    wrong = binarised.outputs(corners.flatten(0, 1)).argmax(1).reshape(200, -1) != labels
    logits = partial(binarised.outputs, surrogates=True, node=_before_softmax(binarised))
    points = Pgd(steps=20).run(logits, region, ClassMargin(labels))
    hits = counterexamples(binarised.outputs, region, ClassMargin(labels), points)
    assert int(hits.sum()) > int(wrong.any(0).sum())


def test_certify_attacks_in_front_of_a_softmax(binarised: autodual.DualNetwork) -> None:
    """The softmax is saturated at every sample, so that its gradient is zero."""
    x = torch.randn(10, 300, generator=torch.Generator().manual_seed(5))
    labels = binarised.outputs(x).argmax(1)
    found = autodual.certify(binarised, x, autodual.LinfBall(0.2), labels, attack=Pgd(steps=10))
    points = [one.counterexample for one in found]
    assert sum(point is not None for point in points) >= 8
    for sample, label, point in zip(x, labels, points):
        if point is not None:
            assert float((point - sample).abs().max()) <= 0.2 + 1e-6
            assert int(binarised.outputs(point.unsqueeze(0)).argmax(1)) != int(label)


def _inputs(count: int, lower: float, upper: float) -> str:
    return "".join(
        f"(declare-const X_{i} Real)(assert (>= X_{i} {lower}))(assert (<= X_{i} {upper}))" for i in range(count)
    )


@pytest.mark.parametrize("op", [op for op in _EXAMPLES if isinstance(op, CurveOp)], ids=lambda op: op.kind)
def test_ops_that_keep_order_do(op: CurveOp) -> None:
    known = op.curve()
    ends = (known.inside - 0.1, known.inside + 0.1) if known.domain else (-6, 6)
    x = torch.linspace(*ends, 99, dtype=torch.float64)
    rises = bool((op.function(x).diff() >= 0).all())
    assert rises or not op.keeps_order((99,))


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), axis=st.integers(0, 1), shape=st.sampled_from([(4, 1), (1, 4), (2, 2)]))
def test_log_softmax_keeps_order_where_it_says_so(seed: int, axis: int, shape: tuple[int, int]) -> None:
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    op = ops.LogSoftmax(axis)
    if op.keeps_order(shape):
        assert torch.equal(op.forward([x], _NOWHERE).flatten().argsort(), x.flatten().argsort())
    else:
        assert shape == (2, 2) or shape[axis] == 1


def test_which_node_decides(binarised: autodual.DualNetwork, tmp_path: Path) -> None:
    text = _inputs(300, 0, 1) + "".join(f"(declare-const Y_{k} Real)" for k in range(4))
    graph = binarised.plan.graph
    for claim, moved in (("(<= Y_0 Y_1)", True), ("(<= Y_0 0.5)", False), ("(<= (* 2 Y_0) Y_1)", False)):
        (tmp_path / "p.vnnlib").write_text(f"{text}(assert {claim})")
        found = deciding_node(graph, load_property(tmp_path / "p.vnnlib"))
        assert (found != graph.outputs[0]) is moved
