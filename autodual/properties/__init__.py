"""VNN-LIB properties: from a file to boxes of inputs and the conjunctions of linear constraints that violate it."""

from autodual.properties.load import load_property
from autodual.properties.property import Case, Conjunction, Declaration, Property, Variable

__all__ = ["Case", "Conjunction", "Declaration", "Property", "Variable", "load_property"]
