"""Loads what a command works on: the network, ready to be compiled, and data that fits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from autodual import __version__
from autodual.architectures import Normalise
from autodual.certification import Cascade
from autodual.certification.growing_batches import samples_at_once
from autodual.compiler import compile_dual
from autodual.data import Dataset, load_dataset
from autodual.errors import AutodualError, DataError, InvalidInputError, reason_of
from autodual.files import LoadedModel, load_cascade_file, load_model_file
from autodual.files.cost import require_affordable
from autodual.frontend.onnx import OnnxNetwork
from autodual.network import DualNetwork
from autodual.passes import HighProbability, Pass, default_pipeline
from autodual.passes.registered_passes import with_registered
from autodual.perturbations import PerturbationSet, require_support
from autodual.report import units
from autodual.report.probability import complement
from autodual.tensors import all_finite, bounding_dtype
from autodual_cli.options.option_groups import DataOptions, ModelOptions, ProjectionOptions
from autodual_cli.output.provenance import (
    architecture_records,
    digest_of,
    extension_records,
    file_record,
    model_records,
    provenance,
    weight_file_digest,
)
from autodual_cli.subject.chosen_output import ChosenOutput
from autodual_cli.subject.devices import find_device
from autodual_cli.subject.exported_programs import permitted, unguarded, wrapped
from autodual_cli.subject.network_run import NetworkRun, network_run
from autodual_cli.subject.shape_advice import advice

_AT_ONCE = 1000
"""Samples that are converted at a time where all are looked at."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and the samples it is examined on; `settings` is what a report must quote to be reproducible.

    projections: how bounds are estimated that cost too much; None: all are exact. trained: what the network's file
    says of its training. later_stages: of a cascade, whose first stage is `model`. output_shapes: of one sample, by
    stage. class_axis: which axis of the outputs `[N, *shape]` holds the classes. passes: those beside the usual ones.
    """

    model: nn.Module | ExportedProgram
    dataset: Dataset
    device: torch.device
    dtype: torch.dtype
    memory: int | None
    settings: dict[str, Any]
    projections: ProjectionOptions | None = None
    trained: Mapping[str, Any] = field(default_factory=dict)
    later_stages: tuple[nn.Module | ExportedProgram, ...] = ()
    output_shapes: tuple[tuple[int, ...], ...] = ()
    class_axis: int = 1
    passes: tuple[str, ...] = ()

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Samples `[B, *shape]` on the device and in the dtype of the run, and their labels or label maps, or None."""
        labels = None if self.dataset.y is None else self.dataset.y[indices].to(self.device)
        return self.dataset.x[indices].to(self.device, self.dtype), labels

    @cached_property
    def dual(self) -> DualNetwork:
        """The dual network, compiled when first needed, so that quick checks come before."""
        return self._compiled(self.model)

    @cached_property
    def run(self) -> NetworkRun:
        """The network as it is run where no bound is needed: no dual network is compiled for it."""
        return network_run(self.model, self.dtype, self.output_shapes[0])

    @cached_property
    def cascade(self) -> Cascade:
        """The dual networks of all stages, compiled when first needed."""
        return Cascade((self.dual, *map(self._compiled, self.later_stages)))

    def _compiled(self, model: nn.Module | ExportedProgram) -> DualNetwork:
        example, _ = self.batch(torch.tensor([0]))
        passes = [*with_registered(default_pipeline(), self.passes), *_projecting(self.projections)]
        return compile_dual(
            model, example_input=example, memory_budget=self.memory, passes=passes, class_axis=self.class_axis
        )

    def at_once(self, ball: PerturbationSet, sample: int, *, bounds: int = 1) -> int:
        """How many samples take a few seconds, if each is bounded so often over a set like that of one of them."""
        index = torch.tensor([sample])
        x, _ = self.batch(index)
        region = require_support(ball.of_samples(index).at(x.to(bounding_dtype(x.dtype))))
        return samples_at_once(self.dual, region, bounds * (1 + len(self.later_stages)))

    def require_classes(self) -> None:
        """Raise InvalidInputError unless the outputs are of classes, and DataError where the labels do not fit them."""
        for shape in self.output_shapes:
            axes = len(shape) + 1
            axis = self.class_axis + axes if self.class_axis < 0 else self.class_axis
            if shape and not 1 <= axis < axes:
                raise InvalidInputError(
                    f"--class-axis {self.class_axis} is no axis of the outputs, which have {axes}, the first of "
                    "which is the batch's."
                )
            if not shape or shape[axis - 1] == 1:
                raise InvalidInputError(
                    "The network has a single output, so there are no classes to tell apart; say what to certify with "
                    "`autodual certify --spec`, such as --spec 'y0 > 0'."
                )
            positions = (*shape[: axis - 1], *shape[axis:])
            labels = self.dataset.y
            if labels is not None and tuple(labels.shape[1:]) != positions:
                raise DataError(
                    f"The labels of '{self.dataset.name}' have the shape {tuple(labels.shape)}, but outputs of the "
                    f"shape {shape} with their classes on axis {axis} need {(len(labels), *positions)}; --class-axis "
                    "says which axis holds the classes."
                )
            self.dataset.check_labels(shape[axis - 1])


def _projecting(options: ProjectionOptions | None) -> list[Pass]:
    """The pass that estimates bounds, if they are to be."""
    if options is None:
        return []
    return [HighProbability(complement(options.confidence), options.projection, options.seed)]


def prepare(
    options: ModelOptions, data: DataOptions, projections: ProjectionOptions | None = None, *, cascade: bool = False
) -> Subject:
    """Load the model, or all stages of a cascade, and the data, and check that they fit each other.

    Raises:
        AutodualError: of the kind that says which of the two is wrong.
    """
    device = find_device(options.device)
    first, *later = loaded = _load(options, cascade)
    dataset = load_dataset(data.data or "sample", data.data_dir)
    model, *others = (adapt(one, options, dataset.shape, device) for one in loaded)
    dtype = dtype_of_run(model, options)
    settings = _settings(first, replace(options, dtype=str(dtype).removeprefix("torch.")), data, dataset, device)
    if cascade:
        settings["stages"] = 1 + len(later)
    _check_range(dataset, dtype)
    subject = Subject(
        model, dataset, device, dtype, options.memory, settings, projections, first.trained, tuple(others)
    )
    try:
        example, _ = subject.batch(torch.tensor([0, min(1, len(dataset) - 1)]))
        shapes = tuple(output_shape(one, example) for one in (model, *others))
    except InvalidInputError as error:
        if data.data is None:
            raise InvalidInputError(
                f"The sample data, images of shape {dataset.shape}, do not fit the network; give others with --data."
            ) from error
        axes = advice(lambda x: output_shape(model, x.to(device, dtype)), dataset.x)
        if axes:
            raise InvalidInputError(f"{str(error).rstrip('.')}.{axes}") from error
        raise
    return replace(subject, output_shapes=shapes, class_axis=options.class_axis, passes=options.passes)


def _load(options: ModelOptions, cascade: bool) -> list[LoadedModel]:
    """The one model of the file, or all stages of the cascade that it holds."""
    if cascade:
        return load_cascade_file(options.path, options.arch, unsafe=options.unsafe_load)
    return [
        load_model_file(options.path, unsafe=options.unsafe_load, factory=options.arch, output=options.output_index)
    ]


def _check_range(dataset: Dataset, dtype: torch.dtype) -> None:
    if dataset.x.dtype != dtype and not all(all_finite(sample.to(dtype)) for sample in dataset.x.split(_AT_ONCE)):
        raise InvalidInputError(f"'{dataset.name}' holds numbers that are too large for float32; use --dtype float64.")


def adapt(
    loaded: LoadedModel, options: ModelOptions, shape: tuple[int, ...], device: torch.device
) -> nn.Module | ExportedProgram:
    """The network in raw input units, in evaluation mode and on the device of the run, in its own dtype."""
    if (options.mean is None) != (options.std is None):
        raise InvalidInputError("--mean and --std go together; give both or neither.")
    model = loaded.model
    # In another dtype it would be another network: weights are rounded, and some layers' constants depend on the dtype.
    # Half precision is the exception: torch takes them from float32 there, which holds its weights.
    own = _dtype_of(model)
    wide = torch.promote_types(own, torch.float32)

    def wrap(module: nn.Module) -> nn.Module:
        if options.output_index is not None and not isinstance(module, OnnxNetwork):
            module = ChosenOutput(module, options.output_index)
        if options.mean is not None and options.std is not None:
            module = nn.Sequential(Normalise(options.mean, options.std, shape).to(wide), module)
        return module.to(device) if own == wide else module.to(device, wide)

    if not isinstance(model, ExportedProgram):
        return wrap(model)
    if options.mean is None and options.output_index is None and device.type == "cpu":
        return model
    return wrapped(model, wrap)


def dtype_of_run(model: nn.Module | ExportedProgram, options: ModelOptions) -> torch.dtype:
    """The arithmetic that the options name, or the network's own."""
    return _dtype_of(model) if options.dtype is None else getattr(torch, options.dtype)


def _dtype_of(model: nn.Module | ExportedProgram) -> torch.dtype:
    """The dtype of a network's first weight, or float32 if it has none."""
    tensors = model.state_dict.values() if isinstance(model, ExportedProgram) else model.state_dict().values()
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)


def output_shape(model: nn.Module | ExportedProgram, x: torch.Tensor) -> tuple[int, ...]:
    """The shape of what the network returns for one sample, found by running it once on x `[B, *shape]`.

    Raises:
        InvalidInputError: it does not accept x, or does not return one tensor `[B, ...]`.
        BudgetError: running it takes more than a file may ask for.
    """
    module = unguarded(model) if isinstance(model, ExportedProgram) else model
    if isinstance(model, ExportedProgram):
        x = permitted(model, x)
    dtype = next((parameter.dtype for parameter in module.parameters() if parameter.is_floating_point()), x.dtype)
    require_affordable(None, module, [x.to(dtype)])
    try:
        with torch.no_grad():
            output = module(x.to(dtype))
    except AutodualError:
        raise
    except Exception as error:  # a network may raise anything when its input does not fit
        reason = reason_of(error)
        raise InvalidInputError(
            f"The network does not accept inputs of shape {tuple(x.shape[1:])}: {reason}. Check that "
            "the data belong to this network."
        ) from error
    if not isinstance(output, torch.Tensor) or output.dim() < 1 or output.shape[0] != x.shape[0]:
        found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        several = "; choose one of its outputs with --output-index" if isinstance(output, (tuple, list, dict)) else ""
        raise InvalidInputError(f"The network must return one tensor [batch, ...]; it returned {found}{several}.")
    return tuple(output.shape[1:])


def recorded_labels(labels: torch.Tensor | None, count: int) -> list[Any]:
    """Labels as documents record them: a mark in place of a label map, None for samples without a label."""
    if labels is None:
        return [None] * count
    return labels.tolist() if labels.dim() == 1 else ["map"] * count


def _settings(
    loaded: LoadedModel, options: ModelOptions, data: DataOptions, dataset: Dataset, device: torch.device
) -> dict[str, Any]:
    mean, std = (None if values is None else list(values) for values in (options.mean, options.std))
    files = [*model_records(loaded), *architecture_records(options.arch)]
    extension = digest_of(extension_records())
    return {
        **({} if extension is None else {"extension_sha256": extension}),
        **({"passes": list(options.passes)} if options.passes else {}),
        "model": str(loaded.path),
        "model_sha256": loaded.sha256,
        "weight_file_sha256": weight_file_digest(loaded),
        "arch": options.arch,
        "unsafe_load": options.unsafe_load,
        "output_index": options.output_index,
        "class_axis": None if options.class_axis == 1 else options.class_axis,
        "mean": mean,
        "std": std,
        "arithmetic": options.dtype,
        "data": dataset.name,
        "data_dir": None if data.data_dir is None else str(data.data_dir),
        "data_description": dataset.description + _rounding(dataset, options.dtype),
        "data_sha256": dataset.sha256,
        "version": __version__,
        "device": options.device,
        "memory_bytes": options.memory,
        "skip": data.skip,
        "limit": data.limit,
        "batch_size": data.batch_size,
        "provenance": provenance(
            device, [*files, *_data_records(dataset)], units=units(mean, std), samples=len(dataset)
        ),
    }


def _data_records(dataset: Dataset) -> list[dict[str, str]]:
    """Each file that the data came from; `data_sha256` is that of all their bytes, in this order."""
    if not dataset.files:
        return [file_record("data", dataset.name, dataset.sha256)]
    return [file_record("data", file.path, file.sha256) for file in dataset.files]


def _rounding(dataset: Dataset, dtype: str | None) -> str:
    """A note that the samples examined were rounded, and so differ from those stored."""
    return ", rounded to float32" if dataset.x.dtype == torch.float64 and dtype == "float32" else ""
