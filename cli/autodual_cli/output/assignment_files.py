"""Counterexamples as files of tensors, as VNN-LIB 2.0 has solvers write them for programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy

from autodual.errors import DataError, InvalidInputError
from autodual.files.writing import write_bytes
from autodual.frontend.onnx.model_file import require_onnx
from autodual.properties import Property, Variable

_TYPES = {"float32": numpy.float32, "float64": numpy.float64, "real": numpy.float64}


def assigned(goal: Property, inputs: numpy.ndarray, outputs: numpy.ndarray) -> Iterator[tuple[Variable, numpy.ndarray]]:
    """Each declared variable with its entries in row-major order, as the file declares them one after another."""
    values: dict[str, numpy.ndarray] = {}
    for variables, entries in ((goal.inputs, goal.declared(inputs)), (goal.outputs, outputs)):
        place = 0
        for variable in variables:
            values[variable.name] = entries[place : place + variable.size]
            place += variable.size
    for network in goal.declarations:
        yield from ((variable, values[variable.name]) for variable in network.variables)


def require_assignments(folder: Path, goal: Property) -> None:
    """Fail before the work where no files could be written.

    Raises:
        InvalidInputError: the property declares no variables, or the folder is none or not empty.
        ModelFileError: onnx, which writes the files, is not installed.
    """
    require_onnx()
    if not goal.declarations:
        raise InvalidInputError("--serialise-assignments is for properties of VNN-LIB 2.0, which declare variables.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"--serialise-assignments '{folder}' must be an empty folder or none yet.")


def write_assignments(folder: Path, goal: Property, inputs: numpy.ndarray, outputs: numpy.ndarray) -> None:
    """Write `NAME.pb` into the folder for each declared variable: a TensorProto of its type and shape.

    Raises:
        DataError: a file cannot be written.
    """
    helper = require_onnx().numpy_helper
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"'{folder}' cannot be made: {error.strerror}.") from None
    for variable, entries in assigned(goal, inputs, outputs):
        array = entries.astype(_TYPES[variable.element or "real"]).reshape(variable.shape)
        content = helper.from_array(array, variable.name).SerializeToString()
        write_bytes(folder / f"{variable.name}.pb", content, overwrite=False)
