"""What all tests of the documents share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autodual.dual import registry as dual_rules
from autodual.frontend import registry as lowerings


@pytest.fixture
def restored_registries() -> Iterator[None]:
    """Documents register ops of their own, which other tests must not meet."""
    registries = (dual_rules._RULES, lowerings._RULES)
    before = [dict(registry) for registry in registries]
    yield
    for registry, kept in zip(registries, before):
        registry.clear()
        registry.update(kept)
