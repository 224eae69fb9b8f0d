"""The options of the command line by the settings that documents record of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from autodual_cli.options.set_command import SET_OPTIONS

#: Options whose settings have other names than they.
SETTINGS = {
    "dtype": "arithmetic",
    "memory": "memory_bytes",
    "spec": "specification",
    "attack": "attack_steps",
    "attack_name": "attack",
}

_NAMES = {
    **{setting: option for option, setting in SETTINGS.items()},
    "attack": "attack",
    "attacks": "attack",
    "box_sha256": "box",
    "extension_sha256": "extension",
    "passes": "pass",
    "projection_dim": "projection",
    "projection_confidence": "confidence",
    "projection_seed": "seed",
    "together": "batch_size",
}


def option_name(setting: str) -> str:
    """The option that gives a setting, such as --dtype for `arithmetic`; the network itself is MODEL."""
    if setting == "verify":
        return "--"
    name = _NAMES.get(setting, setting)
    return "MODEL" if name == "model" else f"--{name.replace('_', '-')}"


def as_given(settings: Mapping[str, Any], setting: str) -> str | None:
    """How the command line gives a setting, such as `--domain 0.0,1.0`; None where it was left out."""
    value = settings.get(setting)
    if setting in ("attack", "attack_steps"):  # by its name or by its steps
        value = settings.get("attack") or settings.get("attack_steps")
    elif setting == "box_sha256":
        value = settings.get("box") or value
    elif setting == "projection" and isinstance(value, dict):
        return _several({f"projection_{name}": each for name, each in value.items()})
    elif setting == SET_OPTIONS and isinstance(value, dict):
        return _several(value)
    if setting == "verify" and isinstance(value, list):  # options of another command
        return f"-- {shlex.join(map(str, value))}" if value else None
    if value is None or value is False:
        return None
    if setting == "extension_sha256":  # which file it was is told by provenance alone
        return option_name(setting)
    if setting in ("passes", "attacks") and isinstance(value, list):
        return " ".join(_one(setting, str(one)) for one in value)
    return _one(setting, value)


def _several(settings: Mapping[str, Any]) -> str:
    return " ".join(_one(name, value) for name, value in settings.items())


def _one(setting: str, value: Any) -> str:
    if value is True:
        return option_name(setting)
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{option_name(setting)} {shlex.quote(text)}"
