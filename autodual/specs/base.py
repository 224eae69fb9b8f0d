"""What is to be proved about a network's outputs: half-spaces, and how their bounds combine into one margin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.inputs import number_tensor
from autodual.objective import DenseObjective, Objective
from autodual.tensors import flat


class Rows:
    """Half-space s holds at outputs f iff objective_s · f − offset_s > 0; f are the outputs flattened, K numbers.

    Args:
        objective: `[S, K]` for all samples or `[N, S, K]`, or an `Objective` that makes such rows on demand. Each
            coefficient has a relative error of at most one rounding.
        offset: `[S]` or `[N, S]`.
        offset_error: the offset's absolute rounding error, of its shape; None if it is exact.

    Example:
        >>> import torch
        >>> from autodual.specs import Rows
        >>> Rows(torch.tensor([[1.0, -1.0]]), torch.tensor([0.5])).values(torch.tensor([[2.0, 1.0]]))
        tensor([[0.5000]])
    """

    def __init__(self, objective: Tensor | Objective, offset: Tensor, offset_error: Tensor | None = None):
        self.form = objective if isinstance(objective, Objective) else DenseObjective(objective)
        self.offset, self.offset_error = offset, offset_error

    @property
    def objective(self) -> Tensor:
        """All rows, as one tensor."""
        return self.form.whole

    def values(self, outputs: Tensor) -> Tensor:
        """objective · f − offset, `[*, N, S]`.

        Args:
            outputs: f, flattened: `[*, N, K]`.
        """
        return self.form.values(outputs) - self.offset

    def select(self, index: Tensor) -> Rows:
        """The half-spaces of some of the samples.

        Args:
            index: a LongTensor.
        """
        offset, error = (
            values[index] if values is not None and values.dim() == 2 else values
            for values in (self.offset, self.offset_error)
        )
        return Rows(self.form.part(index), offset, error)  # type: ignore[arg-type]


class Specification(ABC):
    """A statement about a network's outputs, of any shape, made of strict half-spaces; a frozen dataclass.

    Half-spaces are of the outputs flattened, K numbers a sample in the order in which torch flattens them.

    A specification is never vacuous: if it would hold for any outputs, it raises InvalidInputError instead.
    """

    #: Whether it compares outputs with those at the sample itself, which are computed with rounding errors too.
    relative: ClassVar[bool] = False

    #: Whether it only asks which of a sample's outputs are larger than which, so that it is as true of any function of
    #: the network that orders them alike.
    ordinal: ClassVar[bool] = False

    @abstractmethod
    def rows(self, outputs: Tensor) -> Rows:
        """The half-spaces of N samples, in the outputs' dtype and on their device.

        Args:
            outputs: the nominal outputs f(x) `[N, *shape]`.

        Raises:
            InvalidInputError: the specification does not fit the number of samples or outputs.
        """

    @abstractmethod
    def margin(self, values: Tensor) -> Tensor:
        """One margin `[*]`, positive only if the statement holds; NaN if a value is NaN or +inf, and so no lower bound.

        At a tie, the gradient is that of one of the deciding values, never their mean: the mean of the two sides of
        |f − f(x)| is zero at x, and an attack would never leave x.

        Args:
            values: bounds (or values) of the half-spaces `[*, S]`; `[*, N, S]` if there is something per sample.
        """

    def margin_of(self, rows: Rows, outputs: Tensor) -> Tensor:
        """`margin(rows.values(outputs))`, by a shorter way if there is one; attacks take it at each step.

        Args:
            rows: the half-spaces that `rows` gave for the nominal outputs.
            outputs: outputs themselves, not bounds, flattened: `[*, N, K]`.
        """
        return self.margin(rows.values(outputs))

    def suspects(self, rows: Rows, outputs: Tensor) -> Tensor:
        """Bool: true for outputs at which the margin is negative, and for others if that is quicker to say.

        Args:
            rows: as of `margin_of`.
            outputs: as of `margin_of`.
        """
        return self.margin_of(rows, outputs) < 0

    def parts(self, values: Tensor) -> Tensor:
        """The margins `[*, P]` of statements that are reported by themselves, each as `margin` makes one number.

        NaN where nothing is claimed. There is one, the statement itself, unless a specification says otherwise.
        """
        return self.margin(values).unsqueeze(-1)

    @property
    def disjunctions(self) -> Sequence[Sequence[int]] | None:
        """Half-spaces by number: the statement holds wherever at least one of each list does. None: only `margin` says.

        Exact verification decides a whole list at once, where bounds need one half-space that holds everywhere.
        """
        return None

    @property
    def mixture(self) -> tuple[tuple[float, Specification], ...]:
        """Pairs of a share and a statement, by which the objectives of attacks count; mostly the statement alone."""
        return ((1.0, self),)

    @abstractmethod
    def describe(self) -> str:
        """The statement in words."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The statement as plain values that JSON can hold."""

    def select(self, index: Tensor | slice) -> Specification:
        """The specification of some samples.

        Args:
            index: a LongTensor, a mask or a slice.
        """
        return self


def guarded(margin: Tensor, values: Tensor) -> Tensor:
    """The margin `[*]`, but NaN where one of the values `[*, S]` is NaN or +inf, and so no lower bound."""
    return torch.where((values.isnan() | values.isposinf()).any(-1), torch.nan, margin)


def with_ties(values: Tensor, weak: Tensor) -> Tensor:
    """Values `[*, S]` of half-spaces, where zero counts as positive if `weak` `[S]`: the half-space is ≥, not >."""
    tie = (values == 0) & weak
    return values + tie.to(values.dtype) * torch.finfo(values.dtype).tiny


def output_tensor(value: Any, name: str) -> Tensor:
    """Numbers as a floating tensor, exactly as given; InvalidInputError if one is NaN."""
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
