"""Products of matrices: the samples' axis must not be one that is summed over."""

from __future__ import annotations

from autodual.frontend.onnx.batch.operation import Batched, Layout, Mixing, Operation
from autodual.frontend.onnx.batch.registry import batch_rule
from autodual.frontend.onnx.operands import Static

_SUMMED = "it sums over the axis that counts the samples"


@batch_rule("MatMul")
def matmul(operation: Operation) -> Layout:
    """Rows of the left factor and columns of the right one stay where they are; axes before them are broadcast."""
    found = []
    for place, value in enumerate(operation.operands):
        if not isinstance(value, Batched):
            continue
        if len(value.shape) == 1 or value.layout.after == place:
            raise Mixing(_SUMMED)
        other = operation.operands[1 - place]
        assert other is not None
        # A vector's only axis is summed over, and the result lacks the axis that it would have had.
        vector = len(other.shape) == 1
        after, least = value.layout.after, 2
        if (vector and place == 0) or (vector and after >= least):
            after -= 1
        if isinstance(other, Static) and value.layout.after >= least:
            operation.narrow(1 - place, other.array.ndim - 1 - value.layout.after, value.layout)
        elif isinstance(other, Batched) and value.layout.after < least:
            raise Mixing("it multiplies samples with each other")
        found.append(Layout(after, value.layout.outer, value.layout.inner))
    if len(set(found)) != 1:
        raise Mixing("it joins the samples of one operand with other axes of another")
    return found[0]


@batch_rule("Gemm")
def gemm(operation: Operation) -> Layout:
    """A @ B + C: the samples are rows of A or columns of B, and C is broadcast."""
    left, right, offset = (operation.operand(place) for place in range(3))
    turned = [bool(operation.attributes.get(name, 0)) for name in ("transA", "transB")]
    found = set()
    if isinstance(left, Batched) and isinstance(right, Batched):
        raise Mixing("it multiplies samples with each other")
    if isinstance(left, Batched):
        if left.axis != int(turned[0]):
            raise Mixing(_SUMMED)
        found.add(Layout(1, left.layout.outer, left.layout.inner))
    if isinstance(right, Batched):
        if right.axis != 1 - int(turned[1]):
            raise Mixing(_SUMMED)
        found.add(Layout(0, right.layout.outer, right.layout.inner))
    if isinstance(offset, Batched):
        found.add(offset.layout)
    if len(found) != 1 or not (isinstance(left, Batched) or isinstance(right, Batched)):
        raise Mixing("it joins the samples of one operand with other axes of another")
    (layout,) = found
    if isinstance(offset, Static):
        operation.narrow(2, offset.array.ndim - 1 - layout.after, layout)
    return layout


@batch_rule("Einsum")
def einsum(operation: Operation) -> Layout:
    """The samples' letter must be the same in all operands that have it, and be in the result."""
    terms, arrow, result = operation.attributes.get("equation", "").replace(" ", "").partition("->")
    letters = terms.split(",")
    if not arrow or "." in terms or len(letters) != len(operation.operands):
        raise Mixing("its equation leaves open where the samples are")
    batched = [(value, term) for value, term in zip(operation.operands, letters) if isinstance(value, Batched)]
    found = {(term[value.axis], value.layout.outer, value.layout.inner) for value, term in batched}
    if len(found) != 1:
        raise Mixing("it joins the samples of one operand with other axes of another")
    ((letter, outer, inner),) = found
    if result.count(letter) != 1 or any(term.count(letter) > 1 for term in letters):
        raise Mixing(_SUMMED)
    layout = Layout(len(result) - 1 - result.index(letter), outer, inner)
    for place, (value, term) in enumerate(zip(operation.operands, letters)):
        if isinstance(value, Static) and letter in term:
            operation.narrow(place, term.index(letter), layout)
    return layout
