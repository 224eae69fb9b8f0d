"""Rows of cotangents ν: the dual variables that travel backwards through the network, many at a time.

A *group* is a set of K rows that belong to one sample and cover the same part of a node. Rows are stored as

    values[g, k, …] = base[g or 0, k, …] · scale[g, 0, …]

so that rows which are still the same for all samples (a weight matrix before the first nonlinearity) are held once, and
stay factored after the first data-dependent diagonal. A row that starts at one unit of a convolution touches only its
receptive field: such rows carry a *window* instead of the node's whole extent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from autodual.dual.row_windows import Place, Window
from autodual.dual.window_patches import laid_out, patches
from autodual.perturbations.regions.view import padded


@dataclass(frozen=True, eq=False)
class Rows:
    """Cotangents ν at one node: G groups of K rows; all rows of a group belong to one sample.

    Args:
        base: `[G or 1, K, *extent]`; with 1 in place of G while all groups share it.
        shape: the node's sample shape.
        scale: factors `[G, 1, *extent]` of the base, or None for ones.
        owner: the sample of each group, `[G]`, long; None if group g belongs to sample g, or all share the rows.
        span: first and last sample (excluded) among which all owners are, if known.
        consecutive: whether the owners are all samples of the span, in order: nothing need be gathered for them.
        window: where the extents lie; None if they are the whole `shape`.
        cropped: whether entries of the window outside the node are zero.
        units: `[K]` long, if row k is the identity's row of this unit, so that a product with it only picks a row.

    Example:
        >>> import torch
        >>> from autodual.dual import Rows
        >>> rows = Rows(torch.tensor([[[1.0, 2.0]]]), (2,))  # one row, shared by all samples
        >>> scaled = rows.scaled(torch.tensor([[1.0, 1.0], [0.5, 0.0]]))  # by a diagonal per sample
        >>> scaled.groups, scaled.count, scaled.values[1]
        (2, 1, tensor([[0.5000, 0.0000]]))
    """

    base: Tensor
    shape: tuple[int, ...]
    scale: Tensor | None = None
    owner: Tensor | None = None
    span: tuple[int, int] | None = None
    window: Window | None = None
    cropped: bool = True
    units: Tensor | None = None
    consecutive: bool = False

    @classmethod
    def of_units(cls, units: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Rows:
        """Rows of the identity of a node: of some of its units.

        Args:
            units: flat positions `[K]`, long.
            shape: of the node.
            dtype: of the rows.
        """
        base = torch.zeros(units.shape[0], torch.Size(shape).numel(), dtype=dtype, device=units.device)
        base = base.scatter(1, units.unsqueeze(1), 1.0)
        return cls(base.reshape(1, -1, *shape), shape, units=units)

    @cached_property
    def values(self) -> Tensor:
        """`[G or 1, K, *extent]`, multiplied out."""
        return self.base if self.scale is None else self.base * self.scale

    @cached_property
    def negative(self) -> Tensor:
        """min(ν, 0), like `values`: the entries that take the upper lines of a relaxation."""
        # hardtanh is clamp(max=0) whose gradient costs a sixth: training steps take this path for every ReLU.
        return functional.hardtanh(self.values, -math.inf, 0.0)

    @property
    def shared(self) -> bool:
        """Whether all groups still hold the same numbers."""
        return self.base.shape[0] == 1 and self.scale is None

    @property
    def extent(self) -> tuple[int, ...]:
        """The shape of one row: the node's, or the window's."""
        return tuple(self.base.shape[2:])

    @property
    def whole(self) -> bool:
        """Whether rows cover the whole node."""
        return self.window is None

    @property
    def outgrown(self) -> bool:
        """Whether windows are as large as the node, so that they only cost."""
        return self.window is not None and torch.Size(self.extent[1:]).numel() >= torch.Size(self.shape[1:]).numel()

    @property
    def groups(self) -> int:
        """G, or 1 while all groups hold the same numbers."""
        return self.base.shape[0] if self.scale is None else self.scale.shape[0]

    @property
    def count(self) -> int:
        """K, rows a group."""
        return self.base.shape[1]

    # --- the view of per-sample and per-feature tensors that matches these rows -------------------------------------

    def samples(self, tensor: Tensor) -> Tensor:
        """Values of samples for each group: `tensor` `[N, *]` → `[G, 1, *]`."""
        return self._own(tensor).unsqueeze(1)

    def _own(self, tensor: Tensor) -> Tensor:
        """`[N or 1, …]` → `[G or 1, …]`: each group's own sample; not copied where all groups belong to one."""
        if self.owner is None or tensor.shape[0] == 1:
            return tensor
        if self.span is not None and (self.consecutive or self.span[1] - self.span[0] == 1):
            return tensor[self.span[0] : self.span[1]]
        return tensor[self.owner]

    def features(self, tensor: Tensor) -> Tensor:
        """Features of each group's sample and window, zero outside the node.

        Args:
            tensor: `[N or 1, *shape]`.

        Returns:
            `[G or 1, 1, *extent]`.
        """
        return self.reading(tensor).unsqueeze(1)

    def reading(self, tensor: Tensor) -> Tensor:
        """`features` without the rows' axis: `tensor` `[N or 1, *shape]` → `[G or 1, *extent]`."""
        return self._own(tensor) if self.window is None else self._patches(tensor)

    def around(self, tensor: Tensor, margin: Sequence[int]) -> Tensor:
        """`features` of a wider window, for functions that read the input around a window; zero outside the node.

        Args:
            tensor: `[N or 1, *shape]`.
            margin: by how many entries the window is wider on either side of each spatial axis.

        Returns:
            `[G or 1, 1, C, *wider]`.
        """
        if self.window is None:
            return padded(self._own(tensor).unsqueeze(1), margin)
        return self._patches(tensor, margin).unsqueeze(1)

    def everywhere(self, tensor: Tensor) -> Tensor:
        """`features` of a `tensor` `[1, C, 1, …]`, equal at all positions, for cropped rows: `[1, 1, *extent]`."""
        assert self.cropped
        return tensor.unsqueeze(1).expand(1, 1, *self.extent)

    def _patches(self, tensor: Tensor, margin: Sequence[int] = ()) -> Tensor:
        """`[N or 1, C, *spatial]` → `[G, C, *extent]`: every group's window, zero outside the node.

        margin: by how much to widen it on either side of each axis.
        """
        assert self.window is not None
        window, spatial = self.window.wider(self.extent[1:], margin) if margin else (self.window, self.extent[1:])
        owner = self._owner_among(tensor)
        if self.span is not None and tensor.shape[0] > 1:
            first, last = self.span
            tensor, owner = tensor[first:last], owner - first
        return patches(tensor, window, spatial, owner)

    def _owner_among(self, tensor: Tensor) -> Tensor:
        """Each group's index into a tensor `[N or 1, …]`."""
        assert self.window is not None and self.window.position is not None
        if tensor.shape[0] == 1:
            return torch.zeros_like(self.window.position[:, 0])
        return torch.arange(tensor.shape[0], device=tensor.device) if self.owner is None else self.owner

    # --- transformations -------------------------------------------------------------------------------------------

    def changed(self, **changes: Any) -> Rows:
        """The same rows but for some fields, `changes`; `dataclasses.replace` takes four times as long."""
        made = object.__new__(type(self))
        fields = vars(made)
        fields.update(vars(self))
        for name in ("values", "negative"):
            fields.pop(name, None)
        if "base" in changes or "scale" in changes:
            fields["units"] = None
        fields.update(changes)
        return made

    def scaled(self, diagonal: Tensor) -> Rows:
        """Rows times a per-feature `diagonal` `[N or 1, *shape]`, cropped; shared rows stay factored."""
        factor = self.features(diagonal)
        scale = factor if self.scale is None else self.scale * factor
        if self.base.shape[0] == 1:
            return self.changed(scale=scale, cropped=True)
        return self.changed(base=self.base * scale, scale=None, cropped=True)

    def negated(self) -> Rows:
        """The rows with the opposite sign."""
        return self.changed(base=-self.base)

    def mirrored(self) -> Rows:
        """The rows, followed by the same with the opposite sign."""
        return self.changed(base=torch.cat([self.base, -self.base], 1))

    def with_values(self, values: Tensor, **changes: Any) -> Rows:
        """Other `values` `[G or 1, K, *extent]` for the same groups; `changes` are further fields."""
        return self.changed(base=values, scale=None, **changes)

    def reshaped(self, shape: tuple[int, ...]) -> Rows:
        """Rows without a window as rows of a node with the same scalars in another `shape`."""
        scale = None if self.scale is None else self.scale.reshape(-1, 1, *shape)
        return self.changed(base=self.base.reshape(*self.base.shape[:2], *shape), scale=scale, shape=shape)

    def crop(self) -> Rows:
        """The same rows with zeros outside the node; forgetting it at a padded border makes bounds wrong."""
        if self.cropped or self.window is None:
            return self
        if not self.window.overhang(self.extent[1:], self.shape[1:]):
            return self.changed(cropped=True)
        inside = self._patches(self.base.new_ones((1, 1, *self.shape[1:]))).unsqueeze(1).expand(-1, 1, *self.extent)
        return self.changed(scale=inside if self.scale is None else self.scale * inside, cropped=True)

    def dense(self) -> Rows:
        """The same rows over the node's whole extent."""
        if self.window is None:
            return self
        whole = laid_out(self.values, self.window, self.shape)
        return self.changed(base=whole, scale=None, window=None, cropped=True)

    def plus(self, other: Rows) -> Rows:
        """The sum of these rows and `other` ones, which reached the same node along another branch."""
        window = self.window
        if window is not None and other.window is not None and window.keeps_distance(other.window):
            corners = window.union(self.extent[1:], other.window, other.extent[1:])
            first, second = self._spread(*corners), other._spread(*corners)
            return first.with_values(first.values + second.values, cropped=first.cropped and second.cropped)
        first, second = self.dense(), other.dense()
        return first.with_values(first.values + second.values)

    def _spread(self, low: tuple[int, ...], high: tuple[int, ...]) -> Rows:
        """The same rows over windows from `low` to `high`, counted as the window's shift is."""
        window = self.window
        assert window is not None
        pads: list[int] = []
        for shift, extent, first, last in reversed(list(zip(window.shift, self.extent[1:], low, high))):
            pads += [shift - first, last - shift - extent]
        if not any(pads):
            return self
        return self.with_values(functional.pad(self.values, pads), window=replace(window, shift=low))

    def select(self, row: Tensor) -> Rows:
        """For each group k of the K shared rows, those with the indices `row` `[G, k]`."""
        assert self.base.shape[0] == 1
        return self.changed(base=self.values[0][row], scale=None)

    def keep(self, index: Tensor) -> Rows:
        """The groups with the indices `index` `[g]`; `owner` must be set."""
        assert self.owner is not None
        window = self.window
        if window is not None and window.position is not None:
            window = replace(window, position=window.position[index])
        scale = None if self.scale is None else self.scale[index]
        base = self.base if self.base.shape[0] == 1 and self.owner.shape[0] > 1 else self.base[index]
        return self.changed(base=base, scale=scale, owner=self.owner[index], consecutive=False, window=window)

    @classmethod
    def joined(cls, parts: Sequence[Rows], span: tuple[int, int]) -> Rows:
        """The groups of all `parts`, which reached the same node along the same path; their owners are in `span`."""
        first = parts[0]
        owner = torch.cat([part.owner for part in parts if part.owner is not None])
        window = first.window
        if window is not None:
            positions = [part.window.position for part in parts if part.window and part.window.position is not None]
            window = replace(window, position=torch.cat(positions))
        # Rows of constraints may be alike for all groups.
        values = torch.cat([part._for_each_group() for part in parts])
        return first.changed(base=values, scale=None, owner=owner, span=span, consecutive=False, window=window)

    def _for_each_group(self) -> Tensor:
        """The values with an entry for each owner, `[G, K, *extent]`."""
        assert self.owner is not None
        return self.values.expand(self.owner.shape[0], *self.values.shape[1:])

    def placed(self, place: Place) -> Rows:
        """The rows with the owners of `place`, and with its positions if they have windows."""
        if self.window is None:
            return self.changed(owner=place.owner, span=place.span, consecutive=place.consecutive)
        assert place.position is not None
        return self.changed(owner=place.owner, span=place.span, window=replace(self.window, position=place.position))
