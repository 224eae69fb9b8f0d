"""What programs may ask of a solver of VNN-LIB 2.0, and autodual's answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Verdicts of `unsat` are about networks in real arithmetic, which is what a solver says by naming this type alone.
_ELEMENT_TYPES = ("real",)


@dataclass(frozen=True)
class Capability:
    """One question: what it asks, in words, and the lines of the answer."""

    words: str
    lines: Callable[[], Sequence[str]]


def _opsets() -> Sequence[str]:
    from autodual.frontend.onnx.model_file import require_onnx
    from autodual.frontend.onnx.versions import OLDEST

    return str(OLDEST), str(require_onnx().defs.onnx_opset_version())


def _operators() -> Sequence[str]:
    from autodual.frontend.onnx.registry import registered
    from autodual.frontend.onnx.rules import refused

    return sorted({name for domain, name in registered() if not domain} - refused.NAMES)


def _fixed(*lines: str) -> Callable[[], Sequence[str]]:
    return lambda: lines


CAPABILITIES = {
    "onnx-opset-versions": Capability("The oldest and the newest version of the ONNX operators.", _opsets),
    "onnx-element-types": Capability("The types for which verdicts are proved.", _fixed(*_ELEMENT_TYPES)),
    "onnx-operators": Capability("The ONNX operators.", _operators),
    "vnnlib-versions": Capability("The oldest and the newest version of VNN-LIB.", _fixed("1.0", "2.0")),
    "hidden-node-theories": Capability("Values inside networks.", _fixed("NH", "H")),
    "multiple-input-output-theories": Capability("Several inputs and outputs.", _fixed("SIO", "MIO")),
    "multiple-network-theories": Capability("Several networks.", _fixed("SNET", "MENET", "MINET", "MNET")),
    "multiple-node-comparison-theories": Capability("Constraints between values of several nodes.",
                                                    _fixed("SNC", "MNC")),
    "arithmetic-complexity-theories": Capability("Bounds, comparisons, linear terms and polynomials.",
                                                 _fixed("BND", "OUTC", "LIN", "POLY")),
    "optimised-disjunctive-reasoning": Capability("Whether disjunctions are more than cases, one by one.",
                                                  _fixed("false")),
    "serialise-assignments": Capability("Whether counterexamples can be written as files of tensors.",
                                        _fixed("true")),
}  # fmt: skip
