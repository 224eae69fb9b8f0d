"""What all registries share: when a registration may replace another of the same name, and what is a user's own."""

from __future__ import annotations

from typing import Any

_PACKAGE = f"{__name__.partition('.')[0]}."


def same_definition(first: Any, second: Any) -> bool:
    """Whether two classes or functions come from one definition that was run twice, as in a notebook.

    Args:
        first, second: classes or functions; lambdas are never the same.
    """
    names = [(definition.__module__, definition.__qualname__) for definition in (first, second)]
    return names[0] == names[1] and "<lambda>" not in names[0][1]


def require_free(name: object, present: Any, rule: Any) -> None:
    """Raise ValueError if `name` has another rule already.

    Args:
        name: of the operation, for the message.
        present: its rule so far, or None.
        rule: the new one; it may replace an earlier run of the same definition.
    """
    if present is not None and not same_definition(present, rule):
        raise ValueError(
            f"{name} is already lowered by {present.__qualname__}; remove one of the two rules, or pass replace=True"
        )


def ours(kind: type) -> bool:
    """Whether a class is one of this package. What a user's own does may depend on anything.

    Args:
        kind: a class.
    """
    return kind.__module__.startswith(_PACKAGE)
