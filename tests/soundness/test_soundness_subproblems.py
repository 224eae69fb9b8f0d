"""Bounds of subproblems: no point that satisfies the given intervals and constraints falls below the bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import node_values
from support.programs import NetworkProgram
from support.random_networks import RandomNetwork, networks
from support.random_sets import Subject, subjects
from torch import Tensor, nn

import autodual
from autodual import Constraint, LinfBall, Split
from autodual.interval import Interval
from autodual.network import DualNetwork

#: Allowed for rounding in float64, relative to the values compared.
ROUNDING = 1e-9
WAYS: tuple[dict[str, Any], ...] = (
    {"slopes": "shared"},
    {"slopes": "adaptive"},
    {"slopes": "optimized"},
    {"slopes": "adaptive", "rigorous": True},
    {"slopes": "adaptive", "balls": True, "rigorous": True},
    {"slopes": "shared", "inner": "interval"},
    {"inner": "interval", "last": "interval"},
)


class Parts:
    """Random subproblems of random samples; each contains a few known points of its sample's set.

    The given intervals contain the values at these points, and the constraints hold at them, some with equality.
    """

    def __init__(self, dual: DualNetwork, subject: Subject, seed: int, count: int = 5, points: int = 3):
        self.generator = torch.Generator().manual_seed(seed)
        self.dual, self.x, self.count = dual, subject.x, count
        region = subject.ball.at(subject.x)
        drawn = torch.cat([region.sample(6, self.generator), region.corners(6, self.generator)])
        self.owner = torch.randint(len(subject.x), (count,), generator=self.generator)
        which = torch.randint(len(drawn), (points, count), generator=self.generator)
        self.points = drawn[which, self.owner.expand(points, count)]
        values = node_values(dual, self.points.flatten(0, 1))
        self.values = {
            name: value.expand(points * count, *value.shape[1:]).reshape(points, count, *value.shape[1:])
            for name, value in values.items()  # constants have one value for all points
        }
        self.plan = dual.compiled(subject.x).plan

    def random(self, *shape: int) -> Tensor:
        """Uniform numbers, some of them zero."""
        found = torch.rand(shape, generator=self.generator, dtype=self.x.dtype)
        return found * (torch.rand(shape, generator=self.generator) < 0.7)

    def interval(self, name: str) -> Interval:
        """An interval around the points' values at a node; it is tight at some units."""
        lower, upper = self.values[name].amin(0), self.values[name].amax(0)
        return Interval(lower - self.random(*lower.shape), upper + self.random(*upper.shape))

    def given(self, share: float) -> dict[str, Interval]:
        names = [*self.plan.graph.inputs, *self.plan.sites]
        return {name: self.interval(name) for name in names if self.random(1).item() < share}

    def constraint(self, rows: int) -> Constraint:
        """A random constraint on random nodes, with multipliers also for the units of all later sites."""
        graph = self.plan.graph
        names = [name for name in graph.by_name if self.random(1).item() > 0.6] or [graph.outputs[0]]
        coefficients = {name: self.random(self.count, 2, *graph[name].shape) - 0.4 for name in names}
        kept = sum(
            torch.einsum("bcf,pbf->pbc", row.flatten(2), self.values[name].flatten(2))
            if graph[name].shape
            else row * self.values[name].unsqueeze(2)
            for name, row in coefficients.items()
        )
        assert isinstance(kept, Tensor)
        last = max(graph.positions[name] for name in names)
        sites = [site.name for site in self.plan.bound_sites if graph.positions[site.name] >= last]
        units = {name: self.unit_multipliers(name, (2,)) for name in sites}
        return Constraint(
            rows=coefficients,
            bound=kept.amin(0) - self.random(self.count, 2),
            multiplier=3 * self.random(self.count, rows, 2),
            unit_multipliers=units,
        )

    def unit_multipliers(self, site: str, of: tuple[int, ...]) -> Tensor:
        if self.random(1).item() < 0.3:
            return self.random(1, *of)
        return self.random(self.count, 2, self.plan.graph[site].size, *of)

    def split(self, site: str, rows: int) -> Split:
        """Splits each unit to the side of all points' values; units with values on both sides are not split."""
        values, shape = self.values[site], self.plan.graph[site].shape
        point = values[0] + self.random(self.count, *shape) - 0.5
        sign = (values >= point).all(0).to(values.dtype) - (values <= point).all(0).to(values.dtype)
        multiplier = self.random(self.count, rows, *shape)
        return Split(node=site, sign=sign, point=point, multiplier=multiplier)

    def reached(self, objective: Tensor) -> Tensor:
        """The minimum of the objective over the points, `[B, S]`."""
        return (self.values[self.plan.graph.outputs[0]] @ objective.T).amin(0)


def _below(found: Tensor, reached: Tensor) -> None:
    slack = ROUNDING * (1 + found.abs() + reached.abs())
    assert not bool((found > reached + slack).any()), float((found - reached).max())


@pytest.mark.parametrize("way", WAYS, ids=lambda way: ", ".join(map(str, way.values())))
@effort(25)
@given(st.data(), networks(most_layers=5, kind="any"), st.integers(0, 2**16))
def test_no_point_of_a_part_falls_below_its_bound(
    way: Mapping[str, Any], data: st.DataObject, model: RandomNetwork, seed: int
) -> None:
    subject: Subject = data.draw(subjects(model.shape))
    dual = model.dual()
    parts = Parts(dual, subject, seed)
    objective = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed)).double()
    given = parts.given(data.draw(st.sampled_from([0.0, 0.5, 1.0])))
    constraints: list[Any] = [parts.constraint(2) for _ in range(data.draw(st.integers(0, 2)))]
    constraints += [parts.split(name, 2) for name in parts.plan.sites[: data.draw(st.integers(0, 2))]]
    found = dual(
        subject.x, subject.ball, objective, given=given, constraints=constraints, owner=parts.owner, sites=True, **way
    )
    assert not found.infeasible.any()
    # Given intervals may leave the domain of a logarithm or a root, and then the bound is NaN.
    assert "partial" in model.layers or not found.lower.isnan().any()
    _below(found.lower, parts.reached(objective))
    for name, interval in found.intervals.items():
        _below(interval.lower, parts.values[name].amin(0))
        _below(-interval.upper, -parts.values[name].amax(0))


@effort(30)
@given(st.integers(0, 2**16), st.sampled_from([1.0, 1e3, 1e6]))
def test_the_rounding_error_of_float32_multipliers_is_covered(seed: int, size: float) -> None:
    """An affine network has no relaxation, so float64 computes the same bound almost exactly."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    torch.manual_seed(seed)
    dual = autodual.compile_dual(nn.Sequential(nn.Linear(6, 9), nn.Unflatten(1, (3, 3)), nn.Flatten(), nn.Linear(9, 4)))
    x, ball, objective = normal(2, 6), LinfBall(0.25), normal(5, 2, 4)
    graph = dual.compiled(x).plan.graph
    inner, first, last = graph.nodes[1].name, graph.inputs[0], graph.outputs[0]
    rows = {first: normal(5, 3, 6), inner: normal(5, 3, 9), last: normal(5, 3, 4)}
    constraints = [
        Constraint(rows=rows, bound=normal(5, 3), multiplier=size * normal(5, 2, 3).abs()),
        Split(node=inner, sign=normal(5, 9).sign(), point=normal(5, 9), multiplier=size * normal(5, 9).abs()),
    ]
    owner = torch.tensor([0, 1, 1, 0, 1])
    found = dual(x, ball, objective, constraints=constraints, owner=owner, rigorous=True)
    same = [one.mapped(Tensor.double) for one in constraints]
    exact = dual(x.double(), ball, objective.double(), constraints=same, owner=owner).lower
    assert found.objective is not None and found.objective.error is not None
    assert bool((found.lower.double() <= exact).all())
    assert bool((found.lower.double() + 4 * found.objective.error.double() >= exact).all())


def _small() -> tuple[DualNetwork, Tensor]:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2)).double()
    x = torch.rand(1, 3).double()
    return autodual.compile_dual(model, x), x


def _program(dual: DualNetwork, x: Tensor, ball: LinfBall) -> NetworkProgram:
    program, region = NetworkProgram(dual, x), ball.at(x).enclosure()
    program.within_box(region.lower[0], region.upper[0])
    return program


def _branches(dual: DualNetwork, x: Tensor, ball: LinfBall, count: int) -> tuple[dict[str, Interval], list[Tensor]]:
    """Intervals after random splits of ReLUs, to be given, and the signs of the splits `[B, units]` by site."""
    generator = torch.Generator().manual_seed(2)
    given, signs = {}, []
    for name, interval in dual.bounds(x, ball, slopes="adaptive").items():
        interval = interval.map(lambda end: end.detach().expand(count, -1))
        undecided = (interval.lower < 0) & (interval.upper > 0)
        sign = torch.randint(-1, 2, interval.shape, generator=generator) * undecided
        sign = sign * (torch.rand(sign.shape, generator=generator) < 0.4)
        lower = torch.where(sign > 0, 0.0, interval.lower)
        given[name] = Interval(lower, torch.where(sign < 0, 0.0, interval.upper))
        signs.append(sign.double())
    return given, signs


def test_multipliers_of_splits_raise_bounds_towards_the_minimum_and_not_above() -> None:
    """Gradient ascent in β, compared with the minimum over each branch by a MILP."""
    (dual, x), ball, count = _small(), LinfBall(0.6), 24
    given, signs = _branches(dual, x, ball, count)
    objective = torch.tensor([[1.0, -1.0]], dtype=x.dtype)
    betas = [torch.zeros(count, 1, sign.shape[1], dtype=x.dtype, requires_grad=True) for sign in signs]
    climb, best = torch.optim.Adam(betas, lr=0.05), []
    for _ in range(80):
        splits = [
            Split(node=name, sign=sign, point=torch.zeros_like(sign), multiplier=beta.clamp(min=0))
            for name, sign, beta in zip(given, signs, betas)
        ]
        lower = dual.lower_bounds(x, ball, objective, slopes="adaptive", given=given, constraints=splits)
        best.append(lower.detach())
        climb.zero_grad()
        (-lower.sum()).backward()
        climb.step()
    found, plain = torch.stack(best).amax(0)[:, 0], best[0][:, 0]
    minima = torch.tensor([_minimum(dual, x, ball, [sign[i] for sign in signs], objective) for i in range(count)])
    feasible = minima < torch.inf
    assert int(feasible.sum()) > 6
    assert bool((found[feasible] <= minima[feasible] + 1e-6).all())
    assert int((found > plain + 1e-4).sum()) > count // 2
    gap = (minima - plain)[feasible].sum()
    assert float((minima - found)[feasible].sum()) < 0.7 * float(gap)


def _minimum(dual: DualNetwork, x: Tensor, ball: LinfBall, signs: list[Tensor], objective: Tensor) -> float:
    """The minimum over a branch; infinite if the branch is empty."""
    program = _program(dual, x, ball)
    program.exactly()
    for name, sign in zip(dual.plan.sites, signs):
        for unit in sign.nonzero()[:, 0].tolist():
            row = np.zeros(len(sign))
            row[unit] = float(sign[unit])
            program.at_least({name: row}, 0.0)
    try:
        return program.minimum(program.output, objective[0].numpy()).value
    except AssertionError:
        return float("inf")


def test_a_constraint_on_inputs_is_used_exactly_in_an_affine_network() -> None:
    """Over a box and a half-space, the best β attains the value of the linear program."""
    torch.manual_seed(3)
    x, ball = torch.rand(1, 4).double(), LinfBall(0.5)
    dual = autodual.compile_dual(nn.Linear(4, 1).double(), x)
    row, bound = torch.randn(1, 1, 4).double(), torch.tensor([[0.3]]).double()
    program = _program(dual, x, ball)
    program.at_least({"input": row[0, 0].numpy()}, 0.3)
    minimum = program.minimum(program.output, np.ones(1)).value
    betas = torch.linspace(0, 4, 4001, dtype=torch.float64).reshape(-1, 1)
    one = Constraint(rows={"input": row}, bound=bound, multiplier=betas)
    lower = dual.lower_bounds(x, ball, torch.ones(1, 1).double(), constraints=[one])
    assert lower.shape == (4001, 1)
    assert minimum - 1e-3 < float(lower.detach().max()) <= minimum + 1e-9
    assert float(lower.detach().max()) > float(lower.detach()[0]) + 1e-2


def test_an_assumed_violation_tightens_inner_bounds_soundly() -> None:
    """A constraint on the output tightens bounds of an inner site, though the output comes after that site."""
    (dual, x), ball = _small(), LinfBall(0.6)
    output, (first, second) = dual.plan.graph.outputs[0], dual.plan.sites
    row = torch.tensor([[[-1.0, 1.0]]], dtype=x.dtype)  # f_1 - f_0 at least the bound
    points = x + 0.6 * (2 * torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)).double() - 1)
    values = node_values(dual, points)
    difference = values[output] @ row[0, 0]
    bound = difference.quantile(0.8).reshape(1, 1)
    plain = {name: found.map(Tensor.detach) for name, found in dual.bounds(x, ball, slopes="adaptive").items()}
    betas = torch.tensor([0.0, 0.1, 0.3, 1.0], dtype=x.dtype).reshape(4, 1)
    with pytest.raises(autodual.AutodualError, match=f"at='{first}'"):
        dual.bounds(x, ball, constraints=[Constraint(rows={output: row}, bound=bound, unit_multipliers={first: betas})])
    assumed = Constraint(rows={output: row}, bound=bound, multiplier=betas)
    ask = autodual.Ask(slopes="adaptive", given=plain, constraints=[assumed], at=first)
    identity = torch.eye(8, dtype=x.dtype)
    lower = dual.lower_bounds(x, ball, identity, ask=ask).detach()
    upper = dual.upper_bounds(x, ball, identity, ask=ask).detach()
    kept = difference >= bound[0]
    assert bool((lower.amax(0) > plain[first].lower[0] + 1e-6).any()) and bool(kept.any())
    assert bool((values[first][kept].amin(0) >= lower.amax(0) - 1e-9).all())
    assert bool((values[first][kept].amax(0) <= upper.amin(0) + 1e-9).all())
    assert second in plain
