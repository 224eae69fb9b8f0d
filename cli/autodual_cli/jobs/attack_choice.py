"""The attacks that `--attack` names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from autodual.attacks import ATTACKS, Attack, Pgd
from autodual.errors import InvalidInputError
from autodual.named_choices import made_by_name


def chosen_attack(choice: int | str | None) -> Attack | None:
    """The attack of so many steps, or of that name; raises InvalidInputError where there is none."""
    if isinstance(choice, str):
        return made_by_name(ATTACKS, choice, "attack")
    return None if choice is None else Pgd(steps=choice)


def chosen_attacks(choices: Sequence[int | str], *, restarts: int | None, seed: int | None) -> dict[str, Attack]:
    """The attacks by the text that names each.

    restarts, seed: of all attacks that have such an option and whose text does not say.

    Raises:
        InvalidInputError: an attack does not exist or is named twice, or none of them has restarts, or random numbers.
    """
    named: dict[str, Attack] = {}
    for choice in choices:
        text = choice if isinstance(choice, str) else f"pgd:steps={choice}"
        if text in named:
            raise InvalidInputError(f"--attack {text} is given twice; give each attack once.")
        named[text] = made_by_name(ATTACKS, text, "attack")
    for option, value in (("restarts", restarts), ("seed", seed)):
        if value is not None:
            named = _with(named, option, value)
    return named


def _with(named: dict[str, Attack], option: str, value: int) -> dict[str, Attack]:
    changed: dict[str, Attack] = {}
    for text, attack in named.items():
        said = any(part.partition("=")[0].strip() == option for part in text.partition(":")[2].split(","))
        changed[text] = attack if said or not _has(attack, option) else _replaced(attack, option, value)
    if not any(_has(attack, option) for attack in named.values()):
        raise InvalidInputError(f"--{option} changes nothing: none of the attacks has {option}.")
    return changed


def _has(attack: Any, option: str) -> bool:
    return is_dataclass(attack) and any(one.name == option and one.init for one in fields(attack))


def _replaced(attack: Any, option: str, value: int) -> Attack:
    return replace(attack, **{option: value})
