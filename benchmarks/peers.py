"""Time of the same bounds in other libraries, if installed: same model and images, in one run, as ratios.

    python benchmarks/peers.py [--model FILE] [--batch 10] [--repeats 5]

One thread, float32, l∞ 0.1 unclipped, shared slopes u/(u - l). Figures are in C per image; the ratio is ours over
theirs. Runs alternate, since the speed of a machine changes over time. Peers: convex_adversarial (the thesis' code) and
auto_LiRPA; peers that are not installed, or do not run, are listed as absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from measure import calibration, mnist, mnist_options, save, say, seconds
from torch import Tensor, nn

import autodual
from autodual.passes import RandomProjection, default_pipeline

RADIUS = 0.1
Work = Callable[[], object]


def ours(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Work]:
    """autodual, by kind of work."""

    ball = autodual.LinfBall(RADIUS)

    def step(dual: autodual.DualNetwork) -> Work:
        def run() -> None:
            model.zero_grad()
            autodual.robust_loss(dual, x, y, ball).backward()

        return run

    def projected(columns: int) -> Work:
        passes = [*default_pipeline(), RandomProjection(columns, seed=0)]
        return step(autodual.compile_dual(model, x, passes=passes))

    exact = autodual.compile_dual(model, x)

    def bound() -> None:
        with torch.no_grad():
            exact.margins(x, y, ball)

    return {
        "training step, exact": step(exact),
        "training step, 10 projections": projected(10),
        "training step, 50 projections": projected(50),
        "margins": bound,
    }


def published(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Work]:
    """The thesis' code, by kind of work."""
    from convex_adversarial import robust_loss

    def step(**options: Any) -> Work:
        def run() -> None:
            model.zero_grad()
            robust_loss(model, RADIUS, x, y, **options)[0].backward()

        return run

    def bound() -> None:
        with torch.no_grad():
            robust_loss(model, RADIUS, x, y)

    return {
        "training step, exact": step(),
        "training step, 10 projections": step(proj=10, norm_type="l1_median"),
        "training step, 50 projections": step(proj=50, norm_type="l1_median"),
        "margins": bound,
    }


def lirpa(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Work]:
    """auto_LiRPA's backward bounds, with the thesis' shared slopes."""
    from auto_LiRPA import BoundedModule, BoundedTensor
    from auto_LiRPA.perturbations import PerturbationLpNorm

    bounded = BoundedModule(model, torch.zeros_like(x), bound_opts={"activation_bound_option": "same-slope"})
    classes = model(x).shape[1]
    identity = torch.eye(classes)
    objective = identity[y].unsqueeze(1) - identity.unsqueeze(0)

    def lower() -> Tensor:
        perturbed = BoundedTensor(x, PerturbationLpNorm(norm=float("inf"), eps=RADIUS))
        return bounded.compute_bounds(x=(perturbed,), C=objective, method="backward", bound_upper=False)[0]

    def step() -> None:
        model.zero_grad()
        torch.nn.functional.cross_entropy(-lower(), y).backward()

    def bound() -> None:
        with torch.no_grad():
            lower()

    return {"training step, exact": step, "margins": bound}


def main() -> None:
    options = mnist_options(__doc__, repeats=5)
    model, x, y = mnist(options)
    mine, rows, absent = ours(model, x, y), [], {}
    for name, peer in (("convex_adversarial", published), ("auto_LiRPA", lirpa)):
        try:
            theirs = peer(model, x, y)
            for work in theirs.values():
                work()
        except Exception as error:  # a peer may fail in any way
            absent[name] = f"{type(error).__name__}: {error}"[:200]
            say(name, "did not run:", absent[name])
            continue
        for what, work in theirs.items():
            unit, ratios, figures = seconds(calibration, 5), [], []
            for _ in range(3):
                both = [seconds(one, options.repeats) for one in (mine[what], work)]
                ratios.append(both[0] / both[1])
                figures.append([spent / unit / options.batch for spent in both])
            ratio = sorted(ratios)[1]
            own, other = (min(figure[place] for figure in figures) for place in (0, 1))
            record = {
                "peer": name,
                "work": what,
                "ours": own,
                "theirs": other,
                "ratio": ratio,
                "ratios": sorted(ratios),
            }
            rows.append(record)
            say(record)
    save("peers", {"batch": options.batch, "model": options.model.name, "rows": rows, "absent": absent})


if __name__ == "__main__":
    main()
