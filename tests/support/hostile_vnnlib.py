"""VNN-LIB files that claim or expand to far more than they hold: each must be refused, or read, quickly and in little
memory.

`hostile_files` yields names, with the suffix that the file needs, and functions that write the file to a path.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

Writer = Callable[[Path], None]

DECLARED = """
(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (declare-const Y_1 Real)
(assert (and (<= 0 X_0 1) (<= 0 X_1 1)))
"""
VERSION2 = """(vnnlib-version <2.0>)
(declare-network f (declare-input X float32 [{shape}]) (declare-output Y float32 [2]))
"""
_MEGABYTE = 1 << 20


def hostile_files() -> Iterator[tuple[str, Writer]]:
    """Names, with the suffix that the file needs, and functions that write it."""
    for name, text in _texts():
        yield f"{name}.vnnlib", partial(_write, text)
    yield "bomb.vnnlib.gz", partial(_write_compressed, b"(assert (<= Y_0 0))\n", 300)
    yield "spaces.vnnlib.gz", partial(_write_compressed, b" \n" * 1000, 300)
    yield "truncated.vnnlib.gz", _write_truncated
    yield "binary.vnnlib", lambda path: _write_bytes(path, bytes(range(256)) * 1000)
    yield "half a mark.vnnlib", lambda path: _write_bytes(path, b"\xff\xfe(")


def _texts() -> Iterator[tuple[str, str]]:
    yield from _numbers()
    yield from _depths()
    yield from _doublings()
    yield from _sizes()


def _numbers() -> Iterator[tuple[str, str]]:
    for name, number in {
        "exponent": "1e999999999",
        "negative exponent": "1e-999999999",
        "many digits": "9" * 5_000_000,
        "many decimals": "0." + "1" * 5_000_000,
        "large": "1e999",
        "tiny": "1e-999",
        "nan": "NaN",
    }.items():
        yield name, DECLARED + f"(assert (<= Y_0 {number}))"
    yield "exponent of version 2", VERSION2.format(shape=2) + "(assert (<= Y[0] 1e999999999.0))"
    squares = "(let ((a 7777777)) " + "(let ((a (* a a))) " * 400 + "(<= Y_0 a)" + ")" * 401
    yield "squared again and again", DECLARED + f"(assert {squares})"
    quotients = " ".join(f"(/ 1 {10_000_019 + 2 * place})" for place in range(20_000))
    yield "sum of quotients", DECLARED + f"(assert (<= Y_0 (+ {quotients})))"


def _depths() -> Iterator[tuple[str, str]]:
    deep = 50_000
    yield "open parentheses", "(" * deep
    yield "closed parentheses", ")" * deep
    yield "balanced parentheses", "(" * deep + ")" * deep
    yield "deep command", DECLARED + "(set-info " + "(" * deep + ")" * deep + ")"
    for name, opening in {
        "conjunction": "(and ",
        "negation": "(not ",
        "sum": "(<= 0 (+ 1 ",
        "let": "(let ((a 1)) ",
    }.items():
        closing = ")" * (deep * opening.count("("))
        yield f"deep {name}", DECLARED + "(assert " + opening * deep + "(<= Y_0 0)" + closing + ")"
    nested = "(and " * deep + "(<= Y[0] 0.0)" + ")" * deep
    yield "deep version 2", VERSION2.format(shape=2) + f"(assert {nested})"


def _doublings() -> Iterator[tuple[str, str]]:
    count = 400
    for name, first, doubled, last in (
        ("term", "Y_0", "(+ a a)", "(<= a 0)"),
        ("conjunction", "(<= Y_0 0)", "(and a a)", "a"),
        ("disjunction", "(or (<= Y_0 0) (<= Y_1 0))", "(or a a)", "a"),
        ("both", "(or (<= Y_0 0) (<= Y_1 0))", "(and (or a (<= Y_1 1)) (or a (<= Y_0 1)))", "a"),
        ("equivalence", "(<= Y_0 0)", "(= a (<= Y_1 1))", "a"),
        ("exclusion", "(<= Y_0 0)", "(xor a (<= Y_1 1) a)", "a"),
        ("choice", "(<= Y_0 0)", "(ite a (not a) (or a (<= Y_1 0)))", "a"),
    ):
        text = f"(let ((a {first})) " + f"(let ((a {doubled})) " * count + last + ")" * (count + 1)
        yield f"doubled {name}", DECLARED + f"(assert {text})"
    choice = "(assert (or (<= Y_0 0) (<= Y_1 0)))\n"
    yield "too many combinations", DECLARED + choice * 40
    yield "very many combinations", DECLARED + choice * 100_000
    wide = "(and " + "(<= Y_0 0) " * 1000 + ")"
    yield "wide combinations", DECLARED + f"(assert (or {wide} {wide}))\n" * 17
    yield "distinct", DECLARED + "(assert (distinct " + " ".join(f"(+ Y_0 {place})" for place in range(50_000)) + "))"


def _sizes() -> Iterator[tuple[str, str]]:
    yield "place far away", "(declare-const X_99999999 Real) (declare-const Y_0 Real)"
    yield "place beyond all", f"(declare-const X_{'9' * 100_000} Real) (declare-const Y_0 Real)"
    for shape in ("1000000000000", "99999,99999,99999", "9" * 400, "-1", "0"):
        yield f"version 2 of shape {shape[:20]}", VERSION2.format(shape=shape) + "(assert (<= Y[0] 0.0))"
    many = "".join(f"(declare-const X_{place} Real)\n" for place in range(4000))
    box = "".join(f"(assert (<= 0 X_{place} 1))\n" for place in range(4000))
    output = "(declare-const Y_0 Real) (declare-const Y_1 Real)\n"
    yield "strict box", many + output + "".join(f"(assert (< 0 X_{place} 1))\n" for place in range(4000))
    boxes = " ".join(f"(<= X_{place % 4000} {place})" for place in range(100_000))
    yield "many boxes", many + output + box + f"(assert (or {boxes}))"
    outputs = "".join(f"(declare-const Y_{place} Real)\n" for place in range(8000))
    demands = " ".join(f"(<= Y_{place % 8000} {place})" for place in range(100_000))
    yield "many outputs", "(declare-const X_0 Real) (assert (<= 0 X_0 1))" + outputs + f"(assert (or {demands}))"
    yield "blank lines", "\n" * (8 * _MEGABYTE)
    yield "comments", "; nothing\n" * _MEGABYTE
    yield "words", "a " * (4 * _MEGABYTE)
    yield "long word", "a" * (8 * _MEGABYTE)
    yield "long command", "(set-info " + "abcdefgh " * _MEGABYTE + ")"
    yield "long sum", DECLARED + "(assert (<= Y_0 (+ " + "Y_1 " * _MEGABYTE + ")))"
    square = "(* (+ X_0 X_1 Y_0 Y_1 1) (+ X_0 X_1 Y_0 Y_1 1)) "
    yield "sum of products", DECLARED + f"(assert (<= Y_0 (+ {square * 50_000})))"
    wide = f"(+ {' '.join(f'X[{place}]' for place in range(31))})"
    yield "products of version 2", VERSION2.format(shape=31) + f"(assert (<= Y[0] (+ {f'(* {wide} {wide}) ' * 1000})))"
    yield "sums of sums", DECLARED + _sums_of_sums()
    yield "large version 2", VERSION2.format(shape=2) + "(assert (<= Y[0] 0.0))\n" * 400_000
    yield "many assertions", DECLARED + "(assert (<= Y_0 0))\n" * 600_000


def _sums_of_sums() -> str:
    variables = 4000
    names = " ".join(f"X_{place}" for place in range(variables))
    declared = "".join(f"(declare-const X_{place} Real)\n" for place in range(2, variables))
    lets = f"(let ((a (+ {names}))) " + "(let ((a (+ a X_0))) " * 900 + "(<= a 0)" + ")" * 901
    return declared + f"(assert {lets})"


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _write_compressed(part: bytes, megabytes: int, path: Path) -> None:
    block = (part * (_MEGABYTE // len(part) + 1))[:_MEGABYTE]
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(megabytes):
            file.write(block)


def _write_truncated(path: Path) -> None:
    path.write_bytes(gzip.compress(DECLARED.encode() * 100)[:-20])
