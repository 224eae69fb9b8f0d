"""Evaluations of a network under attack: what it is worth, and the signs that a figure is not to be trusted."""

from autodual.evaluation.masking_signs import masking_signs
from autodual.evaluation.sign import Sign

__all__ = ["Sign", "masking_signs"]
