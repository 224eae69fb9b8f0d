"""`takes`: shows the fields of `Ask` that a function takes as keywords, so that help and editors list them all."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from inspect import Parameter
from typing import Any, TypeVar

from autodual.network.ask import Ask
from autodual.network.ask_options import AskOptions

Function = TypeVar("Function", bound=Callable[..., Any])

_ASK = "every option of bounds in one value; keywords win over it."


def takes(options: type, **defaults: Any) -> Callable[[Function], Function]:
    """Write the keywords of a function that ends in `ask=None, **options` into its signature and its docstring.

    The signature is also what `Ask.of` reads: which keywords there are, and their defaults.

    Args:
        options: the TypedDict that the function's `**options` unpacks, such as `AskOptions`.
        defaults: values for fields that the caller leaves unsaid.

    Example:
        >>> from autodual.network.ask_options import PolicyOptions
        >>> from autodual.network.keywords import takes
        >>> @takes(PolicyOptions, slopes="adaptive")
        ... def bound(x, *, ask=None, **options):
        ...     '''A bound.
        ...
        ...     Args:
        ...         x: samples.
        ...     '''
        >>> import inspect
        >>> list(inspect.signature(bound).parameters)
        ['x', 'ask', 'slopes', 'inner', 'last']
    """

    def written(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
        names = [field for field in fields(Ask) if field.name in options.__annotations__]
        shown = [
            Parameter(field.name, Parameter.KEYWORD_ONLY, default=defaults.get(field.name), annotation=field.type)
            for field in names
        ]
        function.__signature__ = signature.replace(parameters=[*own, *shown])  # type: ignore[attr-defined]
        if function.__doc__ is not None:  # python -OO removes docstrings
            function.__doc__ = _described(function.__doc__, ["ask", *(field.name for field in names)])
        return function

    return written


def _described(doc: str, names: list[str]) -> str:
    """A docstring whose Args end with those of the names that it does not describe itself."""
    found = re.search(r"^( *)Args:\n((?:\1 +.*\n)+)", doc, re.MULTILINE)
    assert found is not None, "a function that takes an Ask describes its arguments"
    indent, described = found[1], found[2]
    added = [
        f"{indent}    {line}\n"
        for name in names
        if not re.search(rf"^{indent}    {name}:", described, re.MULTILINE)
        for line in _DESCRIPTIONS[name]
    ]
    return doc[: found.end()] + "".join(added) + doc[found.end() :]


def _descriptions() -> dict[str, list[str]]:
    """The lines that describe each field in the docstring of `Ask`."""
    found = {"ask": [f"ask: {_ASK}"]}
    section = re.search(r"^Args:\n((?: +.*\n)+)", inspect.getdoc(Ask) or "", re.MULTILINE)
    for line in section[1].splitlines() if section else ():
        line = line.removeprefix("    ")
        if not line.startswith(" "):
            found[line.partition(":")[0]] = []
        found[next(reversed(found))].append(line)
    return found


_DESCRIPTIONS = _descriptions()
assert len(_DESCRIPTIONS) in (1, 1 + len(AskOptions.__annotations__)), "the docstring of Ask describes every field"
