"""One run of a function of tensors, as the list of operations that it consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

# Results whose shape depends on values, or which differ from run to run; arguments that are seen in another way.
_UNSTEADY = (torch.Tag.dynamic_output_shape, torch.Tag.nondeterministic_seeded, torch.Tag.inplace_view)
# Operations that read at most the kind of a tensor.
_CREATING = ("new_zeros", "new_ones", "new_full", "zeros", "ones", "full", "arange", "scalar_tensor", "eye")
#: Results of at most so many numbers are kept rather than computed again.
SMALL = 1 << 14
# Ways to values that pass no operation.
_PEEKS = ("tolist", "numpy", "__array__", "__dlpack__", "data_ptr", "untyped_storage", "storage")
_PEEKING = frozenset(getattr(Tensor, name) for name in _PEEKS)
# Ways from Python's numbers to tensors; numbers of tensors among them would be read unseen.
_MAKING = frozenset((torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor))


@dataclass(frozen=True)
class Nature:
    """What an operation does, whatever its arguments.

    refusal: why it cannot be done again. shared: which arguments its results lie in, or it changes. views, changes:
    whether results lie in arguments, and whether numbers of arguments change. creates: it reads no values.
    """

    refusal: str | None
    shared: tuple[int, ...]
    views: bool
    changes: bool
    creates: bool


@cache
def _nature(operation: torch._ops.OpOverload, steady: bool) -> Nature:
    """steady: whether the result's shape is known from the arguments', whatever the operation's tags say."""
    schema, refusal = operation._schema, None
    if not steady and any(tag in operation.tags for tag in _UNSTEADY):
        refusal = f"the result of {operation} depends on values or chance, or it reshapes its argument"
    elif operation is torch.ops.aten.as_strided.default:
        refusal = "as_strided reads memory whose layout may be another one"
    shared = tuple(index for index, one in enumerate(schema.arguments) if one.alias_info)
    if any(schema.arguments[index].kwarg_only for index in shared):
        refusal = f"{operation} writes into a tensor that it is given"
    views = bool(shared) and any(one.alias_info for one in schema.returns)
    creates = schema.name.removeprefix("aten::").startswith(_CREATING)
    return Nature(refusal, shared, views, schema.is_mutable, creates)


def _places(operation: torch._ops.OpOverload, arguments: Sequence[Any]) -> bool:
    """Whether an operation takes entries by their places, which are as many whatever these are, and not by a mask."""
    return operation is torch.ops.aten.index.Tensor and all(
        one is None or one.dtype in (torch.int64, torch.int32) for one in arguments[1]
    )


@dataclass(frozen=True)
class Slot:
    """Where a value of the recorded run lies, in the order in which values appeared: the inputs first."""

    number: int


@dataclass(frozen=True)
class Extent:
    """A multiple of the batch size, among the arguments of a run that is one of any batch size."""

    times: int


@dataclass(frozen=True, eq=False)
class Step:
    """One operation, with slots in place of tensors.

    results: the tensors that it returns; `single` if that is one and no tuple. size: how many numbers the largest of
    them has. value: the result of an operation that reads no values, if it is small. idle: the result is the first
    argument, seen in the same way.
    """

    operation: torch._ops.OpOverload
    nature: Nature
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    results: tuple[Slot, ...]
    single: bool
    size: int
    value: Tensor | None = None
    idle: bool = False


@dataclass(frozen=True)
class Condition:
    """A truth value that the run has asked for: whatever follows is what it does if that is the answer."""

    slot: Slot
    answer: bool


@dataclass(frozen=True)
class Exchange:
    """The run gives a value away, and gets another one for it before it goes on."""

    given: Slot
    taken: Slot


class RecordedOperations(TorchDispatchMode):
    """Inside, operations on tensors are noted, in order, and computed as usual.

    Python sees nothing of values but the truth of booleans, which is noted as a condition. Whatever else would make
    another run go another way is noted as `refusal`: a number that is read, a shape that depends on values, random
    numbers, a tensor that comes from elsewhere.
    """

    def __init__(self, inputs: Sequence[Tensor]):
        super().__init__()
        self.steps: list[Step | Condition | Exchange] = []
        self.constants: dict[Slot, Tensor] = {}
        self.refusal: str | None = None
        self.count = 0
        self._slots = WeakTensorKeyDictionary()
        self.inputs: list[int] = []
        #: By slot, that of the value whose memory it shares.
        self.roots: dict[int, int] = {}
        #: By slot of such a value, after how many steps its numbers have changed for the last time.
        self.changes: dict[int, int] = {}
        for one in inputs:
            self.inputs.append(self._new(one).number)
        #: The first extent of the first input.
        self.batch = inputs[0].shape[0] if inputs and inputs[0].dim() else 0
        self._peeks = _Peeks(self)

    def __enter__(self) -> RecordedOperations:
        self._peeks.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._peeks.__exit__(*error)

    def refuse(self, reason: str) -> None:
        """The run cannot be done again without Python."""
        self.refusal = self.refusal or reason

    def slot(self, tensor: Tensor) -> Slot | None:
        """Where a tensor lies; None if it comes from elsewhere."""
        return self._slots.get(tensor)

    def exchange(self, given: Tensor, taken: Tensor) -> None:
        """From here on the run reads a tensor that was made elsewhere from one of its own values."""
        self.steps.append(Exchange(self._slot_of(given), self._new(taken)))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch asks; yes would load its compiler, which takes longer than thousands of calls."""
        return False

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        keywords = keywords or {}
        if self.refusal is not None:
            return operation(*arguments, **keywords)
        if operation is torch.ops.aten.lift_fresh.default and self.slot(arguments[0]) is None:
            self.constants[self._new(arguments[0])] = arguments[0].clone()  # Python's numbers become a tensor
        noted, named = self._noted(arguments), {name: self._noted(value) for name, value in keywords.items()}
        found = operation(*arguments, **keywords)
        nature = _nature(operation, _places(operation, arguments))
        if operation is torch.ops.aten._local_scalar_dense.default:
            self._read(arguments[0], noted[0], found)
        elif nature.refusal is not None:
            self.refuse(nature.refusal)
        else:
            self._add(operation, nature, arguments, noted, named, found)
        return found

    def _read(self, tensor: Tensor, slot: Slot, value: Any) -> None:
        if tensor.dtype is not torch.bool:
            self.refuse("a number is read")
        self.steps.append(Condition(slot, bool(value)))

    def _add(self, operation: Any, nature: Nature, arguments: Any, noted: Any, named: Any, found: Any) -> None:
        single = isinstance(found, Tensor)
        each = [found] if single else list(found) if isinstance(found, (tuple, list)) else [found]
        tensors = [one for one in each if isinstance(one, Tensor)]
        if not tensors or any(one is not None for one in each if not isinstance(one, Tensor)):
            self.refuse(f"{operation} returns something else than tensors")
            return
        results = tuple(self._new(one) for one in each)
        shared = [noted[index] for index in nature.shared if isinstance(noted[index], Slot)]
        if nature.views:
            self.roots.update({result.number: self.root(shared[0]) for result in results})
        if nature.changes:
            self.changes.update({self.root(one): len(self.steps) for one in shared})
            if not self.changes.keys().isdisjoint(self.inputs):
                self.refuse(f"{operation} changes an input")
        size = max(one.numel() for one in tensors)
        value = found.clone() if nature.creates and single and size <= SMALL else None
        idle = single and nature.views and not nature.changes and _seen_alike(arguments[0], found)
        self.steps.append(Step(operation, nature, noted, named, results, single, size, value, idle))

    def root(self, slot: Slot) -> int:
        """The first value that lies in the same memory."""
        return self.roots.get(slot.number, slot.number)

    def _noted(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._slot_of(value)
        if isinstance(value, (tuple, list)):
            return tuple(map(self._noted, value))
        return value

    def _slot_of(self, tensor: Tensor) -> Slot:
        slot = self.slot(tensor)
        if slot is None:
            self.refuse("a tensor comes from elsewhere")
            slot = self._new(tensor)
        return slot

    def _new(self, tensor: Tensor | None) -> Slot:
        """A slot for a tensor, or for None where an operation has no result to give."""
        slot = Slot(self.count)
        self.count += 1
        if tensor is not None:
            self._slots[tensor] = slot
        return slot


def _seen_alike(tensor: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same numbers of one memory."""
    return tensor.dtype == other.dtype and tensor.is_set_to(other)


class _Peeks(TorchFunctionMode):
    """Inside, functions that read values without an operation make a recording useless."""

    def __init__(self, recording: RecordedOperations):
        self.recording = recording

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        if function in _PEEKING:
            self.recording.refuse("values are read as numbers")
        if function in _MAKING and _holds_tensors(function, arguments, keywords):
            self.recording.refuse("a tensor is made of numbers of tensors")
        return function(*arguments, **(keywords or {}))


def _holds_tensors(function: Any, arguments: Any, keywords: Any) -> bool:
    """Whether there are tensors among the numbers that a tensor is to be made of."""
    numbers = arguments[1:] if function is Tensor.new_tensor else arguments
    return any(isinstance(one, Tensor) for one in tree_leaves((numbers, keywords)))
