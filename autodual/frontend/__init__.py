"""From PyTorch models and ONNX files to the graph that everything else works on."""

from autodual.frontend.construction import Unsupported
from autodual.frontend.torch import Builder, lower_exported, lowers, lowers_module, trace, unwrapped
from autodual.frontend.traced_network import KnowsItsGraph, TracedNetwork
from autodual.frontend.weights import require_finite

__all__ = [
    "Builder",
    "KnowsItsGraph",
    "TracedNetwork",
    "Unsupported",
    "lower_exported",
    "lowers",
    "lowers_module",
    "require_finite",
    "trace",
    "unwrapped",
]
