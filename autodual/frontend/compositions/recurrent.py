"""One step of a recurrent network, from what its gates see before their activations.

PyTorch's own recurrent modules are traced as the same operations. A state that is None is zero: what it is multiplied
with is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autodual.frontend.compositions.arithmetic import affine, difference, product, total
from autodual.frontend.compositions.emitter import Emitter
from autodual.ir import Node

Activation = Callable[[Node], Node]
#: Adds the part of the cell's state that a gate sees to what the gate sees otherwise.
Peephole = Callable[[Node, "Node | None"], Node]


def lstm_step(
    builder: Emitter,
    gates: Sequence[Node],
    cell: Node | None,
    activations: Sequence[Activation],
    peepholes: Sequence[Peephole],
    *,
    coupled: bool,
) -> tuple[Node, Node]:
    """The hidden state and the cell's, from the gates i, o, f and c.

    activations: of the gates, of the candidate and of the cell's state. peepholes: of i, o and f. coupled: what is let
    in is what is forgotten.
    """
    gate, candidate, output = activations
    entering = gate(peepholes[0](gates[0], cell))
    fresh = product(builder, entering, candidate(gates[3]))
    if cell is not None:
        if coupled:
            kept = affine(builder, entering, -1.0, 1.0)
        else:
            kept = gate(peepholes[2](gates[2], cell))
        fresh = total(builder, product(builder, kept, cell), fresh)
    return product(builder, gate(peepholes[1](gates[1], fresh)), output(fresh)), fresh


def gru_step(builder: Emitter, update: Node, candidate: Node, hidden: Node | None) -> Node:
    """(1 - update) · candidate + update · hidden, as one product."""
    if hidden is None:
        return product(builder, affine(builder, update, -1.0, 1.0), candidate)
    return total(builder, candidate, product(builder, update, difference(builder, hidden, candidate)))
