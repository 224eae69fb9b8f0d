"""Efforts: stages of bounds, the cheapest first, each of which sees only what the ones before leave open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

from torch import Tensor

from autodual.certification.deadline import in_time
from autodual.certification.proof import prove
from autodual.certification.proof_parts import Proof, replaced
from autodual.errors import InvalidInputError
from autodual.exact.time_allowed import Clock, checked_seconds
from autodual.network import Ask, DualNetwork
from autodual.passes.plan import Plan
from autodual.perturbations import Support
from autodual.policies import Effort
from autodual.specs import Specification

# Bounds of each stage, in order. With nothing to lose, intervals come first: they cost next to nothing.
_INTERVALS = Ask(slopes="adaptive", inner="interval", last="dual")
_ADAPTIVE = Ask(slopes="adaptive", inner="dual", last="dual")
_BALLS = Ask(slopes="adaptive", inner="dual", last="dual", balls=True)
_OPTIMIZED = Ask(slopes="optimized", inner="dual", last="dual")
_OPTIMIZED_IN_BALLS = Ask(slopes="optimized", inner="dual", last="dual", balls=True)
_BOUNDS: dict[str, tuple[tuple[str, Ask], ...]] = {
    "fast": (("intervals", _INTERVALS),),
    "normal": (("intervals", _INTERVALS), ("adaptive", _ADAPTIVE)),
    "high": (("intervals", _INTERVALS), ("adaptive", _ADAPTIVE), ("optimized", _OPTIMIZED)),
}
_BOUNDS["complete"] = _BOUNDS["high"]
# What takes a stage's place over sets that are far rounder than their boxes.
_ROUND: dict[str, tuple[tuple[str, Ask], ...]] = {
    "adaptive": (("adaptive", _ADAPTIVE), ("balls", _BALLS)),
    "optimized": (("optimized", _OPTIMIZED_IN_BALLS),),
}
# Seconds that a search may take for a sample where nothing was said.
_SECONDS: dict[str, float] = {"high": 10.0, "complete": math.inf}


@dataclass(frozen=True)
class Stages:
    """What an effort consists of.

    bounds: by name, the cheapest first. seconds: of a search for each sample; 0 for none. patience: seconds for each
    sample after which optimized slopes are given up.
    """

    bounds: tuple[tuple[str, Ask], ...]
    seconds: float
    patience: float

    @classmethod
    def of(cls, effort: Effort | None, timeout: float | None, ask: Ask, plan: Plan) -> Stages | None:
        """The stages of an effort; None without one: then the ask says which bounds to compute.

        Raises:
            InvalidInputError: there is no such effort, the ask says what the effort decides, the network's bounds are
                estimates, or a timeout was given without an effort or is not positive.
        """
        if effort is None:
            if timeout is not None:
                raise InvalidInputError("timeout= is that of an effort; give effort='high' or 'complete' with it")
            return None
        if effort not in get_args(Effort):
            raise InvalidInputError(f"effort must be one of {', '.join(get_args(Effort))}, not {effort!r}")
        said = [name for name in ("slopes", "inner", "last") if getattr(ask, name) is not None]
        if said:
            raise InvalidInputError(f"effort={effort!r} decides about {said[0]} itself; give one of the two")
        if plan.options.projection is not None:
            raise InvalidInputError("effort= needs exact bounds; compile the network without random projections")
        seconds = _SECONDS.get(effort, 0.0)
        if timeout is not None:
            if seconds == 0:
                raise InvalidInputError(f"effort={effort!r} searches nothing that a timeout= could end")
            seconds = checked_seconds(timeout, "timeout")
        return cls(_BOUNDS[effort], seconds, math.inf if timeout is None else seconds)


@dataclass(frozen=True, eq=False)
class StagedProof:
    """A proof, and by sample the stage that its bounds are from and its ask."""

    proof: Proof
    names: list[str]
    asks: list[Ask]


def proved_in_stages(
    dual: DualNetwork,
    region: Support,
    spec: Specification,
    ask: Ask,
    stages: Stages,
    wrong: Tensor,
    total: Clock,
    *,
    deployed: bool,
) -> StagedProof:
    """The proof of samples by bounds one after the other.

    ask: what else the caller says of them. wrong: samples `[N]` that no bound can prove. total: of all samples; slopes
    are not optimized when it is over.
    """
    bounds: Sequence[tuple[str, Ask]] = stages.bounds
    if ask.balls is None and region.is_round():
        bounds = [stage for name, plain in bounds for stage in _ROUND.get(name, ((name, plain),))]
    (name, first), *others = bounds
    chosen = replace(first, **_beside(ask))
    proof = prove(dual, region, spec, chosen, deployed=deployed)
    names, asks = [name] * region.count, [chosen] * region.count
    for name, stage in others:
        index = (~(proof.proved | wrong)).nonzero().squeeze(1)
        if index.shape[0] == 0:
            break
        chosen = replace(stage, **_beside(ask))
        bound = partial(prove, dual, region.select(index), spec.select(index), chosen.select(index), deployed=deployed)
        if stage.slopes == "optimized":
            some = None if total.over else in_time(min(stages.patience * len(index), total.left), bound)
        else:
            some = bound()
        if some is None:
            break
        proof = replaced(proof, index, some)
        for sample in index.tolist():
            names[sample], asks[sample] = name, chosen
    return StagedProof(proof, names, asks)


def _beside(ask: Ask) -> dict:
    """What an ask says beside the kind of bounds."""
    return {name: value for name, value in ask.said.items() if name not in ("slopes", "inner", "last")}
