"""Verified accuracy by exact verification of each sample."""

from __future__ import annotations

import time

import autodual
from autodual.attacks import Pgd
from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet
from thesis_tables.size import Size
from thesis_tables.table import Values


def verified(dual: DualNetwork, data: str, region: PerturbationSet, size: Size) -> Values:
    """The share of the first test samples that are proved robust, and the number of samples by verdict.

    Bounds and an attack decide most samples, mixed-integer programs the rest, in at most `exact_seconds` each.
    """
    counts: dict[str, int] = {}
    start = time.process_time()
    for x, y in size.batches(data, 100):
        found = autodual.certify(
            dual, x, region, y, slopes="optimized", attack=Pgd(40, restarts=2), exact_seconds=size.exact_seconds
        )
        for one in found:
            counts[one.status] = counts.get(one.status, 0) + 1
    total = sum(counts.values())
    spent = time.process_time() - start
    return {
        "verified_accuracy_01": 100 * counts.get("certified", 0) / total,
        "verdicts": counts,
        "verification_cpu_seconds": spent,
    }
