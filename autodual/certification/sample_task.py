"""What a call of `certify` does with some of its samples: proofs in stages, attacks, searches, exact decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from autodual.attacks import Attack
from autodual.certification.attacked_samples import attacked_samples, check_points
from autodual.certification.certificate import Certificate
from autodual.certification.contradiction import Told
from autodual.certification.effort import StagedProof, Stages, proved_in_stages
from autodual.certification.exact_decisions import Decision, ExactDecisions, with_decisions
from autodual.certification.positions import misclassified
from autodual.certification.proof import Proof, prove
from autodual.certification.sample_classes import reached_classes, with_classes
from autodual.certification.sample_outcomes import effort_of, method_of, status_of
from autodual.certification.search_decisions import SearchDecisions
from autodual.certification.showing import bound_words
from autodual.certification.verdicts.clock import Clock
from autodual.network import Ask, DualNetwork
from autodual.passes.plan import Plan
from autodual.perturbations import Support
from autodual.specs import Specification
from autodual.tensors import bounding_dtype


@dataclass(frozen=True, eq=False)
class SampleTask:
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

    @property
    def searches(self) -> bool:
        """Whether samples that bounds leave open are searched, each for seconds."""
        return self.stages is not None and self.stages.seconds > 0

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
        proof, wrong, classes = with_classes(proof, wrong, spec, outputs, labelled=self.labelled)
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
        if self.stages is not None and self.searches:
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
