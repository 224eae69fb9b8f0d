"""Cascades: networks that are tried in turn until one certifies the sample (Algorithm 4, with J > 0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.certification.certificate import Certificate, Status
from autodual.certification.certify import certify
from autodual.certification.proof import prove
from autodual.certification.showing import html_pairs, short
from autodual.errors import InvalidInputError
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.network import Ask, DualNetwork
from autodual.network.ask_options import PolicyOptions
from autodual.network.keywords import takes
from autodual.perturbations import LinfBall, PerturbationSet, PlacedSet, perturbation_set, require_searchable
from autodual.policies import IGNORED
from autodual.specs import ClassMargin
from autodual.specs.label_map import class_count


@dataclass(frozen=True, eq=False)
class Cascade:
    """Dual networks f_1 … f_S of one input shape and the same classes, in the order in which they are tried.

    Raises InvalidInputError without a stage, or with one that is no dual network.
    """

    stages: Sequence[DualNetwork]

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        if not self.stages:
            raise InvalidInputError("a cascade needs at least one stage")
        for number, stage in enumerate(self.stages, start=1):
            if not isinstance(stage, DualNetwork):
                raise InvalidInputError(
                    f"stage {number} of the cascade is a {type(stage).__name__}, not a dual network; make it one with "
                    "compile_dual"
                )

    def classes(self, x: Samples) -> int:
        """How many classes the stages tell apart in samples like x `[N, *shape]`.

        Raises InvalidInputError if some stages have more than others, or none.
        """
        shapes = [stage.output_shape(x) for stage in self.stages]
        for number, shape in enumerate(shapes, start=1):
            if len(shape) != 1:
                raise InvalidInputError(
                    f"a cascade gives each sample one label, but stage {number} has outputs of the shape "
                    f"{['N', *shape]}; certify its label maps by itself".replace("'", "")
                )
        found = [class_count(torch.Size((1, *shape)), 1) for shape in shapes]
        if len(set(found)) > 1:
            raise InvalidInputError(f"the stages of a cascade must have the same classes, but have {found} of them")
        return found[0]


@dataclass(frozen=True, eq=False, repr=False)
class CascadeCertificate:
    """What a cascade says of one sample.

    status: `certified` where it gives a label, and the true one if that is known; `misclassified` where it gives
    another; `unknown` where it gives none: it abstains. predicted: the label it gives. A perturbed input gets no other
    label from the same cascade and set, but may get none. guess: the class of the first stage, which all labels agree
    with; where the cascade abstains, nothing is certain of it. label: the true class, or None.

    stage: the one that decided, from 1, or None. disagreement: the visited stage that does not provably agree with the
    first at the sample itself, or None. certificates: of the visited stages, each for its own class, in order.
    attacked: after `attack_cascade`, whether the sample, or a point of the set around it, gets a wrong label;
    counterexample: that point.
    """

    status: Status
    predicted: int | None
    guess: int
    label: int | None
    stage: int | None
    disagreement: int | None
    certificates: tuple[Certificate, ...]
    attacked: bool | None = None
    counterexample: Tensor | None = None

    @property
    def certified(self) -> bool:
        """Whether the cascade gives a label, and no other than the true one."""
        return self.status is Status.CERTIFIED

    @property
    def abstains(self) -> bool:
        """Whether the cascade gives no label."""
        return self.predicted is None

    def __repr__(self) -> str:
        parts = ("predicted", self.predicted), ("label", self.label), ("stage", self.stage)
        return short("CascadeCertificate", self.status, parts)

    def _repr_html_(self) -> str:
        """All fields but the stages' certificates, as a table, which notebooks show."""
        names = ("status", "predicted", "guess", "label", "stage", "disagreement")
        return html_pairs((name, getattr(self, name)) for name in names)


@takes(PolicyOptions)
def certify_cascade(
    cascade: Cascade,
    x: Samples,
    ball: PerturbationSet,
    labels: Labels | None = None,
    *,
    deployed: bool = False,
    ask: Ask | None = None,
    **options: Unpack[PolicyOptions],
) -> list[CascadeCertificate]:
    """What a cascade says of each sample.

    A sample visits stage after stage, until one certifies its own class over the set around the sample. That class is
    its label if every stage visited gives it to the sample too; if one does not, or none certifies, the cascade
    abstains. Then no two inputs in the set around one another get different labels (docs/mathematics.md, "Cascades").
    Certificates and agreement are both proved, in real arithmetic or, with `deployed`, of a run in floating point as
    well: a tie, or a lead within rounding, is no agreement.
    Only deterministic certificates count, not those of `HighProbability`.

    Args:
        cascade: the stages.
        x: samples `[N, *shape]`.
        ball: the set around each, symmetric and the same for all.
        labels: the true classes `[N]`, if they are known.
        deployed: count only margins beyond what rounding may cost where the stages are run, also those by which they
            agree at the sample itself: then the cascade gives the same labels where it is run.
        slopes: `adaptive` unless said otherwise, and `shared` for stages with estimates, as in `certify`.

    Raises:
        InvalidInputError: for a set that is not symmetric or has other radii for other samples, for a sample outside
            the set's domain, for stages of different classes, for labels that do not fit, and with `deployed` for a
            stage with an op that has no rounding analysis.

    Example:
        >>> import autodual, torch
        >>> stages = [autodual.compile_dual(torch.nn.Identity()), autodual.compile_dual(torch.nn.ReLU())]
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.9]])
        >>> found = autodual.certify_cascade(autodual.Cascade(stages), x, autodual.LinfBall(0.1), labels=[0, 0])
        >>> [(str(one.status), one.stage) for one in found]
        [('certified', 1), ('unknown', None)]
    """
    ask, x = Ask.of(ask, options, certify_cascade), sample_tensor(x)
    region = _symmetric_region(ball, x)
    classes = cascade.classes(x)
    known: Sequence[int | None] = [None] * x.shape[0]
    if labels is not None:
        truth = ClassMargin(labels)
        truth.rows(x.new_zeros(x.shape[0], classes))  # raises for labels that do not fit
        known = truth.labels.tolist()
        if IGNORED in known:
            raise InvalidInputError(
                f"the label of sample {known.index(IGNORED)} is {IGNORED}, which says to ignore it; leave such samples "
                "out of a cascade's, or give no labels"
            )
    found: list[list[Certificate]] = [[] for _ in range(x.shape[0])]
    decided, disagreeing, first = (torch.zeros(x.shape[0], dtype=torch.long, device=x.device) for _ in range(3))
    pending = torch.arange(x.shape[0], device=x.device)
    for number, dual in enumerate(cascade.stages, start=1):
        if pending.shape[0] == 0:
            break
        visit = _visit(dual, region.select(pending), ask, deployed)
        for sample, certificate in zip(pending.tolist(), visit.certificates):
            found[sample].append(certificate)
        if number == 1:
            first = visit.classes
        agrees = visit.sure & (visit.classes == first[pending])
        decided[pending[agrees & visit.proved]] = number
        disagreeing[pending[~agrees]] = number
        pending = pending[agrees & ~visit.proved]
    return [_outcome(*sample) for sample in zip(found, decided.tolist(), disagreeing.tolist(), known)]


@dataclass(frozen=True, eq=False)
class _Visit:
    """What one stage says of some samples.

    classes `[n]`: its own; proved `[n]`: whether it certifies them over the sets; sure `[n]`: whether they are certain
    at the samples themselves.
    """

    certificates: list[Certificate]
    classes: Tensor
    proved: Tensor
    sure: Tensor


def _visit(dual: DualNetwork, region: PlacedSet, ask: Ask, deployed: bool) -> _Visit:
    x = region.centre
    found = certify(dual, x, region.source, deployed=deployed, ask=ask)
    classes = torch.tensor([certificate.predicted for certificate in found], device=x.device)
    proved = torch.tensor([certificate.certified for certificate in found], device=x.device)
    # What holds over the set holds at the sample, which is in it.
    sure, index = proved.clone(), (~proved).nonzero().squeeze(1)
    if index.shape[0]:
        at_samples, own = LinfBall(0.0).at(x[index]), ClassMargin(classes[index])
        certain = prove(dual, at_samples, own, Ask(slopes="adaptive", inner="dual"), deployed=deployed)
        sure[index] = certain.proved
    return _Visit(found, classes, proved, sure)


def _outcome(found: Sequence[Certificate], decided: int, disagreeing: int, label: int | None) -> CascadeCertificate:
    guess = found[0].predicted
    assert guess is not None
    predicted = guess if decided else None
    status = Status.CERTIFIED if label in (None, predicted) else Status.MISCLASSIFIED
    return CascadeCertificate(
        status=Status.UNKNOWN if predicted is None else status,
        predicted=predicted,
        guess=guess,
        label=label,
        stage=decided or None,
        disagreement=disagreeing or None,
        certificates=tuple(found),
    )


def _symmetric_region(ball: PerturbationSet, x: Tensor) -> PlacedSet:
    """The set around the samples, if the guarantee holds for it; raises InvalidInputError otherwise."""
    region = require_searchable(perturbation_set(ball).at(x), "a cascade")
    if not ball.symmetric(x):
        raise InvalidInputError(
            "the guarantee of a cascade needs a set that is symmetric and the same for all samples, such as a ball of "
            f"one radius; this one is not: {ball.describe()}"
        )
    # In float64, where the domain's ends are as they were given.
    inside = region.to(torch.float64).contains(x.double())
    if not inside.all():
        raise InvalidInputError(
            f"sample {int((~inside).nonzero()[0])} lies outside the domain, so it is in no other input's set and a "
            f"cascade guarantees nothing ({ball.describe()}); move it into the domain"
        )
    return region
