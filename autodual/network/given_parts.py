"""What a caller says of parts of samples' sets, checked: whose they are, given intervals, constraints."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from autodual.bounds import Multiplied, Slopes, Subproblems
from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.ir.graph import Graph
from autodual.network.ask import Ask
from autodual.network.rounded import rounded_outwards
from autodual.passes.plan import Plan
from autodual.tensors import unfit


def owner_of(ask: Ask, x: Tensor) -> Tensor | None:
    """The sample `[B]` of each subproblem; None where these are the samples themselves.

    Of a single sample there are as many as any tensor that is given has entries.
    """
    samples = x.shape[0]
    if ask.owner is not None:
        return _checked_owner(ask.owner, samples).to(x.device)
    counts = {tensor.shape[0] for tensor in _leading(ask)} - {1, samples}
    if not counts:
        return None
    if samples != 1 or len(counts) > 1:
        raise InvalidInputError(
            f"what is given has {', '.join(map(str, sorted(counts)))} entries for {samples} samples; say which sample "
            "each belongs to: owner="
        )
    return torch.zeros(counts.pop(), dtype=torch.long, device=x.device)


def bounded_node(ask: Ask, graph: Graph) -> str:
    """The node whose linear functions are bounded; raises InvalidInputError for an unknown name."""
    if ask.at is None:
        return graph.outputs[0]
    if ask.at not in graph.by_name:
        raise InvalidInputError(f"at='{ask.at}' is no node of this network ({', '.join(graph.by_name)})")
    return ask.at


def checked_parts(ask: Ask, plan: Plan, x: Tensor) -> Subproblems:
    """The subproblems that an ask describes, in x's dtype on x's device.

    Given intervals are rounded outwards. Where their ends cross a subproblem has no point, which its result says.

    Raises InvalidInputError where a name, a shape or a dtype does not fit, or a multiplier is negative.
    """
    owner = owner_of(ask, x)
    count = x.shape[0] if owner is None else owner.shape[0]
    given = {name: _checked_interval(name, interval, plan, count, x) for name, interval in (ask.given or {}).items()}
    constraints = tuple(_checked_constraint(one, plan, count, x) for one in ask.constraints or ())
    slopes = Slopes({}) if ask.chosen_slopes is None else _checked_slopes(ask.chosen_slopes, plan, count, x)
    return Subproblems(owner, given, constraints, slopes)


def check_rows(parts: Subproblems, target: str, count: int) -> None:
    """Raise InvalidInputError unless what is said of each row is said of the `count` rows that are bounded at a node.

    Rows of bound sites' units share their lines.
    """
    for one in parts.constraints:
        rows = one.multiplier
        if rows is not None and rows.dim() > one.axes + 1 and rows.shape[1] not in (1, count):
            raise InvalidInputError(f"multiplier has entries for {rows.shape[1]} rows, but the objective has {count}")
    for name, choices in parts.slopes.of.items():
        for node, t in choices.items():
            most = count if name == target else 1
            if t.shape[1] not in (1, most):
                raise InvalidInputError(
                    f"the chosen slopes of '{node}' for rows of '{name}' are of {t.shape[1]} rows; expected {most}"
                )


def _leading(ask: Ask) -> Iterator[Tensor]:
    """All tensors whose first axis is that of the subproblems."""
    for interval in (ask.given or {}).values():
        if isinstance(interval, Interval):
            yield from (end for end in (interval.lower, interval.upper) if isinstance(end, Tensor) and end.dim())
    for one in ask.constraints or ():
        if isinstance(one, Multiplied):
            yield from (tensor for _, tensor in one.named_tensors() if tensor.dim())
    for choices in ask.chosen_slopes.of.values() if ask.chosen_slopes is not None else ():
        yield from (t for t in choices.values() if isinstance(t, Tensor) and t.dim())


def _checked_owner(owner: Tensor, samples: int) -> Tensor:
    if owner.dim() != 1 or owner.dtype != torch.long:
        raise InvalidInputError(
            f"owner must be a tensor of int64 indices of samples, [B], but is {owner.dtype} of the shape "
            f"{list(owner.shape)}"
        )
    if owner.numel() and not (int(owner.min()) >= 0 and int(owner.max()) < samples):
        raise InvalidInputError(f"owner must hold indices of the {samples} samples, 0 to {samples - 1}")
    return owner


def _checked_interval(name: str, interval: Interval, plan: Plan, count: int, x: Tensor) -> Interval:
    if name not in plan.sites and name not in plan.graph.inputs:
        sites = ", ".join([*plan.graph.inputs, *plan.sites])
        raise InvalidInputError(
            f"'{name}' is no input or bound site of this network, whose interval could be given ({sites})"
        )
    if not isinstance(interval, Interval):
        raise InvalidInputError(
            f"the given interval of '{name}' must be an autodual.interval.Interval of two tensors, not a "
            f"{type(interval).__name__}"
        )
    for end in (interval.lower, interval.upper):
        if reason := unfit(end):
            raise InvalidInputError(f"the given interval of '{name}' {reason}")
        _check_shape(f"the given interval of '{name}'", end, count, plan.graph[name].shape)
    return Interval(rounded_outwards(interval.lower, x, down=True), rounded_outwards(interval.upper, x, down=False))


def _checked_constraint(constraint: Multiplied, plan: Plan, count: int, x: Tensor) -> Multiplied:
    if not isinstance(constraint, Multiplied):
        raise InvalidInputError(
            f"constraints must be a list of autodual.Constraint or autodual.Split, but one is a "
            f"{type(constraint).__name__}"
        )
    for name in (*constraint.nodes, *constraint.unit_multipliers):
        if name not in plan.graph.by_name:
            raise InvalidInputError(f"a constraint speaks of '{name}', which is no node of this network; see dual.plan")
    for name in constraint.unit_multipliers:
        if name not in {site.name for site in plan.bound_sites}:
            sites = ", ".join(site.name for site in plan.bound_sites) or "none"
            raise InvalidInputError(f"a constraint bears on units of '{name}', which is no bound site ({sites})")
    for site in constraint.unit_multipliers:
        behind = [name for name in constraint.nodes if plan.graph.positions[name] > plan.graph.positions[site]]
        if behind:
            raise InvalidInputError(
                f"a constraint on '{behind[0]}' cannot bear on the units of '{site}', which come before it; bound them "
                f"as an objective, at='{site}', with given= intervals"
            )
    for field, tensor in constraint.named_tensors():
        if reason := unfit(tensor):
            raise InvalidInputError(f"{field} of a constraint {reason}")
        if not bool(tensor.isfinite().all()):
            raise InvalidInputError(f"{field} of a constraint holds NaN or infinity")
        if tensor.shape[0] not in (1, count):
            raise InvalidInputError(
                f"{field} of a constraint has the shape {list(tensor.shape)}; its first axis must have 1 or {count} "
                "entries"
            )
        if "multiplier" in field and bool((tensor < 0).any()):
            raise InvalidInputError("multipliers must not be negative: only β ≥ 0 makes a bound from a constraint")
    constraint.check_shapes(
        {name: plan.graph[name].shape for name in (*constraint.nodes, *constraint.unit_multipliers)}
    )
    found = constraint.mapped(lambda tensor: tensor.to(dtype=x.dtype, device=x.device))
    _check_rounding(constraint, found, x.dtype)
    return found


def _check_rounding(said: Multiplied, found: Multiplied, dtype: torch.dtype) -> None:
    """Raise InvalidInputError where a call's dtype cannot hold a constraint's numbers, which would then be another one.

    Whatever a multiplier is rounded to, a bound may use it.
    """
    for (field, exact), (_, near) in zip(said.named_tensors(), found.named_tensors()):
        exact = exact.to(near.device).double()
        off = ~((near.double() - exact).abs() <= torch.finfo(dtype).eps * exact.abs())
        if "multiplier" not in field and bool(off.any()):
            raise InvalidInputError(
                f"{field} of a constraint holds numbers that are too small or too large for {dtype}; multiply the "
                "constraint by a factor, or give x in float64"
            )


def _checked_slopes(slopes: Slopes, plan: Plan, count: int, x: Tensor) -> Slopes:
    for target, choices in slopes.of.items():
        if target not in plan.graph.by_name:
            raise InvalidInputError(f"chosen_slopes speak of rows of '{target}', which is no node of this network")
        for name, t in choices.items():
            if name not in plan.relaxed:
                relaxed = ", ".join(plan.relaxed) or "none"
                raise InvalidInputError(f"chosen_slopes speak of '{name}', which is no relaxed node ({relaxed})")
            if reason := unfit(t):
                raise InvalidInputError(f"the chosen slopes of '{name}' {reason}")
            shape = plan.graph[name].shape
            if t.dim() < 2 or t.shape[0] not in (1, count) or tuple(t.shape[2:]) != shape:
                raise InvalidInputError(
                    f"the chosen slopes of '{name}' have the shape {list(t.shape)}; expected [B or 1, S or 1, "
                    f"{', '.join(map(str, shape))}]"
                )
            if not bool(((t >= 0) & (t <= 1)).all()):
                raise InvalidInputError(f"the chosen slopes of '{name}' must lie in [0, 1]: only those lines are sound")
    return slopes.mapped(lambda t: t.to(dtype=x.dtype, device=x.device))


def _check_shape(what: str, tensor: Tensor, count: int, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) not in ((count, *shape), (1, *shape)):
        raise InvalidInputError(
            f"{what} has the shape {list(tensor.shape)}; expected {[count, *shape]} or {[1, *shape]}"
        )
