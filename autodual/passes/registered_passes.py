"""The passes that extensions register, by name, and their places in the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from autodual.errors import InvalidInputError
from autodual.named_choices import made_by_name, registering
from autodual.passes.base import Pass
from autodual.registration import same_definition

_PassClass = TypeVar("_PassClass", bound="type[Pass]")

PASSES: dict[str, type[Pass]] = {}
_BEFORE: dict[str, str | None] = {}


def named_pass(*, before: str | None = None, replace: bool = False) -> Callable[[_PassClass], _PassClass]:
    """Class decorator: let `--pass NAME:FIELD=VALUE,…` add a pass to the pipeline.

    Args:
        before: the name of the pass that it runs before, such as `assign-rules`; None: after all others.
        replace: replace another pass of its name.

    Raises:
        ValueError: its name is taken or malformed.

    Example:
        >>> from dataclasses import dataclass
        >>> from autodual.passes import Pass, named_pass
        >>> @named_pass(before="assign-rules")
        ... @dataclass(frozen=True)
        ... class LookOn(Pass):
        ...     name = "look-on"
        ...     def run(self, plan):
        ...         return plan
    """

    def register(kind: _PassClass) -> _PassClass:
        registering(PASSES, kind.name, "pass", same_definition, replace=replace)(kind)
        _BEFORE[kind.name] = before
        return kind

    return register


def with_registered(pipeline: Sequence[Pass], chosen: Sequence[str]) -> list[Pass]:
    """The pipeline with passes chosen by name inserted, each in its place.

    Args:
        pipeline: the passes without them.
        chosen: names, alone or with values of fields, as `made_by_name` takes them.

    Raises:
        InvalidInputError: there is no such pass, or the pass that it is to run before is not in the pipeline.

    Example:
        >>> from autodual.passes import default_pipeline
        >>> from autodual.passes.registered_passes import with_registered
        >>> with_registered(default_pipeline(), []) == default_pipeline()
        True
    """
    found = list(pipeline)
    for text in chosen:
        step = made_by_name(PASSES, text, "pass")
        before = _BEFORE[step.name]
        names = [one.name for one in found]
        if before is not None and before not in names:
            raise InvalidInputError(f"the pass '{step.name}' is to run before '{before}', which is not in the pipeline")
        found.insert(len(found) if before is None else names.index(before), step)
    return found
