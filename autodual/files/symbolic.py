"""Size expressions in exported programs: PyTorch evaluates these strings, so they are parsed and checked here first."""

from __future__ import annotations

import ast
import re

_SYMBOL = re.compile(r"(s|u|zf|zuf)\d{1,6}\Z")
_FUNCTIONS = frozenset(
    {"Add", "CeilDiv", "CeilToInt", "CleanDiv", "Eq", "Equality", "FloorDiv", "FloorToInt", "GreaterThan", "Integer",
     "IntTrueDiv", "LessThan", "Max", "Min", "Mod", "Mul", "Ne", "Not", "And", "Or", "PythonMod", "StrictGreaterThan",
     "StrictLessThan", "ToFloat", "TruncToInt", "Unequality", "Ge", "Gt", "Le", "Lt"}
)  # fmt: skip
_ASSUMPTIONS = frozenset({"integer", "nonnegative", "positive", "real"})
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.USub, ast.UAdd, ast.And, ast.Or, ast.Not,
              ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.BitAnd, ast.BitOr, ast.Invert)  # fmt: skip
_LONGEST = 4000
_MOST_TERMS = 60
"""Names and numbers in one expression: sympy, which evaluates it, may expand products of sums."""

_LARGEST = 2**63


def is_symbol(name: object) -> bool:
    """Whether `name` is a size symbol of torch.export, such as `s0` or `u1`."""
    return isinstance(name, str) and _SYMBOL.match(name) is not None


def canonical_expression(text: str) -> str:
    """The expression `text`, parsed and printed again.

    It may hold numbers, size symbols (`s0`, or `Symbol('s0', integer=True)`), arithmetic without powers, comparisons
    and functions such as `Max` and `FloorDiv`: enough for sizes, and nothing that could do harm.

    Raises:
        ValueError: `text` is not such an expression.
    """
    if len(text) > _LONGEST or not text.isascii():
        raise ValueError("it is too long or not ASCII")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        _require(sum(isinstance(node, (ast.Name, ast.Constant)) for node in ast.walk(tree)) <= _MOST_TERMS)
        _check(tree.body)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("it cannot be parsed") from None
    return ast.unparse(tree)


def _check(node: ast.expr) -> None:
    if isinstance(node, ast.Constant):
        _require(type(node.value) in (int, float, bool) and abs(node.value) < _LARGEST)  # type: ignore[arg-type]
    elif isinstance(node, ast.Name):
        _require(is_symbol(node.id))
    elif isinstance(node, ast.Call):
        _check_call(node)
    elif isinstance(node, ast.BinOp):
        _require(isinstance(node.op, _OPERATORS))
        _check_all([node.left, node.right])
    elif isinstance(node, ast.UnaryOp):
        _require(isinstance(node.op, _OPERATORS))
        _check(node.operand)
    elif isinstance(node, ast.BoolOp):
        _check_all(node.values)
    elif isinstance(node, ast.Compare):
        _require(all(isinstance(operator, _OPERATORS) for operator in node.ops))
        _check_all([node.left, *node.comparators])
    else:
        _require(False)


def _check_call(node: ast.Call) -> None:
    _require(isinstance(node.func, ast.Name))
    assert isinstance(node.func, ast.Name)
    if node.func.id == "Symbol":
        _require(len(node.args) == 1 and isinstance(node.args[0], ast.Constant))
        assert isinstance(node.args[0], ast.Constant)
        _require(is_symbol(node.args[0].value))
        for keyword in node.keywords:
            _require(keyword.arg in _ASSUMPTIONS and isinstance(keyword.value, ast.Constant))
            assert isinstance(keyword.value, ast.Constant)
            _require(type(keyword.value.value) is bool)
        return
    _require(node.func.id in _FUNCTIONS and not node.keywords)
    _check_all(node.args)


def _check_all(nodes: list[ast.expr]) -> None:
    for node in nodes:
        _check(node)


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError("it is more than arithmetic on sizes")
