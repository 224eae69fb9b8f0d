"""Published ONNX networks of verification benchmarks: all load and agree with a runtime; bounds hold and are finite."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import autodual

pytest.importorskip("onnx")

BOUNDED = (
    "mnist_fc",
    "oval21",
    "collins_rul_cnn",
    "verivital",
    "ml4acopf",
    "lsnc",
    "linearizenn",
    "cgan",
    "vit",
)
"""Benchmarks whose networks together cover every kind of layer."""


def networks(shared_directory: Path) -> list[Path]:
    found = sorted((shared_directory / "assets").rglob("*.onnx*"))
    if not found:
        pytest.skip("no ONNX networks among the reference data")
    return found


def test_all_load_and_agree(shared_directory: Path) -> None:
    for path in networks(shared_directory):
        agreement = autodual.load_onnx(path).agreement
        assert agreement is not None and agreement.error <= 1e-4, path
        assert agreement.samples >= 3, path


@pytest.mark.parametrize("group", BOUNDED)
def test_bounds_hold_and_are_finite(group: str, shared_directory: Path) -> None:
    torch.manual_seed(0)
    for path in networks(shared_directory):
        if group not in path.parts:
            continue
        network = autodual.load_onnx(path).double().requires_grad_(False)
        x, ball = torch.rand(1, *network.input_shapes[0]).double(), autodual.LinfBall(1e-3)
        size = torch.Size(network.output_shape).numel()
        lower = autodual.compile_dual(network, x).lower_bounds(x, ball, torch.eye(size).double())
        assert lower.isfinite().all(), path
        seen = network(ball.at(x).sample(20).flatten(0, 1)).reshape(20, size)
        assert (seen >= lower - 1e-9).all(), path
