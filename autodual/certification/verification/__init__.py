"""Verdicts on properties of a network: searches for counterexamples, bounds of boxes and of their parts."""

from autodual.certification.verification.verdict import Verdict, VerdictStatus
from autodual.certification.verification.verify import verify

__all__ = ["Verdict", "VerdictStatus", "verify"]
