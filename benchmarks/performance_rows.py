"""What the table of `docs/performance.md` compares: by row, our work, the other one beside it, and what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from batch_norm_steps import network as batch_norm_network
from peer_networks import convolutions, given, perceptron
from torch import Tensor, nn
from training_steps import interval_by_hand, step

import autodual
from autodual.data import load_dataset
from autodual.train.losses import IntervalBound

Work = Callable[[], object]
EXAMPLES = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True)
class Row:
    """One row. work: makes, when it is measured, our work and the other one, or None where there is none.

    unit: of what the row shows: "ratio" to the other work, or "ms", "s" and "C" of ours for a sample.
    wanted: at most so much of the unit. beside: what the other work is.
    """

    name: str
    samples: int
    wanted: float
    work: Callable[[], tuple[Work, Work | None]]
    unit: str = "ratio"
    beside: str = "auto_LiRPA"


class Unrolled(nn.Module):
    """An LSTM of a few steps, written out."""

    def __init__(self, inputs: int = 8, hidden: int = 16, steps: int = 4):
        super().__init__()
        self.inputs, self.hidden, self.steps = inputs, hidden, steps
        self.enter, self.recur = nn.Linear(inputs, 4 * hidden), nn.Linear(hidden, 4 * hidden, bias=False)
        self.out = nn.Linear(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = cell = None
        for place in range(0, self.steps * self.inputs, self.inputs):
            gates = self.enter(x[:, place : place + self.inputs])
            gates = gates if state is None else gates + self.recur(state)
            parts = [gates[:, first : first + self.hidden] for first in range(0, 4 * self.hidden, self.hidden)]
            new = torch.sigmoid(parts[0]) * torch.tanh(parts[2])
            cell = new if cell is None else torch.sigmoid(parts[1]) * cell + new
            state = torch.sigmoid(parts[3]) * torch.tanh(cell)
        return self.out(state)


class Recurrent(nn.Module):
    """A GRU of two layers, of which the last step counts."""

    def __init__(self):
        super().__init__()
        self.layers, self.out = nn.GRU(4, 8, num_layers=2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layers(x)[0][:, -1])


def bounds(model: nn.Module, x: Tensor, radius: float, *, peer: bool = True, **how: str) -> tuple[Work, Work | None]:
    """Our bounds of all outputs, and auto_LiRPA's."""
    model.eval().requires_grad_(False)
    dual, ball = autodual.compile_dual(model, x[:1]), autodual.LinfBall(radius)
    rows = torch.eye(dual.output_shape(x)[0])
    ours = partial(dual.lower_bounds, x, ball, rows, **{"slopes": "adaptive", **how})
    return ours, _peer(model, x, radius, rows, how) if peer else None


def _peer(model: nn.Module, x: Tensor, radius: float, rows: Tensor, how: dict[str, str]) -> Work:
    from auto_LiRPA import BoundedModule, BoundedTensor
    from auto_LiRPA.perturbations import PerturbationLpNorm

    chosen = "same-slope" if how.get("slopes") == "shared" else "adaptive"
    bounded = BoundedModule(model, torch.zeros_like(x[:1]), bound_opts={"activation_bound_option": chosen})

    def work() -> Tensor:
        box = BoundedTensor(x, PerturbationLpNorm(norm=float("inf"), x_L=x - radius, x_U=x + radius))
        options = {"IBP": how.get("inner") == "interval", "method": "backward", "bound_upper": False}
        return bounded.compute_bounds(x=(box,), C=rows.expand(len(x), -1, -1), **options)[0]

    return work


def _batch_norm(batch: int, radius: float, **how: str) -> tuple[Work, Work | None]:
    model, x = batch_norm_network(32), torch.rand(max(batch, 16), 3, 32, 32)
    with torch.no_grad():
        model.train()(x)
    return bounds(model, x[:batch], radius, **how)


def _interval_step(batch: int) -> tuple[Work, Work]:
    model, x = batch_norm_network(32), torch.rand(batch, 3, 32, 32)
    labels, radius = torch.arange(batch) % 10, 0.01
    with torch.no_grad():
        model.train()(x)
    dual = autodual.compile_dual(model.eval(), x[:1])
    ours = partial(IntervalBound(), dual, x, labels, autodual.LinfBall(radius))
    theirs = partial(interval_by_hand, model, x, labels, torch.full_like(x[:1], radius))
    return partial(step, model, ours), partial(step, model, theirs)


def _radius(count: int) -> tuple[Work, None]:
    model, x = given(EXAMPLES / "mnist_small.pt")
    labels = load_dataset("sample").y[:count]
    dual = autodual.compile_dual(model, x[:1])
    return partial(autodual.certified_radius, dual, x[:count], autodual.LinfBall, labels, max_radius=0.5), None


def _tiny(**how: str) -> tuple[Work, None]:
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))
    ours, _ = bounds(model, torch.rand(4, 8), 0.05, peer=False, **how)
    return ours, None


def _given(path: Path, batch: int, radius: float, slopes: str = "adaptive") -> tuple[Work, Work | None]:
    model = autodual.load_model(path)
    model = getattr(model, "module", model)
    images = load_dataset("sample").x.float()[:batch]
    x = images if path.name.startswith("mnist") else torch.rand(batch, 3, 32, 32)
    return bounds(model, x, radius, slopes=slopes)


def _perceptron(depth: int, width: int) -> tuple[Work, Work | None]:
    model, x = perceptron(depth, width)
    return bounds(model, x[:4], 0.01)


def _convolutions(batch: int) -> tuple[Work, Work | None]:
    model, x = convolutions()
    return bounds(model, x[:batch], 1 / 255)


def _recurrent() -> tuple[Work, None]:
    return bounds(Recurrent(), torch.rand(2, 6, 4), 0.02, peer=False)[0], None


def _unrolled() -> tuple[Work, Work | None]:
    return bounds(Unrolled(), torch.rand(4, 32), 0.02)


def rows_of(folder: Path | None) -> Iterator[Row]:
    """All rows. folder: holds published networks, `mnist_6x100.pt`, `mnist_small.pt` and `cifar_cnn_a.pt`."""
    if folder is not None:
        deep, small = folder / "mnist_6x100.pt", folder / "mnist_small.pt"
        for slopes in ("adaptive", "shared"):
            for batch in (1, 10, 50):
                yield Row(f"6 × 100, {slopes}, batch {batch}", batch, 0.4, partial(_given, deep, batch, 0.02, slopes))
    for depth, width in ((8, 100), (32, 100), (4, 512), (4, 1024)):
        yield Row(f"{depth} × {width:,}, adaptive, batch 4", 4, 0.5, partial(_perceptron, depth, width))
    for batch in (1, 4):
        yield Row(f"five convolutions, adaptive, batch {batch}", batch, 0.35, partial(_convolutions, batch))
    yield Row("LSTM, 4 steps written out, adaptive, batch 4", 4, 0.4, _unrolled)
    yield Row("GRU, two layers, 6 steps, 8 units, 2 samples", 1, 1.5, _recurrent, "s")
    if folder is not None:
        for slopes, wanted in (("shared", 0.008), ("adaptive", 0.016)):
            yield Row(f"MNIST small, {slopes}, batch 50", 50, wanted, partial(_given, small, 50, 0.1, slopes), "C")
        images = partial(_given, folder / "cifar_cnn_a.pt", 10, 2 / 255)
        yield Row("CNN-A, adaptive, batch 10", 10, 0.05, images, "C")
    for batch in (16, 64):
        work = partial(_interval_step, batch)
        yield Row(f"batch norm, interval step, batch {batch}", batch, 1.05, work, beside="by hand")
    for batch in (2, 16):
        work = partial(_batch_norm, batch, 0.01, inner="interval")
        yield Row(f"batch norm, intervals inside, batch {batch}", batch, 0.7, work)
    yield Row("batch norm, adaptive, one image", 1, 0.15, partial(_batch_norm, 1, 1 / 255))
    yield Row("certified radius, ten images", 10, 0.2, partial(_radius, 10), "s")
    for name, wanted, how in (
        ("interval bounds", 0.3, {"inner": "interval", "last": "interval"}),
        ("shared", 0.8, {"slopes": "shared"}),
        ("adaptive", 1.0, {}),
    ):
        yield Row(f"two hidden layers of 16, {name}, a call", 1, wanted, partial(_tiny, **how), "ms")
