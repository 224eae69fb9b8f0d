"""All that an extension needs, in one place; the built-in parts use nothing else.

**A function of one scalar** is one call of `scalar_op`.

**Any other operation** takes three steps: an `Op` that can run itself, a function under `@lowers(torch.ops.…)` that
emits it while a model is traced, and a rule under `@dual_rule(TheOp)`: an `AffineRule`, or a `RelaxationRule`.
`autodual.testing.check_dual_rule` tests the rule. The operation is one of ATen or of `torch.library`; under
`@lowers_module(TheClass)` it is a whole module, which is then not traced.

**A perturbation set** is a `PerturbationSet`, a frozen dataclass whose `bind` places it around samples: as a `Support`,
which bounds need, as a `Searchable`, which attacks need, or as a `Region`, which is both. `@named_set` gives it a name
in recipes and on the command line; `autodual.testing.check_perturbation_set` tests it.

**A pass** is a `Pass`, a frozen dataclass that turns a `Plan` into another one; give it to `compile_dual(passes=…)`,
or, under `@named_pass`, to `--pass`.

**A loss** is a `Loss`, a frozen dataclass that turns a `Batch` into one number per sample; `@named_loss` gives it a
name in recipes.

**An attack** is an `Attack`, a frozen dataclass that looks for points of a `Region` where a `Specification` fails; give
it to `certify(attack=…)` or `verify(attack=…)`, or, under `@named_attack`, to `--attack`. What it finds is checked, so
an attack can be wrong but not unsound.

`examples/extending/` has one file for each of these, and one for a command.
"""

from autodual.attacks import Attack, counterexamples, named_attack
from autodual.dual import (
    AffineLayer,
    AffineRule,
    Contribution,
    DualLayer,
    Executed,
    LinearRelaxation,
    LineFamily,
    NonlinearRule,
    RelaxationRule,
    Rows,
    Run,
    StructuralLayer,
    dual_rule,
)
from autodual.dual.curves import Curve, CurveRule
from autodual.extend.scalar import scalar_family, scalar_op
from autodual.extensions.commands import named_command
from autodual.frontend import Builder, Unsupported, lowers, lowers_module
from autodual.interval import Interval
from autodual.ir import Environment, Expression, Graph, Node, Op
from autodual.ir.ops import ElementwiseOp
from autodual.ir.scalars import Accuracy, CurveOp, Domain
from autodual.number_ranges import Range
from autodual.passes import Pass, default_pipeline, named_pass
from autodual.passes.plan import Plan
from autodual.perturbations import PerturbationSet, Region, Searchable, SetParameter, Support, View, named_set
from autodual.perturbations.parameters import aligned, like
from autodual.perturbations.regions.support import end_rounding
from autodual.specs import Specification
from autodual.train.losses import Batch, Loss, named_loss

__all__ = [
    "Accuracy",
    "AffineLayer",
    "AffineRule",
    "Attack",
    "Batch",
    "Builder",
    "Contribution",
    "Curve",
    "CurveOp",
    "CurveRule",
    "Domain",
    "DualLayer",
    "ElementwiseOp",
    "Environment",
    "Executed",
    "Expression",
    "Graph",
    "Interval",
    "LineFamily",
    "LinearRelaxation",
    "Loss",
    "Node",
    "NonlinearRule",
    "Op",
    "Pass",
    "PerturbationSet",
    "Plan",
    "Range",
    "Region",
    "RelaxationRule",
    "Rows",
    "Run",
    "Searchable",
    "SetParameter",
    "Specification",
    "StructuralLayer",
    "Support",
    "Unsupported",
    "View",
    "aligned",
    "counterexamples",
    "default_pipeline",
    "dual_rule",
    "end_rounding",
    "like",
    "lowers",
    "lowers_module",
    "named_attack",
    "named_command",
    "named_loss",
    "named_pass",
    "named_set",
    "scalar_family",
    "scalar_op",
]
