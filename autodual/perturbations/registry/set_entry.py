"""The registry's entry for a kind of set, and a kind of set with its parameters chosen."""

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
    """A registered kind of perturbation set.

    Args:
        name: its name in the command line, recipes and documents.
        title: what people call it.
        home: its class or a function that makes it, or `module:Name` of either, so that listing names loads nothing.
        radius, domain: the class's fields for the radius and the domain; None if the set takes none. A set without a
            radius is as large as its parameters say, so naming one of them on the command line chooses the set.
        parameters: all other fields that can be chosen.
        aliases: other spellings of the name.
        spelling: the name with parameters in it, such as `l{p}`, which matches `l1.5`.
        formula: for pages, a condition on a `{point}` that uses the `{radius}` and the parameters; without one, pages
            use the set's `describe()`.

    Example:
        >>> from autodual.perturbations import registered_sets
        >>> entry = registered_sets()[3]
        >>> entry.spelled, entry.read("l1.5"), entry.load().__name__
        ('lP', {'p': '1.5'}, 'LpBall')
    """

    name: str
    title: str
    home: type | str
    radius: str | None = "radius"
    domain: str | None = "domain"
    parameters: tuple[SetParameter, ...] = ()
    aliases: tuple[str, ...] = ()
    spelling: str | None = None
    formula: str | None = None

    def load(self) -> Any:
        """The class, imported now if need be."""
        if isinstance(self.home, type):
            return self.home
        module, _, name = self.home.partition(":")
        return getattr(import_module(module), name)

    @property
    def spelled(self) -> str:
        """The name as help lists it."""
        return self.name if self.spelling is None else re.sub(r"{(\w+)}", lambda place: place[1].upper(), self.spelling)

    def read(self, text: str) -> dict[str, Any] | None:
        """The parameters in a name of the form `spelling`, as text; None if the name is not of that form.

        Args:
            text: the name.
        """
        if self.spelling is None:
            return None
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(self.spelling))
        match = re.fullmatch(pattern, text)
        return None if match is None else match.groupdict()

    def spell(self, values: Mapping[str, Any]) -> str:
        """The name, with its parameters filled in.

        Args:
            values: all parameters by name.
        """
        return (
            self.name if self.spelling is None else self.spelling.format(**{k: _number(v) for k, v in values.items()})
        )

    @property
    def own(self) -> tuple[SetParameter, ...]:
        """The parameters that are not part of the name."""
        return tuple(one for one in self.parameters if self.spelling is None or f"{{{one.name}}}" not in self.spelling)

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, checked, with defaults for those that were not given.

        Args:
            given: parameters by name, as plain values or text.

        Raises:
            InvalidInputError: a parameter is unknown, missing or out of range.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                there = ", ".join(known) or "none"
                raise InvalidInputError(f"the set '{self.name}' has no parameter '{name}'; there are {there}")
        for name, parameter in known.items():
            if name not in given and parameter.default is REQUIRED:
                words = parameter.help.removesuffix(".")
                raise InvalidInputError(f"the set '{self.name}' needs its parameter '{name}': {words}")
        return {name: one.parsed(given.get(name, one.default)) for name, one in known.items()}


@dataclass(frozen=True)
class ChosenSet:
    """A kind of set with all its parameters except the radius and the domain, which `make` takes.

    Args:
        name: its full spelling, such as `l1.5`.
        entry: the registered kind.
        options: the parameters that are not part of the name, as plain values.
        held: the parameters that are part of the name.

    Example:
        >>> from autodual.perturbations import choose_set
        >>> chosen = choose_set("l1.5")
        >>> chosen.name, chosen.held, chosen.make(0.5).describe()
        ('l1.5', {'p': 1.5}, 'l1.5 ball of radius 0.5, unclipped')
    """

    name: str
    entry: SetEntry = field(compare=False)
    options: Mapping[str, Any]
    held: Mapping[str, Any] = field(default_factory=dict)

    def make(self, radius: Any = None, domain: Any = None) -> Any:
        """The perturbation set of this radius.

        Args:
            radius: a number, or a tensor `[N]` with one for each sample; None if the set has no radius.
            domain: a pair (lower, upper) that the set is clipped to, or None.

        Raises:
            InvalidInputError: the set takes no radius or no domain, or does not accept the numbers.
        """
        fields = {**self.held, **self.options}
        if self.entry.radius is not None:
            fields[self.entry.radius] = radius
        elif radius is not None:
            raise InvalidInputError(
                f"the set '{self.name}' has no radius, since its parameters say how large it is; choose another set"
            )
        if self.entry.domain is not None:
            fields[self.entry.domain] = domain
        elif domain is not None:
            raise InvalidInputError(f"the set '{self.name}' takes no domain; leave it out")
        return self.entry.load()(**fields)

    def formula(self, point: str, radius: str) -> str | None:
        """The condition on a point that a page shows; None if the entry has no formula.

        Args:
            point: its symbol.
            radius: its symbol or value.
        """
        if self.entry.formula is None:
            return None
        values = {name: _number(value) for name, value in {**self.held, **self.options}.items()}
        template = self.entry.formula.replace("_{", "{_")
        lowered = {f"_{name}": _lowered(value) for name, value in values.items()}
        return template.format(point=point, radius=radius, **values, **lowered)


def _lowered(value: str) -> str:
    """A subscript: whole numbers as subscript digits, other values after an underscore."""
    return value.translate(_SUBSCRIPTS) if value.isdecimal() else f"_{value}"


def _number(value: Any) -> str:
    """A value in a name or a formula: whole numbers without a decimal point, others with all their digits."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
