"""Perturbation sets: the inputs around a sample that must be safe, and extremes of linear functions over them.

Names are resolved at first use, so that the command line can list the registered sets without loading torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodual.perturbations.balls.norm_balls import L1Ball, L2Ball, LinfBall, LpBall, NormBall
    from autodual.perturbations.box import Box
    from autodual.perturbations.equal_volume import equal_volume_radius
    from autodual.perturbations.perturbation import PerturbationSet, PlacedSet, perturbation_set
    from autodual.perturbations.polytopes.polytope import Polytope
    from autodual.perturbations.product_set import ProductSet
    from autodual.perturbations.regions.region import Region
    from autodual.perturbations.regions.searchable import Searchable, require_searchable
    from autodual.perturbations.regions.support import CentredNorms, Support, WeightedNorm, require_support
    from autodual.perturbations.regions.view import View, WholeView
    from autodual.perturbations.registry.registered_sets import choose_set, named_set, registered_sets
    from autodual.perturbations.registry.set_entry import ChosenSet, SetEntry
    from autodual.perturbations.registry.set_parameter import SetParameter
    from autodual.perturbations.union_set import Union
    from autodual.perturbations.wasserstein.wasserstein_ball import WassersteinBall

_HOMES = {
    "Box": "box",
    "CentredNorms": "regions.support",
    "ChosenSet": "registry.set_entry",
    "L1Ball": "balls.norm_balls",
    "L2Ball": "balls.norm_balls",
    "LinfBall": "balls.norm_balls",
    "LpBall": "balls.norm_balls",
    "NormBall": "balls.norm_balls",
    "PerturbationSet": "perturbation",
    "PlacedSet": "perturbation",
    "Polytope": "polytopes.polytope",
    "ProductSet": "product_set",
    "Region": "regions.region",
    "Searchable": "regions.searchable",
    "SetEntry": "registry.set_entry",
    "SetParameter": "registry.set_parameter",
    "Support": "regions.support",
    "Union": "union_set",
    "View": "regions.view",
    "WassersteinBall": "wasserstein.wasserstein_ball",
    "WeightedNorm": "regions.support",
    "WholeView": "regions.view",
    "choose_set": "registry.registered_sets",
    "equal_volume_radius": "equal_volume",
    "perturbation_set": "perturbation",
    "named_set": "registry.registered_sets",
    "registered_sets": "registry.registered_sets",
    "require_searchable": "regions.searchable",
    "require_support": "regions.support",
}

__all__ = [
    "Box",
    "CentredNorms",
    "ChosenSet",
    "L1Ball",
    "L2Ball",
    "LinfBall",
    "LpBall",
    "NormBall",
    "PerturbationSet",
    "PlacedSet",
    "Polytope",
    "ProductSet",
    "Region",
    "Searchable",
    "SetEntry",
    "SetParameter",
    "Support",
    "Union",
    "View",
    "WassersteinBall",
    "WeightedNorm",
    "WholeView",
    "choose_set",
    "equal_volume_radius",
    "named_set",
    "perturbation_set",
    "registered_sets",
    "require_searchable",
    "require_support",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'autodual.perturbations' has no attribute {name!r}")
    value = getattr(import_module(f"autodual.perturbations.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
