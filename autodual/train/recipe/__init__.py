"""Recipes: everything that a training run is made of, as frozen data that files and the command line can spell."""

from autodual.train.recipe.epoch_sections import CollapseSection, CurvesSection, ValidationSection
from autodual.train.recipe.files import read_recipe, read_value
from autodual.train.recipe.recipe import Recipe
from autodual.train.recipe.recipe_values import assemble, disassemble, overridden
from autodual.train.recipe.sections import DataSection, NetworkSection, OptimiserSection, SetSection

__all__ = [
    "CollapseSection",
    "CurvesSection",
    "DataSection",
    "NetworkSection",
    "OptimiserSection",
    "Recipe",
    "SetSection",
    "ValidationSection",
    "assemble",
    "disassemble",
    "overridden",
    "read_recipe",
    "read_value",
]
