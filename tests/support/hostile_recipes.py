"""Hostile recipes and checkpoints: each is a name and a function that writes it to a path."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import torch

from autodual.train.recipe import Recipe, disassemble
from autodual.train.recipe.recipe_values import LOSSES
from autodual.train.schedules import SCHEDULES

Writer = Callable[[Path], None]

#: Invalid values for numbers of a recipe; each numeric field is tried with each of them.
BAD_NUMBERS = (-1, -1e-30, math.nan, -math.inf, 1e31, 10**400, "1", True, [1])
# For fields that are lists: the field's value with `bad` in it, and any other field that it needs.
_LISTS: dict[str, Callable[[Any], Any]] = {
    "data.mean": lambda bad: {"mean": [bad], "std": [1.0]},
    "data.std": lambda bad: {"mean": [1.0], "std": [bad]},
    "set.domain": lambda bad: [bad, 1e29],
}
# For each schedule, valid values of its required fields; and list-valued fields with `bad` in them.
_RIGHT_SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {"value": 1.0},
    "steps": {"start": 1.0},
    "multiple": {"start": 1.0, "drop": 0.1, "every": 5},
    "piecewise-linear": {"knots": [[0, 1.0]]},
    "cyclic": {"peak": 1.0},
}
_IN_LISTS: dict[str, Callable[[Any], Any]] = {"at": lambda bad: [bad], "knots": lambda bad: [[0, bad]]}
_MAY_BE_NEGATIVE = {"data.mean", "set.domain"}
_MAY_BE_A_NAME = {"set.norm"}


def number_fields() -> Iterator[tuple[str, Callable[[Any], dict[str, Any]]]]:
    """Each numeric field of each section, loss and schedule: its name, and a function from a value to a recipe."""
    for place in _numbers(disassemble(Recipe()), ""):
        if not place.startswith(("loss.", "radius.", "learning_rate.", "scheduled")):
            listed = _LISTS.get(place, lambda bad: bad)
            yield place, lambda bad, place=place, listed=listed: _nested(place, listed(bad))
    for name, kind in LOSSES.items():
        inner = {"loss": "interval"} if name == "regularised" else {}
        for field, hint in get_type_hints(kind).items():
            if hint in (int, float):
                yield (
                    f"loss.{name}.{field}",
                    lambda bad, name=name, field=field, inner=inner: {"loss": {"kind": name, **inner, field: bad}},
                )
    for name, kind in SCHEDULES.items():
        right = _RIGHT_SCHEDULES.get(name, {"start": 1.0, "end": 1.0})
        for field in (field.name for field in fields(kind) if field.name != "unit"):
            for place in ("radius", "learning_rate"):

                def with_bad(bad: Any, place=place, name=name, field=field, right=right) -> dict[str, Any]:
                    return {place: {"kind": name, **right, field: _IN_LISTS.get(field, lambda bad: bad)(bad)}}

                yield f"{place}.{name}.{field}", with_bad


def _numbers(values: Any, place: str) -> Iterator[str]:
    for name, value in values.items():
        where = f"{place}.{name}" if place else name
        if isinstance(value, dict):
            yield from _numbers(value, where)
        elif (
            isinstance(value, list)
            or where == "set.norm"
            or (isinstance(value, (int, float)) and not isinstance(value, bool))
        ):
            yield where


def _nested(place: str, value: Any) -> dict[str, Any]:
    head, _, rest = place.partition(".")
    return {head: value if not rest or isinstance(value, dict) else _nested(rest, value)}


def may_be(place: str, bad: Any) -> bool:
    """Whether this value, invalid in most fields, is valid in this one."""
    if place.endswith(".by_epoch"):
        return bad is True
    if place in _MAY_BE_NEGATIVE:
        return isinstance(bad, (int, float)) and not isinstance(bad, bool) and abs(bad) <= 1e30
    return place in _MAY_BE_A_NAME and bad in (1e31, math.inf, "1")


# --- recipe files -----------------------------------------------------------------------------------------------------


def _texts() -> Iterator[tuple[str, str]]:
    laughs = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    laughs += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    merges = ["m0: &m0 {k0: 1}"] + [f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}], k{i}: 1}}" for i in range(1, 30)]
    yield "alias-bomb.yaml", "\n".join(laughs)
    yield "alias-bomb-in-place.yaml", "\n".join([*laughs, "epochs: *a11"])
    yield "merge-bomb.yaml", "\n".join(merges)
    yield "contains-itself.yaml", "loss: &l {kind: regularised, loss: *l}"
    yield "list-of-itself.yaml", "epochs: &e [*e]"
    yield "twice.yaml", "epochs: 3\nepochs: 30\n"
    yield "twice-inside.yaml", "optimiser: {clip: 1.0, clip: 0.0}"
    yield "base-60.yaml", "epochs: 1:30"
    yield "base-60-tagged.yaml", "epochs: !!int 1:30"
    yield "base-60-float.yaml", "learning_rate: 1:30.5"
    yield "octal.yaml", "epochs: 010"
    yield "octal-tagged.yaml", "epochs: !!int '010'"
    yield "hexadecimal.yaml", "epochs: 0x10"
    yield "binary.yaml", "epochs: 0b11"
    yield "underscore.yaml", "epochs: 1_0"
    yield "yes.yaml", "network: {batch_norm: yes}"
    yield "off.yaml", "network: {batch_norm: off}"
    yield "date.yaml", "data: {train: 2026-01-01}"
    yield "date-tagged.yaml", "epochs: !!timestamp 2026-01-01"
    yield "set-tagged.yaml", "epochs: !!set {a, b}"
    yield "bytes.yaml", "data: {train: !!binary aGVsbG8=}"
    yield "object.yaml", "epochs: !!python/object/apply:os.system ['touch harmed']"
    yield "name.yaml", "epochs: !!python/name:os.system"
    yield "number-as-name.yaml", "1: 2"
    yield "nothing-as-name.yaml", "~: 2"
    yield "list-as-name.yaml", "? [1, 2]\n: 3"
    yield "two-documents.yaml", "epochs: 3\n---\nepochs: 4\n"
    yield "unknown-alias.yaml", "epochs: *nobody"
    yield "deep.yaml", "loss: " + "[" * 1_500
    yield "deep-tables.yaml", "loss: " + "{loss: " * 4_000
    yield "many.yaml", "data: {mean: [" + "1, " * 10_500 + "1]}"
    yield "long-number.yaml", "epochs: " + "9" * 30_000
    yield "long-name.yaml", "x" * 30_000 + ": 1"
    yield "control.yaml", 'data: {train: "a\\0b.npz"}'
    yield "lone-surrogate.yaml", 'data: {train: "\\uD800.npz"}'
    yield "nothing.yaml", ""
    yield "nan.yaml", "set: {eps: .nan}"
    yield "infinite.yaml", "learning_rate: .inf"
    yield "twice.toml", "epochs = 3\nepochs = 30\n"
    yield "date.toml", "epochs = 1979-05-27T07:32:00Z"
    yield "time.toml", "epochs = 07:32:00"
    yield "deep.toml", "epochs = " + "[" * 15_000 + "]" * 15_000
    yield "deep-tables.toml", "epochs = " + "{a = " * 4_000 + "1" + "}" * 4_000
    yield "dotted.toml", ".".join("a" * 6_000) + " = 1"
    yield "dotted-many.toml", "\n".join(f"{'.'.join(['a'] * 100)}.b{i} = 1" for i in range(150))
    yield "long-number.toml", "epochs = " + "9" * 30_000
    yield "long-hexadecimal.toml", "epochs = 0x" + "f" * 30_000
    yield "nan.toml", "learning_rate = nan"
    yield "infinite.toml", "[set]\neps = inf"
    yield "leading-zero.toml", "epochs = 010"
    yield "control.toml", '[data]\ntrain = "a\\u0000b.npz"'
    yield "newline.toml", '[data]\ntrain = "a\\nb.npz"'
    yield "long-path.toml", f'[data]\ntrain = "{"a" * 5000}.npz"'
    yield "system.toml", '[network]\narch = "os:system"'
    yield "exit.toml", '[network]\narch = "sys:exit"'
    yield "code.toml", '[network]\narch = "anything.py:build"'
    for number, size in enumerate(("wide:10000000", "wide:9" + "9" * 5000, "mlp:1000000", "deep:100000", "wide:-1")):
        yield f"arch-{number}.toml", f'[network]\narch = "{size}"'
    yield "too-many-steps.toml", 'radius = {kind = "steps", start = 1.0, at = [1, 2, 3], factor = 1e29}'
    yield "schedule-of-text.toml", "[scheduled]\ncriterion = 1.0"
    yield "schedule-out-of-range.toml", '[scheduled]\nkappa = {kind = "linear", start = 0.5, end = -0.5, finish = 3}'
    yield "regularised-often.toml", "loss = " + '{kind = "regularised", loss = ' * 40 + '"interval"' + "}" * 40


def _writer(content: bytes) -> Writer:
    return lambda path: path.write_bytes(content)


def hostile_recipes() -> Iterator[tuple[str, Writer]]:
    """Files that `autodual train --recipe` must refuse; the names have the suffix of the format."""
    for name, text in _texts():
        yield name, _writer(text.encode("utf-8", "surrogatepass"))
    yield "large.yaml", _writer(b"a: 1\n" * 1_000_000)
    yield "large.toml", _writer(b"#" * 5_000_000)
    yield "sparse.toml", lambda path: os.truncate(os.open(path, os.O_WRONLY | os.O_CREAT), 1 << 40)
    yield "no-text.toml", _writer(bytes(range(256)))
    yield "wide-letters.yaml", _writer("epochs: 3".encode("utf-16-le") + b"\xff")
    yield "folder.toml", lambda path: path.mkdir()
    yield "pipe.toml", lambda path: os.mkfifo(path)


# --- checkpoints ------------------------------------------------------------------------------------------------------

_WRONG = {
    "text": "hello",
    "none": None,
    "negative": -1,
    "huge": 10**30,
    "nan": math.nan,
    "true": True,
    "empty": {},
    "list": [1, 2, 3],
    "tensor": torch.zeros(2, 2),
    "complex": torch.zeros(1, dtype=torch.complex64),
    "sparse": torch.zeros(3, 3).to_sparse(),
}


def _edits() -> Iterator[tuple[str, Callable[[dict[str, Any]], Any]]]:
    """Changes of a checkpoint's content, in place."""
    keys = ("recipe", "samples", "network", "optimiser", "average", "progress", "selection", "good", "random", "draws")
    keys += ("version",)
    for key in keys:
        yield f"without {key}", lambda state, key=key: state.pop(key)
        for name in ("text", "none", "nan", "list", "tensor"):
            value = _WRONG[name]
            if (key, name) != ("average", "none"):
                yield f"{key} is {name}", lambda state, key=key, value=value: state.update({key: value})
    yield "with more", lambda state: state.update(more=1)
    yield "names are numbers", lambda state: state.update({1: 2})
    numbers = {"progress": ("step", "loss", "samples", "seconds", "rows", "stopped"), "selection": ("best", "waited")}
    for part, key in ((part, key) for part, keys in numbers.items() for key in keys):
        yield f"{part} without {key}", lambda state, part=part, key=key: state[part].pop(key)
        for name in ("text", "none", "huge", "nan", "true", "tensor"):
            value = _WRONG[name]
            if (key, name) not in {("waited", "huge"), ("stopped", "true")}:
                yield (
                    f"{part}.{key} is {name}",
                    lambda state, part=part, key=key, value=value: state[part].update({key: value}),
                )
    yield "a row is a number", lambda state: state["progress"].update(rows=[1] * len(state["progress"]["rows"]))
    yield "a row is text", lambda state: state["progress"]["rows"][0].update(loss="low")
    yield "a row too few", lambda state: state["progress"]["rows"].pop()
    yield "an epoch twice", lambda state: state["progress"]["rows"][0].update(epoch=7)
    yield "too far", lambda state: state["progress"].update(step=10**9)
    yield "best of two", lambda state: state["selection"].update(best=[0.1, 0.2])
    yield "good weights too few", lambda state: state["good"]["network"].popitem()
    yield "good weights of infinity", lambda state: next(iter(state["good"]["network"].values())).fill_(math.inf)
    yield "no good averages", lambda state: state["good"].update(average=None)
    yield from _tensor_edits()
    yield "the random state is no state", lambda state: state["random"][0][0].fill_(255)
    yield "the random state is short", lambda state: state.update(random=[[torch.zeros(3, dtype=torch.uint8)]])
    yield "no random state", lambda state: state.update(random=[[]])
    yield "a recipe of another loss", lambda state: state["recipe"].update(loss={"kind": "clean"})
    yield "a recipe of code", lambda state: state["recipe"]["network"].update(arch="os:system")
    yield "a recipe that contains itself", _circular_recipe


def _circular_recipe(state: dict[str, Any]) -> None:
    loss: dict[str, Any] = {"kind": "regularised"}
    loss["loss"] = loss
    state["recipe"]["loss"] = loss


def _tensor_edits() -> Iterator[tuple[str, Callable[[dict[str, Any]], Any]]]:
    def first(state: dict[str, Any]) -> str:
        return next(iter(state["network"]))

    changes: dict[str, Callable[[torch.Tensor], Any]] = {
        "of another shape": lambda value: torch.zeros(1),
        "of another dtype": lambda value: value.double(),
        "whole": lambda value: value.long(),
        "complex": lambda value: value.to(torch.complex64),
        "NaN": lambda value: value * math.nan,
        "infinite": lambda value: value + math.inf,
        "sparse": lambda value: value.to_sparse(),
        "a list": lambda value: value.tolist(),
        "none": lambda value: None,
        "empty": lambda value: value[:0],
        "a view of one number": lambda value: torch.zeros(1).expand(10**6, 10**6),
    }
    for name, change in changes.items():
        yield (
            f"a weight is {name}",
            lambda state, change=change: state["network"].update(
                {first(state): change(state["network"][first(state)])}
            ),
        )
        yield (
            f"an average is {name}",
            lambda state, change=change: state["average"]["tensors"].update(
                {first(state): change(state["network"][first(state)])}
            ),
        )
        yield (
            f"a moment is {name}",
            lambda state, change=change: state["optimiser"]["state"][0].update(
                exp_avg=change(state["optimiser"]["state"][0]["exp_avg"])
            ),
        )
    yield "a weight too few", lambda state: state["network"].popitem()
    yield "a weight too many", lambda state: state["network"].update(more=torch.zeros(1))
    yield "a moment too few", lambda state: state["optimiser"]["state"][0].pop("exp_avg")
    yield "a moment too many", lambda state: state["optimiser"]["state"][0].update(more=torch.zeros(1))
    yield "a step before the first", lambda state: state["optimiser"]["state"][0].update(step=torch.tensor(-5.0))
    yield "a parameter too many", lambda state: state["optimiser"]["state"].update({99: {}})
    yield "a parameter of text", lambda state: state["optimiser"]["state"].update({"0": {}})
    yield "no groups", lambda state: state["optimiser"].update(param_groups=[])
    yield "groups of numbers", lambda state: state["optimiser"].update(param_groups=[1, 2])
    yield "other groups", lambda state: state["optimiser"]["param_groups"][0].update(params=[0])
    yield "other betas", lambda state: state["optimiser"]["param_groups"][0].update(betas=(0.9, 1.5))
    yield "betas of text", lambda state: state["optimiser"]["param_groups"][0].update(betas="ab")
    yield "going up", lambda state: state["optimiser"]["param_groups"][0].update(maximize=True)


def _edited(edit: Callable[[dict[str, Any]], Any]) -> Writer:
    def write(path: Path) -> None:
        state = torch.load(path, weights_only=True)
        edit(state)
        torch.save(state, path)

    return write


def hostile_checkpoints() -> Iterator[tuple[str, Writer]]:
    """Edits of the checkpoint at a path; resuming must refuse each of them.

    The checkpoint must be that of a run in one process with Adam and averaging, after at least one epoch; the run must
    watch for a collapse.
    """
    for name, edit in _edits():
        yield name, _edited(edit)
    for name, value in _WRONG.items():
        yield f"all is {name}", lambda path, value=value: torch.save(value, path)
    yield "half", lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    yield "nothing", lambda path: path.write_bytes(b"")
    yield "text", lambda path: path.write_bytes(b"hello")
    yield "zeros", lambda path: path.write_bytes(bytes(10_000))
