"""From PyTorch to the graph: tracing models, reading exported programs, and the rules that lower ATen operations."""

from autodual.frontend import (  # noqa: F401 - imported for the rules that they register
    activations,
    attention,
    branches,
    convolution,
    einsum,
    elementwise,
    indexing,
    linear,
    normalization,
    pooling,
    powers,
    reductions,
    resampling,
    rounding,
    scattering,
    shapes,
    slicing,
    statistics,
    trigonometry,
)
from autodual.frontend.builder import Builder, Unsupported
from autodual.frontend.check import require_finite
from autodual.frontend.leaves import lowers_module
from autodual.frontend.registry import lowers
from autodual.frontend.trace import KnowsItsGraph, TracedNetwork, lower_exported, trace
from autodual.frontend.wrappers import unwrapped

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
