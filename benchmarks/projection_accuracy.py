"""Accuracy of random projections: widths, gradients and certificates compared with exact ones, tails with bounds.

    python benchmarks/projection_accuracy.py errors gradients tails certificates [--model FILE] [--images 200]

errors: relative errors of estimated widths of hidden units (the thesis' Figure 3.19), against the number of columns,
of the trained network, and of the same network with random weights.
gradients: cosine of the robust loss's gradient with the exact one. tails: how often an estimate of k = 20 rows is
too small, compared with the bound exp(-k r), and how often a certificate of a small network fails, compared with δ.
certificates: certified error at δ = 0.01 beside the exact one. Results go to docs/results/; benchmarks/plots.py draws
them.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path
from typing import Any

import torch
from measure import EXAMPLE, save, say
from torch import Tensor, nn

import autodual
from autodual.bounds import BoundState, Projections, prepare
from autodual.bounds.columns.push import push_bounds
from autodual.data import load_dataset
from autodual.estimators import CauchyGeometricMean, Stream
from autodual.passes import HighProbability, Pass, RandomProjection, default_pipeline
from autodual.policies import Projection

BALL = autodual.LinfBall(0.1)
COLUMNS = (5, 10, 20, 50, 100, 200, 500)


def compiled(model: nn.Module, x: Tensor, *passes: Pass) -> autodual.DualNetwork:
    return autodual.compile_dual(model, x, passes=[*default_pipeline(), *passes])


def state_of(dual: autodual.DualNetwork, x: Tensor, ball: Any, projection: Projection | None, seed: int) -> BoundState:
    """The state of one bound computation, with every unit of every site bounded."""
    built = dual.compiled(x)
    plan, graph = built.plan, built.plan.graph
    regions = {graph.inputs[0]: ball.at(x)}
    state = BoundState(graph, plan.rules, plan.bound_sites, dual.environment(built, x), regions, plan.options)
    if projection is not None:
        state.memories.keep(Projections(state, projection, Stream(("benchmark", seed)), 0))
    prepare(state, [graph.outputs[0]])
    return state


def errors(model: nn.Module, x: Tensor) -> dict[str, Any]:
    """Relative errors of estimated widths at the second site, with exact bounds of the layers before it."""
    dual = autodual.compile_dual(model, x)
    exact = state_of(dual, x, BALL, None, 0)
    found: dict[str, Any] = {"histograms": {}, "rms": {}}
    site = dual.plan.sites[1]
    width = push_bounds(exact, site).radius
    every_unit = torch.ones_like(width, dtype=torch.bool)
    for columns in COLUMNS:
        relative = []
        for seed in range(5):
            projections = Projections(exact, Projection(columns), Stream(("errors", columns, seed)), 0)
            relative.append((projections.interval(site, every_unit).radius / width - 1).flatten())
        every = torch.cat(relative)
        found["rms"][columns] = float(every.square().mean().sqrt())
        if columns in (10, 50, 100):
            counts = torch.histc(every.clamp(-1, 2).float(), 60, -1, 2)
            found["histograms"][columns] = {"from": -1, "to": 2, "counts": counts.int().tolist()}
        say("errors", columns, found["rms"][columns], "mean", float(every.mean()))
    return found


def with_random_weights(model: nn.Module) -> nn.Module:
    """A copy with the weights that PyTorch initialises layers with."""
    found = copy.deepcopy(model)
    for module in found.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.reset_parameters()
    return found


def gradients(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
    """Cosines between exact and estimated gradients of the robust loss on a batch of 10, for twelve seeds."""

    def gradient(dual: autodual.DualNetwork) -> Tensor:
        model.zero_grad()
        autodual.robust_loss(dual, x, y, BALL).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    exact = gradient(autodual.compile_dual(model, x))
    found: dict[str, Any] = {}
    for columns in (5, 10, 20, 50, 100, 200):
        cosines = []
        for seed in range(12):
            other = gradient(compiled(model, x, RandomProjection(columns, seed=seed)))
            cosines.append(float(torch.cosine_similarity(exact, other, dim=0)))
        found[str(columns)] = sorted(cosines)
        say("gradients", columns, found[str(columns)][6])
    return {"cosines": found}


def tails() -> dict[str, Any]:
    """Failures of one estimate of 20 rows in four million trials, and of whole certificates in 3,000 seeds per δ."""
    rows, generator = 20, torch.Generator().manual_seed(0)
    logs = [
        torch.empty(rows, 500_000, dtype=torch.float64).cauchy_(generator=generator).abs().log().mean(0)
        for _ in range(8)
    ]
    means = torch.cat(logs).exp()
    failures = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5]
    estimator = CauchyGeometricMean(rows)
    seen = [float((means * estimator.inflation(failure) < 1).double().mean()) for failure in failures]
    say("tails", list(zip(failures, seen)))
    return {"estimate": {"rows": rows, "bound": failures, "seen": seen}, "certificate": certificate_failures()}


def certificate_failures() -> dict[str, Any]:
    torch.manual_seed(0)
    layers = (nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU())
    model = nn.Sequential(*layers, nn.Linear(12, 3)).double()
    x, trials = torch.rand(1, 6, dtype=torch.float64), 3000
    dual, ball = autodual.compile_dual(model, x), autodual.LinfBall(0.15)
    deltas, rates = [0.9, 0.5, 0.2, 0.1], []
    for delta in deltas:
        failed = 0
        for seed in range(trials):
            state = state_of(dual, x, ball, Projection(20, delta=delta), seed)
            failed += any(_narrower(state, site) for site in dual.plan.sites[1:])
        rates.append(failed / trials)
        say("certificate", delta, rates[-1])
    return {"delta": deltas, "seen": rates, "trials": trials, "estimates": 24}


def _narrower(state: BoundState, site: str) -> bool:
    exact, found = push_bounds(state, site), state.intervals[site]
    return bool((found.lower > exact.lower + 1e-12).any() | (found.upper < exact.upper - 1e-12).any())


def certificates(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:
    """Certified errors of exact bounds, and at δ = 0.01 by number of rows, with and without `prefer_exact`."""
    found: list[dict[str, Any]] = []

    def certify(name: str, dual: autodual.DualNetwork) -> None:
        start = time.process_time()
        outcome = [
            certificate
            for first in range(0, len(x), 10)
            for certificate in autodual.certify(
                dual, x[first : first + 10], BALL, y[first : first + 10], slopes="shared"
            )
        ]
        proved = sum(str(certificate.status) in ("certified", "probably certified") for certificate in outcome)
        estimated = sum(certificate.failure_probability > 0 for certificate in outcome)
        clean = sum(str(certificate.status) == "misclassified" for certificate in outcome)
        record = {
            "bound": name,
            "clean_error": clean / len(x),
            "certified_error": 1 - proved / len(x),
            "estimated": estimated,
            "mean_margin": sum(certificate.margin for certificate in outcome) / len(outcome),
            "seconds_an_image": (time.process_time() - start) / len(x),
        }
        found.append(record)
        say(record)

    certify("exact", autodual.compile_dual(model, x[:1]))
    for rows in (50, 200, 1000, 2000):
        for prefer in (False, True):
            if prefer and rows < 2000:
                continue
            step = HighProbability(0.01, rows, prefer_exact=prefer)
            certify(f"{rows} rows{', exact where cheaper' if prefer else ''}", compiled(model, x[:1], step))
    return {"images": len(x), "delta": 0.01, "bounds": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["errors", "gradients", "tails", "certificates"])
    parser.add_argument("--model", type=Path, default=EXAMPLE, help="an MNIST network (default: the example)")
    parser.add_argument("--images", type=int, default=200, help="images that are certified")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    loaded = autodual.load_model(options.model)
    model = getattr(loaded, "module", loaded)
    data = load_dataset("sample")
    x, y = data.x.float(), data.y
    for what in options.what:
        if what == "errors":
            with torch.no_grad():
                found = errors(model.double(), x[:10].double())
                found["random"] = errors(with_random_weights(model), x[:10].double())
            model.float()
        elif what == "gradients":
            found = gradients(model, x[:10], y[:10])
        elif what == "tails":
            with torch.no_grad():
                found = tails()
        else:
            found = certificates(model, x[: options.images], y[: options.images])
        save(f"projection_{what}", {"model": options.model.name, **found})


if __name__ == "__main__":
    main()
