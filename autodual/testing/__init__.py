"""The contract that every dual rule keeps, as one function: `check_dual_rule` is to rules what gradcheck is to
gradients.
"""

from autodual.testing.check import check_dual_rule
from autodual.testing.failure import DualRuleError
from autodual.testing.perturbation_sets import PerturbationSetError, check_perturbation_set

__all__ = ["DualRuleError", "PerturbationSetError", "check_dual_rule", "check_perturbation_set"]
