"""An interval training step of a seven-layer convolutional network with batch norm, beside one written by hand.

    OMP_NUM_THREADS=1 python benchmarks/batch_norm_steps.py [--batch 16 64] [--size 32] [--repeats 5]

Process-CPU time of one thread, float32, random weights and images, batch norm in evaluation mode, the default memory
budget; medians of ratios of runs in turn. They should be at most 1.05.
"""

from __future__ import annotations

import argparse
import statistics
from functools import partial

import torch
from measure import save, say
from torch import nn
from training_steps import interval_by_hand, step

import autodual
from autodual.train.losses import IntervalBound

RADIUS = 0.01


def network(size: int) -> nn.Sequential:
    """Five convolutions and two linear layers, for images of 3 × size × size."""
    layers: list[nn.Module] = []
    channels = 3
    for wider, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (128, 1)):
        layers += [nn.Conv2d(channels, wider, 3, stride, 1), nn.BatchNorm2d(wider), nn.ReLU()]
        channels = wider
    layers += [nn.Flatten(), nn.Linear(channels * size * size // 4, 512), nn.BatchNorm1d(512), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(512, 10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, ball, loss = network(options.size), autodual.LinfBall(RADIUS), IntervalBound()
    ratios = {}
    for batch in options.batch:
        x, labels = torch.rand(batch, 3, options.size, options.size), torch.arange(batch) % 10
        with torch.no_grad():
            model.train()(x)
        dual = autodual.compile_dual(model.eval(), x[:1])
        works = (
            partial(loss, dual, x, labels, ball),
            partial(interval_by_hand, model, x, labels, torch.full_like(x[:1], RADIUS)),
        )
        torch.testing.assert_close(works[0](), works[1](), rtol=1e-4, atol=1e-4)
        for work in works:
            step(model, work)
        pairs = [[step(model, work) for work in works] for _ in range(options.repeats)]
        ours, theirs = (statistics.median(column) for column in zip(*pairs))
        ratios[str(batch)] = statistics.median(one / other for one, other in pairs)
        say(f"batch {batch}: {ours:.2f} s, by hand {theirs:.2f} s, ratio {ratios[str(batch)]:.3f}")
    save("batch_norm_steps", {"size": options.size, "ratios": ratios})


if __name__ == "__main__":
    main()
