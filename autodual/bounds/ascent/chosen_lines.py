"""Lines that are chosen for rows: t of each relaxation's family, as a caller gives it or a search finds it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autodual.bounds.rows.objective_rows import Piece
from autodual.bounds.state.balls import family_of, in_balls
from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.constraints import own
from autodual.dual.family import FamilyLayer, LineFamily
from autodual.dual.relaxation import RelaxedLayer
from autodual.dual.rule import NonlinearRule

#: What can be chosen, by relaxed node.
Families = dict[str, LineFamily]
#: t in [0, 1], by relaxed node: `[G or 1, K or 1, *shape]`.
Choices = dict[str, Tensor]


def families_before(state: BoundState, *names: str) -> Families:
    """What can be chosen at each relaxed node before any of some nodes, where any unit is undecided."""
    found: Families = {}
    before = frozenset().union(*(state.graph.ancestors[name] for name in names))
    for node in state.graph:
        rule = state.rules.get(node.name)
        if node.name not in before or not isinstance(rule, NonlinearRule):
            continue
        bounds = [state.interval(operand) for operand in node.inputs]
        masks = rule.undecided(node.op, bounds, state.environment)
        family = family_of(state, node, bounds)
        if family is not None and any(bool(mask.any()) for mask in ([masks] if isinstance(masks, Tensor) else masks)):
            found[node.name] = family
    return found


def given_choices(state: BoundState, name: str, piece: Piece) -> Choices:
    """What a caller chose for some rows of a node."""
    owner, found = piece.rows.owner, {}
    for node, t in state.subproblems.slopes.for_target(name).items():
        rows = t if t.shape[1] == 1 else t[:, piece.first : piece.last]
        found[node] = own(rows, owner)
    return found


def starts(state: BoundState, families: Families, given: Choices, owner: Tensor | None) -> Choices:
    """Where a search begins, `[G or 1, K or 1, *shape]` by node: at what is given, else at the adaptive relaxation."""
    return {
        name: given[name] if name in given else _each(state, name, family.start, 0.0, owner)
        for name, family in families.items()
    }


def parallel_choices(state: BoundState, families: Families, owner: Tensor | None) -> Choices:
    """The parallel relaxations, `[G or 1, 1, *shape]` by node."""
    return {name: _each(state, name, family.parallel, 1.0, owner) for name, family in families.items()}


def _each(state: BoundState, name: str, t: Tensor | None, otherwise: float, owner: Tensor | None) -> Tensor:
    """A family's t for each group."""
    if t is None:
        environment = state.environment
        shape = (1, 1, *state.graph[name].shape)
        return torch.full((), otherwise, dtype=environment.dtype, device=environment.device).expand(shape)
    return own(t, owner).unsqueeze(1)


def under(state: BoundState, families: Families, choices: Mapping[str, Tensor]) -> BoundState:
    """The state with these lines chosen, whose rounding costs what that of all lines may; itself without any."""
    if not choices:
        return state
    chosen = state.present()
    for name, choice in choices.items():
        if name in families:
            node = state.graph[name]
            layer = in_balls(state, node, FamilyLayer(families[name], choice))
            chosen.layers[name] = layer
            if state.options.rigorous:
                chosen.debts[name] = state.debt_under(node, layer)
    return chosen


def under_for_units(state: BoundState, site: str) -> BoundState:
    """The state with the lines that a caller chose for rows of a site's units; itself where there are none."""
    choices = state.subproblems.slopes.for_target(site)
    if not choices:
        return state
    families, chosen = families_before(state, site), state.present()
    for name, t in choices.items():
        if name in families:
            family, node = families[name], state.graph[name]
            chosen.layers[name] = in_balls(state, node, RelaxedLayer(family.relaxation(t[:, 0])))
            if state.options.rigorous:
                # Mixing two lines rounds relative to both.
                chosen.debts[name] = state.debt_under(node, in_balls(state, node, FamilyLayer(family, t)))
    return chosen
