"""From a PyTorch model or an exported program to a graph: exporting, walking the program, comparing the result."""

from autodual.frontend.torch.tracing.check import require_finite
from autodual.frontend.torch.tracing.leaves import lowers_module
from autodual.frontend.torch.tracing.trace import KnowsItsGraph, TracedNetwork, lower_exported, trace
from autodual.frontend.torch.tracing.wrappers import unwrapped

__all__ = [
    "KnowsItsGraph",
    "TracedNetwork",
    "lower_exported",
    "lowers_module",
    "require_finite",
    "trace",
    "unwrapped",
]
