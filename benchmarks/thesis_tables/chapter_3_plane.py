"""Chapter 3's experiments with points of the plane, whose pictures are told in numbers here."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import autodual
from autodual.network import DualNetwork
from autodual.train import uncertified
from thesis_tables.size import Size
from thesis_tables.table import Experiment, Row, Table, Values, by_row

_POINTS, _RADIUS, _STEPS = 12, 0.08, 1000
_DIRECTIONS, _GRID = 128, 101


def points(count: int = _POINTS, distance: float = 2 * _RADIUS) -> tuple[Tensor, Tensor]:
    """Random points of the unit square, any two at least `distance` apart in l∞, with random classes."""
    found = torch.empty(0, 2)
    while len(found) < count:
        one = torch.rand(1, 2)
        if bool(((found - one).abs().amax(1) >= distance).all()):
            found = torch.cat([found, one])
    return found, torch.randint(0, 2, (count,))


def network(widths: tuple[int, ...], *, normal: bool = False) -> nn.Sequential:
    """Linear layers with ReLUs in between. normal: weights from N(0, 1/√n), biases from N(0, 1), as in Figure 3.4."""
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        linear = nn.Linear(narrow, wide)
        if normal:
            nn.init.normal_(linear.weight, std=narrow**-0.5)
            nn.init.normal_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train(model: nn.Module, x: Tensor, y: Tensor, steps: int, *, robust: bool) -> DualNetwork:
    """Adam at 0.001 on all points at once; the dual network."""
    dual, ball = autodual.compile_dual(model, x[:1]), autodual.LinfBall(_RADIUS)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = autodual.robust_loss(dual, x, y, ball) if robust else functional.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
    return dual


def steps_of(size: Size) -> int:
    """Steps of a training in the plane; the thesis does not print them. `size.epochs` hundreds, 0 for a thousand."""
    return 100 * size.epochs or _STEPS


def figure_3_3(row: Row, size: Size) -> Values:
    """Boxes that are certified, over seeds."""
    found, wrong = [], 0
    for seed in range(size.seeds):
        torch.manual_seed(seed)
        x, y = points()
        model = network((2, 100, 100, 100, 100, 2))
        dual = train(model, x, y, steps_of(size), robust=row["robust"])
        found.append(int((~uncertified([dual], x, y, autodual.LinfBall(_RADIUS))).sum()))
        wrong += int((model(x).argmax(1) != y).sum())
    return {"boxes": _POINTS, "certified": sum(found) / len(found), "misclassified": wrong / len(found)}


def figure_3_4(row: Row, size: Size) -> Values:
    """What a random network's outputs are over a box, beside the dual bounds and the layerwise ones (Section 3.2.3)."""
    lines = []
    for seed in range(max(size.seeds, 3)):
        torch.manual_seed(seed)
        dual = autodual.compile_dual(network((2, 100, 100, 100, 2), normal=True).double())
        lines.append(_outputs_over(dual, torch.rand(1, 2, dtype=torch.float64), row["eps"]))
    return {name: sum(line[name] for line in lines) / len(lines) for name in lines[0]}


def figure_3_5(row: Row, size: Size) -> Values:
    """The same after robust training, over the box of the first point."""
    torch.manual_seed(0)
    x, y = points()
    model = network((2, 100, 100, 100, 100, 2))
    dual = train(model, x, y, steps_of(size), robust=row["robust"])
    return _outputs_over(autodual.compile_dual(copy.deepcopy(dual.model).double()), x[:1].double(), row["eps"])


@torch.no_grad()
def _outputs_over(dual: DualNetwork, x: Tensor, eps: float) -> dict[str, Any]:
    """Widths of both outputs, and the ratio of areas that supporting lines in 128 directions enclose."""
    sides = torch.linspace(-eps, eps, _GRID, dtype=x.dtype)
    reached = dual.outputs(x + torch.cartesian_prod(sides, sides))
    angles = 2 * math.pi * torch.arange(_DIRECTIONS, dtype=x.dtype) / _DIRECTIONS
    scale = (reached.amax(0) - reached.amin(0)).clamp_min(1e-12)
    normals = torch.stack([angles.cos(), angles.sin()], 1) / scale
    ball = autodual.LinfBall(eps)
    least = dual.lower_bounds(x, ball, normals, slopes="shared")[0]
    true = (reached @ normals.T).amin(0)
    identity = torch.cat([torch.eye(2, dtype=x.dtype), -torch.eye(2, dtype=x.dtype)])
    widths = {
        "true": scale,
        "dual": _widths(dual.lower_bounds(x, ball, identity, slopes="shared")[0]),
        "layerwise": _widths(dual.lower_bounds(x, ball, identity, inner="interval", last="interval")[0]),
    }
    if not bool((least <= true + 1e-9).all()):
        raise AssertionError("a point of the box leaves the dual bounds")
    found = {f"{name}_width_{output + 1}": float(width[output]) for name, width in widths.items() for output in (0, 1)}
    return {**found, "area_ratio": _area(-least, angles) / _area(-true, angles)}


def _widths(least: Tensor) -> Tensor:
    return -least[2:] - least[:2]


def _area(heights: Tensor, angles: Tensor) -> float:
    """The area of the polygon ∩ {p: -n(angle)·p ≤ height}, from the vertices where neighbouring lines meet.

    For lines that touch a convex set, and for bounds of one, this is the polygon's area where no line is superfluous,
    and otherwise less than it.
    """
    step = 2 * math.pi / len(angles)
    before, after = heights.roll(1), heights.roll(-1)
    lengths = ((before + after) - 2 * heights * math.cos(step)) / math.sin(step)
    return float((heights * lengths).sum() / 2)


def figure_3_17(row: Row, size: Size) -> Values:
    """Boxes that each stage of a cascade certifies, among those that no earlier stage does."""
    torch.manual_seed(0)
    x, y = points()
    ball, left, found = autodual.LinfBall(_RADIUS), torch.arange(_POINTS), {}
    stages: list[DualNetwork] = []
    for stage in (1, 2):
        # As small a network as leaves something to the second stage.
        stages.append(train(network((2, 20, 20, 2)), x[left], y[left], steps_of(size), robust=True))
        kept = left[uncertified([stages[-1]], x[left], y[left], ball)]
        found[f"certified_by_stage_{stage}"] = len(left) - len(kept)
        left = kept
        if len(left) == 0:
            break
    cascade = autodual.certify_cascade(autodual.Cascade(stages), x, ball, y, slopes="shared")
    return {"boxes": _POINTS, **found, "certified_by_cascade": sum(one.certified for one in cascade)}


_OUTPUTS = (
    *("true_width_1", "true_width_2", "dual_width_1", "dual_width_2", "layerwise_width_1", "layerwise_width_2"),
    "area_ratio",
)
#: Of Figure 3.4's top left network, from (3.30) and (3.31).
_PRINTED = {"true_width_1": 0.04, "true_width_2": 0.04, "layerwise_width_1": 25.15, "layerwise_width_2": 27.84}

FIGURES = {
    "figure-3.3": Table(
        "figure-3.3",
        "boxes around twelve points in the plane, standard and robust training",
        "3.2.1",
        ("network", "robust", "eps"),
        ("boxes", "certified", "misclassified"),
        [{"network": "2-100-100-100-100-2", "robust": robust, "eps": _RADIUS} for robust in (False, True)],
    ),
    "figure-3.4": Table(
        "figure-3.4",
        "outputs of random networks over a box, their dual bounds and layerwise bounds, also (3.30) and (3.31)",
        "3.2.2 and 3.2.3",
        ("network", "eps"),
        _OUTPUTS,
        [{"network": "2-100-100-100-2", "eps": eps, **(_PRINTED if eps == 0.05 else {})} for eps in (0.05, 0.1, 0.25)],
    ),
    "figure-3.5": Table(
        "figure-3.5",
        "the same after training",
        "3.2.2",
        ("network", "robust", "eps"),
        _OUTPUTS,
        [{"network": "2-100-100-100-100-2", "robust": robust, "eps": _RADIUS} for robust in (False, True)],
    ),
    "figure-3.17": Table(
        "figure-3.17",
        "a cascade of two stages in the plane; the first of the thesis' certifies three boxes",
        "3.4.7",
        ("network", "eps"),
        ("boxes", "certified_by_stage_1", "certified_by_stage_2", "certified_by_cascade"),
        [{"network": "2-20-20-2", "eps": _RADIUS, "certified_by_stage_1": 3}],
    ),
}

EXPERIMENTS: dict[str, Experiment] = {
    "figure-3.3": by_row(figure_3_3),
    "figure-3.4": by_row(figure_3_4),
    "figure-3.5": by_row(figure_3_5),
    "figure-3.17": by_row(figure_3_17),
}
