"""What is to be proved about a network's outputs, as half-spaces and the way their bounds make one number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.inputs import number_tensor
from autodual.objective import DenseObjective, Objective
from autodual.tensors import flat


class Rows:
    """Half-space s holds at outputs f iff objective_s · f − offset_s > 0; f are the outputs flattened, K numbers.

    objective: `[S, K]` for all samples or `[N, S, K]` with one per sample, or an `Objective` that makes such rows when
    they are needed. offset: likewise `[S]` or `[N, S]`. offset_error: of the offset's shape, what rounding it may have
    cost; None where it is exact. Coefficients are off by one rounding at most, relative to themselves.
    """

    def __init__(self, objective: Tensor | Objective, offset: Tensor, offset_error: Tensor | None = None):
        self.form = objective if isinstance(objective, Objective) else DenseObjective(objective)
        self.offset, self.offset_error = offset, offset_error

    @property
    def objective(self) -> Tensor:
        """The rows, all at once."""
        return self.form.whole

    def values(self, outputs: Tensor) -> Tensor:
        """The left sides `[*, N, S]` at flattened outputs `[*, N, K]`."""
        return self.form.values(outputs) - self.offset


class Specification(ABC):
    """A statement about a network's outputs, of any shape, built of strict half-spaces; a frozen dataclass.

    Half-spaces are of the outputs flattened, K numbers a sample in the order in which torch flattens them.

    A specification is never vacuous: where it would hold of any outputs, it raises InvalidInputError instead.
    """

    #: Whether it compares outputs with those of the same network at the sample, which a run has errors of too.
    relative: ClassVar[bool] = False

    @abstractmethod
    def rows(self, outputs: Tensor) -> Rows:
        """The half-spaces for samples with the nominal outputs f(x) `[N, *shape]`, in their dtype and on their device.

        Raises InvalidInputError if the specification does not fit as many samples or outputs.
        """

    @abstractmethod
    def margin(self, values: Tensor) -> Tensor:
        """One number `[*]` for bounds (or values) of the half-spaces `[*, S]`; positive only if the statement holds.

        For a specification with something per sample, `values` are `[*, N, S]`. NaN wherever a value is NaN or +inf,
        since neither is the lower bound of anything. The gradient is that of one deciding value, even at a tie: the
        mean over |f − f(x)|'s two sides, say, would vanish at x and leave an attack there.
        """

    @abstractmethod
    def describe(self) -> str:
        """The statement in words."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The statement as plain values that JSON can hold."""

    def select(self, index: Tensor | slice) -> Specification:
        """The specification of some samples, by a LongTensor, a mask or a slice."""
        return self


def guarded(margin: Tensor, values: Tensor) -> Tensor:
    """The margin `[*]`, but NaN where one of the values `[*, S]` is no lower bound."""
    return torch.where((values.isnan() | values.isposinf()).any(-1), torch.nan, margin)


def with_ties(values: Tensor, weak: Tensor) -> Tensor:
    """Values `[*, S]` of half-spaces in which a zero counts as positive where `weak` `[S]` asks for no more than ≥."""
    tie = (values == 0) & weak
    return values + tie.to(values.dtype) * torch.finfo(values.dtype).tiny


def output_tensor(value: Any, name: str) -> Tensor:
    """Numbers about outputs as a floating tensor without NaN, exactly as given."""
    tensor = number_tensor(value, name)
    if tensor.isnan().any():
        raise InvalidInputError(f"{name} must be real and free of NaN")
    return tensor


def flat_outputs(outputs: Tensor) -> Tensor:
    """Nominal outputs `[N, *shape]` as `[N, K]`; InvalidInputError unless they are floating, with K ≥ 1."""
    if outputs.dim() == 0 or outputs.shape[1:].numel() == 0 or not outputs.is_floating_point():
        raise InvalidInputError(
            f"a specification needs floating-point outputs [N, *shape], but they are {list(outputs.shape)} of the "
            f"dtype {outputs.dtype}"
        )
    return flat(outputs)


def fitted(tensor: Tensor, outputs: Tensor, name: str) -> Tensor:
    """A tensor `[]`, `[K]` or `[N, K]` as `[K]` or `[N, K]`, in the outputs' dtype and on their device."""
    count, extent = outputs.shape
    if tuple(tensor.shape) not in ((), (extent,), (count, extent)):
        raise InvalidInputError(
            f"{name} has the shape {list(tensor.shape)}, but the network has {extent} outputs for {count} samples; "
            "give a number, one number per output, or [N, K]"
        )
    tensor = tensor.to(dtype=outputs.dtype, device=outputs.device)
    return tensor.expand(extent) if tensor.dim() == 0 else tensor
