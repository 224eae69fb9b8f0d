"""The evaluation of a trained network as a JSON document: errors, radii, activation sets, filters and its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autodual.report.document import Row, finite_or_none
from autodual.report.learning_summary import learning_summary

SCHEMA = "autodual.evaluation/1"
_BINS = 20


def evaluation_document(
    settings: Mapping[str, Any],
    summary: Mapping[str, Any],
    *,
    log: Sequence[Mapping[str, float]],
    radii: Sequence[float],
    activations: Mapping[str, Sequence[Sequence[float]]],
    filters: Any,
) -> Row:
    """A document ready for `json.dumps(..., allow_nan=False)`.

    log: figures of each epoch, which `learning` sums up. radii: certified ones, one a sample. activations: by bound
    site, the parts of its units that are inactive, active and undecided, three a sample. filters: `[filters, channels,
    height, width]` as nested lists, or None.
    """
    return {
        "schema": SCHEMA,
        "settings": dict(settings),
        "summary": dict(summary),
        "log": [{name: finite_or_none(value) for name, value in row.items()} for row in log],
        "learning": learning_summary(log),
        "radii": sorted(float(radius) for radius in radii),
        "activation_sets": {site: _histograms(parts) for site, parts in activations.items()},
        "filters": filters,
    }


def _histograms(parts: Sequence[Sequence[float]]) -> dict[str, list[int]]:
    """How many samples have which part of their units in each set; twenty bins from 0 to 1."""
    found = {}
    for place, name in enumerate(("inactive", "active", "undecided")):
        counts = [0] * _BINS
        for sample in parts:
            counts[min(int(sample[place] * _BINS), _BINS - 1)] += 1
        found[name] = counts
    return found
