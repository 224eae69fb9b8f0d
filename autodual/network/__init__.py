"""The dual network as a module."""

from autodual.network.dual_network import Compiled, DualNetwork, DualResult
from autodual.network.joined_inputs import JoinedInputs

__all__ = ["Compiled", "DualNetwork", "DualResult", "JoinedInputs"]
