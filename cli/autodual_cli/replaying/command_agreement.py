"""Checks that the command that a document records asks for the settings that it records."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from autodual.report.comparison import Comparison
from autodual_cli.options.option_groups import BallOptions
from autodual_cli.options.recorded_options import SETTINGS
from autodual_cli.options.set_command import SET_OPTIONS
from autodual_cli.options.set_options import shape_settings
from autodual_cli.tasks.property_verdict import ATTACK_STEPS

# Files may be named in several ways; these are compared by their content.
_PLACES = frozenset({"arch", "box", "data", "data_dir"})


def compare_command(outcome: Comparison, settings: Mapping[str, Any]) -> None:
    """Note each option of the recorded command that contradicts the settings.

    Options that were not given stand for their defaults, unless the document is of another version.
    """
    record = settings.get("provenance")
    command = record.get("command") if isinstance(record, dict) else None
    parsed = _parsed(command)
    if parsed is None:
        outcome.skipped.append(f"the command, which this version of autodual cannot read: {command}")
        return
    for name, value in _asked(parsed, outcome.other_version).items():
        key = SETTINGS.get(name, name)
        unsaid = settings.get(key) is None and name not in _given(parsed)  # documents need not say some defaults
        if key in settings and settings[key] != value and not unsaid:
            outcome.add("settings", key, settings[key], f"{value!r} by the command {command}")


def _parsed(command: Any) -> click.Context | None:
    """The recorded command, parsed but not run; None if it cannot be parsed."""
    running = click.get_current_context(silent=True)
    group = None if running is None else running.find_root().command
    if not isinstance(command, str) or not isinstance(group, click.Group):
        return None
    try:
        words = shlex.split(command)[1:]
        if not words or {"-h", "--help"} & set(words):  # help is given while a command is read
            return None
        context = click.Context(group, info_name="autodual")
        # The group's own options are read, but nothing that they name is done.
        _, words, _ = group.make_parser(context).parse_args(words)
        name, subcommand, rest = group.resolve_command(context, words)
        return None if subcommand is None else subcommand.make_context(name, rest, parent=context)
    except (ValueError, click.ClickException, click.exceptions.Exit):
        return None


def _asked(context: click.Context, given_only: bool) -> dict[str, Any]:
    """The options of a command as settings have them."""
    values = context.params
    given = _given(context)
    unsaid = {name for name in values if name not in given} if given_only else set()
    if "confidence" in values:
        projection = _projection(values, given)
        values = {**values, "projection": projection}
        unsaid |= {"seed", "confidence"} if projection is None else {"seed", "confidence", "slopes"}
        if values["eps"] is None:  # a box, or the set that the network's file brings
            unsaid |= {"eps", "norm", "domain", SET_OPTIONS} - given
    if values.get("time_limit") is None:
        unsaid |= {"time_limit"}  # the default, where there is one
    if SET_OPTIONS in values and values.get("norm") is not None:
        values = {**values, **shape_settings(BallOptions(values["norm"], values["domain"], values[SET_OPTIONS]))}
    if isinstance(values.get("attack"), str):
        values = {**values, "attack": None, "attack_name": values["attack"]}
    if values.get("targeted") is not None:
        values = {**values, "spec": f"not-class:{values['targeted']}"}
    if "no_attack" in values:
        values = {**values, "attack_steps": None if values["no_attack"] else ATTACK_STEPS}
        unsaid |= {"input_shape"} - given  # that of the model or the property
    return {name: _plain(name, value) for name, value in values.items() if name not in unsaid | _PLACES}


def _given(context: click.Context) -> set[str]:
    return {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}


def _projection(values: Mapping[str, Any], given: set[str]) -> dict[str, Any] | None:
    if not given & {"projection", "confidence"}:
        return None
    return {"dim": values["projection"], "confidence": values["confidence"], "seed": values["seed"]}


def _plain(name: str, value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
