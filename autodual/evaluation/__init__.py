"""Evaluations of a network under attack: what it is worth, and the signs that a figure is not to be trusted."""

from autodual.evaluation.benchmark import benchmark
from autodual.evaluation.benchmark_result import BenchmarkResult
from autodual.evaluation.masking_sign import MaskingSign
from autodual.evaluation.masking_signs import masking_signs
from autodual.evaluation.threat_models import THREATS

__all__ = ["THREATS", "BenchmarkResult", "MaskingSign", "benchmark", "masking_signs"]
