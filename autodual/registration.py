"""What all registries of rules share: who may take a place that is taken."""

from __future__ import annotations

from typing import Any


def same_definition(first: Any, second: Any) -> bool:
    """Whether two classes or functions were made by the same definition, which was run twice, as in a notebook."""
    names = [(definition.__module__, definition.__qualname__) for definition in (first, second)]
    return names[0] == names[1] and "<lambda>" not in names[0][1]


def require_free(name: object, present: Any, rule: Any) -> None:
    """Raise ValueError if what is called `name` is lowered by another rule than an earlier run of this one."""
    if present is not None and not same_definition(present, rule):
        raise ValueError(
            f"{name} is already lowered by {present.__qualname__}; remove one of the two rules, or pass replace=True"
        )
