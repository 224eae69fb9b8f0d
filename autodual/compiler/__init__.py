"""From a model to its dual network: tracing and the default pipeline of passes."""

from autodual.compiler.compile import compile_dual

__all__ = ["compile_dual"]
