"""What strategies remember within one bound computation, each in a room of its own that the state knows nothing of."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypeVar


class Memory(Protocol):
    """What one strategy remembers. lasting: it also serves rows that go on alone, after the sweep has passed."""

    lasting: ClassVar[bool]


Kind = TypeVar("Kind", bound=Memory)


class Memories:
    """At most one memory of each kind."""

    def __init__(self, found: dict[Any, Any] | None = None):
        self._found: dict[Any, Any] = {} if found is None else found

    def of(self, kind: type[Kind]) -> Kind:
        """The memory of a kind; an empty one at first."""
        if kind not in self._found:
            self._found[kind] = kind()
        return self._found[kind]

    def get(self, kind: type[Kind]) -> Kind | None:
        """The memory of a kind, if there is one."""
        return self._found.get(kind)

    def keep(self, memory: Memory) -> None:
        """Take in a memory, in place of that of the same kind if there is one."""
        self._found[type(memory)] = memory

    def drop(self, kind: type[Memory]) -> None:
        """Forget the memory of a kind."""
        self._found.pop(kind, None)

    def lasting(self) -> Memories:
        """Those that last."""
        return Memories({kind: memory for kind, memory in self._found.items() if kind.lasting})
