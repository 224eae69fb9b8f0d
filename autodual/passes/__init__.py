"""Passes from the traced graph to the dual plan; the default pipeline is a plain list that can be changed."""

from autodual.passes.assign_rules import AssignRules
from autodual.passes.base import Observer, Pass, run_passes
from autodual.passes.bound_sites import FindBoundSites
from autodual.passes.choose_execution import ChooseExecution
from autodual.passes.dead_nodes import RemoveDeadNodes
from autodual.passes.fold_affine import FoldAffine
from autodual.passes.high_probability import HighProbability
from autodual.passes.merge_equal_nodes import MergeEqualNodes
from autodual.passes.random_projection import RandomProjection
from autodual.passes.registered_passes import PASSES, named_pass
from autodual.passes.tie_operands import TieOperands


def default_pipeline() -> list[Pass]:
    """The passes that `compile_dual` runs, in order.

    Example:
        >>> import autodual, torch
        >>> from autodual.passes import RandomProjection, default_pipeline
        >>> [step.name for step in default_pipeline()]
        ['remove-dead-nodes', 'merge-equal-nodes', 'tie-operands', 'fold-affine', 'assign-rules', 'find-bound-sites',
         'choose-execution']
        >>> passes = [*default_pipeline(), RandomProjection(50)]
        >>> estimated = autodual.compile_dual(torch.nn.Linear(2, 3), passes=passes)
    """
    return [
        RemoveDeadNodes(),
        MergeEqualNodes(),
        TieOperands(),
        FoldAffine(),
        AssignRules(),
        FindBoundSites(),
        ChooseExecution(),
    ]


__all__ = [
    "PASSES",
    "AssignRules",
    "ChooseExecution",
    "FindBoundSites",
    "FoldAffine",
    "HighProbability",
    "MergeEqualNodes",
    "Observer",
    "Pass",
    "RandomProjection",
    "RemoveDeadNodes",
    "TieOperands",
    "default_pipeline",
    "named_pass",
    "run_passes",
]
