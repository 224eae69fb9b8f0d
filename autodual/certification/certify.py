"""`certify`: one certificate a sample, for any perturbation set and specification."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.attacks import Attack
from autodual.certification.attacked_samples import attacked_samples, check_points
from autodual.certification.certificate import Certificate, Certificates
from autodual.certification.contradiction import Told
from autodual.certification.effort import StagedProof, Stages, proved_in_stages
from autodual.certification.exact_decisions import Decision, ExactDecisions, with_decisions
from autodual.certification.goal import chosen_goal
from autodual.certification.positions import Positions, misclassified, positions_of
from autodual.certification.proof import Proof, prove
from autodual.certification.proof_parts import brought_to_host
from autodual.certification.same_network import require_same_network
from autodual.certification.sample_outcomes import effort_of, method_of, status_of
from autodual.certification.search_decisions import SearchDecisions
from autodual.certification.showing import bound_words, counted
from autodual.certification.verdicts.clock import Clock, batches
from autodual.errors import InvalidInputError
from autodual.exact.time_allowed import checked_seconds
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.network import Ask, DualNetwork, given_network
from autodual.network.ask import ProofOptions
from autodual.network.keywords import takes
from autodual.network.known import checked_ask
from autodual.passes.plan import Plan
from autodual.perturbations import PerturbationSet, Support, perturbation_set, require_searchable, require_support
from autodual.policies import IGNORED, Effort
from autodual.progress import Progress, tracked
from autodual.requirements import checked_together
from autodual.specs import LabelSpecification, Specification
from autodual.tensors import bounding_dtype


@takes(ProofOptions)
def certify(
    dual: DualNetwork,
    x: Samples,
    ball: PerturbationSet,
    labels: Labels | None = None,
    *,
    spec: Specification | None = None,
    attack: Attack | None = None,
    deployed: bool = False,
    exact_seconds: float | None = None,
    effort: Effort | None = None,
    timeout: float | None = None,
    total_timeout: float | None = None,
    bracket: bool = False,
    progress: Progress = False,
    ask: Ask | None = None,
    **options: Unpack[ProofOptions],
) -> Certificates:
    """One certificate for each sample of x `[N, *shape]`: does the specification hold over the whole set around it?

    Certificates speak of real arithmetic; in floating point a margin may differ by `execution_error`, which holds for
    the module's own dtype, points rounded to it and any order of summation, but not for products in reduced precision
    (TF32, autocast) nor for Winograd or FFT convolutions. Bounds are computed in x's dtype (in float32 for half
    precision) and accepted only beyond their own rounding error; float64 decides the rest.

    If the dual network was compiled with `HighProbability`, samples whose bounds were estimated get certificates with a
    failure probability, and the status `probably certified` where others get `certified`. Each of them holds with that
    probability by itself; of many, about that share may be wrong. `RandomProjection` proves nothing, so certificates
    never use it.

    Args:
        dual: the dual network.
        x: samples `[N, *shape]`.
        ball: the set around each, or one for each.
        labels: the classes that must win, `[N]`; without them the predicted class stands in. Per-pixel classifiers with
            outputs `[N, C, H, W]` take label maps `[N, H, W]`, and so on for other shapes: the class must win at every
            position, and the certificates' `positions` say where it does. The label -100 marks what is to be ignored.
        spec: any other property instead of the class margin.
        slopes: `adaptive` unless said otherwise; `optimized` ones are searched where adaptive ones prove nothing.
            Estimated bounds have `shared` ones.
        attack: looks for counterexamples where the bound decides nothing.
        known: intervals of bound sites proved elsewhere; they are named in the certificates as assumptions.
        deployed: count only margins beyond `execution_error`, and so certify the network as it is run, too.
        exact_seconds: decide exactly what bounds and attack leave open, for at most so many seconds a sample
            (`math.inf`: however long it takes). For small networks of piecewise-linear ops, over sets with flat sides.
        effort: bounds in stages, each of which sees only what is open: `fast` (over intervals), `normal` (then adaptive
            slopes), `high` (then optimized slopes, then branch and bound for 10 seconds a sample) or `complete` (the
            same until nothing more can be split). Over sets that are far rounder than a box, as l2 balls, bounds but
            those over intervals have `balls` where that is unsaid. The certificate's `stage` names the one that its
            margins are from. In place of `slopes`, `inner` and `last`.
        timeout: with effort `high` or `complete`, the seconds that a search may take for each sample, and those that
            optimized slopes may take for it before. What takes a second longer is interrupted, in the main thread of
            systems with timers, and adds nothing but what was proved until then.
        total_timeout: seconds after which slopes are no longer optimized, and no more searches begin or go on.
        bracket: attack what is proved, too, so that the samples that hold out bound the true share from above as those
            certified do from below, and a contradiction between the two cannot be missed; needs `attack`.
        progress: True for a bar, or a function that is told (see `autodual.progress`). Samples are then bounded some at
            a time, which changes no bound; an attack's random starts are others.

    Returns:
        A list that prints as a count, and in a notebook as a table.

    Raises:
        InvalidInputError: `dual` is a model that is not compiled, labels are out of range, with `deployed` an op has
            no analysis of its rounding, or with `exact_seconds` an op or the set has no exact form.
        EmptySetError: a set has no points, or an assumption is provably false.
        ModelChangedError: the model, run at x, is no longer the network that was compiled.
        ContradictionError: a point breaks a bound that was proved over its set, which is a bug; the error keeps the
            evidence.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.Identity())  # scores are the inputs themselves
        >>> x, labels = torch.tensor([[1.0, 0.0], [1.0, 0.9], [0.0, 1.0]]), torch.tensor([0, 0, 0])
        >>> found = autodual.certify(dual, x, autodual.LinfBall(0.1), labels=labels)
        >>> found
        Certificates(1 certified, 1 unknown, 1 misclassified)
        >>> found[0]
        Certificate(certified, margin=0.8, predicted=0, label=0)
    """
    ask = Ask.of(ask, options, certify)
    dual, x = given_network(dual), sample_tensor(x)
    labelled = labels is not None or spec is not None
    with checked_together(), torch.no_grad():
        region = require_support(perturbation_set(ball).at(x))
        if attack is not None:
            require_searchable(region)
        elif bracket:
            raise InvalidInputError("bracket=True needs an attack; give attack=autodual.attacks.Pgd(), for example")
        outputs = dual.outputs(x)
        spec = chosen_goal(dual, outputs, labels, spec)
    require_same_network(dual, x)
    plan = dual.compiled(x).plan
    checked_ask(ask, plan, x)
    stages = Stages.of(effort, timeout, ask, plan)
    estimates = plan.options.projection is not None and plan.options.projection.certifies
    ask = ask.over(Ask(slopes="shared" if estimates else "adaptive", inner="dual", exact=not estimates))
    total = Clock(math.inf if total_timeout is None else checked_seconds(total_timeout, "total_timeout"))
    exact = ExactDecisions.of(dual, x, exact_seconds)
    task = _Task(dual, plan, attack, exact, stages, total, deployed, labelled, bracket)
    found = Certificates()
    with tracked(progress, region.count) as advance:
        for index in _parts(region, progress):
            part = region.select(index), spec.select(index), outputs[index], ask.select(index)
            found += task.certificates(*part)
            advance(len(found), counted(certificate.status for certificate in found))
    return found


def _parts(region: Support, progress: Progress) -> Iterator[Tensor]:
    """Indices of all samples at once, or of a few at a time if progress is to be shown."""
    parts = batches(region.count, Clock()) if progress else [range(region.count)]
    for part in parts:
        yield torch.arange(part.start, part.stop, device=region.centre.device)


@dataclass(frozen=True, eq=False)
class _Task:
    """What is the same for all samples of a call."""

    dual: DualNetwork
    plan: Plan
    attack: Attack | None
    exact: ExactDecisions | None
    stages: Stages | None
    total: Clock
    deployed: bool
    labelled: bool
    bracket: bool

    def certificates(self, region: Support, spec: Specification, outputs: Tensor, ask: Ask) -> list[Certificate]:
        """Those of some samples, with their outputs."""
        dual, deployed = self.dual, self.deployed
        wrong = misclassified(spec, outputs)
        staged = self._staged(region, spec, ask, wrong)
        assumptions = tuple(f"interval of node '{name}' taken as known" for name in ask.known or ())
        words = Told(bound_words("dual bound", ask), assumptions, deployed)
        known = self._found(region, spec, staged.proof, wrong, ask, words)
        proof, found, searched, decisions = known.proof, known.points, known.searched, known.exact
        efforts = {"search": searched, "exact": decisions}
        reached = reached_classes(dual, spec, found)
        proof, wrong, classes = self._on_host(proof, wrong, spec, outputs)
        members, described, goal = region.source.members(), region.source.describe(), spec.describe()
        narrow = str(bounding_dtype(region.centre.dtype)).removeprefix("torch.")
        return [
            Certificate(
                status=status_of(proof, sample, bool(wrong[sample]), sample in found),
                predicted=classes[sample].predicted,
                label=classes[sample].label,
                positions=classes[sample].positions,
                margins=classes[sample].margins or tuple(proof.lower[sample].tolist()),
                margin=float(proof.margin[sample]),
                rounding_error=float(proof.error[sample].max()),
                arithmetic="float64" if proof.double[sample] else narrow,
                counterexample=found.get(sample),
                original=region.centre[sample] if sample in found else None,
                reached=reached.get(sample),
                perturbation=described,
                decided_by=members[int(proof.member[sample])].describe() if len(members) > 1 else "",
                specification=goal,
                method=method_of(proof, sample, staged.asks[sample], self.plan, efforts),
                stage="search" if sample in searched else staged.names[sample],
                parts=searched[sample].programs if sample in searched else None,
                assumptions=assumptions,
                failure_probability=float(proof.failure_probability[sample]),
                execution=str(proof.deployment.dtype).removeprefix("torch."),
                execution_error=float(proof.deployed[sample].max()) if proof.deployment.analysed else None,
                execution_reason=proof.deployment.reason_for(float(proof.deployed[sample].max())),
                deployed=deployed,
                exact=effort_of(decisions.get(sample)),
                attacked=bool(wrong[sample]) or sample in found if self.bracket else None,
            )
            for sample in range(region.count)
        ]

    def _found(
        self, region: Support, spec: Specification, proof: Proof, wrong: Tensor, ask: Ask, words: Told
    ) -> _Found:
        """What attacks, exact decisions and searches add to a proof, each where the ones before leave it open."""
        points: dict[int, Tensor] = {}
        exact: dict[int, Decision] = {}
        searched: dict[int, Decision] = {}
        if self.attack is not None:
            chosen = ~wrong if self.bracket else ~(proof.proved | wrong)
            points = attacked_samples(self.dual, region, spec, proof, self.attack, chosen, words)
        if self.exact is not None:
            open_ = _open(proof, wrong, points)
            exact = self.exact.decide(region, spec, proof, open_, ask, deployed=self.deployed)
            proof = with_decisions(proof, exact)
            refuted = {sample: one.point for sample, one in exact.items() if one.point is not None}
            hits = {sample: self.exact.counterexample(region, sample, point) for sample, point in refuted.items()}
            points |= hits
            check_points(self.dual, region, spec, proof, hits, words)
        if self.stages is not None and self.stages.seconds > 0:
            search = SearchDecisions(self.dual, self.stages.seconds, self.total)
            searched = search.decide(region, spec, proof, _open(proof, wrong, points), deployed=self.deployed)
            proof = with_decisions(proof, searched, double=False)
            hits = {sample: one.point[0] for sample, one in searched.items() if one.point is not None}
            points |= hits
            check_points(self.dual, region, spec, proof, hits, words)
        return _Found(proof, points, searched, exact)

    def _staged(self, region: Support, spec: Specification, ask: Ask, wrong: Tensor) -> StagedProof:
        """The proof of some samples, in stages if there are any."""
        if self.stages is None:
            proof = prove(self.dual, region, spec, ask, deployed=self.deployed)
            return StagedProof(proof, [""] * region.count, [ask] * region.count)
        return proved_in_stages(self.dual, region, spec, ask, self.stages, wrong, self.total, deployed=self.deployed)

    def _on_host(
        self, proof: Proof, wrong: Tensor, spec: Specification, outputs: Tensor
    ) -> tuple[Proof, Tensor, list[_Classes]]:
        """The proof, the misclassified samples `[N]` and the classes of each, brought to the host together."""
        if not isinstance(spec, LabelSpecification):
            proof, (wrong,) = brought_to_host(proof, wrong)
            return proof, wrong, [_Classes()] * outputs.shape[0]
        if spec.labels.dim() > 1:
            found = positions_of(spec, proof.lower, proof.decisive, outputs, labelled=self.labelled)
            proof, (wrong,) = brought_to_host(proof, wrong)
            return (
                proof,
                wrong,
                [_Classes(positions=one, margins=tuple(one.margins.flatten().tolist())) for one in found],
            )
        others = wrong, spec.labels.to(wrong.device), spec.predicted(outputs)
        proof, (wrong, labels, predicted) = brought_to_host(proof, *others)
        known = [label if self.labelled and label != IGNORED else None for label in labels.tolist()]
        return proof, wrong, [_Classes(*pair) for pair in zip(predicted.tolist(), known, strict=True)]


@dataclass(frozen=True, eq=False)
class _Found:
    """A proof, and by sample the counterexamples and the decisions of searches and of exact programs."""

    proof: Proof
    points: dict[int, Tensor]
    searched: dict[int, Decision]
    exact: dict[int, Decision]


def _open(proof: Proof, wrong: Tensor, points: Mapping[int, Tensor]) -> Tensor:
    """Samples `[N]` of which nothing is known yet."""
    found = ~(proof.proved | wrong)
    found[list(points)] = False
    return found


@dataclass(frozen=True)
class _Classes:
    """The classes that a certificate names; None where the specification is not about classes."""

    predicted: int | None = None
    label: int | None = None
    positions: Positions | None = None
    margins: tuple[float, ...] = ()


def reached_classes(dual: DualNetwork, spec: Specification, found: Mapping[int, Tensor]) -> dict[int, int]:
    """The class that the network gives each counterexample, by sample; empty if outputs are not one class a sample."""
    if not found or not isinstance(spec, LabelSpecification) or spec.labels.dim() > 1:
        return {}
    with torch.no_grad():
        classes = spec.predicted(dual.outputs(torch.stack(list(found.values()))))
    return dict(zip(found, classes.tolist(), strict=True))
