"""HiGHS: linear programs that differ in a few bounds of columns, each solved from where the last one ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy

from autodual.errors import InvalidInputError
from autodual.exact.linear_program import Array, Program

# Of constraints and of reduced costs. What HiGHS returns is checked, so that these set how tight bounds are, not
# whether they are true.
_TOLERANCE = 1e-9
# Coefficients that are smaller are left out by HiGHS; it allows no smaller limit.
_SMALL = 1e-12


@dataclass(frozen=True, eq=False)
class Solved:
    """What a solver says of a linear program; nothing of it is trusted.

    value: the least value; infinite where there is no point. point `[width]`: where it is reached, or None.
    multipliers `[rows]`: what proves the value, or that there is no point (then of the cost 0).
    """

    value: float
    point: Array | None
    multipliers: Array
    infeasible: bool = False


class LinearSolver:
    """Minimises one cost over a program whose binaries may take any value in between, again and again.

    Raises InvalidInputError where highspy is not installed.
    """

    def __init__(self, program: Program, cost: Array) -> None:
        self._highspy = highspy = require_highspy()
        self._program, self._cost = program, cost
        # The class without callbacks, since the one with them prints a banner when it is made.
        self._highs: Any = highspy._Highs()
        for option, value in {
            "output_flag": False,
            "threads": 1,
            "primal_feasibility_tolerance": _TOLERANCE,
            "dual_feasibility_tolerance": _TOLERANCE,
            "small_matrix_value": _SMALL,
        }.items():
            self._highs.setOptionValue(option, value)
        taken = self._highs.passModel(_model(highspy, program, cost))
        #: Whether the program can be solved: HiGHS refuses huge coefficients and some NaN, and returns nothing then.
        self.takes = taken != highspy.HighsStatus.kError and _is_numeric(program, cost)

    def solve(self, lower: Array, upper: Array, enough: float, seconds: float) -> Solved | None:
        """The least cost with these bounds of the binaries `[binaries]`; None where the time ran out.

        enough: the solver may stop once it can prove that the cost is at least this.
        """
        binary = self._program.binary
        if len(binary):
            self._highs.changeColsBounds(len(binary), binary.astype(numpy.int32), lower, upper)
        if math.isfinite(seconds):
            self._highs.setOptionValue("time_limit", self._highs.getRunTime() + max(seconds, 0.0))
        self._highs.setOptionValue("objective_bound", enough)
        self._highs.run()
        status, kinds = self._highs.getModelStatus(), self._highspy.HighsModelStatus
        if status == kinds.kInfeasible:
            return Solved(math.inf, None, self._ray(), infeasible=True)
        if status == kinds.kTimeLimit:
            return None
        solution = self._highs.getSolution()
        multipliers = numpy.array(solution.row_dual, float)
        if status != kinds.kOptimal or not solution.value_valid:
            valid = multipliers if solution.dual_valid else numpy.zeros(len(self._program.row_lower))
            return Solved(-math.inf, None, valid)
        return Solved(float(self._highs.getObjectiveValue()), numpy.array(solution.col_value, float), multipliers)

    def _ray(self) -> Array:
        """Multipliers that prove that there is no point, or zeros where HiGHS gives none."""
        _, found, ray = self._highs.getDualRay()
        return numpy.array(ray, float) if found else numpy.zeros(len(self._program.row_lower))


def require_highspy() -> ModuleType:
    """The module highspy, imported when it is first needed.

    Raises:
        InvalidInputError: it is not installed.
    """
    try:
        import highspy
    except ImportError:
        raise InvalidInputError(
            "exact verification solves its programs with HiGHS; install it: pip install 'autodual[exact]'"
        ) from None
    return highspy


def _is_numeric(program: Program, cost: Array) -> bool:
    finite = (cost, program.values, program.lower, program.upper)
    ends = (program.row_lower, program.row_upper)
    return all(numpy.isfinite(part).all() for part in finite) and not any(numpy.isnan(part).any() for part in ends)


def _model(highspy: ModuleType, program: Program, cost: Array) -> Any:
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = program.width, len(program.row_lower)
    model.col_cost_, model.col_lower_, model.col_upper_ = cost, program.lower, program.upper
    model.row_lower_, model.row_upper_ = program.row_lower, program.row_upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_ = program.starts.astype(numpy.int32)
    model.a_matrix_.index_ = program.columns.astype(numpy.int32)
    model.a_matrix_.value_ = program.values
    return model
