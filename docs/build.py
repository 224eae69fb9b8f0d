"""Makes the pages and pictures that come from the code: `python docs/build.py operators`, `… relaxations`.

The table of problems in `tests/support` says what each op is tried with, and the layers made for these say what they
support, so nothing here is written twice.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from support.problems import Problem

    from autodual.dual import Rule
    from autodual.ir import Op
    from autodual.ir.scalars import Accuracy

DOCS = Path(__file__).resolve().parent
PAGE, PICTURE = DOCS / "operators.md", DOCS / "images" / "relaxations.svg"
_HEAD = """# Operators

The primitive operations of graphs (`autodual/ir/ops/`), to which everything else is lowered, and their dual rules
(`autodual/dual/`). `python docs/build.py operators` makes this page from the registry of rules; a test compares the
two. You add an operation of your own [in a few lines](add_an_op.md).

* **exact** ops are affine: their dual is exact. **relaxed** ops are enclosed between lines or planes over the bounds of
  their inputs.
* *pull*: backward mode carries rows through it. *push*: forward mode carries columns through it; "shared slopes": only
  where the lines are parallel. *interval*: interval arithmetic. Every op has a pull and an interval.
* *windows*: rows of a convolution's unit stay within their receptive field; "some": not with all options.
* *tried with*: the problems on which `tests/dual/test_dual_contract.py` runs `autodual.testing.check_dual_rule`, by
  name for `pytest -k`; functions of one scalar are also tested in `tests/dual/test_dual_tightness.py`.

"""
_FUNCTIONS = """
## Functions of one scalar

The declaration of each (`autodual/ir/scalars/`): where its curvature changes sign (inflections), its local extremes,
where its slope jumps (knots), and its domain; how many roundings its value may be off in a run (relative to the
value's size, and to that of x or of a number where these are named); and the ATen and ONNX operations that are
lowered to it directly. Of functions with parameters one example is shown. Functions with empty entries have a dual
rule of their own.

"""
_TAIL = """
## All relaxations

Functions of one scalar over an interval, with the lines of `slopes="shared"` (dashed, parallel) and of
`slopes="adaptive"` (solid). Each pair is the tightest of its kind ([how](mathematics.md#functions-of-one-scalar)),
within 1 % by brute force. Drawn from the rules by `python docs/build.py relaxations` (`pip install 'autodual[docs]'`).

![Functions between their lines](images/relaxations.svg)
"""
# More names than these are counted.
_NAMED = 3
#: What each picture's interval is; others are drawn over [-3, 2].
_OVER = {
    "log": (0.2, 4.0),
    "sin": (-2.0, 4.0),
    "cos": (-1.0, 5.0),
    "tan": (-1.3, 1.2),
    "arcsin": (-1.0, 0.8),
    "arccos": (-1.0, 0.8),
    "arccosh": (1.0, 4.0),
    "arctanh": (-0.95, 0.9),
    "hard_swish": (-5.0, 2.0),
    "clamp": (-2.5, 1.8),
    "cast": (1000.0, 1003.0),
}
_POWERS_OVER = {
    0.5: (0.1, 4.0),
    1.5: (0.1, 3.0),
    -0.5: (0.3, 3.0),
    -1.0: (0.3, 3.0),
    -2.0: (0.5, 3.0),
    -3.0: (0.6, 2.0),
}
#: Problems whose pictures would show nothing new.
_NOT_DRAWN = (
    r"clamp (?!-1 1|0 6)|within|negative|softshrink 0$|power ([014]|-1\.5)$|elu (1 1 0\.5|2 1 1)|inclusive"
    r"|another branch|remainder of (-|0)|bfloat16|softplus (?!1 20)|near"
)
_FINE_DIGITS = re.compile(r"(\d\.\d\d)\d+")


def _problems() -> Sequence[Problem]:
    """The one table of problems, which the tests run every rule on."""
    sys.path.insert(0, str(DOCS.parent / "tests"))
    from support.problems import PROBLEMS

    return PROBLEMS


# --- the table -----------------------------------------------------------------------------------------------------


def operators_page() -> str:
    """The text of `operators.md`."""
    from autodual.dual import registered

    tried: dict[type[Op], list[Problem]] = {}
    for problem in _problems():
        tried.setdefault(type(problem.op), []).append(problem)
    rows = sorted((_row(op, rule, tried[op]) for op, rule in registered()), key=lambda row: (row[2], row[0]))
    heads = ("op", "what it is", "dual", "pull", "push", "interval", "windows", "source", "tried with")
    table = [heads, ("---",) * len(heads), *rows]
    return _HEAD + _table(table) + _FUNCTIONS + _table(_functions()) + _TAIL


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _functions() -> Iterator[tuple[str, ...]]:
    """What is declared of each function of one scalar; of one with parameters, for the first that tests try."""
    from autodual.ir.scalars import CurveOp, declarations

    heads = ("op", "inflections", "extremes", "knots", "domain", "roundings", "ATen", "ONNX")
    yield heads
    yield ("---",) * len(heads)
    for entry in sorted(declarations(), key=lambda entry: entry.op.__name__):
        op = entry.tried()[0]
        accuracy = entry.measured(op)
        known = op.curve() if isinstance(op, CurveOp) else None
        places = [known.inflections, known.turning, known.knots] if known else [(), (), ()]
        yield (
            f"`{entry.op.__name__}`",
            *(", ".join(f"{place:.4g}" for place in found) for found in places),
            " or ".join(map(str, known.domain)) if known else "",
            _roundings(accuracy) if accuracy else "",
            ", ".join(f"`{name}`" for name in entry.aten),
            ", ".join(f"`{name}`" for name in entry.onnx),
        )


def _roundings(accuracy: Accuracy) -> str:
    sizes = ["x"] * accuracy.of_operand + [f"{accuracy.intermediate:.4g}"] * (accuracy.intermediate > 0)
    return f"{accuracy.roundings}{' of ' if sizes else ''}{' and '.join(['value', *sizes] if sizes else [])}"


def _row(op: type[Op], rule: Rule, problems: Sequence[Problem]) -> tuple[str, ...]:
    from autodual.dual import AffineRule

    exact = isinstance(rule, AffineRule)
    layers = [_layers(problem, rule) for problem in problems]
    push = [all(layer.linear for layer in made) for made in layers]
    shared = [made[0].linear for made in layers]
    windows = [all(layer.windowed for layer in made) for made in layers]
    return (
        f"`{op.__name__}`",
        _first_paragraph(op),
        "exact" if exact else "relaxed",
        "yes",
        "yes" if all(push) else ("shared slopes" if all(shared) else "no"),
        "yes",
        "yes" if all(windows) else ("some" if any(windows) else "no"),
        _source(rule),
        _names([problem.name for problem in problems]),
    )


def _layers(problem: Problem, rule: Rule) -> list[Any]:
    """The layer of an affine op; those under shared and adaptive slopes of another, over bounds around 1."""
    import torch

    from autodual.dual import AffineRule
    from autodual.interval import Interval

    if isinstance(rule, AffineRule):
        return [problem.layer()]
    sign = -1.0 if problem.domain[1] < 0 else 1.0
    bounds = [
        Interval.around(torch.full((1, *shape), sign).double(), torch.tensor(0.5).double()) for shape in problem.shapes
    ]
    return [rule.layer(problem.op, bounds, problem.environment, policy) for policy in ("shared", "adaptive")]


def _first_paragraph(op: type[Op]) -> str:
    paragraph = (op.__doc__ or "").split("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def _source(rule: Rule) -> str:
    from autodual.dual import AffineRule
    from autodual.dual.relu import LeakyReluRule, ReluRule

    if isinstance(rule, AffineRule):
        section = "the-rules"
    elif isinstance(rule, (ReluRule, LeakyReluRule)):
        section = "the-relu"
    elif ".curves." in type(rule).__module__ or type(rule).__module__.endswith((".steps", ".cast", ".remainder")):
        section = "functions-of-one-scalar"
    elif type(rule).__module__.endswith((".tied_softmax", ".normalized_exp", ".normalization")):
        section = "tied-operands"
    else:
        section = "products-maxima-log-sum-exp"
    return f"{rule.source + ', ' if rule.source else ''}[derivation](mathematics.md#{section})"


def _names(names: Sequence[str]) -> str:
    if len(names) > _NAMED:
        return f"{len(names)} problems: {names[0]}, …"
    return ", ".join(names)


# --- the picture ---------------------------------------------------------------------------------------------------


def draw_relaxations(path: Path) -> None:
    """All functions of one scalar in the table of problems, between their lines, as an SVG."""
    try:
        import matplotlib
    except ImportError as error:
        raise click.ClickException("The picture needs matplotlib: pip install 'autodual[docs]'.") from error
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "autodual", "svg.fonttype": "none", "font.size": 7})
    from matplotlib import pyplot

    shown = list(_drawn())
    columns = 5
    rows = -(-len(shown) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(2 * columns, 1.7 * rows), constrained_layout=True)
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    for axis, (name, problem, ends) in zip(axes.flat, shown):
        _panel(axis, name, problem, *ends)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    path.write_text(_FINE_DIGITS.sub(r"\1", path.read_text(encoding="utf-8")), encoding="utf-8")


def _drawn() -> Iterator[tuple[str, Problem, tuple[float, float]]]:
    """One problem for each picture: its title and its interval."""
    from support.problems import CURVES

    for problem in CURVES:
        op: Any = problem.op
        plain = len(problem.shapes[0]) == 1 and op.kind != "leaky_relu" and " from " not in problem.name
        if not plain or re.search(_NOT_DRAWN, problem.name):
            continue
        ends = _POWERS_OVER.get(op.exponent, (-2.0, 1.4)) if op.kind == "power" else _OVER.get(op.kind, (-3.0, 2.0))
        yield re.sub(r"\d\.\d{3,}", lambda number: number[0][:4], problem.name), problem, ends


def _panel(axis: Any, name: str, problem: Problem, low: float, high: float) -> None:
    import torch

    from autodual.dual import RelaxationRule, find_rule
    from autodual.interval import Interval

    rule = find_rule(problem.op)
    assert isinstance(rule, RelaxationRule)
    size = problem.shapes[0]
    bounds = Interval(torch.full((1, *size), low).double(), torch.full((1, *size), high).double())
    points = torch.linspace(low, high, 121, dtype=torch.float64)
    values = problem.op.forward([points.reshape(-1, 1).expand(-1, *size)], problem.environment)[:, 0]
    axis.plot(points, values, color="black", linewidth=1.2)
    for policy, style, colour in (("shared", "--", "#d95f02"), ("adaptive", "-", "#1b6ca8")):
        found = rule.relax(problem.op, [bounds], problem.environment, policy)
        sides = ((found.lower_slopes, found.lower_intercept), (found.upper_slopes, found.upper_intercept))
        for (slope,), intercept in sides:
            line = float(slope[0, 0]) * points[[0, -1]] + float(intercept[0, 0])
            axis.plot(points[[0, -1]], line, style, color=colour, linewidth=0.9)
    axis.set_title(name, fontsize=7, pad=2)
    axis.tick_params(labelsize=5, length=2)
    axis.locator_params(nbins=3)


@click.group()
def main() -> None:
    """Make the pages and pictures that come from the code."""


@main.command()
def operators() -> None:
    """Write docs/operators.md from the registry of dual rules."""
    PAGE.write_text(operators_page(), encoding="utf-8")


@main.command()
@click.option("--output", type=click.Path(path_type=Path), default=PICTURE, help="Where to write the SVG.")
def relaxations(output: Path) -> None:
    """Draw all relaxations of functions of one scalar."""
    _problems()
    draw_relaxations(output)


if __name__ == "__main__":
    main()
