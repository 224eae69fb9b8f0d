"""Transposes found by automatic differentiation: right in every mode, and cheap to begin with."""

from __future__ import annotations

import pytest
import torch
from support.problems import Problem

from autodual.dual.affine import AffineLayer
from autodual.dual.rows import Rows
from autodual.ir import ops
from autodual.ir.expressions import Parameter


def test_the_call_that_imports_a_compiler_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.func, "vjp")
    layer = Problem("mean", ops.Mean((1,)), ((2, 3),), {}).layer()
    (pulled,) = AffineLayer.pull(layer, Rows(torch.ones(1, 1, 2, 1, dtype=torch.float64), (2, 1)))
    assert torch.allclose(pulled.values, torch.full((1, 1, 2, 3), 1 / 3, dtype=torch.float64))


@pytest.mark.parametrize("mode", ["gradients", "no gradients", "inference"])
def test_the_transpose_of_a_transposed_convolution_in_every_mode(mode: str) -> None:
    weight = torch.randn(2, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    op = ops.TransposedConvolution(Parameter("w"), None, (2, 2), (1, 0), (1, 0), (1, 1))
    layer = Problem("transposed", op, ((2, 3, 4),), {"w": weight}).layer()
    shape = tuple(layer.node.shape)
    rows = torch.randn(1, 4, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    context = {"gradients": torch.enable_grad, "no gradients": torch.no_grad, "inference": torch.inference_mode}[mode]
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = (layer.forward([x]) * rows[0]).flatten(1).sum(1)
    with context():
        given = rows.clone().requires_grad_(mode == "gradients")
        own = layer.pull(Rows(given, shape))[0].values
        automatic = AffineLayer.pull(layer, Rows(given, shape))[0].values
    for pulled in (own, automatic):
        assert torch.allclose((pulled * x).flatten(2).sum(2)[0], expected)
        assert pulled.requires_grad is (mode == "gradients")
