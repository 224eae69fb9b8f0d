"""A device that this machine only pretends to have: its tensors are computed on the CPU, but behave as on a GPU.

An operation that mixes its tensors with others fails, as it would there, and each place where the host would wait for
the device is counted. So tests find both without a GPU.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

_PACKAGE = Path(__file__).parents[2] / "autodual"

#: A kind of device that no build of torch for the CPU would try to set up.
DEVICE = torch.device("xla:0")

_aten = torch.ops.aten
#: Operations whose result is a number on the host, or has a shape that depends on values.
_WAITING = {
    _aten._local_scalar_dense,
    _aten.equal,
    _aten.nonzero,
    _aten.masked_select,
    _aten.unique_consecutive,
    _aten.unique_dim,
    _aten._unique,
    _aten._unique2,
    _aten.repeat_interleave,
    _aten.bincount,
}
#: Operations that look up the places of a mask if one is among their indices, which may also lie on the CPU.
_INDEXING = {_aten.index, _aten.index_put, _aten.index_put_, _aten._index_put_impl_, _aten._unsafe_index}


class HostSyncs:
    """Where the host waited for the device: how often at each place in the package."""

    def __init__(self) -> None:
        self.places: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return self.places.total()

    def note(self, what: str) -> None:
        frames = [frame for frame in traceback.extract_stack() if Path(frame.filename).is_relative_to(_PACKAGE)]
        where = "outside"
        if frames:
            where = f"{Path(frames[-1].filename).relative_to(_PACKAGE)}:{frames[-1].lineno} {frames[-1].line}"
        self.places[f"{where} ({what})"] += 1

    def __str__(self) -> str:
        return "\n".join(f"{count:4} {place}" for place, count in self.places.most_common())


class OnDevice(Tensor):
    """A tensor on the device. numbers: what it holds, on the CPU."""

    numbers: Tensor
    device = DEVICE  # type: ignore[assignment]
    is_meta = False  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, values: Tensor) -> OnDevice:
        # To torch it is a meta tensor, for which the backward pass needs no threads of a device.
        made = Tensor._make_wrapper_subclass(
            cls, values.size(), values.stride(), values.storage_offset(), dtype=values.dtype, device="meta"
        )
        made.numbers = values
        return made

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"OnDevice({self.numbers!r})"

    def tolist(self) -> Any:
        return self.cpu().tolist()

    # torch would make tensors of these numbers on the meta device.

    def new_tensor(self, data: Any, dtype: torch.dtype | None = None) -> Tensor:  # type: ignore[override]
        return torch.tensor(data, dtype=dtype or self.dtype, device=DEVICE)

    def __getitem__(self, index: Any) -> Tensor:
        parts = index if isinstance(index, tuple) else (index,)
        return super().__getitem__(tuple(torch.tensor(part) if isinstance(part, list) else part for part in parts))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError("tensors of the device are used outside `pretended_device`")


class _Device(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.syncs = HostSyncs()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, packet = dict(kwargs or {}), func.overloadpacket
        tensors = [value for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)]
        here = any(isinstance(tensor, OnDevice) for tensor in tensors)
        target = kwargs.get("device")
        if target is not None:
            kwargs["device"] = torch.device("cpu")
            leaves = here and target.type == "cpu"
            here = target.type == DEVICE.type
            if leaves:
                self.syncs.note("copy to the host")
        elif here:
            _require_one_device(packet, args, tensors)
        if here and (packet in _WAITING or (packet in _INDEXING and _has_mask(args[1]))):
            self.syncs.note(packet.__name__)
        found = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if not here:
            return found
        if func._schema.is_mutable and isinstance(args[0], OnDevice):
            return args[0]
        return tree_map(lambda value: OnDevice(value) if isinstance(value, Tensor) else value, found)


def _inner(value: Any) -> Any:
    return value.numbers if isinstance(value, OnDevice) else value


def _has_mask(indices: Sequence[Tensor | None]) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _require_one_device(packet: Any, args: Any, tensors: list[Tensor]) -> None:
    if packet is _aten.copy_:
        return
    strangers = [tensor for tensor in tensors if not isinstance(tensor, OnDevice) and tensor.dim() > 0]
    if packet in _INDEXING and isinstance(args[0], OnDevice):
        strangers = [tensor for tensor in strangers if not any(tensor is index for index in args[1])]
    if strangers:
        raise RuntimeError(f"{packet.__name__}: expected all tensors to be on the same device, found {DEVICE} and cpu")


@contextmanager
def pretended_device() -> Iterator[HostSyncs]:
    """Inside, tensors can be made on `DEVICE` and computed with; gives the places where the host waited for them."""
    mode, before = _Device(), torch._C._only_lift_cpu_tensors()
    # torch.tensor(…, device=DEVICE) shall make its tensor on the CPU and then ask the mode for a copy.
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with mode:
            yield mode.syncs
    finally:
        torch._C._set_only_lift_cpu_tensors(before)


def move_(module: nn.Module) -> None:
    """Bring a module's parameters and buffers to the device. A module must be traced before."""
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                part._parameters[name] = nn.Parameter(OnDevice(parameter.detach()), parameter.requires_grad)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = OnDevice(buffer.detach())
