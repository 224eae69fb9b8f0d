"""The units that a run's numbers are in, in words."""

from __future__ import annotations

from collections.abc import Sequence


def units(mean: Sequence[float] | None, std: Sequence[float] | None) -> str:
    """The units of radius, domain and data: always those of the data, whatever normalisation the network starts with.

    Args:
        mean: the network is fed with (x - mean) / std; None where it is fed with the data as they are.
        std: likewise.

    Example:
        >>> from autodual.report import units
        >>> units(None, None)
        'those of the data; the network is fed with them as they are'
    """
    if mean is None or std is None:
        return "those of the data; the network is fed with them as they are"
    first, second = (",".join(f"{value:g}" for value in values) for values in (mean, std))
    return f"those of the data, before the network's normalisation (x - {first}) / {second}"
