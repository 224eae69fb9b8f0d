"""Functions that an ONNX file defines: calls of them are replaced by their bodies, within a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from autodual.errors import ModelFileError
from autodual.frontend.onnx.file_limits import CALL_DEPTH, OPERATORS, allowance, refuse
from autodual.frontend.onnx.messages import parts
from autodual.frontend.onnx.versions import UNSTATED, opset_of

if TYPE_CHECKING:
    import onnx

Key: TypeAlias = tuple[str, str, str]
"""Domain, name and overload, by which operators call functions."""

_RESERVED = ("ai.onnx.", "com.microsoft.")


def inlined(name: str, model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without functions of its own.

    Raises:
        ModelFileError: a function has the name of a standard operator, is defined twice or calls itself, or means
            other versions of the operators than the model; or all calls together make far more than the file holds.
    """
    if not model.functions:
        return model
    whole = _Extents(name, _functions(name, model)).of(model.graph)
    if whole.nodes > OPERATORS or whole.size > allowance(model.ByteSize()):
        refuse(name, "its functions come to too large a network once each call is replaced by what the function does")
    import onnx.inliner

    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception:  # the package raises errors of many kinds
        raise ModelFileError(f"'{name}' is damaged: its functions cannot be read.") from None


def _functions(name: str, model: onnx.ModelProto) -> dict[Key, onnx.FunctionProto]:
    """The functions by what calls them.

    Runtimes have operators of their own in the reserved domains, which they may prefer to a function of that name,
    while the specification prefers the function: such a file means two networks.
    """
    functions: dict[Key, onnx.FunctionProto] = {}
    for function in model.functions:
        if not function.domain or f"{function.domain}.".startswith(_RESERVED):
            raise ModelFileError(
                f"'{name}' is refused: its function '{function.name}' is in the domain "
                f"'{function.domain or 'ai.onnx'}' of standard operators, so a runtime may run an operator of its own "
                "in its place; export the network with the function in a domain of its own."
            )
        if opset_of(function) not in (UNSTATED, opset_of(model)):
            raise ModelFileError(
                f"'{name}' uses version {opset_of(model)} of the ONNX operators, but its function '{function.name}' "
                f"version {opset_of(function)}; export the network again."
            )
        key = (function.domain, function.name, function.overload)
        if key in functions:
            raise ModelFileError(f"'{name}' is damaged: it defines the function '{function.name}' twice.")
        functions[key] = function
    return functions


@dataclass(frozen=True)
class _Extent:
    """The size of a body once all calls in it are replaced: operators, bytes, and how deeply calls are nested."""

    nodes: int
    size: int
    height: int = 0


class _Extents:
    """The extents of functions, each found once."""

    def __init__(self, name: str, functions: Mapping[Key, onnx.FunctionProto]):
        self._name = name
        self._functions = functions
        self._found: dict[Key, _Extent] = {}

    def of(self, body: onnx.GraphProto | onnx.FunctionProto, level: int = 0) -> _Extent:
        """The extent of a body that was reached through `level` calls."""
        nodes = [part for part in parts(body) if part.DESCRIPTOR.name == "NodeProto"]
        if level > CALL_DEPTH:
            self._refuse_depth()
        nodes = [part for part in parts(body) if part.DESCRIPTOR.name == "NodeProto"]
        called = [self._called(key, level) for node in nodes if (key := _key(node)) in self._functions]
        height = max((extent.height + 1 for extent in called), default=0)
        if height > CALL_DEPTH:
            self._refuse_depth()
        return _Extent(
            len(nodes) + sum(extent.nodes for extent in called),
            body.ByteSize() + sum(extent.size for extent in called),
            height,
        )

    def _called(self, key: Key, level: int) -> _Extent:
        if key not in self._found:
            self._found[key] = self.of(self._functions[key], level + 1)
        return self._found[key]

    def _refuse_depth(self) -> NoReturn:
        refuse(self._name, f"its functions call one another, or themselves, more than {CALL_DEPTH} levels deep")


def _key(node: onnx.NodeProto) -> Key:
    return node.domain, node.op_type, node.overload
