"""A network in training as the file that `autodual certify` takes."""

from __future__ import annotations

import math
from dataclasses import asdict

from autodual.architectures import NetworkDescription
from autodual.files.network_file import NetworkFile
from autodual.network import DualNetwork
from autodual.train.recipe import Recipe, disassemble
from autodual.train.validation import Errors
from autodual.train.weight_average import Average


def trained_network(
    recipe: Recipe,
    description: NetworkDescription,
    dual: DualNetwork,
    average: Average | None,
    epoch: int,
    held: Errors,
) -> NetworkFile:
    """The network after an epoch, its averaged weights if there are any, with the set it was trained for.

    held: its errors on held-out samples, which the file tells as far as they are known.
    """
    state = dual.model.state_dict() if average is None else average.tensors
    prefix = "1." if description.mean is not None else ""
    inner = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    found = {f"{name}_error": value for name, value in asdict(held).items() if math.isfinite(value)}
    return NetworkFile(description, inner, {"set": disassemble(recipe.set), "epochs": epoch, "validation": found})
