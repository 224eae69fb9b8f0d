"""A fixture that undoes a test's registrations, so that other tests do not see them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autodual.attacks import ATTACKS
from autodual.dual import registry as dual_rules
from autodual.extensions.commands import COMMANDS
from autodual.frontend.onnx import registry as operators
from autodual.frontend.torch import registry as lowerings
from autodual.frontend.torch.tracing import leaf_modules
from autodual.ir.scalars import declaration
from autodual.passes import PASSES
from autodual.perturbations.registry import registered_sets
from autodual.train.losses.named_losses import LOSSES


@pytest.fixture
def restored_registries() -> Iterator[None]:
    """Restores all registries when the test ends."""
    flags = (lowerings._READS_BATCH_SIZE, lowerings._ANY_BATCH_AXIS, lowerings._ROUNDS)
    rules = (dual_rules._RULES, lowerings._RULES, leaf_modules._RULES, operators._RULES, declaration._TABLE)
    named = (registered_sets._SETS, LOSSES, ATTACKS, PASSES, COMMANDS)
    registries = (*rules, *flags, *named)
    before = [registry.copy() for registry in registries]
    yield
    for registry, kept in zip(registries, before):
        registry.clear()
        registry.update(kept)
