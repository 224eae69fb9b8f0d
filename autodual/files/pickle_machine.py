"""Interprets a pickle without building anything: the values it would make, and its calls with their arguments.

It follows only the instructions that PyTorch's restricted unpickler accepts, and stops at all others as PyTorch does.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from autodual.limits import Budget

STEPS = Budget(3_000_000, "instructions")
"""Instructions in a file's pickles; a network of a thousand layers has a hundred thousand."""


class Damaged(Exception):
    """The pickle reads something from its stack or memo that is not there."""


class Unfollowed(Exception):
    """PyTorch's restricted unpickler refuses this instruction."""


@dataclass(eq=False)
class Made:
    """A value that the pickle would make, other than a number, a string, True, False or None.

    kind: list, dict, set, tuple, global, call, object or storage. name: of a global, the called function or the class.
    parts: the members in order; for a dictionary the values, for a call or an object the arguments and the state.
    """

    kind: str
    name: str = ""
    parts: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Watch:
    """Callbacks before the unpickler would act; each may raise to refuse.

    call: takes a function's name and its arguments. new: a class's name and its arguments. storage: a persistent id.
    """

    call: Callable[[str, list[Any]], None]
    new: Callable[[str, list[Any]], None]
    storage: Callable[[Any], None]


class Machine:
    """Follows one pickle; `made` holds all values that are not plain, in the order in which they are made."""

    def __init__(self, name: str, watch: Watch) -> None:
        self.made: list[Made] = []
        self._name = name
        self._watch = watch
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self.steps = 0

    def run(self, file: BytesIO) -> Any:
        """The pickle's value; None if an instruction is unknown. The file's position is then after the pickle.

        Raises:
            Damaged: the pickle cannot be followed.
            BudgetError: there are too many instructions.
        """
        most = STEPS.allowed
        try:
            for operation, argument, _ in pickletools.genops(file):
                self.steps += 1
                if self.steps > most:
                    STEPS.require(self._name, "its pickle", self.steps)
                if operation.name == "STOP":
                    return self._stack.pop()
                if operation.name in _PLAIN:
                    self._stack.append(_PLAIN[operation.name](argument))
                elif operation.name in _STEPS:
                    _STEPS[operation.name](self, argument)
                elif operation.name != "PROTO":
                    return None
        except Unfollowed:
            return None
        except (LookupError, ValueError, TypeError):
            raise Damaged from None
        raise Damaged

    def _make(self, kind: str, name: str = "", parts: list[Any] | None = None) -> None:
        value = Made(kind, name, [] if parts is None else parts)
        self.made.append(value)
        self._stack.append(value)

    def _marked(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _mark(self, _: Any) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _tuple(self, _: Any) -> None:
        self._make("tuple", parts=self._marked())

    def _short_tuple(self, count: int) -> None:
        items = [self._stack.pop() for _ in range(count)]
        self._make("tuple", parts=items[::-1])

    def _append(self, _: Any) -> None:
        item = self._stack.pop()
        self._top("list").parts.append(item)

    def _appends(self, _: Any) -> None:
        items = self._marked()
        self._top("list").parts.extend(items)

    def _setitem(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._put([key, value])

    def _setitems(self, _: Any) -> None:
        self._put(self._marked())

    def _put(self, items: list[Any]) -> None:
        target = self._top("dict", "call")
        # Hashing a tuple walks all that it holds, shared parts again and again.
        if any(isinstance(key, Made) for key in items[::2]):
            raise Damaged
        target.parts.extend(items[1::2])

    def _top(self, *kinds: str) -> Made:
        top = self._stack[-1]
        if not isinstance(top, Made) or top.kind not in kinds:
            raise Damaged
        return top

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._make("global", f"{'builtins' if module == '__builtin__' else module}.{name}")

    def _reduce(self, _: Any) -> None:
        arguments, function = self._arguments("global")
        self._watch.call(function.name, arguments)
        self._make("call", function.name, list(arguments))

    def _newobj(self, _: Any) -> None:
        arguments, cls = self._arguments("global")
        self._watch.new(cls.name, arguments)
        self._make("object", cls.name, list(arguments))

    def _arguments(self, kind: str) -> tuple[list[Any], Made]:
        arguments = self._top("tuple").parts
        self._stack.pop()
        function = self._top(kind)
        self._stack.pop()
        return arguments, function

    def _build(self, _: Any) -> None:
        state = self._stack.pop()
        self._top("object", "call").parts.append(state)

    def _persistent(self, _: Any) -> None:
        identity = self._stack.pop()
        if not isinstance(identity, Made) or identity.parts[:1] != ["storage"]:
            raise Unfollowed
        self._watch.storage(identity)
        self._make("storage", parts=[identity])

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _store(self, index: int) -> None:
        self._memo[index] = self._stack[-1]


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"), lambda value: value
    ),
}

_STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "MARK": Machine._mark,
    "TUPLE": Machine._tuple,
    "TUPLE1": lambda machine, _: machine._short_tuple(1),
    "TUPLE2": lambda machine, _: machine._short_tuple(2),
    "TUPLE3": lambda machine, _: machine._short_tuple(3),
    "EMPTY_TUPLE": lambda machine, _: machine._make("tuple"),
    "EMPTY_LIST": lambda machine, _: machine._make("list"),
    "EMPTY_DICT": lambda machine, _: machine._make("dict"),
    "EMPTY_SET": lambda machine, _: machine._make("set"),
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "SETITEM": Machine._setitem,
    "SETITEMS": Machine._setitems,
    "GLOBAL": Machine._global,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._newobj,
    "BUILD": Machine._build,
    "BINPERSID": Machine._persistent,
    "BINGET": Machine._get,
    "LONG_BINGET": Machine._get,
    "BINPUT": Machine._store,
    "LONG_BINPUT": Machine._store,
}
