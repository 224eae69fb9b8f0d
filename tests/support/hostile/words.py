"""Hostile arguments of the command line: numbers, shapes, norms, specifications; and specification files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from support.hostile.format import Format, Named, Surroundings, content

_NUMBERS = (
    "1/0", "0/0", "nan", "inf", "1e999999999", "9**9**9", "1e-999999999", "9" * 5000, "1/" + "9" * 5000, "-1", "",
    "1/2/3", "0x10", "1_000", "١", "1e5" * 1000, "1e308/1e-308",
)  # fmt: skip
_FORMULAS = {
    "a power": "y0 > 9**9**9",
    "an exponent": "y0 > 1e999999999",
    "a small exponent": "y0 > 1e-999999999",
    "an exponent of a factor": "1e999999999 * y0 > 0",
    "a quotient by a small number": "y0 / 1e-999999999 > 0",
    "a number of many digits": f"y0 > {'9' * 5000}",
    "a number of 100,000 digits": f"y0 > 0.{'9' * 100_000}",
    "a large output": "y999999999 > 0",
    "a larger output": f"y{'9' * 100} > 0",
    "brackets": "(" * 5000 + "y0 > 0" + ")" * 5000,
    "90 brackets": "(" * 90 + "y0 > 0" + ")" * 90,
    "negations": "not " * 5000 + "y0 > 0",
    "signs": "-" * 5000 + "y0 > 0",
    "a sum of many": " + ".join(["y0"] * 20_000) + " > 0",
    "a sum of 900": " + ".join(f"y{i % 3}" for i in range(900)) + " > 0",
    "a product of many": "*".join(["1e300"] * 900) + " * y0 > 0",
    "a chain of comparisons": " > ".join(["y0", "y1"] * 5000),
    "many conjunctions": " and ".join(f"y0 > {i}" for i in range(8000)),
    "many disjunctions": " or ".join(f"y0 > {i}" for i in range(8000)),
    "a product of clauses": " or ".join(f"(y0 > {i} and y1 > {i})" for i in range(40)),
    "a product of 13 clauses": " or ".join(f"(y0 > {i} and y1 > {i})" for i in range(13)),
    "sums in conjunctions": " and ".join(" + ".join(f"y{j}" for j in range(i, i + 200)) + " > 0" for i in range(90)),
    "a call": "print(1) > y0",
    "a comprehension": "[y0 for y0 in range(10**9)] > 0",
    "nothing": "",
    "a null": "y0 > 0 \x01",
    "top of many": "top-k:" + "9" * 5000,
    "top of a billion": "top-k:1000000000",
    "a deviation": "deviation:1e999999999",
    "a box": "box:" + ",".join(["1"] * 10_000),
    "a device": "box:/dev/zero.npy,/dev/zero.npy",
}


def calls(around: Surroundings) -> Iterator[tuple[str, list[str]]]:
    """A name and the arguments of each command."""
    model, data = str(around.model), ["--data", str(around.data), "--limit", "1"]
    for number in _NUMBERS:
        short = number[:20]
        yield f"--eps {short}", ["certify", model, "--eps", number, *data]
        yield f"--domain 0,{short}", ["certify", model, "--eps", "0.1", "--domain", f"0,{number}", *data]
        yield f"--norm {short}", ["certify", model, "--eps", "0.1", "--norm", number, *data]
        yield f"--mean {short}", ["certify", model, "--eps", "0.1", "--mean", number, "--std", "1", *data]
        yield f"--std {short}", ["certify", model, "--eps", "0.1", "--mean", "0", "--std", number, *data]
        yield f"--memory {short}", ["certify", model, "--eps", "0.1", "--memory", number, *data]
        yield f"--confidence {short}", ["certify", model, "--eps", "0.1", "--confidence", number, *data]
        yield f"--max-radius {short}", ["radius", model, "--max-radius", number, *data]
        yield f"--targeted {short}", ["attack", model, "--eps", "0.1", "--attack", "1", "--targeted", number, *data]
        yield f"--attack pgd:steps={short}", ["attack", model, "--eps", "0.1", "--attack", f"pgd:steps={number}", *data]
        yield f"--input-shape {short}", ["inspect", model, "--input-shape", number]
        yield f"--limit {short}", ["radius", model, "--data", str(around.data), "--limit", number]
    for name, text in _FORMULAS.items():
        yield f"a specification: {name}", ["certify", model, "--eps", "0.1", "--spec", text, *data]
    for shape in ("1000000,1000000", "4," * 1000 + "4", "100000000000000000000", "4,0", "30000,30000", "1" + ",1" * 70):
        yield f"--input-shape {shape[:30]}", ["inspect", model, "--input-shape", shape]
    yield "many means", ["certify", model, "--eps", "0.1", "--mean", "0," * 50_000 + "0", "--std", "1", *data]
    yield "a huge seed", ["certify", model, "--eps", "0.1", "--projection", "1", "--seed", "9" * 4000, *data]
    yield "a huge projection", ["certify", model, "--eps", "0.1", "--projection", str(10**18), *data]
    yield "a huge batch", ["certify", model, "--eps", "0.1", "--batch-size", str(10**18), *data]
    yield "a huge skip", ["certify", model, "--eps", "0.1", "--skip", str(10**30), *data]
    yield "a huge output", ["certify", model, "--eps", "0.1", "--output-index", str(10**30), *data]
    yield "a huge device", ["certify", model, "--eps", "0.1", "--device", "cuda:" + "9" * 30, *data]
    yield "a device of many letters", ["certify", model, "--eps", "0.1", "--device", "x" * 10_000, *data]
    yield "a path of many letters", ["certify", "x" * 10_000, "--eps", "0.1", *data]
    yield "data of many letters", ["certify", model, "--eps", "0.1", "--data", "x" * 10_000 + ".npz"]


def _specifications() -> Named:
    rows = [[1.0, -1.0, 0.0]]
    for name, value in {
        "a wide matrix": {"matrix": [[1.0] * 10**6], "offset": [0.0]},
        "a tall matrix": {"matrix": rows * 300_000, "offset": [0.0] * 300_000},
        "a ragged matrix": {"matrix": [[1.0], [1.0, 2.0, 3.0]], "offset": [0.0, 1.0]},
        "a deep matrix": {"matrix": [[[[[[1.0]]]]]], "offset": [0.0]},
        "a matrix of texts": {"matrix": [["a", "b", "c"]], "offset": [0.0]},
        "no matrix": {"matrix": [], "offset": []},
        "a number for a matrix": {"matrix": 1, "offset": 1},
        "clauses of rows that are not": {"matrix": rows, "offset": [0.0], "clauses": [[10**9]]},
        "negative clauses": {"matrix": rows, "offset": [0.0], "clauses": [[-1]]},
        "a million clauses": {"matrix": rows, "offset": [0.0], "clauses": [[0]] * 10**6},
        "a clause of a million": {"matrix": rows, "offset": [0.0], "clauses": [[0] * 10**6]},
        "a clause of texts": {"matrix": rows, "offset": [0.0], "clauses": [["a"]]},
        "large numbers": {"matrix": [[1e308, 1e308, 1e308]], "offset": [1e308]},
        "a list": [1, 2],
    }.items():
        yield name, content(json.dumps(value).encode())
    yield "brackets", content(b"[" * 10**6)
    yield "infinity", content(b'{"matrix": [[1e999, 0, 0]], "offset": [0]}')
    yield "a number of 5,000 digits", content(b'{"matrix": [[' + b"9" * 5000 + b', 0, 0]], "offset": [0]}')
    yield "a number of 300 digits", content(b'{"matrix": [[' + b"9" * 400 + b', 0, 0]], "offset": [0]}')
    yield "a device", lambda path: path.symlink_to("/dev/zero")


def _commands(path: Path, around: Surroundings) -> list[list[str]]:
    data = ["--data", str(around.data), "--limit", "1"]
    return [["certify", str(around.model), "--eps", "0.1", "--spec", str(path), *data]]


SPECIFICATIONS = Format(
    "specifications", "goal.json", _specifications,
    lambda: iter([json.dumps({"matrix": [[1.0, -1.0, 0.0]], "offset": [0.0], "clauses": [[0]]}).encode()]), _commands,
)  # fmt: skip
