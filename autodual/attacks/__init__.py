"""Attacks: searches for points that refute a specification, and the check that a point does refute it."""

from autodual.attacks.base import Attack, counterexamples
from autodual.attacks.gradient import Fgsm, GradientAttack, Pgd
from autodual.attacks.members import attack_members
from autodual.attacks.multi_steepest import Msd
from autodual.attacks.outcome import broken
from autodual.attacks.registered_attacks import ATTACKS, named_attack

__all__ = [
    "ATTACKS",
    "Attack",
    "Fgsm",
    "GradientAttack",
    "Msd",
    "Pgd",
    "attack_members",
    "broken",
    "counterexamples",
    "named_attack",
]
