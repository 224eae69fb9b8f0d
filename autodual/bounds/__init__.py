"""The bounds engine: interval sweeps, backward rows and forward columns over any graph; knows no op by name."""

from autodual.bounds.ascent.search_result import SearchResult, joined_searches
from autodual.bounds.engine.constrained_sweep import sweep_again
from autodual.bounds.engine.executed_error import Execution, execution
from autodual.bounds.engine.last_bound import ObjectiveBounds, objective_bounds
from autodual.bounds.engine.objective_piece import Wish
from autodual.bounds.engine.record import Record, joined_records, record_of
from autodual.bounds.engine.sweep import prepare
from autodual.bounds.memory.recomputation import recomputed
from autodual.bounds.memory.row_cost import work_of_rows
from autodual.bounds.memory.tensor_tree import mapped, tensors_of
from autodual.bounds.options import BoundOptions
from autodual.bounds.projected.projections import Projections
from autodual.bounds.rows.pull import LinearBound
from autodual.bounds.state.bound_state import BoundState
from autodual.bounds.state.constraints import Constraint, Multiplied, Split
from autodual.bounds.state.kept_bytes import Ledger
from autodual.bounds.state.slopes import Slopes
from autodual.bounds.state.subproblems import Subproblems

__all__ = [
    "BoundOptions",
    "BoundState",
    "Constraint",
    "Execution",
    "Ledger",
    "LinearBound",
    "Multiplied",
    "ObjectiveBounds",
    "Projections",
    "Record",
    "SearchResult",
    "Slopes",
    "Split",
    "Subproblems",
    "Wish",
    "execution",
    "joined_records",
    "joined_searches",
    "mapped",
    "objective_bounds",
    "prepare",
    "recomputed",
    "record_of",
    "sweep_again",
    "tensors_of",
    "work_of_rows",
]
