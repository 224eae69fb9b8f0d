"""The attacks of torchattacks and Foolbox, if installed, by kind of attack."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from autodual.perturbations import NormBall, PerturbationSet

#: From samples and labels to perturbed points.
Attack: TypeAlias = Callable[[Tensor, Tensor], Tensor]
#: Attacks by kind and then by name.
Attacks: TypeAlias = dict[str, dict[str, Attack]]

STEPS, ADAPTIVE, QUERIES = 40, 100, 1000
SHARE = 2.5 / STEPS


def _balls(ball: PerturbationSet) -> list[NormBall]:
    return [member for member in ball.members() if isinstance(member, NormBall)]


def peer_attacks(model: nn.Module, ball: PerturbationSet) -> Attacks:
    """The attacks of both libraries on a set."""
    found: Attacks = {}
    for attacks in (torchattacks_attacks(model, ball), foolbox_attacks(model, ball)):
        for kind, named in attacks.items():
            found.setdefault(kind, {}).update(named)
    return found


def torchattacks_attacks(model: nn.Module, ball: PerturbationSet) -> Attacks:
    """torchattacks' attacks on an l∞ or l2 ball."""
    try:
        import torchattacks
    except ImportError:
        return {}
    if len(_balls(ball)) != 1:
        return {}
    (member,) = _balls(ball)
    norm = {float("inf"): "Linf", 2.0: "L2"}.get(member.order)
    if norm is None:
        return {}
    eps = float(member.radius)
    plain = torchattacks.PGD if norm == "Linf" else torchattacks.PGDL2
    made = {
        "PGD": plain(model, eps=eps, alpha=SHARE * eps, steps=STEPS),
        "APGD": torchattacks.APGD(model, norm=norm, eps=eps, steps=ADAPTIVE),
        "APGD, DLR": torchattacks.APGD(model, norm=norm, eps=eps, steps=ADAPTIVE, loss="dlr"),
        "APGD, targeted": torchattacks.APGDT(model, norm=norm, eps=eps, steps=ADAPTIVE),
        "Square": torchattacks.Square(model, norm=norm, eps=eps, n_queries=QUERIES),
        "standard": torchattacks.AutoAttack(model, norm=norm, eps=eps, seed=0),
    }
    return {kind: {f"torchattacks {type(attack).__name__}": _seeded(attack)} for kind, attack in made.items()}


def _seeded(attack: Attack) -> Attack:
    def run(x: Tensor, labels: Tensor) -> Tensor:
        torch.manual_seed(0)
        with contextlib.redirect_stdout(io.StringIO()):
            return attack(x, labels)

    return run


def foolbox_attacks(model: nn.Module, ball: PerturbationSet) -> Attacks:
    """Foolbox's attacks on a ball; on a union, the attacks on its members, one after the other."""
    try:
        import foolbox
    except ImportError:
        return {}
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    kinds = {
        float("inf"): (foolbox.attacks.LinfPGD,),
        2.0: (foolbox.attacks.L2PGD,),
        1.0: (foolbox.attacks.L1PGD, foolbox.attacks.SparseL1DescentAttack),
    }

    def made(member: NormBall) -> dict[str, Attack]:
        eps, found = float(member.radius), {}
        for kind in kinds[member.order]:
            attack = kind(rel_stepsize=SHARE, steps=STEPS)
            found[f"Foolbox {kind.__name__}"] = _seeded(
                lambda x, labels, attack=attack: attack(wrapped, x, labels, epsilons=eps)[1]
            )
        return found

    members = _balls(ball)
    if len(members) == 1:
        return {"PGD": made(members[0])}
    each = [attack for member in members for attack in list(made(member).values())[-1:]]

    def worst(x: Tensor, labels: Tensor) -> Tensor:
        points = x
        for attack in each:
            found = attack(x, labels)
            with torch.no_grad():
                refuted = model(found).argmax(1) != labels
            points = torch.where(refuted[:, None, None, None], found, points)
        return points

    return {kind: {"Foolbox, each member": worst} for kind in ("PGD", "MSD")}
