"""Checkpoints and descriptions of runs of earlier versions, brought up to date, so that the runs can go on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autodual.architectures import present_name
from autodual.train.recipe import Recipe


def completed(state: dict[str, Any], recipe: Recipe, columns: Iterable[str], processes: int) -> dict[str, Any]:
    """A checkpoint with all entries of this version; nothing of it is checked, and none that is there is changed.

    Earlier versions carried nothing from batch to batch, chose networks by their certified error, watched for no
    collapse, drew no curves and scaled no losses. What a run of another choice had found best is forgotten.
    """
    progress = state.get("progress")
    if "selection" in state or type(progress) is not dict or not {"best", "waited", "rows"} <= progress.keys():
        return state
    progress, rows = dict(progress), progress["rows"]
    best, waited = progress.pop("best"), progress.pop("waited")
    if type(rows) is list and all(type(row) is dict for row in rows):
        progress["rows"] = [{**dict.fromkeys(columns, math.nan), **row} for row in rows]
    if recipe.selected_by != "certified":
        best, waited = [], 0
    selection = {"best": best, "waited": waited}
    new: dict[str, Any] = {"carried": [{}] * processes, "good": None, "scaler": {}, "selection": selection}
    return {**new, **state, "progress": progress}


def with_present_names(table: dict[str, Any]) -> dict[str, Any]:
    """A table with a recipe whose architecture has its present name; nothing of it is checked.

    Earlier versions called other networks `wide:K` and `resnet`.
    """
    recipe = table.get("recipe")
    network = recipe.get("network") if isinstance(recipe, dict) else None
    arch = network.get("arch") if isinstance(network, dict) else None
    if not isinstance(arch, str):
        return table
    return {**table, "recipe": {**recipe, "network": {**network, "arch": present_name(arch)}}}  # type: ignore[dict-item]
