"""The thesis' network architectures, and descriptions from which trained networks are rebuilt."""

from autodual.architectures.build import build_architecture, describe_architectures, is_architecture
from autodual.architectures.catalogue import ARCHITECTURES
from autodual.architectures.description import NetworkDescription
from autodual.architectures.earlier_names import present_name
from autodual.architectures.normalise import Normalise
from autodual.architectures.sizes import PRINTED_SIZES, NetworkSize, PrintedSize, architecture_size, network_size

__all__ = [
    "ARCHITECTURES",
    "PRINTED_SIZES",
    "NetworkDescription",
    "NetworkSize",
    "Normalise",
    "PrintedSize",
    "architecture_size",
    "build_architecture",
    "describe_architectures",
    "is_architecture",
    "network_size",
    "present_name",
]
