"""The cost of many subproblems of one sample with given intervals, compared with the cost of the last pass alone.

    OMP_NUM_THREADS=1 python benchmarks/subproblems.py [--count 512] [--repeats 9]

All bound sites' intervals are given. For each network and slope policy, CPU milliseconds of `dual.lower_bounds(x, ball,
rows, given=…)`; of its last pass alone, with relaxations already made; their ratio; and of the same call with the
intervals as `known`, so that they are computed again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

import autodual
from autodual.architectures import build_architecture
from autodual.bounds import BoundState, Subproblems, objective_bounds, prepare
from autodual.bounds.rounding.plain_arithmetic import plain_arithmetic
from autodual.interval import Interval
from autodual.network import DualNetwork
from autodual.objective import DenseObjective

BALL = autodual.LinfBall(0.02, (0, 1))


def fully_connected(width: int, depth: int) -> nn.Module:
    """`depth` hidden layers of `width` ReLUs on 28 × 28 pixels."""
    layers: list[nn.Module] = [nn.Flatten()]
    size = 784
    for _ in range(depth):
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, 10))


def parts(dual: DualNetwork, x: Tensor, slopes: str, count: int) -> dict[str, Interval]:
    """Intervals of `count` subproblems: the sample's own, each widened by another small amount."""
    found = dual(x, BALL, slopes=slopes).intervals
    shifts = torch.rand(count, generator=torch.Generator().manual_seed(0)) * 1e-3
    return {
        name: Interval(*(end + sign * shifts.reshape(-1, *[1] * (end.dim() - 1)) for sign, end in ends(interval)))
        for name, interval in found.items()
    }


def ends(interval: Interval) -> tuple[tuple[int, Tensor], tuple[int, Tensor]]:
    """The two ends, each with the sign of its outward direction."""
    return (-1, interval.lower), (1, interval.upper)


def last_pass(dual: DualNetwork, x: Tensor, rows: Tensor, slopes: str, given: dict[str, Interval]) -> Callable:
    """A function that runs only the last pass of the same bounds; all earlier work is done here."""
    compiled = dual.compiled(x)
    plan = compiled.plan
    count = next(iter(given.values())).shape[0]
    owner = torch.zeros(count, dtype=torch.long)
    regions = {plan.graph.inputs[0]: BALL.at(x)}
    options = replace(plan.options, slopes=slopes)
    environment, subproblems = dual.environment(compiled, x), Subproblems(owner, given)
    state = BoundState(plan.graph, plan.rules, plan.bound_sites, environment, regions, options, {}, subproblems)
    prepare(state, plan.graph.outputs)
    objective = DenseObjective(rows)

    def bound() -> None:
        with plain_arithmetic(x.device, False):
            objective_bounds(state, plan.graph.outputs[0], objective)

    bound()
    return bound


def least(calls: dict[str, Callable], repeats: int) -> dict[str, float]:
    """The smallest CPU time of each call in milliseconds; calls are timed in turn."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.process_time()
            call()
            found[name].append(1e3 * (time.process_time() - start))
    return {name: min(times) for name, times in found.items()}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=512, help="subproblems of the one sample")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    networks = {
        "6×100": fully_connected(100, 6),
        "4×1024": fully_connected(1024, 4),
        "MNIST small": build_architecture("small", (1, 28, 28), 10),
    }
    print(f"{'network':12} {'slopes':9} {'rows':>4} {'given':>8} {'last':>8} {'ratio':>6} {'known':>9}")  # noqa: T201
    for name, model in networks.items():
        dual, x = autodual.compile_dual(model.eval(), torch.zeros(1, 1, 28, 28)), torch.rand(1, 1, 28, 28)
        count = options.count if name != "MNIST small" else options.count // 4
        for slopes in ("shared", "adaptive"):
            given = parts(dual, x, slopes, count)
            for size in (1, 9):
                rows, many = torch.randn(size, 10), x.expand(count, *x.shape[1:])
                calls: dict[str, Callable] = {
                    "given": lambda: dual.lower_bounds(x, BALL, rows, slopes=slopes, given=given),  # noqa: B023
                    "last": last_pass(dual, x, rows, slopes, given),
                }
                times = least(calls, options.repeats)
                once = {"known": lambda: dual.lower_bounds(many, BALL, rows, slopes=slopes, known=given)}  # noqa: B023
                times |= least(once, 1) if name == "6×100" else {"known": float("nan")}
                ratio = times["given"] / times["last"]
                print(  # noqa: T201
                    f"{name:12} {slopes:9} {size:4} {times['given']:8.1f} {times['last']:8.1f} {ratio:6.2f} "
                    f"{times['known']:9.1f}"
                )


if __name__ == "__main__":
    main()
