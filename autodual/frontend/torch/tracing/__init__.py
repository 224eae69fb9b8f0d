"""From a PyTorch model or an exported program to a graph: exporting, walking the program, comparing the result."""

from autodual.frontend.torch.tracing.leaf_modules import lowers_module
from autodual.frontend.torch.tracing.trace import lower_exported, trace
from autodual.frontend.torch.tracing.wrappers import unwrapped

__all__ = ["lower_exported", "lowers_module", "trace", "unwrapped"]
