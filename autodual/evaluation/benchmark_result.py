"""The outcome of a benchmark, as data."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.evaluation.masking_sign import MaskingSign


@dataclass(frozen=True)
class BenchmarkResult:
    """Shares of the samples, between 0 and 1; prints as one line, and one more for each sign.

    clean_accuracy: right without any change. robust_accuracy: right at every point that the attack found.
    certified_accuracy: provably right at every point of the set; None where the network was not bounded, and
    uncertified_because says why. perturbation: the set in words. signs: reasons to distrust the robust accuracy.
    """

    samples: int
    clean_accuracy: float
    robust_accuracy: float
    certified_accuracy: float | None
    uncertified_because: str
    perturbation: str
    signs: tuple[MaskingSign, ...]

    def __str__(self) -> str:
        shares = f"clean {100 * self.clean_accuracy:.2f} %, robust {100 * self.robust_accuracy:.2f} %"
        if self.certified_accuracy is None:
            proved = f"not certified ({self.uncertified_because})"
        else:
            proved = f"certified {100 * self.certified_accuracy:.2f} %"
        counted = f"{self.samples:,} sample{'s' if self.samples > 1 else ''}"
        return "\n".join([f"{shares}, {proved} of {counted} ({self.perturbation})", *map(str, self.signs)])
