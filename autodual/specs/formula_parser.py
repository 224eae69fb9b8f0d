"""Parses formulas over outputs, in Python's grammar and without evaluating them, into clauses of linear atoms."""

from __future__ import annotations

import ast
import itertools
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

from autodual.errors import InvalidInputError
from autodual.specs.decimals import NumberError, exact, rounded

Clause = frozenset[int]

# Distributing `or` over `and` multiplies clauses; no sensible specification comes near this number.
_MOST_CLAUSES = 10_000

_NEGATED = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt}


@dataclass(frozen=True)
class Atom:
    """Σ coefficient · y_output − offset > 0, or ≥ 0 where `weak`; (output, coefficient) pairs in the outputs' order.

    Each number is the formula's exact one, rounded once; offset_error: how far the offset may be from the exact one.
    """

    coefficients: tuple[tuple[int, float], ...]
    offset: float
    weak: bool = False
    offset_error: float = 0.0


@dataclass(frozen=True)
class _Linear:
    """Σ coefficients[i] · y_i + constant, exactly. An output whose terms cancel keeps the coefficient zero."""

    coefficients: dict[int, Fraction]
    constant: Fraction = Fraction(0)

    def plus(self, other: _Linear, factor: int = 1) -> _Linear:
        outputs = self.coefficients.keys() | other.coefficients.keys()
        zero = Fraction(0)
        total = {i: self.coefficients.get(i, zero) + factor * other.coefficients.get(i, zero) for i in outputs}
        return _Linear(total, self.constant + factor * other.constant)

    def times(self, factor: Fraction | int) -> _Linear:
        return _Linear({i: factor * value for i, value in self.coefficients.items()}, factor * self.constant)


def parse_formula(text: str) -> tuple[tuple[Atom, ...], tuple[tuple[int, ...], ...]]:
    """The formula's atoms and its clauses of atom numbers: a conjunction of disjunctions.

    Raises InvalidInputError, with the column, for anything but linear comparisons joined by and, or, not.
    """
    source = " ".join(text.split())
    try:
        tree = ast.parse(source, mode="eval")
        return _Reader(source).read(tree.body)
    except SyntaxError as error:
        column = max(error.offset or 1, 1)
        arrow = "=>" in source and "; 'at least' is written >=, and an implication 'not F or G'"
        raise InvalidInputError(
            f"cannot read the formula '{source}' at column {column}: {error.msg}{arrow or ''}; comparisons are written "
            "like y0 > 2*y1 + 0.5"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f"cannot read the formula '{source[:80]}': {error}") from error


class _Reader:
    """Walks one formula's syntax tree and collects its atoms, each once."""

    def __init__(self, source: str):
        self._source = source
        self._atoms: dict[Atom, int] = {}

    def read(self, node: ast.expr) -> tuple[tuple[Atom, ...], tuple[tuple[int, ...], ...]]:
        clauses = self._clauses(node, negated=False)
        if not all(clauses) or not clauses:
            always = "is false" if clauses else "holds"
            self._refuse(node, f"this says nothing about an output: its terms cancel, and it {always} of any outputs")
        return tuple(self._atoms), tuple(tuple(sorted(clause)) for clause in clauses)

    def _clauses(self, node: ast.expr, negated: bool) -> list[Clause]:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self._clauses(node.operand, not negated)
        if isinstance(node, ast.BoolOp):
            parts = [self._clauses(value, negated) for value in node.values]
            return self._join(node, parts, isinstance(node.op, ast.And) != negated)
        if isinstance(node, ast.Compare):
            ends = [node.left, *node.comparators]
            triples = zip(ends[:-1], ends[1:], node.ops, strict=True)
            parts = [self._comparison(left, right, operator, negated) for left, right, operator in triples]
            return self._join(node, parts, not negated)
        self._refuse(node, "expected a comparison such as 'y0 > y1'")

    def _join(self, node: ast.expr, parts: list[list[Clause]], conjunction: bool) -> list[Clause]:
        """For a conjunction all clauses of the parts; for a disjunction all unions of one clause from each part."""
        if conjunction:
            return list(dict.fromkeys(clause for part in parts for clause in part))
        if math.prod(len(part) for part in parts) > _MOST_CLAUSES:
            self._refuse(node, f"this 'or' of 'and's unfolds into more than {_MOST_CLAUSES} clauses")
        return list(dict.fromkeys(frozenset().union(*choice) for choice in itertools.product(*parts)))

    def _comparison(self, left: ast.expr, right: ast.expr, operator: ast.cmpop, negated: bool) -> list[Clause]:
        """The comparison as an atom. If its outputs cancel: no clause if it is true, an empty clause if it is false."""
        kind = type(operator)
        if kind not in _NEGATED:
            self._refuse(right, "outputs can be compared by <, <=, > and >= only")
        kind = _NEGATED[kind] if negated else kind
        greater, smaller = (left, right) if kind in (ast.Gt, ast.GtE) else (right, left)
        weak = kind in (ast.GtE, ast.LtE)
        difference = self._linear(greater).plus(self._linear(smaller), -1)
        if not difference.coefficients:
            self._refuse(left, "this comparison says nothing about an output")
        present = [(i, value) for i, value in sorted(difference.coefficients.items()) if value]
        if not present:
            holds = difference.constant > 0 or (weak and difference.constant == 0)
            return [] if holds else [frozenset()]
        try:
            coefficients = tuple((i, rounded(value)) for i, value in present)
            offset = rounded(-difference.constant)
            atom = Atom(coefficients, offset, weak, 0.0 if offset == -difference.constant else math.ulp(offset))
        except NumberError as error:
            self._refuse(left, f"a number of this comparison {error}")
        return [frozenset({self._atoms.setdefault(atom, len(self._atoms))})]

    def _linear(self, node: ast.expr) -> _Linear:
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return _Linear({}, self._number(node))
        if isinstance(node, ast.Name) and re.fullmatch(r"y(0|[1-9][0-9]{0,8})", node.id):
            return _Linear({int(node.id[1:]): Fraction(1)})
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
            return self._linear(node.operand).times(-1 if isinstance(node.op, ast.USub) else 1)
        if isinstance(node, ast.BinOp):
            return self._combination(node)
        self._refuse(node, "expected outputs y0, y1, … and numbers, joined by +, -, * and /")

    def _combination(self, node: ast.BinOp) -> _Linear:
        left, right = self._linear(node.left), self._linear(node.right)
        if isinstance(node.op, (ast.Add, ast.Sub)):
            return left.plus(right, 1 if isinstance(node.op, ast.Add) else -1)
        if isinstance(node.op, ast.Mult) and not right.coefficients:
            return left.times(right.constant)
        if isinstance(node.op, ast.Mult) and not left.coefficients:
            return right.times(left.constant)
        if isinstance(node.op, ast.Div) and not right.coefficients and right.constant != 0:
            return left.times(1 / right.constant)
        self._refuse(node, "only sums, multiples by numbers and quotients by nonzero numbers are linear")

    def _number(self, node: ast.Constant) -> Fraction:
        """The number exactly as written: 0.1 is a tenth, not the nearest float64."""
        text = self._source.encode()[node.col_offset : node.end_col_offset].decode()
        try:
            found = Fraction(node.value) if isinstance(node.value, int) else exact(text)
            rounded(found)
            return found
        except NumberError as error:
            self._refuse(node, f"this number {error}")

    def _refuse(self, node: ast.expr, reason: str) -> NoReturn:
        raise InvalidInputError(f"cannot read the formula '{self._source}' at column {node.col_offset + 1}: {reason}")
