"""Whole sets: no search begins with looser bounds than the network's own, whatever the ops."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.random_networks import RandomNetwork, networks
from torch import Tensor

from autodual.perturbations import LinfBall
from autodual.search import PartBounds
from autodual.search.whole_sets import bound_wholes
from tests.support.searches import single_rows

ROWS = torch.tensor([[1.0, 0, 0], [-1, 0, 1], [0.5, -2, 1]]).double()


@effort(8)
@given(st.data(), networks(kind="any", most_layers=4))
def test_no_search_begins_looser_than_the_plain_bound(data: st.DataObject, network: RandomNetwork) -> None:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    x = torch.randn(1, *network.shape, generator=generator, dtype=torch.float64)
    ball, dual = LinfBall(data.draw(st.sampled_from([0.02, 0.2, 1.0]))), network.dual()
    bounds = PartBounds(dual, {torch.float64: ball.at(x)}, single_rows(ROWS, torch.zeros(3)))
    found = bound_wholes(bounds, bounds.roots(), torch.float64, steps=0).parts
    plain: Tensor = dual.lower_bounds(x, ball, ROWS, slopes="adaptive", rigorous=True)[0]
    slack = 1e-9 * (1 + plain.abs())
    assert bool(((found.bound >= plain - slack) | ~plain.isfinite()).all())
    points = ball.at(x).sample(200).flatten(0, 1)
    values = bounds.plan.graph.evaluate([points], bounds.environments[torch.float64])
    for name, interval in found.intervals.items():
        inside = (values[name] >= interval.lower[:1]) & (values[name] <= interval.upper[:1])
        assert bool(inside.all()), name
    reached = values[bounds.plan.graph.outputs[0]] @ ROWS.T
    assert bool((reached.amin(0) >= found.bound).all())
