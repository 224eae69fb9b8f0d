"""`certify`: one certificate a sample, for any perturbation set and specification."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autodual.attacks import Attack, counterexamples
from autodual.certification.certificate import Certificate, Status
from autodual.certification.proof import Proof, prove
from autodual.certification.same_network import require_same_network
from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.network import DualNetwork
from autodual.passes.plan import Plan
from autodual.perturbations import PerturbationSet, Region
from autodual.policies import SlopePolicy
from autodual.specs import ClassMargin, Specification
from autodual.tensors import bounding_dtype


def certify(
    dual: DualNetwork,
    x: Tensor,
    ball: PerturbationSet,
    labels: Tensor | None = None,
    *,
    spec: Specification | None = None,
    slopes: SlopePolicy | None = None,
    attack: Attack | None = None,
    known: Mapping[str, Interval] | None = None,
    deployed: bool = False,
) -> list[Certificate]:
    """One certificate for each sample of x `[N, *shape]`: does the specification hold over the whole set around it?

    labels `[N]`: the class that must win; without them the predicted class stands in. spec: any other property instead
    of the class margin. attack: looks for counterexamples where the bound decides nothing. known: intervals of nodes
    proved elsewhere; they are named in the certificates as assumptions.

    deployed: certify the network as it is run, too. Certificates speak of real arithmetic; in floating point a margin
    may differ by `execution_error`, which holds for its module's own dtype and any order of summation, but not for
    products in reduced precision (TF32, autocast) nor for Winograd or FFT convolutions. With `deployed` only margins
    beyond that are certified, and a network with an op that has no such analysis is refused by InvalidInputError.

    slopes: `adaptive` unless said otherwise; `optimized` ones are searched where adaptive ones prove nothing. If the
    dual network was compiled with `HighProbability`, they are `shared` and samples whose bounds were estimated get
    certificates with a failure probability, and the status `probably certified` where others get `certified`. Each of
    them holds with that probability by itself; of many, about that share may be wrong. `RandomProjection` proves
    nothing, so certificates never use it.

    Bounds are computed in x's dtype (in float32 for half precision) and accepted only beyond their own rounding error;
    float64 decides the rest. Raises InvalidInputError for labels out of range, EmptySetError for a set without points,
    and ModelChangedError where the model, run at x, is no longer the network that was compiled.
    """
    region = ball.at(x)
    with torch.no_grad():
        outputs = dual.outputs(x).flatten(1)
    if spec is not None and labels is not None:
        raise InvalidInputError(
            "give either labels or a specification, not both; specifications of classes hold labels"
        )
    predicted = outputs.argmax(1) if spec is None or _labels(spec) is not None else None
    given = labels if spec is None else _labels(spec)
    if spec is None:
        spec = ClassMargin(outputs.argmax(1) if labels is None else labels.to(x.device))
    spec.rows(outputs)  # raises for labels that do not fit, before anything expensive
    require_same_network(dual, x)
    projection = dual.compiled(x).plan.options.projection
    estimates = projection is not None and projection.certifies
    if slopes is None:
        slopes = "shared" if estimates else "adaptive"
    proof = prove(dual, region, spec, slopes, known, estimates=estimates, deployed=deployed)
    wrong = _misclassified(spec, outputs)
    found = {} if attack is None else _attacked(dual, region, spec, attack, ~(proof.proved | wrong))
    assumptions = tuple(f"interval of node '{name}' taken as known" for name in known or ())
    return [
        Certificate(
            status=_status(proof, sample, bool(wrong[sample]), sample in found),
            predicted=None if predicted is None else int(predicted[sample]),
            label=None if given is None else int(given[sample]),
            margins=tuple(proof.lower[sample].tolist()),
            margin=float(proof.margin[sample]),
            rounding_error=float(proof.error[sample].max()),
            arithmetic="float64" if proof.double[sample] else str(bounding_dtype(x.dtype)).removeprefix("torch."),
            counterexample=found.get(sample),
            perturbation=region.source.describe(),
            specification=spec.describe(),
            method=_method(proof, sample, slopes, dual.compiled(x).plan),
            assumptions=assumptions,
            failure_probability=float(proof.failure_probability[sample]),
            execution=str(proof.deployment.dtype).removeprefix("torch."),
            execution_error=None if proof.deployment.reason else float(proof.deployed[sample].max()),
            execution_reason=proof.deployment.reason,
            deployed=deployed,
        )
        for sample in range(x.shape[0])
    ]


def _labels(spec: Specification) -> Tensor | None:
    """The classes a specification is about, `[N]`, or None."""
    return getattr(spec, "labels", None)


def _misclassified(spec: Specification, outputs: Tensor) -> Tensor:
    """Where the nominal sample has another class than its label (specifications without labels: nowhere)."""
    labels = _labels(spec)
    if not isinstance(spec, ClassMargin) or labels is None:
        return torch.zeros(outputs.shape[0], dtype=torch.bool, device=outputs.device)
    return outputs.argmax(1) != labels.to(outputs.device)


def _attacked(
    dual: DualNetwork, region: Region, spec: Specification, attack: Attack, samples: Tensor
) -> dict[int, Tensor]:
    """Counterexamples by sample index, each run again after the attack."""
    index = samples.nonzero().squeeze(1)
    if index.shape[0] == 0:
        return {}
    some, chosen = region.select(index), spec.select(index)

    def function(points: Tensor) -> Tensor:
        return dual.outputs(points).flatten(1)

    points = attack.run(function, some, chosen)
    with torch.no_grad():
        refuted = counterexamples(function, some, chosen, points)
    return {int(sample): point for sample, point, hit in zip(index, points, refuted) if bool(hit)}


def _status(proof: Proof, sample: int, wrong: bool, refuted: bool) -> Status:
    if wrong:
        return Status.MISCLASSIFIED
    # A counterexample has been run; a probable proof has not been made for certain.
    if refuted:
        return Status.FALSIFIED
    if not bool(proof.proved[sample]):
        return Status.UNKNOWN
    return Status.CERTIFIED if float(proof.failure_probability[sample]) == 0 else Status.PROBABLY_CERTIFIED


def _method(proof: Proof, sample: int, slopes: SlopePolicy, plan: Plan) -> str:
    """How a sample's margins were had, in words."""
    words = f"dual bound, {slopes} slopes"
    projection = plan.options.projection
    if float(proof.failure_probability[sample]) == 0 or projection is None:
        return words
    return (
        f"{words}; norms estimated from {projection.dim} random projections with seed {projection.seed}, "
        f"{proof.estimates} at most, each raised by a factor {proof.inflation:.4g}"
    )
