"""Hostile result documents: honest ones of every command, with values replaced; replay and report read them."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.hostile.format import Format, Named, Surroundings, content

_HUGE = 10**6


KINDS = ("certify", "attack", "probable", "radius", "detect", "verify")


@functools.cache
def document(kind: str) -> Any:
    """An honest document of one of `KINDS`."""
    from autodual_cli.main import cli
    from support.hostile.field import surroundings

    with tempfile.TemporaryDirectory() as folder:
        around = surroundings(Path(folder))
        model, data = str(around.model), ["--data", str(around.data)]
        calls = {
            "certify": ["certify", model, "--eps", "0.05", "--attack", "2", *data],
            "attack": ["attack", model, "--eps", "0.3", "--attack", "2", "--limit", "2", *data],
            "probable": ["certify", model, "--eps", "0.05", "--projection", "1", "--limit", "1", *data],
            "radius": ["radius", model, "--limit", "1", *data],
            "detect": ["detect", model, "--eps", "0.05", "--limit", "2", *data],
            "verify": ["verify", model, str(around.folder / "property.vnnlib")],
        }
        target = Path(folder) / "result.json"
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            cli([*calls[kind], "--json", str(target)], prog_name="autodual", standalone_mode=False)
        return json.loads(target.read_bytes())


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a document; of lists, only the first entry is visited."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, (*path, key))
    elif isinstance(value, list) and value:
        yield from _places(value[0], (*path, 0))


def replaced(honest: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of a document with another value at a path."""
    changed = copy.deepcopy(honest)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


_VALUES: dict[str, Any] = {
    "nothing": None, "a list": [], "an object": {}, "a text": "x", "a long text": "x" * 10**6, "minus one": -1,
    "a huge number": 2**62, "a real number": 1e300, "a nested list": [[[[[[[[1]]]]]]]], "a truth": True,
    "many numbers": [0.5] * 10_000, "a device": "/dev/zero",
}  # fmt: skip


def edits() -> Iterator[tuple[str, bytes]]:
    """Each document with each of its values replaced by others."""
    for kind in KINDS:
        honest = document(kind)
        for path in _places(honest):
            for name, value in _VALUES.items():
                yield (
                    f"{kind}: {name} at {'.'.join(map(str, path))}",
                    json.dumps(replaced(honest, path, value)).encode(),
                )


def hostile() -> Named:
    """Names and writers."""
    honest = document("certify")
    text = json.dumps(honest).encode()
    rows = honest["certificates"]
    for name, data in {
        "nothing": b"",
        "null": b"null",
        "no text": b"\xff\xfe" * 1000,
        "a byte-order mark": b"\xef\xbb\xbf" + text,
        "half of it": text[: len(text) // 2],
        "NaN": text.replace(b'"eps": 0.05', b'"eps": NaN'),
        "infinity": text.replace(b'"eps": 0.05', b'"eps": 1e999'),
        "minus infinity": text.replace(b'"eps": 0.05', b'"eps": -Infinity'),
        "a number of 4,000 digits": text.replace(b'"eps": 0.05', b'"eps": ' + b"9" * 4000),
        "a number of a million digits": text.replace(b'"eps": 0.05', b'"eps": ' + b"9" * _HUGE),
        "a number of 300 digits": text.replace(b'"eps": 0.05', b'"eps": ' + b"9" * 300),
        "a key twice": text.replace(b'"eps": 0.05', b'"eps": 0.05, "eps": 0.0'),
        "a million brackets": b"[" * _HUGE,
        "a million braces": b'{"a":' * _HUGE,
        "800 brackets in a setting": text.replace(b'"eps": 0.05', b'"eps": ' + b"[" * 800 + b"]" * 800),
    }.items():
        yield name, content(data)
    yield "60 million lists", lambda path: path.write_bytes(b'{"a": [' + b"[]," * 6 * 10**7 + b"[]]}")
    yield "a text of 900 MB", lambda path: path.write_bytes(b'"' + b"a" * 9 * 10**8 + b'"')
    yield "a text of characters", lambda path: path.write_bytes(b'"' + "\U0001f600".encode() * 10**7 + b'"')
    yield "a terabyte", _sparse
    yield "a device", lambda path: path.symlink_to("/dev/zero")
    many = [{**rows[0], "index": index} for index in range(20_000)]
    yield "20,000 rows", content(json.dumps({**honest, "certificates": many}).encode())
    wide = [{**rows[0], "counterexample": [[0.5] * _HUGE]}]
    yield "a counterexample of a million numbers", content(json.dumps({**honest, "certificates": wide}).encode())
    deep: Any = [0.5]
    for _ in range(300):
        deep = [deep]
    yield (
        "a deep counterexample",
        content(json.dumps({**honest, "certificates": [{**rows[0], "counterexample": deep}]}).encode()),
    )
    keys = [{**rows[0], **{f"k{i}": 1 for i in range(100_000)}}]
    yield "a row of 100,000 keys", content(json.dumps({**honest, "certificates": keys}).encode())


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.write(b"{")
        file.truncate(10**12)


def valid() -> Iterator[bytes]:
    """The unchanged documents."""
    for kind in KINDS:
        yield json.dumps(document(kind), indent=1).encode()


def commands(path: Path, around: Surroundings) -> list[list[str]]:
    """Each command that reads a result."""
    model, data = str(around.model), ["--data", str(around.data)]
    return [
        [
            "report",
            str(path),
            "--html",
            str(path.parent / "page.html"),
            "--counterexamples",
            str(path.parent / "points"),
        ],
        ["replay", str(path), "--model", model, *data, "--limit", "1"],
        ["certify", model, "--eps", "0.05", "--attack", "2", *data, "--json", str(path), "--resume"],
        ["attack", model, "--eps", "0.3", "--attack", "2", "--limit", "2", *data, "--json", str(path), "--resume"],
    ]


DOCUMENTS = Format("results", "result.json", hostile, valid, commands)
EDITS = Format(
    "edited results", "result.json", lambda: ((name, content(data)) for name, data in edits()), valid, commands
)
