"""Verdicts on properties of a network: searches for counterexamples, bounds of boxes and of their parts."""

from autodual.certification.verdicts.decide_property import verify
from autodual.certification.verdicts.verdict import Verdict, VerdictStatus

__all__ = ["Verdict", "VerdictStatus", "verify"]
