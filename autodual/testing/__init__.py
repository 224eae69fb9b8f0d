"""The contract that every dual rule keeps, as one function: `check_dual_rule` is to rules what gradcheck is to
gradients.
"""

from autodual.testing.check import check_dual_rule
from autodual.testing.failure import DualRuleError

__all__ = ["DualRuleError", "check_dual_rule"]
