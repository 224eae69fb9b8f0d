"""Branch and bound: parts of sets are bounded, split and attacked until every claim is proved or one is refuted."""

from autodual.search.claims import Claims
from autodual.search.combinations import Functions
from autodual.search.last_parts import LeafSolution, SolveProgram
from autodual.search.part_bounds import PartBounds
from autodual.search.suitable_actions import suitable_actions
from autodual.search.tree_search import TreeSearch

__all__ = ["Claims", "Functions", "LeafSolution", "PartBounds", "SolveProgram", "TreeSearch", "suitable_actions"]
