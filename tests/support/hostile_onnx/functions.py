"""Functions that expand exponentially, call themselves, or redefine operators of the runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper
from support.hostile_onnx.building import Nodes, node, save
from support.hostile_onnx.graphs import ENDLESS_LOOP, loop


def function(name: str, nodes: Nodes, domain: str = "own") -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function(domain, name, ["a"], ["b"], list(nodes), opsets)


def _calls(levels: int, times: int) -> list[onnx.FunctionProto]:
    """Functions that each call the previous one `times` times."""
    found = [function("f0", [node("Relu", ["a"], "b")])]
    for level in range(1, levels):
        names = ["a", *(f"t{place}" for place in range(times - 1)), "b"]
        calls = [node(f"f{level - 1}", [names[p]], names[p + 1], domain="own") for p in range(times)]
        found.append(function(f"f{level}", calls))
    return found


def _calling(name: str, callee: str, functions: Sequence[onnx.FunctionProto], domain: str = "own") -> None:
    save(name, [node(callee, ["x"], domain=domain)], ENDLESS_LOOP, (1, 4), functions)


_calling("functions that double", "f31", _calls(32, 2))
_calling("functions that grow tenfold", "f7", _calls(8, 10))
_calling("functions 2000 deep", "f1999", _calls(2000, 1))
_F, _G = node("f", ["a"], "b", domain="own"), node("g", ["a"], "b", domain="own")
_NEG, _RELU = node("Neg", ["a"], "b"), node("Relu", ["a"], "b")
_calling("function that calls itself", "f", [function("f", [_F])])
_calling("two functions that call each other", "f", [function("f", [_G]), function("g", [_F])])
_calling("function for Relu", "Relu", [function("Relu", [_NEG], domain="")], domain="")
_calling("function for Gelu", "Gelu", [function("Gelu", [_NEG], domain="com.microsoft")], domain="com.microsoft")
_calling("function defined twice", "f", [function("f", [_NEG]), function("f", [_RELU])])
_ENDLESS = [
    node("Identity", ["a"], "x"),
    node("Constant", [], "n", value_int=1 << 60),
    node("Constant", [], "t", value=numpy_helper.from_array(np.array(True))),
]
_calling("function with an endless loop", "f", [function("f", [*_ENDLESS, loop(constant=False, output="b")])])
_calling("function with an endless loop that nothing reads", "f",
         [function("f", [*_ENDLESS, loop(constant=False), _RELU])])  # fmt: skip
