"""The network and the property that `autodual verify` reads, checked to belong together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from autodual.certification.verdicts.counterexample_confirmation import Replay, runtime_replay
from autodual.compiler import compile_dual
from autodual.errors import InvalidInputError
from autodual.files import LoadedModel, load_model_file
from autodual.files.cost import require_affordable
from autodual.frontend.onnx import OnnxNetwork
from autodual.network import DualNetwork
from autodual.properties import Property, load_property
from autodual_cli.subject.devices import find_device
from autodual_cli.subject.exported_programs import unguarded
from autodual_cli.subject.model_and_data import output_shape
from autodual_cli.tasks.composed_network import composed_network
from autodual_cli.tasks.model_inspection import infer_shape


@dataclass(frozen=True, eq=False)
class NetworkAndProperty:
    """What `verify` reads: the models' records, the module, the property, and the shapes of a sample's inputs.

    models: the files; of several, all have the network that is composed of them, whose bytes are `composed`. dtype: of
    the bounds. memory: the budget of the dual network in bytes, or None.
    """

    models: tuple[LoadedModel, ...]
    module: nn.Module
    goal: Property
    shapes: tuple[tuple[int, ...], ...]
    device: torch.device
    dtype: torch.dtype
    memory: int | None
    composed: bytes | None = None

    @property
    def model(self) -> LoadedModel:
        """The first model."""
        return self.models[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample; several inputs are joined into a vector."""
        return self.shapes[0] if len(self.shapes) == 1 else (sum(map(math.prod, self.shapes)),)

    @property
    def example(self) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """An example input for `compile_dual`."""
        zeros = tuple(torch.zeros(1, *shape, device=self.device, dtype=self.dtype) for shape in self.shapes)
        return zeros[0] if len(zeros) == 1 else zeros

    def compiled(self) -> DualNetwork:
        """The network's dual."""
        return compile_dual(self.module, example_input=self.example, memory_budget=self.memory)

    def replay(self) -> Replay | None:
        """onnxruntime for an ONNX file, where that is installed."""
        name = getattr(self.model.model, "output_name", None)
        return None if name is None else runtime_replay(str(self.model.path), name, self.composed)


def load_both(
    files: Mapping[str | None, Path],
    property_file: Path,
    *,
    input_shape: tuple[int, ...] | None,
    device: str,
    dtype: str,
    memory: int | None,
) -> NetworkAndProperty:
    """Read the models' files and a property's, and check that they belong together.

    files: by what the property has to call the network; None: anything. input_shape: of one sample, where the network
    does not say.

    Raises AutodualError where a file cannot be read or used, or the property does not fit the network.
    """
    place, goal = find_device(device), load_property(property_file)
    named = _named(files, goal, property_file)
    models, composed = _models(named, goal)
    model = models[0]
    shapes = _shapes(model.model, goal, input_shape)
    if sum(map(math.prod, shapes)) != goal.input_size:
        raise InvalidInputError(
            f"'{property_file}' is about {goal.input_size} inputs, but a sample of the network has the shape "
            f"{' and '.join('x'.join(map(str, shape)) for shape in shapes)}; check that the two belong together, or "
            "give --input-shape."
        )
    if composed is None:
        _check_order(model.model, goal, shapes)
    module = unguarded(model.model) if isinstance(model.model, ExportedProgram) else model.model
    loaded = NetworkAndProperty(
        tuple(models), module.to(place), goal, shapes, place, getattr(torch, dtype), memory, composed
    )
    example = loaded.example
    require_affordable(str(model.path), module, [example] if isinstance(example, torch.Tensor) else example)
    return loaded


def _named(files: Mapping[str | None, Path], goal: Property, property_file: Path) -> dict[str, Path]:
    """The files by the names of the networks that the property declares, which must be those of the files."""
    needed = [network.name for network in goal.declarations if network.equal_to is None] or [goal.network or ""]
    if len(needed) == 1 and (set(files) == {None} or goal.network is None):
        return {needed[0]: next(iter(files.values()))}
    if set(files) != set(needed):
        given = " ".join(f"--network {name}=MODEL" for name in needed)
        raise InvalidInputError(
            f"'{property_file}' declares the network{'s' if len(needed) > 1 else ''} "
            f"{', '.join(map(repr, needed))}; give {given}."
        )
    return {name: files[name] for name in needed}


def _models(files: Mapping[str, Path], goal: Property) -> tuple[list[LoadedModel], bytes | None]:
    if goal.composed:
        return composed_network(goal, files)
    (file,) = files.values()
    model = load_model_file(file)
    _check_types(model, goal)
    return [model], None


def _check_types(model: LoadedModel, goal: Property) -> None:
    """Refuse declared types that are not those of an ONNX file; other models run in any floating type."""
    if not isinstance(model.model, OnnxNetwork):
        return
    found = [*model.model.input_types, model.model.output_type]
    for variable, element in zip((*goal.inputs, *goal.outputs), found):
        if variable.element not in (None, "real", element):
            raise InvalidInputError(
                f"The property declares '{variable.name}' as {variable.element}, and in '{model.path}' it is "
                f"{element}; declare it as {element}, or as real."
            )


def _shapes(
    model: nn.Module | ExportedProgram, goal: Property, given: tuple[int, ...] | None
) -> tuple[tuple[int, ...], ...]:
    """The shape of each input of one sample: what the network says, what was given, or what can be found."""
    known = getattr(model, "input_shapes", None)
    if known is not None and (given is None or len(known) > 1):
        single = getattr(model, "single_shapes", ())
        of_one = bool(single) and sum(map(math.prod, single)) == goal.input_size
        return tuple(tuple(shape) for shape in (single if of_one else known))
    if given is not None:
        return (given,)
    declared = goal.inputs[0].shape
    for shape in ([declared[1:]] if len(declared) > 1 and declared[0] == 1 else []) + [declared]:
        try:
            output_shape(model, torch.zeros(2, *shape))
        except InvalidInputError:
            continue
        return (tuple(shape),)
    return (infer_shape(model),)


def _check_order(model: nn.Module | ExportedProgram, goal: Property, shapes: tuple[tuple[int, ...], ...]) -> None:
    """Refuse a property of several inputs that does not declare them as the network has them, one by one."""
    names = getattr(model, "input_names", None)
    declared = [variable.onnx_name for variable in goal.inputs]
    if names is not None and None not in declared and declared != list(names):
        raise InvalidInputError(
            f"The property's inputs are {', '.join(map(str, declared))} in the ONNX file, but those of the network are "
            f"{', '.join(names)}; declare them all, in this order."
        )
    sizes = [variable.size for variable in goal.inputs]
    if len(sizes) > 1 and sizes != [math.prod(shape) for shape in shapes]:
        raise InvalidInputError("The property does not declare the network's inputs one by one and in their order.")
