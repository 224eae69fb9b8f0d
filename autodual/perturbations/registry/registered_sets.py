"""The table of registered sets: its entries, how to add one, and how to choose one by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from autodual.errors import InvalidInputError
from autodual.number_ranges import LARGEST, Range, shown
from autodual.perturbations.registry.set_entry import ChosenSet, SetEntry
from autodual.perturbations.registry.set_parameter import REQUIRED, SetParameter
from autodual.registration import same_definition

_SetClass = TypeVar("_SetClass", bound=type)

_BALLS = "autodual.perturbations.balls.norm_balls"
_SETS: dict[str, SetEntry] = {
    entry.name: entry
    for entry in (
        SetEntry("linf", "l∞ ball", f"{_BALLS}:LinfBall", aliases=("inf",), formula="‖{point} − x‖∞ ≤ {radius}"),
        SetEntry("l2", "l2 ball", f"{_BALLS}:L2Ball", aliases=("2",), formula="‖{point} − x‖₂ ≤ {radius}"),
        SetEntry("l1", "l1 ball", f"{_BALLS}:L1Ball", aliases=("1",), formula="‖{point} − x‖₁ ≤ {radius}"),
        SetEntry(
            "lp",
            "lp ball",
            f"{_BALLS}:LpBall",
            parameters=(SetParameter("p", float, "Order of the norm.", range=Range(1)),),
            spelling="l{p}",
            formula="‖{point} − x‖_{p} ≤ {radius}",
        ),
        SetEntry(
            "wasserstein",
            "Wasserstein ball",
            "autodual.perturbations.wasserstein.wasserstein_ball:WassersteinBall",
            radius="eps",
            parameters=(
                SetParameter("window", int, "Side of the square of pixels to which each may move mass.", 5, Range(1)),
                SetParameter(
                    "cost", float, "Power of the distance that moving one unit of mass costs.", 1.0, Range(0, 100)
                ),
                SetParameter(
                    "sharpness",
                    float,
                    "Of smooth bounds in place of exact ones; 0: exact.",
                    0.0,
                    Range(0, LARGEST),
                    bounding=True,
                ),
                SetParameter(
                    "prices",
                    int,
                    "Prices at which rows of all samples are bounded; 0: the best.",
                    0,
                    Range(0, 1000),
                    bounding=True,
                ),
            ),
            formula="d({point}, x) ≤ {radius}·Σx, moving mass within {window}×{window} pixels",
        ),
        SetEntry(
            "union",
            "union of sets",
            "autodual.perturbations.spelled_union:scaled_union",
            parameters=(
                SetParameter(
                    "members", str, "NAME:RADIUS of each, such as linf:0.3,l2:1.5,l1:12; EPS times as large.", many=True
                ),
            ),
        ),
        SetEntry(
            "box",
            "box between two arrays",
            "autodual.perturbations.box_of_files:BoxOfFiles",
            radius=None,
            domain=None,
            parameters=(
                SetParameter(
                    "box", str, "LOWER.npy,UPPER.npy, the ends of one box or of one per sample; no radius.", many=True
                ),
            ),
        ),
    )
}
# Names that fields of a document's section on sets, or options of commands, have already.
_TAKEN = frozenset({"eps", "norm", "domain", "options", "set", "kind", "point", "radius"})


def registered_sets() -> tuple[SetEntry, ...]:
    """All registered sets, in the order of registration.

    Example:
        >>> from autodual.perturbations import registered_sets
        >>> [entry.name for entry in registered_sets()][:4]
        ['linf', 'l2', 'l1', 'lp']
    """
    return tuple(_SETS.values())


def named_set(
    name: str,
    title: str,
    *,
    radius: str | None = "radius",
    domain: str | None = None,
    parameters: tuple[SetParameter, ...] = (),
    aliases: tuple[str, ...] = (),
    formula: str | None = None,
    replace: bool = False,
) -> Callable[[_SetClass], _SetClass]:
    """Class decorator: register a kind of perturbation set under a name.

    It can then be chosen with `--norm NAME`, in recipes and in Python (`choose_set`), and trained on. Network files and
    documents that name it can be read wherever the same registration has run.

    Args:
        name: short, of lower-case letters, digits and dashes.
        title: what people call it.
        radius: the class's field for the radius. It must accept a number, and for `certified_radius` a tensor `[N]`
            with one radius per sample. None if the set has no radius, and its parameters say all.
        domain: the class's field for the domain; None if the set takes none.
        parameters: all other fields that can be chosen.
        aliases: other spellings of the name.
        formula: for pages, a condition on a `{point}` that uses the `{radius}` and the parameters.
        replace: replace another set of this name.

    Raises:
        ValueError: the name is taken or malformed, or the class lacks a field that is named here.

    Example:
        >>> from dataclasses import dataclass
        >>> from autodual.perturbations import LinfBall, choose_set, named_set
        >>> @named_set("cube", "cube", domain="domain")
        ... @dataclass(frozen=True, eq=False)
        ... class Cube(LinfBall):
        ...     '''An l∞ ball by another name.'''
        >>> choose_set("cube").make(0.5).describe()
        'l∞ ball of radius 0.5, unclipped'
    """

    def register(kind: _SetClass) -> _SetClass:
        entry = SetEntry(name, title, kind, radius, domain, tuple(parameters), tuple(aliases), None, formula)
        _check_names(entry, replace=replace)
        _check_fields(entry, kind)
        _SETS[name] = entry
        return kind

    return register


def choose_set(name: str | float, options: Mapping[str, Any] | None = None) -> ChosenSet:
    """A registered kind of set with its parameters; its `make(radius, domain)` makes the set.

    Args:
        name: such as `linf`, `l1.5` or a name given by `named_set`; or the order p of a norm.
        options: the parameters that are not part of the name, as plain values or as text.

    Raises:
        InvalidInputError: there is no set of that name, or it does not accept the parameters.

    Example:
        >>> from autodual.perturbations import choose_set
        >>> choose_set("l2").make(0.5, (0, 1)).describe()
        'l2 ball of radius 0.5, clipped to [0, 1]'
    """
    entry, held = _find(canonical_name(name))
    values = entry.values({**held, **(options or {})})
    own = {parameter.name: values[parameter.name] for parameter in entry.own}
    return ChosenSet(entry.spell(values), entry, own, {key: value for key, value in values.items() if key not in own})


def canonical_name(name: str | float) -> str:
    """The spelling of a set's name that documents use.

    Args:
        name: any spelling, or the order of a norm.

    Raises:
        InvalidInputError: there is no set of that name.

    Example:
        >>> from autodual.perturbations.registry.registered_sets import canonical_name
        >>> canonical_name("2.0"), canonical_name("L3")
        ('l2', 'l3')
    """
    entry, held = _find(str(name).lower())
    known = {parameter.name: parameter for parameter in entry.parameters}
    return entry.spell({key: known[key].parsed(value) for key, value in held.items()})


def _find(text: str) -> tuple[SetEntry, dict[str, Any]]:
    """The entry for a name, and the parameters in the name, as text."""
    for entry in _SETS.values():
        if (text == entry.name and entry.spelling is None) or text in entry.aliases:
            return entry, {}
    for entry in _SETS.values():
        for spelled in (text, f"l{text}"):  # a number alone is the order of a norm
            held = entry.read(spelled)
            if held is not None and _fits(entry, held):
                return entry, held
    there = ", ".join(entry.spelled for entry in _SETS.values())
    raise InvalidInputError(
        f"{shown(text)} is no norm, nor any other set that is registered; there are {there} (for one of yours, import "
        "the module that registers it)"
    )


def _fits(entry: SetEntry, held: Mapping[str, Any]) -> bool:
    known = {parameter.name: parameter for parameter in entry.parameters}
    try:
        return all(known[name].parsed(value) is not None for name, value in held.items())
    except InvalidInputError:
        return False


def _check_names(entry: SetEntry, *, replace: bool) -> None:
    for name in (entry.name, *entry.aliases):
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise ValueError(f"a set's name must be of small letters, digits and dashes, not {name!r}")
        holder = next((one for one in _SETS.values() if name in (one.name, *one.aliases)), None)
        if holder is not None and not replace and not _same(holder, entry):
            raise ValueError(f"the name '{name}' is already that of the set '{holder.name}'; choose another")
    for parameter in entry.parameters:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", parameter.name) or parameter.name in _TAKEN:
            raise ValueError(f"a parameter of the set '{entry.name}' cannot be called {parameter.name!r}")


def _same(holder: SetEntry, entry: SetEntry) -> bool:
    return holder.name == entry.name and isinstance(holder.home, type) and same_definition(holder.home, entry.home)


def _check_fields(entry: SetEntry, kind: type) -> None:
    """Raise ValueError unless the class is a dataclass with all the fields that the entry names."""
    if not is_dataclass(kind):
        raise ValueError(f"the set '{entry.name}' must be a dataclass, which {kind.__name__} is not")
    there = {one.name for one in fields(kind) if one.init}
    sizes = {name for name in (entry.radius, entry.domain) if name is not None}
    named = {*sizes, *(one.name for one in entry.parameters)}
    for name in sorted(named - there):
        raise ValueError(f"{kind.__name__} has no field '{name}', which its registration speaks of")
    for parameter in entry.parameters:
        if parameter.kind not in (float, int, bool, str):
            raise ValueError(f"the kind of the parameter '{parameter.name}' must be float, int, bool or str")
        if parameter.default is not REQUIRED:
            parameter.parsed(parameter.default)
