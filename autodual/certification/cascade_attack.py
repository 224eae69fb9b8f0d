"""Attacks on cascades: is there a point around the sample that the cascade itself labels wrongly?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.attacks import Attack, attack_members, counterexamples
from autodual.attacks.base import given_attack
from autodual.certification.cascade import Cascade, CascadeCertificate, certify_cascade
from autodual.certification.certificate import Status
from autodual.certification.contradiction import contradiction_words, network_record
from autodual.errors import ContradictionError, InvalidInputError
from autodual.inputs import Samples, sample_tensor
from autodual.network import Ask
from autodual.network.ask_options import PolicyOptions
from autodual.network.keywords import takes
from autodual.perturbations import PerturbationSet, Searchable, perturbation_set, require_searchable
from autodual.specs import ClassMargin


@takes(PolicyOptions)
def attack_cascade(
    cascade: Cascade,
    x: Samples,
    ball: PerturbationSet,
    certificates: Sequence[CascadeCertificate],
    attack: Attack,
    *,
    deployed: bool = False,
    ask: Ask | None = None,
    **options: Unpack[PolicyOptions],
) -> list[CascadeCertificate]:
    """The certificates, with what an attack finds: a bracket around what the cascade is worth.

    The attack searches the set around a sample for points at which a stage misses the class, and the cascade, certified
    anew around each of them, decides: only another label than the sample's counts. An abstention does not. So
    certified samples bound from below how many have no such point, and those that are not `attacked` from above.

    Args:
        cascade: the stages.
        x: samples `[N, *shape]`.
        ball: the set around each.
        certificates: what `certify_cascade` said of them.
        attack: any attack.
        deployed: as in `certify_cascade`.

    Returns:
        The certificates with `attacked` and `counterexample` filled in. Without a label, that of the cascade stands in.

    Raises:
        InvalidInputError: as in `certify_cascade`, or there is not one certificate for each sample.
        ContradictionError: a point in the set around a sample gets another label than the sample, which is a bug; the
            error keeps the evidence.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Pgd
        >>> cascade = autodual.Cascade([autodual.compile_dual(torch.nn.Identity())])
        >>> x, ball = torch.tensor([[1.0, 0.0], [1.0, 0.8]]), autodual.LinfBall(0.2)
        >>> found = autodual.certify_cascade(cascade, x, ball, labels=[0, 0])
        >>> found = autodual.attack_cascade(cascade, x, ball, found, Pgd(5))
        >>> [(str(one.status), one.attacked) for one in found]
        [('certified', False), ('unknown', False)]
    """
    ask, x, attack = Ask.of(ask, options, attack_cascade), sample_tensor(x), given_attack(attack)
    if len(certificates) != len(x):
        raise InvalidInputError(f"there are {len(certificates)} certificates for {len(x)} samples; give one for each")
    region = require_searchable(perturbation_set(ball).at(x))
    found = [replace(one, attacked=one.status is Status.MISCLASSIFIED) for one in certificates]
    for index, points in _candidates(cascade, region, found, attack):
        here = region.select(index)
        labelled = certify_cascade(cascade, points, here.source, deployed=deployed, ask=ask)
        for place, (sample, there) in enumerate(zip(index.tolist(), labelled, strict=True)):
            known = found[sample]
            if there.predicted in (None, _aim(known)):
                continue
            if known.abstains:
                found[sample] = replace(known, attacked=True, counterexample=points[place])
            else:
                _require_agreement(cascade, here.select(index.new_tensor([place])), known, points[place], sample)
    return found


def _aim(certificate: CascadeCertificate) -> int | None:
    """The label that no point may contradict; None where neither a true one nor the cascade's is known."""
    return certificate.predicted if certificate.label is None else certificate.label


def _candidates(
    cascade: Cascade, region: Searchable, found: Sequence[CascadeCertificate], attack: Attack
) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples `[n]` and points `[n, *shape]` of their sets at which one of the stages misses the class."""
    aims = [_aim(one) for one in found]
    for stage in cascade.stages:
        open_ = [place for place, one in enumerate(found) if aims[place] is not None and not one.attacked]
        index = torch.tensor(open_, dtype=torch.long, device=region.centre.device)
        if not open_:
            return
        here, goal = region.select(index), ClassMargin([aims[place] for place in open_])
        with torch.no_grad():
            points = attack_members(attack, stage.outputs, here, goal)
            missed = counterexamples(stage.outputs, here, goal, points)
        if bool(missed.any()):
            yield index[missed], points[missed]


def _require_agreement(
    cascade: Cascade, region: Searchable, certificate: CascadeCertificate, point: Tensor, sample: int
) -> None:
    """Raise ContradictionError where the nearest point in float64 of one sample's set has another label, too."""
    exact = require_searchable(region.to(torch.float64))
    nearest = exact.project(point.double().unsqueeze(0))
    (there,) = certify_cascade(cascade, nearest, exact.source)
    if there.predicted in (None, certificate.predicted) or not bool(exact.contains(nearest)):
        return
    evidence = {
        "sample": sample,
        "certified": True,
        "label": certificate.predicted,
        "stage": certificate.stage,
        "label_at_point": there.predicted,
        "stage_at_point": there.stage,
        "original": region.centre[0].tolist(),
        "point": nearest[0].tolist(),
        "perturbation": region.source.describe(),
        "networks": [network_record(stage, region.centre) for stage in cascade.stages],
    }
    raise ContradictionError(contradiction_words(evidence), evidence)
