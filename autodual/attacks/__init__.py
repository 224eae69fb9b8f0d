"""Attacks: searches for points that refute a specification, and the check that a point does refute it."""

from autodual.attacks.base import Attack, counterexamples
from autodual.attacks.gradient import Fgsm, GradientAttack, Pgd
from autodual.attacks.outcome import broken
from autodual.attacks.registered_attacks import ATTACKS, named_attack

__all__ = ["ATTACKS", "Attack", "Fgsm", "GradientAttack", "Pgd", "broken", "counterexamples", "named_attack"]
