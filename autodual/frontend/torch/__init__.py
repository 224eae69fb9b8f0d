"""From PyTorch to the graph: tracing models, reading exported programs, and the rules that lower ATen operations."""

from autodual.frontend.torch import rules  # noqa: F401 - imported for the rules that it registers
from autodual.frontend.torch.builder import Builder, Unsupported
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.tracing import (
    KnowsItsGraph,
    TracedNetwork,
    lower_exported,
    lowers_module,
    require_finite,
    trace,
    unwrapped,
)

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
