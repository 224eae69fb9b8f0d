"""Contract tests for extensions: `check_dual_rule` is to dual rules what gradcheck is to gradients.

`plant_counterexamples` makes networks that nothing sound certifies.
"""

from autodual.testing.check import check_dual_rule
from autodual.testing.failure import DualRuleError
from autodual.testing.perturbation_sets import PerturbationSetError, check_perturbation_set
from autodual.testing.planted import PlantedNetwork, plant_counterexamples

__all__ = [
    "DualRuleError",
    "PerturbationSetError",
    "PlantedNetwork",
    "check_dual_rule",
    "check_perturbation_set",
    "plant_counterexamples",
]
