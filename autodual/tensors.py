"""Questions about tensors that every room asks: are they finite, fit for bounds, shared by all samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.parameter import Parameter, is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

_FLOATING = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16})

_PLAIN = (Tensor, Parameter)

_HALF = (torch.float16, torch.bfloat16)


def readable(values: Tensor) -> bool:
    """Whether the host can read values at once: they lie on the CPU, and are not just to come, as in a trace.

    Args:
        values: a tensor.

    Example:
        >>> import torch
        >>> from autodual.tensors import readable
        >>> readable(torch.ones(2)), readable(torch.ones(2, device="meta"))
        (True, False)
    """
    return values.device.type == "cpu" and type(values) in _PLAIN


def all_finite(values: Tensor) -> bool:
    """Whether no entry of a tensor of any shape is NaN or infinite; integers never are.

    Only their sum is tested, which is not finite if any entry is not. Where the sum alone overflows, the least and the
    largest tell. This takes a tenth of the time of `values.isfinite().all()`, whose reduction of booleans is slow on
    CPUs and showed in training steps, and no memory.

    Args:
        values: a tensor of any shape and dtype.

    Example:
        >>> import torch
        >>> from autodual.tensors import all_finite
        >>> all_finite(torch.ones(2)), all_finite(torch.tensor([1.0, torch.nan]))
        (True, False)
    """
    return bool(finite(values))


def finite(*tensors: Tensor) -> Tensor | bool:
    """`all_finite` of several tensors, as a boolean on their device: it does not wait for the values.

    Args:
        tensors: of any shape and dtype, on one device.

    Example:
        >>> import torch
        >>> from autodual.tensors import finite
        >>> finite(torch.ones(2), torch.tensor([1.0, torch.nan]))
        False
    """
    numbers = [one.detach() for one in tensors if one.is_floating_point() and one.numel()]
    if all(readable(one) for one in numbers):
        return all(math.isfinite(one.sum()) or all(map(math.isfinite, one.aminmax())) for one in numbers)
    return torch.stack([end for one in numbers for end in one.aminmax()]).isfinite().all()


def unfit(values: Tensor) -> str:
    """Why a tensor cannot be used in bounds, in words that complete "'weight' …"; empty if it can.

    It must be a plain array of real numbers in memory; integers and booleans are allowed too.

    Args:
        values: a tensor.

    Example:
        >>> import torch
        >>> from autodual.tensors import unfit
        >>> unfit(torch.ones(2)), unfit(torch.ones(2, device="meta"))
        ('', 'is on the meta device and has no values; load them first')
    """
    if type(values) in _PLAIN and values.layout is torch.strided and values.dtype in _FLOATING and not values.is_meta:
        return ""  # as almost always
    if is_lazy(values):
        return "has no values yet; run the model once, so that its lazy layers know their shapes"
    if values.is_meta:
        return "is on the meta device and has no values; load them first"
    if values.is_quantized:
        return f"is quantised ({_name(values.dtype)}), and bounds need real numbers; dequantise it: .dequantize()"
    if values.is_complex():
        return f"is complex ({_name(values.dtype)}), but must be real: give real and imaginary parts as real tensors"
    if values.is_floating_point() and values.dtype not in _FLOATING:
        return f"holds {_name(values.dtype)} numbers, which torch only stores; convert it, to float32 for example"
    if values.layout is not torch.strided:
        return f"is stored as {_name(values.layout)}; make it dense: .to_dense()"
    if is_traceable_wrapper_subclass(values):
        return f"is a {type(values).__name__}, not a plain tensor; gather or dequantise it into one first"
    return ""


def _name(kind: torch.dtype | torch.layout) -> str:
    return str(kind).removeprefix("torch.")


def shared(values: Tensor) -> Tensor:
    """Per-sample values `[N, …]` as `[1, …]` if one was expanded to all samples, to compute with it only once.

    The stride tells, so this does not wait for the values.

    Args:
        values: `[N, …]`.

    Example:
        >>> import torch
        >>> from autodual.tensors import shared
        >>> shared(torch.ones(1, 2).expand(5, 2)).shape, shared(torch.ones(5, 2)).shape
        (torch.Size([1, 2]), torch.Size([5, 2]))
    """
    return values[:1] if is_shared(values) else values


def is_shared(values: Tensor) -> bool:
    """Whether values `[N, …]` are one sample's, expanded to several.

    Args:
        values: `[N, …]`.

    Example:
        >>> import torch
        >>> from autodual.tensors import is_shared
        >>> is_shared(torch.ones(1, 2).expand(5, 2)), is_shared(torch.ones(1, 2))
        (True, False)
    """
    return values.dim() > 0 and values.shape[0] > 1 and values.stride(0) == 0


def bounding_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which bounds of samples of some dtype are computed: float32 in place of half precision.

    Rounding errors in half precision are as large as the margins: plain bounds were above the truth by 0.002.

    Args:
        dtype: a floating dtype.

    Example:
        >>> import torch
        >>> from autodual.tensors import bounding_dtype
        >>> bounding_dtype(torch.float16), bounding_dtype(torch.float64)
        (torch.float32, torch.float64)
    """
    return torch.float32 if dtype in _HALF else dtype


def flat(values: Tensor, leading: int = 1) -> Tensor:
    """Values with all axes after the first `leading` ones merged into one, of extent 1 where there are none.

    Args:
        values: `[*axes, *shape]`, such as samples `[N, *shape]`, whose shape may be empty.
        leading: how many axes come before the shape.

    Example:
        >>> import torch
        >>> from autodual.tensors import flat
        >>> flat(torch.ones(2, 3, 4)).shape, flat(torch.ones(2)).shape
        (torch.Size([2, 12]), torch.Size([2, 1]))
    """
    axes = values.dim() - leading
    if axes == 1:
        return values
    return values.flatten(leading) if axes > 1 else values.unsqueeze(-1)


def laid_out_like(like: Tensor, values: Tensor) -> Tensor:
    """Values whose axes after the first lie in memory as those of another tensor do, such as images channels-last.

    Elementwise operations on tensors that are laid out differently take several times as long.

    Args:
        like: a tensor of as many axes; one that was expanded says nothing.
        values: any tensor; a copy is returned where its axes lie in another order.

    Example:
        >>> import torch
        >>> from autodual.tensors import laid_out_like
        >>> image = torch.ones(1, 3, 4, 4).contiguous(memory_format=torch.channels_last)
        >>> laid_out_like(image, torch.ones(2, 3, 5, 5)).stride()
        (75, 1, 15, 3)
    """
    if 0 in like.stride():
        return values
    order = [0, *sorted(range(1, like.dim()), key=like.stride().__getitem__, reverse=True)]
    inverse = sorted(range(like.dim()), key=order.__getitem__)
    return values.permute(order).contiguous().permute(inverse)


def on_host(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of one device on the CPU, brought there all at once, so that a GPU is waited for only once.

    Args:
        tensors: of any shapes and dtypes; no gradients pass.

    Example:
        >>> import torch
        >>> from autodual.tensors import on_host
        >>> on_host([torch.ones(2), torch.tensor([True])])
        [tensor([1., 1.]), tensor([True])]
    """
    tensors = [one.detach() for one in tensors]
    if all(one.device.type == "cpu" for one in tensors):
        return tensors
    parts = [one.contiguous().flatten().view(torch.uint8) for one in tensors]
    whole = torch.cat(parts).cpu().split([part.numel() for part in parts])
    # Copies, since numbers must lie at multiples of their size.
    return [part.clone().view(one.dtype).reshape(one.shape) for part, one in zip(whole, tensors)]
