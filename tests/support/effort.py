"""The number of random examples of a property test: a fixed number, or AUTODUAL_EXAMPLES times as many."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

_TIMES = float(os.environ.get("AUTODUAL_EXAMPLES", "1"))

#: What all property tests inherit. The same examples come on every run, so that a commit passes or fails everywhere;
#: where more are asked for, others come on every run. Deadlines would fail at random on busy machines.
SETTINGS = settings(derandomize=_TIMES == 1, database=None, deadline=None)


def effort(examples: int) -> settings:
    """Settings of a test with so many examples, or AUTODUAL_EXAMPLES times as many."""
    return settings(
        SETTINGS,
        max_examples=max(1, int(examples * _TIMES)),
        phases=[phase for phase in Phase if phase is not Phase.explain],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
