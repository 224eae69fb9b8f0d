"""What named gradient attacks have in common: each is an `Ascent` with some of its parts chosen."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from autodual.attacks.ascent import Ascent
from autodual.attacks.base import Attack, Function
from autodual.perturbations import Searchable
from autodual.specs import Specification


class GradientAttack(Attack):
    """An attack that follows the gradient; a frozen dataclass, whose fields plain values can fill."""

    @property
    @abstractmethod
    def ascent(self) -> Ascent:
        """The same attack by its parts."""

    def run(
        self,
        function: Function,
        region: Searchable,
        specification: Specification,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return self.ascent.run(function, region, specification, generator)
