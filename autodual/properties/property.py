"""The content of a VNN-LIB file, as data: it describes the *violation* of a property, never the property itself.

`sat` means that some input in a case's box makes one of the case's conjunctions true; `unsat` that there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy


@dataclass(frozen=True)
class Variable:
    """A tensor of inputs or outputs as the file declares it; its entries are numbered in row-major order.

    Args:
        name: as declared.
        shape: as declared.
        onnx_name: its name in the ONNX file, if the declaration gives one.
        element: the declared type of its entries, such as float32 or real; None in version 1.0.

    Example:
        >>> from autodual.properties import Variable
        >>> Variable("X", (2, 3)).size
        6
    """

    name: str
    shape: tuple[int, ...]
    onnx_name: str | None = None
    element: str | None = None

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Declaration:
    """A network as a file of version 2.0 declares it.

    Args:
        name: as declared.
        inputs, hidden, outputs: its variables; hidden ones are values inside the network.
        equal_to: the network whose model is this one's, too, or None.

    Example:
        >>> from autodual.properties import Declaration, Variable
        >>> Declaration("f", (Variable("X", (2,)),), (), (Variable("Y", (1,)),)).variables[1].name
        'Y'
    """

    name: str
    inputs: tuple[Variable, ...]
    hidden: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    equal_to: str | None = None

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All variables, in the order in which they are declared."""
        return (*self.inputs, *self.hidden, *self.outputs)


@dataclass(frozen=True, eq=False)
class Conjunction:
    """matrix · v <= bound in every row, or < if the row is `strict`.

    Args:
        matrix: float64 `[S, K]`.
        bound: float64 `[S]`.
        strict: bool `[S]`.
        total: the sum `[K]` of the exact rows, rounded once; None if float64 cannot hold it. The sum of the rounded
            rows may be far from it, relatively, if terms cancel.
        bound_error: how far each bound may be from the file's, float64 `[S]`; None: by a rounding.

    Example:
        >>> import numpy
        >>> from autodual.properties import Conjunction
        >>> part = Conjunction(numpy.array([[1.0, -1.0]]), numpy.array([0.0]), numpy.array([True]))
        >>> part.holds([1.0, 2.0]), part.holds([2.0, 2.0])
        (True, False)
    """

    matrix: numpy.ndarray
    bound: numpy.ndarray
    strict: numpy.ndarray
    total: numpy.ndarray | None = None
    bound_error: numpy.ndarray | None = None

    def holds(self, values: numpy.ndarray) -> bool:
        """Whether all rows hold, evaluated in float64; False if a value is NaN or infinite.

        Args:
            values: v `[K]`.
        """
        values = numpy.asarray(values, numpy.float64)
        if not numpy.isfinite(values).all():
            return False
        left = self.matrix @ values
        return bool(numpy.where(self.strict, left < self.bound, left <= self.bound).all())


@dataclass(frozen=True, eq=False)
class Case:
    """A box of inputs, and conjunctions over outputs, each of which is a violation if it holds for an input in the box.

    Args:
        lower, upper: float64 `[D]`, all inputs one after another, finite, lower <= upper.
        conjunctions: over the outputs `[K]`.
        relation: further linear constraints of the inputs `[J, D]`.

    Example:
        >>> import numpy
        >>> from autodual.properties import Case
        >>> Case(numpy.zeros(2), numpy.ones(2), ()).contains(numpy.array([0.5, 1.5]))
        False
    """

    lower: numpy.ndarray
    upper: numpy.ndarray
    conjunctions: tuple[Conjunction, ...]
    relation: Conjunction | None = None

    def contains(self, inputs: numpy.ndarray) -> bool:
        """Whether an input lies in the box and satisfies the relation.

        Args:
            inputs: `[D]`.
        """
        inside = bool(((self.lower <= inputs) & (inputs <= self.upper)).all())
        return inside and (self.relation is None or self.relation.holds(inputs))


@dataclass(frozen=True, eq=False)
class Property:
    """A disjunction of one or more cases. `load_property` makes it.

    The outputs that cases number are those of one network, which a file of several networks, hidden values or products
    makes of those that it is given: `outputs`, one tensor after another, then `products`.

    Args:
        inputs, outputs: as declared, those of all networks one after another, and hidden values behind the outputs;
            cases number their entries one tensor after another.
        cases: the property is violated if one of them is.
        version: of VNN-LIB.
        network: the file's name for the first network; None in version 1.0.
        vacuous: the number of combinations of the file's disjunctions that nothing satisfies; `cases` has the others.
        sha256: hexadecimal digest of the file's bytes.
        declarations: the networks of a file of version 2.0.
        products: further outputs, each the product of entries: those of inputs counted from 0, those of outputs from
            `input_size` on.
        sources: where a file of several networks says that inputs are equal, these are one input of the cases: for each
            declared entry, which. Empty where each is its own.

    Example:
        >>> import autodual, numpy
        >>> from pathlib import Path
        >>> _ = Path("small.vnnlib").write_text('''
        ... (declare-const X_0 Real) (declare-const Y_0 Real)
        ... (assert (>= X_0 0)) (assert (<= X_0 1)) (assert (<= Y_0 0))''')
        >>> goal = autodual.load_property("small.vnnlib")
        >>> goal.violation(numpy.array([0.5]), numpy.array([-1.0]))
        0
    """

    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    cases: tuple[Case, ...]
    version: str
    network: str | None
    vacuous: int
    sha256: str
    declarations: tuple[Declaration, ...] = ()
    products: tuple[tuple[int, ...], ...] = ()
    sources: tuple[int, ...] = ()

    @property
    def input_size(self) -> int:
        """The number of entries of all inputs, D; those that are equal count once."""
        return max(self.sources) + 1 if self.sources else sum(variable.size for variable in self.inputs)

    def declared(self, inputs: numpy.ndarray) -> numpy.ndarray:
        """The entries of all declared inputs.

        Args:
            inputs: `[D]`.
        """
        return inputs[list(self.sources)] if self.sources else inputs

    @property
    def output_size(self) -> int:
        """The number of entries of all outputs, K, the products included."""
        return sum(variable.size for variable in self.outputs) + len(self.products)

    @property
    def composed(self) -> bool:
        """Whether it is about more than the outputs of one network: about a network that has to be composed."""
        hidden = any(network.hidden for network in self.declarations)
        several = len(self.declarations) > 1 or len(self.outputs) > 1
        return hidden or several or bool(self.products)

    def completed(self, inputs: numpy.ndarray, outputs: numpy.ndarray) -> numpy.ndarray:
        """The outputs with the products computed anew, in float64, from the entries of inputs and other outputs.

        Args:
            inputs: `[D]`.
            outputs: `[K]`; the entries of products are not read.
        """
        if not self.products:
            return outputs
        known = outputs[: self.output_size - len(self.products)]
        entries = numpy.concatenate([inputs, known])
        return numpy.concatenate([known, [entries[list(places)].prod() for places in self.products]])

    def violation(self, inputs: numpy.ndarray, outputs: numpy.ndarray) -> int | None:
        """The number of the first case in which the inputs with these outputs are a violation, or None.

        Args:
            inputs: `[D]`.
            outputs: `[K]`.
        """
        for number, case in enumerate(self.cases):
            if case.contains(inputs) and any(part.holds(outputs) for part in case.conjunctions):
                return number
        return None
