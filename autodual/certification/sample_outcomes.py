"""What a certificate says of a sample in words, from what was proved and found."""

from __future__ import annotations

from collections.abc import Mapping

from autodual.certification.certificate import ExactEffort, Status
from autodual.certification.exact_decisions import Decision
from autodual.certification.proof_parts import Proof
from autodual.certification.showing import bound_words
from autodual.network import Ask
from autodual.passes.plan import Plan


def status_of(proof: Proof, sample: int, wrong: bool, refuted: bool) -> Status:
    """What is known of a sample that may be `wrong` at its centre, or `refuted` by a counterexample."""
    if wrong:
        return Status.MISCLASSIFIED
    # A counterexample was confirmed by running the network, so it outweighs a proof that is only probable.
    if refuted:
        return Status.FALSIFIED
    if not bool(proof.proved[sample]):
        return Status.UNKNOWN
    return Status.CERTIFIED if float(proof.failure_probability[sample]) == 0 else Status.PROBABLY_CERTIFIED


def effort_of(decision: Decision | None) -> ExactEffort | None:
    """What an exact decision took, if there was one."""
    return None if decision is None else ExactEffort(decision.programs, decision.seconds, decision.finished)


def method_of(proof: Proof, sample: int, ask: Ask, plan: Plan, efforts: Mapping[str, Mapping[int, Decision]]) -> str:
    """How a sample's margins were computed, in words."""
    words = bound_words("dual bound", ask)
    if sample in efforts["search"]:
        return "branch and bound over inputs and units"
    if sample in efforts["exact"] and float(proof.failure_probability[sample]) == 0:
        return f"branch and bound over linear programs, from {bound_words('dual bounds', ask)}"
    projection = plan.options.projection
    if float(proof.failure_probability[sample]) == 0 or projection is None:
        return words
    return (
        f"{words}; norms estimated from {projection.dim} random projections with seed {projection.seed}, "
        f"{proof.estimates} at most, each raised by a factor {proof.inflation:.4g}"
    )
