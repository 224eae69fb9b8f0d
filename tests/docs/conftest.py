"""What all tests of the documents share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autodual.dual import registry as dual_rules
from autodual.frontend.onnx import registry as onnx_operators
from autodual.frontend.torch import registry as lowerings
from autodual.frontend.torch.tracing import leaf_modules


@pytest.fixture
def restored_registries() -> Iterator[None]:
    """Documents register ops of their own, which other tests must not meet."""
    flags = (lowerings._READS_BATCH_SIZE, lowerings._ANY_BATCH_AXIS, lowerings._ROUNDS)
    registries = (dual_rules._RULES, lowerings._RULES, leaf_modules._RULES, onnx_operators._RULES, *flags)
    before = [registry.copy() for registry in registries]
    yield
    for registry, kept in zip(registries, before):
        registry.clear()
        registry.update(kept)
