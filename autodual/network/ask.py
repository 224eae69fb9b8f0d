"""`Ask`: everything that a caller may say of how bounds are computed, in one value that all entries take."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import torch

from autodual.bounds import Multiplied, Slopes
from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.network.ask_checks import check_field
from autodual.policies import InnerBounds, LastBound, SlopePolicy


@dataclass(frozen=True, eq=False, repr=False)
class Ask:
    """How bounds are to be computed, and what to return beside them.

    Every function that takes an `ask` also takes its fields as keywords, which win over it. None leaves a field unsaid:
    the function's own default holds, or else what the network was compiled with.

    Args:
        slopes: the lines that relax what intervals leave undecided: `shared` (the thesis' linear dual), `adaptive` (the
            tighter lower line for each unit) or `optimized` (searched for each row).
        inner: how bounds inside the network are computed: `dual`, or `interval` (interval arithmetic, cheap and loose).
        last: how the bounds that are returned are computed: `dual`, or `interval` (rows end at the intervals of the
            nonlinear layers nearest to the output).
        balls: True also carries Euclidean balls around the clean values through the network. Each row then has one more
            multiplier for each nonlinear layer: tighter over l2 balls, where many units are undecided.
        known: intervals `[N or 1, *shape]` that are proved elsewhere, by the names of bound sites; all bounds assume
            them.
        given: intervals `[B or 1, *shape]` by the names of inputs and bound sites, which hold on each of B subproblems,
            parts of the samples' sets. They are not computed again, so that rows are all that many subproblems of one
            sample cost. A subproblem whose interval is empty is `infeasible` in the result, and its bounds are NaN.
        constraints: what else holds on the subproblems, with multipliers: `Constraint` and `Split`. `optimized` slopes
            are searched together with the multipliers that rows of the objective have, from those given on.
        owner: the sample of each subproblem, `[B]`. Unsaid, a single sample has as many as tensors have entries, and of
            several samples each is one.
        chosen_slopes: the lines of relaxed units for rows of the objective and of bound sites, as `Slopes`. `optimized`
            slopes are searched from there on; others take them as they are.
        all_units: True computes a dual bound of every unit, also of those that intervals decide.
        rigorous: True lowers all bounds by an upper bound of their own rounding error.
        exact: True estimates nothing, whatever the passes of the network say. Rigorous bounds never use estimates that
            prove nothing.
        at: the node whose linear functions are bounded, by its name; the output if unsaid. With given intervals and a
            constraint on the output, these are bounds of inner units where something is assumed of the output.
        steps: how many steps a search for `optimized` slopes takes for rows of the last bound, by default 60.
        inner_steps: the same for bounds inside the network, by default 10; 0 leaves these adaptive.
        sweeps: how often bounds inside are searched again with all `constraints` that have a multiplier, by default 0.
            So a constraint on the output counts there too: that a property is violated, for bounds that need hold of
            violations alone. Needs `slopes="optimized"`.
        enough: a lower bound with which a search may stop: 0 where all that counts is the sign.
        linear: True also returns the linear functions that prove the bounds.
        sites: True also returns the intervals of the bound sites.
        executed: True also returns how far a run of the model in its own dtype may be from what rigorous bounds are of.
        record: True also returns what proves the bounds, as a `Record` that a checker can read. Estimates have none.
            Slopes inside the network are not searched then.
        search: True also returns the slopes and multipliers that a search has found, and what splits of units would
            gain, as a `SearchResult`.

    Raises:
        InvalidInputError: a value is not one of those named here, or `executed` comes without `rigorous`.

    Example:
        >>> import autodual, torch
        >>> ask = autodual.Ask(slopes="adaptive", inner="interval")
        >>> dual = autodual.compile_dual(torch.nn.ReLU())
        >>> x, ball = torch.tensor([[1.0, -1.0]]), autodual.LinfBall(0.5)
        >>> dual.lower_bounds(x, ball, torch.eye(2), ask=ask)
        tensor([[0.5000, 0.0000]])
        >>> autodual.certify(dual, x, ball, labels=[0], ask=ask, slopes="shared")
        Certificates(1 certified)
    """

    slopes: SlopePolicy | None = None
    inner: InnerBounds | None = None
    last: LastBound | None = None
    balls: bool | None = None
    known: Mapping[str, Interval] | None = None
    given: Mapping[str, Interval] | None = None
    constraints: Sequence[Multiplied] | None = None
    owner: torch.Tensor | None = None
    chosen_slopes: Slopes | None = None
    all_units: bool | None = None
    rigorous: bool | None = None
    exact: bool | None = None
    at: str | None = None
    linear: bool | None = None
    sites: bool | None = None
    executed: bool | None = None
    record: bool | None = None
    steps: int | None = None
    inner_steps: int | None = None
    enough: float | None = None
    sweeps: int | None = None
    search: bool | None = None

    def __post_init__(self) -> None:
        for name, value in self.said.items():
            check_field(name, value)
        if self.executed:
            self._check_executed()

    def _check_executed(self) -> None:
        if self.at is not None:
            raise InvalidInputError("executed=True speaks of the output, and does not go with at=")
        if self.partial:
            raise InvalidInputError(
                "executed=True speaks of whole sets, and does not go with given=, constraints= or owner="
            )
        if not self.rigorous:
            raise InvalidInputError("executed=True needs rigorous=True: other bounds say nothing of a run")

    @classmethod
    def of(cls, ask: Ask | None, options: Mapping[str, Any], entry: Callable[..., Any]) -> Ask:
        """What a caller said: keywords first, then an ask, then the defaults in the entry's signature.

        Args:
            ask: the caller's, if any.
            options: the caller's keywords.
            entry: the function that was called, whose signature shows the keywords that it takes (`takes`).

        Raises:
            TypeError: the entry has no such keyword.
            InvalidInputError: `ask` is not an `Ask`, or says what the entry decides itself.
        """
        taken, defaults = _taken(entry)
        for name in options:
            if name not in taken:
                raise TypeError(_unexpected(entry.__name__, name, list(_keywords(entry))))
        if not (ask is None or isinstance(ask, cls)):
            raise InvalidInputError(
                f"ask must be an autodual.Ask, but is a {type(ask).__name__}; write ask=autodual.Ask(slopes=...)"
            )
        said = {} if ask is None else ask.said
        for name in said:
            if name not in taken:
                raise InvalidInputError(
                    f"ask says {name}, which {entry.__name__} decides itself; it takes {', '.join(taken)}"
                )
        if ask is not None and not options and not defaults:
            return ask
        keywords = {name: value for name, value in options.items() if value is not None}
        return cls(**{**defaults, **said, **keywords})

    def __repr__(self) -> str:
        """`Ask(slopes='adaptive')`: what is said, and nothing else."""
        return f"Ask({', '.join(f'{name}={value!r}' for name, value in self.said.items())})"

    @property
    def partial(self) -> bool:
        """Whether bounds are of parts of the samples' sets."""
        return bool(self.given) or bool(self.constraints) or self.owner is not None

    @property
    def said(self) -> dict[str, Any]:
        """The fields that are not None."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def over(self, other: Ask) -> Ask:
        """This ask, with the other's fields where this one leaves them unsaid."""
        return replace(other, **self.said)

    def select(self, index: torch.Tensor | slice) -> Ask:
        """The same of some of the samples; what is the same for all samples stays as it is."""
        if self.known is None:
            return self
        return replace(self, known={name: _rows(interval, index) for name, interval in self.known.items()})


#: What bound methods and losses compute unless told otherwise: the dual bounds of the thesis, in every layer.
DUAL_BOUNDS = Ask(slopes="shared", inner="dual", last="dual")


@cache
def _keywords(entry: Callable[..., Any]) -> dict[str, Any]:
    """The keywords of a function and their defaults."""
    parameters = inspect.signature(entry).parameters
    return {name: each.default for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}


@cache
def _taken(entry: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The fields of an ask that a function takes, and its own values for those that a caller leaves unsaid."""
    own = _keywords(entry)
    taken = tuple(field.name for field in fields(Ask) if field.name in own)
    return taken, {name: own[name] for name in taken if own[name] is not None}


def _rows(interval: Interval, index: torch.Tensor | slice) -> Interval:
    return interval.map(lambda end: end if end.shape[0] == 1 else end[index])


def _unexpected(entry: str, name: str, taken: list[str]) -> str:
    """Python's message for an unknown keyword, with the one that was probably meant, and all that there are."""
    near = difflib.get_close_matches(name, taken, 1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{entry}() got an unexpected keyword argument {name!r}{meant}; it takes {', '.join(taken)}"
