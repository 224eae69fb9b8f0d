"""What is registered of a kind of set, and one of the kind whose parameters are chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from autodual.errors import InvalidInputError
from autodual.perturbations.registry.set_parameter import REQUIRED, SetParameter

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@dataclass(frozen=True, eq=False)
class SetEntry:
    """A kind of perturbation set that has a name.

    name: how the command line, recipes and documents call it. title: what people call it. home: its class, or where
    that is, as `module:Class`, so that listing names loads nothing. radius, domain: the fields that the radius and the
    domain go to; no domain means that the set takes none. parameters: all other fields that can be chosen. aliases:
    other spellings of the name. spelling: a name that holds parameters, such as `l{p}`, which `l1.5` fits.
    formula: a condition on a point, for pages, with places for `point`, `radius` and the parameters; without one, pages
    use the set's own words.
    """

    name: str
    title: str
    home: type | str
    radius: str = "radius"
    domain: str | None = "domain"
    parameters: tuple[SetParameter, ...] = ()
    aliases: tuple[str, ...] = ()
    spelling: str | None = None
    formula: str | None = None

    def load(self) -> Any:
        """Its class."""
        if isinstance(self.home, type):
            return self.home
        module, _, name = self.home.partition(":")
        return getattr(import_module(module), name)

    @property
    def spelled(self) -> str:
        """The name as help lists it."""
        return self.name if self.spelling is None else re.sub(r"{(\w+)}", lambda place: place[1].upper(), self.spelling)

    def read(self, text: str) -> dict[str, Any] | None:
        """The parameters that a name of the form `spelling` holds; None where it is not of that form."""
        if self.spelling is None:
            return None
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(self.spelling))
        match = re.fullmatch(pattern, text)
        return None if match is None else match.groupdict()

    def spell(self, values: Mapping[str, Any]) -> str:
        """The name, with the parameters that it holds."""
        return (
            self.name if self.spelling is None else self.spelling.format(**{k: _number(v) for k, v in values.items()})
        )

    @property
    def own(self) -> tuple[SetParameter, ...]:
        """The parameters that are given beside the name, not by it."""
        return tuple(one for one in self.parameters if self.spelling is None or f"{{{one.name}}}" not in self.spelling)

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, those that were not given by their defaults.

        Raises InvalidInputError for unknown, missing and unfit ones.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                there = ", ".join(known) or "none"
                raise InvalidInputError(f"the set '{self.name}' has no parameter '{name}'; there are {there}")
        for name, parameter in known.items():
            if name not in given and parameter.default is REQUIRED:
                raise InvalidInputError(f"the set '{self.name}' needs its parameter '{name}': {parameter.help}")
        return {name: one.parsed(given.get(name, one.default)) for name, one in known.items()}


@dataclass(frozen=True)
class ChosenSet:
    """A kind of set with all of its parameters but the radius and the domain, which are given to `make`.

    name: its full spelling, such as `l1.5`. options: the parameters that the name does not hold, as plain values.
    """

    name: str
    entry: SetEntry = field(compare=False)
    options: Mapping[str, Any]
    held: Mapping[str, Any] = field(default_factory=dict)

    def make(self, radius: Any, domain: Any = None) -> Any:
        """The perturbation set of a radius.

        Args:
            radius: a number, or a tensor `[N]` with one for each sample.
            domain: a pair that the set is cut down to, or None.

        Raises:
            InvalidInputError: the set takes no domain, or the numbers are none that it can have.
        """
        fields = {self.entry.radius: radius, **self.held, **self.options}
        if self.entry.domain is not None:
            fields[self.entry.domain] = domain
        elif domain is not None:
            raise InvalidInputError(f"the set '{self.name}' takes no domain; leave it out")
        return self.entry.load()(**fields)

    def formula(self, point: str, radius: str) -> str | None:
        """A condition on a point, as a page shows it; None where the set has none."""
        if self.entry.formula is None:
            return None
        values = {name: _number(value) for name, value in {**self.held, **self.options}.items()}
        template = self.entry.formula.replace("_{", "{_")
        lowered = {f"_{name}": _lowered(value) for name, value in values.items()}
        return template.format(point=point, radius=radius, **values, **lowered)


def _lowered(value: str) -> str:
    """What stands below the line: whole numbers as small digits, others behind an underscore."""
    return value.translate(_SUBSCRIPTS) if value.isdecimal() else f"_{value}"


def _number(value: Any) -> str:
    """A value in a name or a formula: whole numbers without a point, others with all their digits."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
