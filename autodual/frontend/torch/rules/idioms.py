"""Products and quotients of branches that together are one function of one scalar.

Bounded as a product, `x * sigmoid(x)` forgets that both factors move together; as one function it does not.
"""

from __future__ import annotations

from autodual.frontend.compositions import product
from autodual.frontend.constants import is_number
from autodual.frontend.torch.builder import Builder
from autodual.ir import Node
from autodual.ir.ops import ElementwiseAffine, LeakyRelu, Relu, Sigmoid, Silu, Softsign, Step


def multiplied(builder: Builder, x: Node, y: Node) -> Node:
    """The product of two branches of the same shape; x·sigmoid(x) is a SiLU, and x·[x > 0] a ReLU."""
    for value, gate in ((x, y), (y, x)):
        if gate.inputs == (value.name,) and isinstance(gate.op, Sigmoid):
            return builder.emit(Silu(), value)
        if gate.inputs == (value.name,) and isinstance(gate.op, Step):
            return builder.emit(Relu(), value)
    return product(builder, x, y)


def softsign(builder: Builder, x: Node, y: Node) -> Node | None:
    """x/(1 + |x|) if that is what x/y is."""
    if not (isinstance(y.op, ElementwiseAffine) and y.op.factor is None and is_number(y.op.offset, 1)):
        return None
    magnitude = builder.named(y.inputs[0])
    if not (isinstance(magnitude.op, LeakyRelu) and is_number(magnitude.op.slope, -1)):
        return None
    return builder.emit(Softsign(), x) if magnitude.inputs == (x.name,) else None
