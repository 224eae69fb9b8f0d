"""Running a model in a wider dtype while it takes its constants from its own dtype.

In another dtype a model may be another network: `nn.RMSNorm` without an `eps` takes that of the dtype that it meets,
and so does a clamp at `torch.finfo(x.dtype).eps`. What was traced is the network of one dtype, so a comparison in
float64 must give it that dtype's constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

_CASTS = {Tensor.float: torch.float32, Tensor.half: torch.float16, Tensor.bfloat16: torch.bfloat16}
_NORMALISATIONS = frozenset({F.rms_norm, torch.rms_norm, torch.ops.aten.rms_norm, torch.ops.aten.rms_norm.default})
_DTYPE: Any = Tensor.dtype


def spacing(dtype: torch.dtype) -> float:
    """The default `eps` of `rms_norm` for inputs of a dtype: that of float32 for half precision, as torch does."""
    return torch.finfo(torch.promote_types(dtype, torch.float32)).eps


class Widened(TorchFunctionMode):
    """A context in which a model that gets tensors of the dtype `wide` finds that they are of the dtype `own`.

    It reads that dtype off them, its casts to it do nothing, and torch's functions take their constants from it.
    """

    def __init__(self, own: torch.dtype, wide: torch.dtype = torch.float64):
        super().__init__()
        self.own = own
        self.wide = wide

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(function, "__self__", None) is _DTYPE:
            found = function(*args, **kwargs)
            return self.own if found == self.wide else found
        if function in _CASTS and _CASTS[function] == self.own:
            return args[0].to(self.wide)
        if function in _NORMALISATIONS:
            return self._normalised(function, *args, **kwargs)
        args, kwargs = pytree.tree_map_only(torch.dtype, self._widened, (tuple(args), kwargs))
        return function(*args, **kwargs)

    def _normalised(
        self, function: Callable[..., Any], x: Any, shape: Any, weight: Any = None, eps: float | None = None
    ) -> Any:
        return function(x, shape, weight, spacing(self.own) if eps is None else eps)

    def _widened(self, dtype: torch.dtype) -> torch.dtype:
        return self.wide if dtype == self.own else dtype
