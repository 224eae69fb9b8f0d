"""The kernels in which bounds spend their time, by pytest-benchmark (`pip install 'autodual[bench]'`).

    OMP_NUM_THREADS=1 pytest benchmarks/kernels.py --benchmark-json RESULTS.json

One thread, float32, sizes of the thesis' small MNIST network at batch 10.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

import autodual
from autodual.architectures import build_architecture
from autodual.estimators import CauchyGeometricMean, CauchyMedian, Stream
from autodual.passes import RandomProjection, default_pipeline
from autodual.perturbations import WholeView

ROWS = pytest.mark.parametrize("rows", [10, 50])
BALL = autodual.LinfBall(0.1)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return build_architecture("small", (1, 28, 28), 10)


@pytest.fixture(scope="module")
def batch() -> tuple[Tensor, Tensor]:
    return torch.rand(10, 1, 28, 28), torch.arange(10)


@ROWS
def test_cauchy_columns(benchmark, rows: int) -> None:
    estimator, like = CauchyMedian(rows), torch.zeros(())
    benchmark(lambda: estimator.columns(Stream(("kernels", 0)), (10, 1, 28, 28), 0, 0, rows, like))


@ROWS
@pytest.mark.parametrize("kind", [CauchyMedian, CauchyGeometricMean], ids=["median", "geometric mean"])
def test_norms(benchmark, kind, rows: int) -> None:
    estimator, products = kind(rows), torch.randn(rows, 10, 1568)
    benchmark(lambda: estimator.norm(products))


@pytest.mark.parametrize("kind", ["least", "both ends", "smooth", "max-pool"])
@pytest.mark.parametrize("filled", [0.2, 1.0], ids=["a fifth filled", "filled"])
def test_moved_mass(benchmark, filled: float, kind: str) -> None:
    """1,000 rows over a Wasserstein ball, beside the 5 × 5 maxima of them that its window needs at least."""
    x = torch.rand(1, 1, 28, 28) * (torch.rand(1, 1, 28, 28) < filled)
    rows, ball = torch.randn(1, 1000, 1, 28, 28), autodual.WassersteinBall(0.01, window=5)
    region, smooth = ball.at(x), replace(ball, sharpness=100.0).at(x)
    work = {
        "least": lambda: region.least(rows, WholeView()),
        "both ends": lambda: region.extremes(rows, WholeView()),
        "smooth": lambda: smooth.least(rows, WholeView()),
        "max-pool": lambda: functional.max_pool2d(rows[0], 5, 1, 2),
    }
    benchmark(work[kind])


WAYS = {
    "intervals": {"inner": "interval", "last": "interval"},
    "intervals inside": {"inner": "interval"},
    "dual, shared": {},
    "dual, adaptive": {"slopes": "adaptive"},
    "50 projections": {},
}


@pytest.mark.parametrize("backward", [False, True], ids=["margins", "training step"])
@pytest.mark.parametrize("way", WAYS)
def test_bounds(benchmark, network, batch, way: str, backward: bool) -> None:
    x, labels = batch
    passes = [*default_pipeline(), RandomProjection(50, seed=0)] if way == "50 projections" else None
    dual = autodual.compile_dual(network, x[:1], passes=passes)

    def work() -> None:
        margins = dual.margins(x, labels, BALL, **WAYS[way])
        if backward:
            network.zero_grad()
            functional.cross_entropy(-margins, labels).backward()

    with torch.set_grad_enabled(backward):
        benchmark(work)
