"""The number of random examples of a property test: a fixed number, or AUTODUAL_EXAMPLES times as many."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_TIMES = float(os.environ.get("AUTODUAL_EXAMPLES", "1"))


def effort(examples: int) -> settings:
    """Hypothesis settings: the same examples on every run, unless more are asked for.

    There are no deadlines, since they fail at random on busy machines.
    """
    return settings(
        max_examples=max(1, int(examples * _TIMES)),
        derandomize=_TIMES == 1,
        database=None,
        deadline=None,
        phases=[phase for phase in Phase if phase is not Phase.explain],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
