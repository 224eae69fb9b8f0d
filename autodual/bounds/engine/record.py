"""What proves a bound, as data: all that a checker needs beside the network and the set, and nothing that was searched.

A checker walks the bound sites in order. The units of a site are bounded by rows that are pulled through the lines of
the relaxed nodes before it, and a bound of the objective by its own rows. Any number here may be wrong without harm to
a checker that recomputes what it claims: lines must enclose their op over the intervals, t must lie in [0, 1],
multipliers must not be negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.bounds.engine.last_bound import ObjectiveBounds
from autodual.bounds.memory.tensor_tree import mapped, tensors_of
from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.constraints import Multiplied, multiplied
from autodual.bounds.state.slopes import Slopes
from autodual.dual.layer import DualLayer
from autodual.dual.relaxation import LinearRelaxation, RelaxedLayer
from autodual.interval import Interval


@dataclass(frozen=True, eq=False)
class Record:
    """The proof of one call's bounds; tensors are `[B or 1, …]` and detached.

    target: the node whose linear functions are bounded. objective: their coefficients `[B or 1, S, *shape]`.
    intervals: by node, of all that the relaxations read. given, known: the sites whose intervals were not computed, or
    assumed. lines: by relaxed node, the two lines of every unit, for rows that chose no others. layers: by name, the
    relaxed nodes whose rows do not pass between two lines (softmax, products), as the engine's own layers. slopes: the
    lines that rows chose. constraints: with their multipliers. lower, error: the bounds `[B, S]` and their rounding.
    """

    target: str
    objective: Tensor
    intervals: Mapping[str, Interval]
    given: tuple[str, ...]
    known: tuple[str, ...]
    lines: Mapping[str, LinearRelaxation]
    layers: Mapping[str, DualLayer]
    slopes: Slopes
    constraints: tuple[Multiplied, ...]
    lower: Tensor
    error: Tensor | None

    def arrays(self) -> dict[str, object]:
        """All numbers as flat NumPy arrays, with paths for names, as `numpy.savez` takes them.

        Example:
            >>> import autodual, torch
            >>> dual = autodual.compile_dual(torch.nn.ReLU())
            >>> x, ball = torch.tensor([[0.0, 0.5]]), autodual.LinfBall(1.0)
            >>> record = dual(x, ball, torch.ones(1, 2), record=True).record
            >>> sorted(record.arrays())[:3]
            ['intervals/input/lower', 'intervals/input/upper', 'lines/relu/lower_intercept']
        """
        found: dict[str, Tensor] = {"objective": self.objective, "lower": self.lower}
        if self.error is not None:
            found["error"] = self.error
        for name, interval in self.intervals.items():
            found |= {f"intervals/{name}/lower": interval.lower, f"intervals/{name}/upper": interval.upper}
        for name, lines in self.lines.items():
            found |= {f"lines/{name}/lower_intercept": lines.lower_intercept}
            found |= {f"lines/{name}/upper_intercept": lines.upper_intercept}
            for end, slopes in (("lower", lines.lower_slopes), ("upper", lines.upper_slopes)):
                found |= {f"lines/{name}/{end}_slope/{place}": slope for place, slope in enumerate(slopes)}
        for target, chosen in self.slopes.of.items():
            found |= {f"slopes/{target}/{name}": t for name, t in chosen.items()}
        for place, one in enumerate(self.constraints):
            found |= {f"constraints/{place}/{name}": value for name, value in one.named_tensors()}
        return {name: value.cpu().numpy() for name, value in found.items()}


def record_of(state: BoundState, target: str, objective: Tensor, bounds: ObjectiveBounds) -> Record:
    """The record of a computation that is done."""
    lines, layers = {}, {}
    read: set[str] = set()
    for node in state.graph:
        layer = state.layers.get(node.name)
        if layer is None or state.is_affine(node.name):
            continue
        read |= {*node.inputs, node.name}
        if isinstance(layer, RelaxedLayer):
            lines[node.name] = layer.relaxation
        else:
            layers[node.name] = layer
    chosen = {} if bounds.lines is None or not bounds.lines.choices else {target: bounds.lines.choices}
    slopes = Slopes({**state.subproblems.slopes.of, **chosen})
    found = Record(
        target,
        objective,
        {name: state.interval(name) for name in state.graph.by_name if name in read or name in state.regions},
        tuple(state.subproblems.given),
        tuple(state.known),
        lines,
        layers,
        slopes,
        state.constraints if bounds.lines is None else multiplied(state.constraints, bounds.lines.multipliers),
        bounds.lower,
        bounds.error,
    )
    return mapped(found, Tensor.detach)


def joined_records(parts: Sequence[Record]) -> Record:
    """Records of slices of the subproblems as one, in order; what is alike for all of them is held once."""
    trees = [[tensor.detach() for tensor in tensors_of(part)] for part in parts]
    counts = [part.lower.shape[0] for part in parts]
    whole = iter([_joined(same, counts) for same in zip(*trees, strict=True)])
    return mapped(parts[0], lambda _: next(whole))


def _joined(parts: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
    first = parts[0]
    alike = all(part.shape == first.shape and part.shape[:1] == (1,) and torch.equal(part, first) for part in parts)
    if alike and sum(counts) > 1:
        return first
    return torch.cat([part.expand(count, *part.shape[1:]) for part, count in zip(parts, counts)])
