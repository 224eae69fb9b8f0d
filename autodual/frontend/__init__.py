"""From PyTorch models and ONNX files to the graph that everything else works on."""

from autodual.frontend.torch import (
    Builder,
    KnowsItsGraph,
    TracedNetwork,
    Unsupported,
    lower_exported,
    lowers,
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
