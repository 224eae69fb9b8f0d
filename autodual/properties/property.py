"""What a VNN-LIB file says, as data: it describes the *violation* of a property, never the property itself.

`sat` means that some input in some case's box makes one of its conjunctions true; `unsat` that there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy


@dataclass(frozen=True)
class Variable:
    """A tensor of inputs or outputs as the file declares it; its entries are numbered in row-major order.

    onnx_name: what it is called in the ONNX file, where the declaration says so.
    """

    name: str
    shape: tuple[int, ...]
    onnx_name: str | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Conjunction:
    """matrix · v <= bound in every row, or < where `strict`; float64 `[S, K]`, float64 `[S]` and bool `[S]`.

    total: the sum `[K]` of the rows as the file has them, rounded once; None where float64 cannot hold it. The sum of
    the rounded rows may differ from it by all that is left where terms cancel.
    """

    matrix: numpy.ndarray
    bound: numpy.ndarray
    strict: numpy.ndarray
    total: numpy.ndarray | None = None

    def holds(self, values: numpy.ndarray) -> bool:
        """Whether all rows hold of values `[K]`, evaluated in float64; never of NaN or infinity."""
        values = numpy.asarray(values, numpy.float64)
        if not numpy.isfinite(values).all():
            return False
        left = self.matrix @ values
        return bool(numpy.where(self.strict, left < self.bound, left <= self.bound).all())


@dataclass(frozen=True, eq=False)
class Case:
    """A box of inputs, and the conjunctions over outputs of which each would be a violation there.

    lower, upper: float64 `[D]`, all inputs one after another, finite, lower <= upper. relation: further linear
    constraints of the inputs `[J, D]`, beyond what the box says; bounds may leave them out, counterexamples may not.
    """

    lower: numpy.ndarray
    upper: numpy.ndarray
    conjunctions: tuple[Conjunction, ...]
    relation: Conjunction | None = None

    def contains(self, inputs: numpy.ndarray) -> bool:
        """Whether the inputs `[D]` lie in the box and satisfy the relation."""
        inside = bool(((self.lower <= inputs) & (inputs <= self.upper)).all())
        return inside and (self.relation is None or self.relation.holds(inputs))


@dataclass(frozen=True, eq=False)
class Property:
    """A disjunction of cases, at least one.

    inputs, outputs: as declared; cases number their entries one tensor after another. version: of VNN-LIB. network: the
    name that the file gives to the network (None in version 1.0, which has none). vacuous: how many combinations of the
    file's disjunctions no input can satisfy; they are no cases. sha256: hexadecimal digest of the file's bytes.
    """

    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    cases: tuple[Case, ...]
    version: str
    network: str | None
    vacuous: int
    sha256: str

    @property
    def input_size(self) -> int:
        return sum(variable.size for variable in self.inputs)

    @property
    def output_size(self) -> int:
        return sum(variable.size for variable in self.outputs)

    def violation(self, inputs: numpy.ndarray, outputs: numpy.ndarray) -> int | None:
        """The number of the first case that the inputs `[D]` and the outputs `[K]` violate, or None."""
        for number, case in enumerate(self.cases):
            if case.contains(inputs) and any(part.holds(outputs) for part in case.conjunctions):
                return number
        return None
