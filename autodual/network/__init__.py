"""The dual network as a module."""

from autodual.network.dual_network import Compiled, DualNetwork, DualResult

__all__ = ["Compiled", "DualNetwork", "DualResult"]
