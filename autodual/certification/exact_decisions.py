"""What bounds leave open is decided exactly, one sample after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.attacks import counterexamples
from autodual.certification.proof_parts import Proof
from autodual.exact.deciding import Decision, decide
from autodual.exact.network_program import ExactNetwork
from autodual.exact.time_allowed import Clock, checked_seconds
from autodual.network import Ask, DualNetwork
from autodual.perturbations import Searchable, Support, require_searchable
from autodual.specs import Specification

__all__ = ["Decision", "ExactDecisions", "with_decisions"]


@dataclass(frozen=True, eq=False)
class ExactDecisions:
    """Decides samples by programs, each for at most so many `seconds`."""

    exact: ExactNetwork
    seconds: float

    @classmethod
    def of(cls, dual: DualNetwork, x: Tensor, seconds: float | None) -> ExactDecisions | None:
        """None without a number of seconds.

        Raises InvalidInputError where this is no positive number, or the network has an op without exact encoding.
        """
        if seconds is None:
            return None
        seconds = checked_seconds(seconds, "exact_seconds")
        return cls(ExactNetwork.of(dual, x), seconds)

    def decide(
        self, region: Support, spec: Specification, proof: Proof, samples: Tensor, ask: Ask, *, deployed: bool
    ) -> dict[int, Decision]:
        """The decisions on some samples, bool `[N]`, that a proof leaves open; points are in the region's dtype.

        deployed: what is proved is to hold of a run of the network too.
        """
        found = {}
        for sample in samples.nonzero().squeeze(1).tolist():
            index = torch.tensor([sample], device=region.centre.device)
            here, goal = region.select(index), spec.select(index)
            lower = proof.lower[sample]
            if float(proof.failure_probability[sample]) > 0:
                lower = torch.full_like(lower, -torch.inf)  # estimates are no proof
            needed = proof.deployed[sample] if deployed else torch.zeros_like(lower)
            if not bool(needed.isfinite().all()):
                continue  # nothing is known of a run, so that no margin is enough
            violates = _violation(self.exact.dual, here, goal)
            clock = Clock(self.seconds)
            found[sample] = decide(self.exact, here, goal, lower, needed, ask.select(index), clock, violates)
        return found

    def counterexample(self, region: Support, sample: int, point: Tensor) -> Tensor:
        """The point `[1, *shape]` of float64 that a decision on a sample found, as it was run: `[*shape]`."""
        index = torch.tensor([sample], device=region.centre.device)
        return _as_run(require_searchable(region.select(index)), point)[0]


def _violation(dual: DualNetwork, region: Support, spec: Specification) -> Callable[[Tensor], bool]:
    """Whether the network, run in the region's own dtype, violates the specification of one sample at a point."""
    searchable = require_searchable(region)

    def violates(point: Tensor) -> bool:
        run = _as_run(searchable, point)
        return bool(counterexamples(dual.outputs, searchable, spec, run)[0])

    return violates


def _as_run(region: Searchable, point: Tensor) -> Tensor:
    return region.project(point.to(region.centre))


def with_decisions(proof: Proof, decisions: Mapping[int, Decision], *, double: bool = True) -> Proof:
    """The proof with what programs or searches proved of some samples in its place. double: whether in float64 alone.

    Bounds that are estimates stay, as such, unless programs proved the sample: then nothing is left of them.
    """
    if not decisions:
        return proof
    names = ("lower", "decisive", "margin", "proved", "double", "failure_probability")
    parts = {name: getattr(proof, name).clone() for name in names}
    for sample, decision in decisions.items():
        estimated = float(proof.failure_probability[sample]) > 0
        if estimated and not decision.proved:
            continue
        values = decision.values.to(proof.lower)
        parts["decisive"][sample] = values
        parts["lower"][sample] = values if estimated else parts["lower"][sample].maximum(values)
        parts["margin"][sample], parts["proved"][sample] = decision.margin, decision.proved
        parts["double"][sample], parts["failure_probability"][sample] = double or parts["double"][sample], 0.0
    return replace(proof, **parts)
