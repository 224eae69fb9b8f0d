"""The thesis' network architectures, and what it takes to build a trained network again."""

from autodual.architectures.build import ARCHITECTURES, build_architecture, describe_architectures, is_architecture
from autodual.architectures.description import NetworkDescription
from autodual.architectures.normalise import Normalise

__all__ = [
    "ARCHITECTURES",
    "NetworkDescription",
    "Normalise",
    "build_architecture",
    "describe_architectures",
    "is_architecture",
]
