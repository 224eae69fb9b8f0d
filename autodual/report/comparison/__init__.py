"""Compares a recorded run with a second run of the same settings."""

from autodual.report.comparison.compared_rows import SAME_RUN, compare
from autodual.report.comparison.replay_outcome import Comparison, Difference
from autodual.report.comparison.statements import compare_settings, compare_summary, compare_whole

__all__ = [
    "SAME_RUN",
    "Comparison",
    "Difference",
    "compare",
    "compare_settings",
    "compare_summary",
    "compare_whole",
]
