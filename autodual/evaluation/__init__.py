"""Evaluations of a network under attack: what it is worth, and the signs that a figure is not to be trusted."""

from autodual.evaluation.masking_sign import MaskingSign
from autodual.evaluation.masking_signs import masking_signs

__all__ = ["MaskingSign", "masking_signs"]
