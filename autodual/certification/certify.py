"""`certify`: one certificate a sample, for any perturbation set and specification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks import Attack, counterexamples
from autodual.certification.certificate import Certificate, Status
from autodual.certification.goal import chosen_goal
from autodual.certification.positions import Positions, misclassified, positions_of
from autodual.certification.proof import Proof, prove
from autodual.certification.same_network import require_same_network
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.interval import Interval
from autodual.network import DualNetwork
from autodual.passes.plan import Plan
from autodual.perturbations import PerturbationSet, Region, perturbation_set
from autodual.policies import IGNORED, SlopePolicy
from autodual.specs import LabelSpecification, Specification
from autodual.tensors import bounding_dtype


def certify(
    dual: DualNetwork,
    x: Samples,
    ball: PerturbationSet,
    labels: Labels | None = None,
    *,
    spec: Specification | None = None,
    slopes: SlopePolicy | None = None,
    attack: Attack | None = None,
    known: Mapping[str, Interval] | None = None,
    deployed: bool = False,
) -> list[Certificate]:
    """One certificate for each sample of x `[N, *shape]`: does the specification hold over the whole set around it?

    labels `[N]`: the class that must win; without them the predicted class stands in. Per-pixel classifiers with
    outputs `[N, C, H, W]` take label maps `[N, H, W]`, and so on for other shapes: the class must win at every
    position, and the certificates' `positions` say where it does. The label -100 marks what is to be ignored.

    spec: any other property instead of the class margin. attack: looks for counterexamples where the bound decides
    nothing. known: intervals of nodes proved elsewhere; they are named in the certificates as assumptions.

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
    x = sample_tensor(x)
    region = perturbation_set(ball).at(x)
    with torch.no_grad():
        outputs = dual.outputs(x)
    labelled = labels is not None or spec is not None
    spec = chosen_goal(dual, outputs, labels, spec)
    require_same_network(dual, x)
    projection = dual.compiled(x).plan.options.projection
    estimates = projection is not None and projection.certifies
    if slopes is None:
        slopes = "shared" if estimates else "adaptive"
    proof = prove(dual, region, spec, slopes, known, estimates=estimates, deployed=deployed)
    wrong = misclassified(spec, outputs)
    decisive = proof.lower - proof.deployed if deployed else proof.lower
    classes = _classes(spec, proof.lower, decisive, outputs, labelled=labelled)
    found = {} if attack is None else _attacked(dual, region, spec, attack, ~(proof.proved | wrong))
    assumptions = tuple(f"interval of node '{name}' taken as known" for name in known or ())
    return [
        Certificate(
            status=_status(proof, sample, bool(wrong[sample]), sample in found),
            predicted=classes[sample].predicted,
            label=classes[sample].label,
            positions=classes[sample].positions,
            margins=classes[sample].margins or tuple(proof.lower[sample].tolist()),
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


@dataclass(frozen=True)
class _Classes:
    """What is said of one sample's classes; nothing where the specification is about other things."""

    predicted: int | None = None
    label: int | None = None
    positions: Positions | None = None
    margins: tuple[float, ...] = ()


def _classes(
    spec: Specification, lower: Tensor, decisive: Tensor, outputs: Tensor, *, labelled: bool
) -> list[_Classes]:
    """By sample; for the arguments see `positions_of`."""
    if not isinstance(spec, LabelSpecification):
        return [_Classes()] * outputs.shape[0]
    if spec.labels.dim() > 1:
        found = positions_of(spec, lower, decisive, outputs, labelled=labelled)
        return [_Classes(positions=one, margins=tuple(one.margins.flatten().tolist())) for one in found]
    labels = [label if labelled and label != IGNORED else None for label in spec.labels.tolist()]
    return [_Classes(*pair) for pair in zip(spec.predicted(outputs).tolist(), labels, strict=True)]


def _attacked(
    dual: DualNetwork, region: Region, spec: Specification, attack: Attack, samples: Tensor
) -> dict[int, Tensor]:
    """Counterexamples by sample index, each run again after the attack."""
    index = samples.nonzero().squeeze(1)
    if index.shape[0] == 0:
        return {}
    some, chosen = region.select(index), spec.select(index)

    def function(points: Tensor) -> Tensor:
        return dual.outputs(points)

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
