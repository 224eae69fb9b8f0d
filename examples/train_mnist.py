"""Train a small MNIST network that can be certified: Adam on the robust loss with exact dual bounds (Theorem 2).

The radius is 0 in a first phase (ordinary cross-entropy), then grows linearly to --eps, then stays while the learning
rate falls. Progress is measured on held-out training images; test images are never used.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from torch import Tensor, nn
from torch.nn import functional

import autodual
from autodual.data import load_dataset

HELD_OUT = 200
IMAGES_BETWEEN_REPORTS = 5_000
FIRST_RADIUS = 0.01
LEARNING_RATE = 1e-3


def small_network() -> nn.Sequential:
    """The small convolutional network of Wong and Kolter, 1x28x28 pixels in [0, 1] to 10 scores."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


@dataclass(frozen=True)
class Schedule:
    """Radius and learning rate as functions of the number of images seen; each phase is a number of images."""

    eps: float
    plain: int
    ramp: int
    full: int

    @property
    def total(self) -> int:
        return self.plain + self.ramp + self.full

    def radius(self, seen: int) -> float:
        if seen < self.plain:
            return 0.0
        part = min(1.0, (seen - self.plain) / max(self.ramp, 1))
        return FIRST_RADIUS + part * (self.eps - FIRST_RADIUS)

    def learning_rate(self, seen: int) -> float:
        left = (self.total - seen) / max(self.full, 1)
        return LEARNING_RATE * min(1.0, max(left, 0.01))


def loss_of(network: nn.Module, dual: autodual.DualNetwork, x: Tensor, y: Tensor, radius: float) -> Tensor:
    """The robust loss; at radius 0 the equal but much cheaper cross-entropy."""
    if radius == 0:
        return functional.cross_entropy(network(x), y)
    return autodual.robust_loss(dual, x, y, autodual.LinfBall(radius))


def errors(network: nn.Module, dual: autodual.DualNetwork, x: Tensor, y: Tensor, eps: float) -> tuple[float, float]:
    """Clean and certified error at eps, as fractions, by the bound that is trained on."""
    with torch.no_grad():
        clean = (network(x).argmax(1) != y).float().mean()
        margins = dual.margins(x, y, autodual.LinfBall(eps)).scatter(1, y[:, None], float("inf"))
    return float(clean), float((margins.amin(1) <= 0).float().mean())


def train(network: nn.Module, x: Tensor, y: Tensor, schedule: Schedule, batch_size: int, seed: int) -> None:
    """Train in place on all images except the last `HELD_OUT`, on which progress is measured."""
    held, y_held, x, y = x[-HELD_OUT:], y[-HELD_OUT:], x[:-HELD_OUT], y[:-HELD_OUT]
    dual = autodual.compile_dual(network, example_input=x[:1])
    optimiser = torch.optim.Adam(network.parameters())
    generator = torch.Generator().manual_seed(seed)
    order, seen, start, report = torch.empty(0, dtype=torch.long), 0, time.monotonic(), IMAGES_BETWEEN_REPORTS
    while seen < schedule.total:
        if len(order) < batch_size:
            order = torch.cat([order, torch.randperm(len(x), generator=generator)])
        batch, order = order[:batch_size], order[batch_size:]
        for group in optimiser.param_groups:
            group["lr"] = schedule.learning_rate(seen)
        radius = schedule.radius(seen)
        loss = loss_of(network, dual, x[batch], y[batch], radius)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen += batch_size
        if seen >= report or seen >= schedule.total:
            report += IMAGES_BETWEEN_REPORTS
            line = f"{seen:6d} images  {time.monotonic() - start:6.0f} s  radius {radius:.4f}  loss {loss.item():.4f}"
            if radius > 0:
                clean, certified = errors(network, dual, held, y_held, schedule.eps)
                line += f"  held out: clean error {clean:.2%}, certified error at {schedule.eps:g} {certified:.2%}"
            click.echo(line)


def save(network: nn.Module, path: Path) -> None:
    """Write the whole network atomically, so that an interrupted run never leaves half a file."""
    temporary = path.with_name(f".{path.name}.tmp")
    torch.save(network.eval(), temporary)
    os.replace(temporary, path)


@click.command()
@click.option("--data-dir", required=True, type=click.Path(exists=True), help="Folder of MNIST's four IDX files.")
@click.option("--output", default="mnist_small.pt", show_default=True, type=click.Path(path_type=Path))
@click.option("--eps", default=0.1, show_default=True, help="Radius of the l-infinity ball, unclipped.")
@click.option("--plain", default=5_000, show_default=True, help="Images of ordinary training first.")
@click.option("--ramp", default=30_000, show_default=True, help="Images while the radius grows.")
@click.option("--full", default=20_000, show_default=True, help="Images at the full radius.")
@click.option("--batch-size", default=20, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=1, show_default=True, help="Processor threads of PyTorch.")
def main(
    data_dir: str, output: Path, eps: float, plain: int, ramp: int, full: int, batch_size: int, seed: int, threads: int
) -> None:
    """Train the network and save it."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    data = load_dataset("mnist:train", data_dir)
    assert data.y is not None
    network = small_network()
    train(network, data.x, data.y, Schedule(eps, plain, ramp, full), batch_size, seed)
    save(network, output)
    click.echo(f"Saved {output}; now: autodual certify {output} --eps {eps:g}")


if __name__ == "__main__":
    main()
