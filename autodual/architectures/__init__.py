"""The thesis' network architectures, and descriptions from which trained networks are rebuilt."""

from autodual.architectures.build import build_architecture, describe_architectures, is_architecture
from autodual.architectures.catalogue import ARCHITECTURES
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
