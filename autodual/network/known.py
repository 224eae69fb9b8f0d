"""Checks of known intervals, those of nodes that were proved elsewhere, and their rounding to the dtype of a call.

From a false interval anything could be proved. One that contradicts the network's own value at a sample is refused
here; one that contradicts a bound is refused where that is computed (`BoundState.assume`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from autodual.bounds import Subproblems
from autodual.errors import EmptySetError, InvalidInputError
from autodual.interval import Interval
from autodual.ir import Environment, Graph
from autodual.network.ask import Ask
from autodual.network.rounded import rounded_outwards
from autodual.passes.plan import Plan
from autodual.perturbations import Searchable, Support
from autodual.tensors import flat, unfit

# How far a node's value in float64 may be off by rounding, relative to the largest value in the network.
_SLACK = 1e-6


def checked_ask(ask: Ask, plan: Plan, x: Tensor) -> Ask:
    """The ask with its known intervals `[N or 1, *shape]` in x's dtype on x's device; they contain those given.

    Raises InvalidInputError for a name that is no bound site (its interval would be named as an assumption and help
    nothing), for a wrong shape and for NaN; raises EmptySetError for an interval that contains no number.
    """
    if ask.known is None:
        return ask
    return replace(ask, known={name: _checked(name, interval, plan, x) for name, interval in ask.known.items()})


def of_subproblems(ask: Ask, parts: Subproblems) -> Ask:
    """The ask with what is known of samples known of their subproblems `[B or 1, *shape]`."""
    if ask.known is None or parts.owner is None:
        return ask
    return replace(ask, known={name: interval.map(parts.of_samples) for name, interval in ask.known.items()})


@torch.no_grad()
def refute_known(known: Mapping[str, Interval] | None, graph: Graph, environment: Environment, region: Support) -> None:
    """Raise EmptySetError where an interval does not contain the node's value at a sample that lies in its own set.

    The network runs in float64, and an interval is refused only if it misses the value by more than rounding explains.
    """
    if not known or not isinstance(region, Searchable):
        return
    x = region.to(torch.float64)
    values = graph.evaluate([x.centre], environment)
    size = max(float(value.abs().amax()) for value in values.values() if value.numel())
    inside = x.contains(x.centre)
    for name, interval in known.items():
        value = values[name]
        outside = (interval.lower.double() - value).maximum(value - interval.upper.double())
        wrong = flat(outside > _SLACK * (1 + size)).any(1) & inside
        if bool(wrong.any()):
            raise EmptySetError(
                f"the known interval of '{name}' is false: at sample {int(wrong.nonzero()[0])} itself the node lies "
                "outside it; give intervals that hold over the whole set"
            )


def _checked(name: str, interval: Interval, plan: Plan, x: Tensor) -> Interval:
    if name not in plan.sites:
        sites = ", ".join(plan.sites) or "none"
        raise InvalidInputError(
            f"'{name}' is not a bound site of this network, so nothing can be known of it; its bound sites: {sites}"
        )
    if not (
        isinstance(interval, Interval) and isinstance(interval.lower, Tensor) and isinstance(interval.upper, Tensor)
    ):
        raise InvalidInputError(
            f"the known interval of '{name}' must be an autodual.interval.Interval of two tensors, not a "
            f"{type(interval).__name__}"
        )
    shape = plan.graph[name].shape
    for end in (interval.lower, interval.upper):
        if reason := unfit(end):
            raise InvalidInputError(f"the known interval of '{name}' {reason}")
        if tuple(end.shape) not in ((x.shape[0], *shape), (1, *shape)):
            raise InvalidInputError(
                f"the known interval of '{name}' has the shape {list(end.shape)}; expected {[x.shape[0], *shape]}"
            )
        if bool(end.isnan().any()):
            raise InvalidInputError(f"the known interval of '{name}' holds NaN; leave an end open with an infinity")
    if bool((interval.lower > interval.upper).any()):
        raise EmptySetError(f"the known interval of '{name}' is empty (lower > upper)")
    if bool((interval.lower == torch.inf).any() or (interval.upper == -torch.inf).any()):
        raise EmptySetError(
            f"the known interval of '{name}' is a point at infinity; an open end is [-inf, u] or [l, inf]"
        )
    return Interval(rounded_outwards(interval.lower, x, down=True), rounded_outwards(interval.upper, x, down=False))
