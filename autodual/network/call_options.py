"""The options of one call: those that the network was compiled with, and what the caller asks for instead."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from autodual.bounds import BoundOptions
from autodual.errors import InvalidInputError
from autodual.network.ask import Ask
from autodual.policies import InnerBounds, LastBound, Projection, SlopePolicy


def call_options(options: BoundOptions, ask: Ask) -> BoundOptions:
    """The plan's options with what a call asks for instead; estimates are of whole samples' sets alone.

    Raises InvalidInputError where the plan's estimates need other slopes than are asked for.
    """
    return _chosen(
        options,
        ask.slopes or options.slopes,
        ask.inner or options.inner,
        ask.last or options.last,
        options.balls if ask.balls is None else ask.balls,
        bool(ask.rigorous),
        bool(ask.all_units),
        bool(ask.exact) or ask.partial,
        options.steps if ask.steps is None else ask.steps,
        _inner_steps(options, ask),
        0 if ask.record or ask.sweeps is None else ask.sweeps,
        options.enough if ask.enough is None else ask.enough,
    )


def _inner_steps(options: BoundOptions, ask: Ask) -> int:
    """A record holds the lines of the objective's rows alone, so that those of units must not be searched."""
    if ask.record:
        return 0
    return options.inner_steps if ask.inner_steps is None else ask.inner_steps


@lru_cache(maxsize=64)
def _chosen(
    options: BoundOptions,
    slopes: SlopePolicy,
    inner: InnerBounds,
    last: LastBound,
    balls: bool,
    rigorous: bool,
    all_units: bool,
    exact: bool,
    steps: int,
    inner_steps: int,
    sweeps: int,
    enough: float | None,
) -> BoundOptions:
    options = replace(
        options,
        slopes=slopes,
        inner=inner,
        last=last,
        balls=balls,
        rigorous=rigorous,
        skip_decided=options.skip_decided and not all_units,
        steps=steps,
        inner_steps=inner_steps,
        sweeps=sweeps,
        enough=enough,
    )
    return replace(options, projection=_usable(options, exact=exact))


def _usable(options: BoundOptions, *, exact: bool) -> Projection | None:
    """The projection that a call is to use; none where all that it would estimate is left to intervals."""
    projection = options.projection
    if projection is None or exact or (options.rigorous and not projection.certifies):
        return None
    estimated = {"inner": options.inner == "dual", "last": options.last == "dual"}
    if not (any(estimated.values()) if projection.where == "both" else estimated[projection.where]):
        return None
    if options.slopes != "shared":
        raise InvalidInputError(
            f"random projections need linear layers, which {options.slopes} slopes are not; use slopes='shared'"
        )
    if options.balls:
        raise InvalidInputError(
            "random projections need linear layers, which balls=True does not leave; drop one of them"
        )
    return projection
