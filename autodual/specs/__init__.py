"""Specifications: what is to be proved about the outputs of a network."""

from autodual.specs.avoided_class import AvoidedClass
from autodual.specs.base import Rows, Specification
from autodual.specs.classes import ClassMargin, LabelSpecification, TopK, all_positive
from autodual.specs.halfspaces import HalfSpaces
from autodual.specs.label_map import LabelMap
from autodual.specs.other_classes import OtherClasses
from autodual.specs.output_formula import Formula
from autodual.specs.outputs import Deviation, OutputBox
from autodual.specs.parse import parse_specification

__all__ = [
    "AvoidedClass",
    "ClassMargin",
    "Deviation",
    "Formula",
    "HalfSpaces",
    "LabelMap",
    "LabelSpecification",
    "OtherClasses",
    "OutputBox",
    "Rows",
    "Specification",
    "TopK",
    "all_positive",
    "parse_specification",
]
