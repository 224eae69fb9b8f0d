"""From PyTorch to the graph: tracing models, reading exported programs, and the rules that lower ATen operations."""

from autodual.frontend.torch import rules  # noqa: F401 - imported for the rules that it registers
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.frontend.torch.tracing import lower_exported, lowers_module, trace, unwrapped

__all__ = ["Builder", "lower_exported", "lowers", "lowers_module", "trace", "unwrapped"]
