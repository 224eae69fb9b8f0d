"""Contract tests for extensions: `check_dual_rule` is to dual rules what gradcheck is to gradients."""

from autodual.testing.check import check_dual_rule
from autodual.testing.failure import DualRuleError
from autodual.testing.perturbation_sets import PerturbationSetError, check_perturbation_set

__all__ = ["DualRuleError", "PerturbationSetError", "check_dual_rule", "check_perturbation_set"]
