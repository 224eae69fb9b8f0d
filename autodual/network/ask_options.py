"""The fields of `Ask` as typed keywords, in the groups that functions take: each adds some to the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import torch

from autodual.bounds import Multiplied, Slopes
from autodual.interval import Interval
from autodual.policies import InnerBounds, LastBound, SlopePolicy


class PolicyOptions(TypedDict, total=False):
    """The keywords that choose between kinds of bounds."""

    slopes: SlopePolicy | None
    inner: InnerBounds | None
    last: LastBound | None
    balls: bool | None


class ProofOptions(PolicyOptions, total=False):
    """The keywords of functions that prove something: they see to rounding and estimates themselves."""

    known: Mapping[str, Interval] | None
    all_units: bool | None
    steps: int | None
    inner_steps: int | None


class PartOptions(ProofOptions, total=False):
    """The keywords of methods that bound parts of samples' sets."""

    given: Mapping[str, Interval] | None
    constraints: Sequence[Multiplied] | None
    owner: torch.Tensor | None
    chosen_slopes: Slopes | None


class MethodOptions(PartOptions, total=False):
    """The keywords of methods that return bounds and nothing else."""

    rigorous: bool | None
    exact: bool | None


class LinearOptions(MethodOptions, total=False):
    """The keywords of methods that bound linear functions."""

    at: str | None


class AskOptions(LinearOptions, total=False):
    """All fields of `Ask`, as keywords."""

    linear: bool | None
    sites: bool | None
    executed: bool | None
    record: bool | None
    search: bool | None
    enough: float | None
    sweeps: int | None
