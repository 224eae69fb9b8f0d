"""The dual network as a module."""

from autodual.network.ask import Ask
from autodual.network.captured_graph import capture
from autodual.network.compiled import Compiled
from autodual.network.dual_network import DualNetwork
from autodual.network.given import given_network
from autodual.network.joined_inputs import JoinedInputs
from autodual.network.result import DualResult

__all__ = ["Ask", "Compiled", "DualNetwork", "DualResult", "JoinedInputs", "capture", "given_network"]
