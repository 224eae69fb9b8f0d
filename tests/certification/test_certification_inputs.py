"""Every public function accepts the same kinds of samples, labels and objectives, and refuses the same."""

from __future__ import annotations

import re

import numpy
import pytest
import torch
from torch import nn

import autodual
from autodual.attacks import Pgd, broken
from autodual.certification.activation_sets import activation_sets
from autodual.errors import InvalidInputError
from autodual.properties import Case, Conjunction, Property, Variable
from autodual.specs import TopK
from autodual.train import uncertified
from autodual.train.losses import Adversarial, Clean, CrownIbp, IntervalBound, MtlIbp, Regularised, Robust, SmallBoxes

BALL = autodual.LinfBall(0.01)
X = torch.rand(3, 2, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 2, 1])
OBJECTIVE = torch.tensor([[1.0, -1.0, 0.0], [0.0, 2.0, -1.0]])
torch.manual_seed(0)
DUAL = autodual.compile_dual(nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).eval(), X)
JOINED = autodual.JoinedInputs(nn.Identity(), [(2,)])

LOSSES = [Clean(), Robust(), IntervalBound(), CrownIbp(0.5), Adversarial(1), SmallBoxes(1), MtlIbp(1)]
LOSSES += [Regularised(IntervalBound())]
# Everything public that takes samples, with labels where it can have them.
LABELLED = {
    "certify": lambda x, y: [c.margin for c in autodual.certify(DUAL, x, BALL, y)],
    "certified_radius": lambda x, y: autodual.certified_radius(DUAL, x, autodual.LinfBall, y, max_steps=3),
    "certify_cascade": lambda x, y: [
        c.certificates[0].margin for c in autodual.certify_cascade(autodual.Cascade([DUAL]), x, BALL, y)
    ],
    "robust_loss": lambda x, y: autodual.robust_loss(DUAL, x, y, BALL),
    "margins": lambda x, y: DUAL.margins(x, y, BALL),
    "label_rows": lambda x, y: DUAL.label_rows(X if x is None else torch.as_tensor(x), y).whole,
    "uncertified": lambda x, y: uncertified([DUAL], x, y, BALL),
    **{
        f"loss {number}": lambda x, y, loss=loss: (torch.manual_seed(1), loss(DUAL, x, y, BALL))[1]
        for number, loss in enumerate(LOSSES)
    },
}
UNLABELLED = {
    "detect": lambda x: autodual.detect(DUAL, x, BALL),
    "forward": lambda x: DUAL(x, BALL, OBJECTIVE).lower,
    "lower_bounds": lambda x: DUAL.lower_bounds(x, BALL, OBJECTIVE),
    "upper_bounds": lambda x: DUAL.upper_bounds(x, BALL, OBJECTIVE),
    "bounds": lambda x: next(iter(DUAL.bounds(x, BALL).values())).lower,
    "outputs": lambda x: DUAL.outputs(x),
    "compiled": lambda x: DUAL.compiled(x) is not None,
    "output_shape": lambda x: DUAL.output_shape(x),
    "at": lambda x: BALL.at(x).centre,
    "classes": lambda x: autodual.Cascade([DUAL]).classes(x),
    "join": lambda x: JOINED.join(x),
    "compile_dual": lambda x: autodual.compile_dual(DUAL.model, x).plan.sites,
    "compile_dual of several inputs": lambda x: autodual.compile_dual(DUAL.model, (x,)).plan.sites,
    "activation_sets": lambda x: next(iter(activation_sets(DUAL, x, BALL).values())),
}
WITH_SAMPLES = {
    **UNLABELLED,
    **{name: lambda x, call=call: call(x, LABELS) for name, call in LABELLED.items() if name != "label_rows"},
}
OBJECTIVES = {
    "forward": lambda rows: DUAL(X, BALL, rows).lower,
    "lower_bounds": lambda rows: DUAL.lower_bounds(X, BALL, rows),
    "upper_bounds": lambda rows: DUAL.upper_bounds(X, BALL, rows),
    "linear": lambda rows: DUAL.lower_bounds(X, BALL, rows, return_linear=True)[1],
}
WITH_LABELS = {
    **{name: lambda y, call=call: call(X, y) for name, call in LABELLED.items()},
    "broken": lambda y: broken(DUAL.outputs, BALL.at(X), y, Pgd(1)),
    "top-k": lambda y: TopK(y, 2).rows(DUAL.outputs(X)).objective,
}


def same(found, expected) -> bool:
    if isinstance(expected, torch.Tensor):
        return torch.equal(found, expected)
    return found == expected


def refused(calls, value, message) -> None:
    for name, call in calls.items():
        with pytest.raises(InvalidInputError) as caught:
            call(value)
        assert re.search(message, str(caught.value)), name


@pytest.mark.parametrize("name", WITH_SAMPLES)
def test_samples_may_be_arrays(name):
    call, expected = WITH_SAMPLES[name], WITH_SAMPLES[name](X)
    frozen = X.numpy().copy()
    frozen.setflags(write=False)
    kinds = [X.numpy(), frozen, X.numpy()[::-1][::-1], X.numpy().astype(">f4")]
    for x in kinds[:1] if name.startswith("compile_dual") else kinds:
        assert same(call(x), expected)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X.tolist(), "must be a tensor or a NumPy array .*, not a list"),
        (None, "must be a tensor or a NumPy array .*, not None"),
        ("sample", "must be a tensor or a NumPy array .*, not a str"),
        ((255 * X).byte(), r"holds bytes \(uint8\).* / 255"),
        ((255 * X).byte().numpy(), r"holds bytes \(uint8\).* / 255"),
        (X.long(), "floating-point numbers, but has the dtype torch.int64"),
        (X.numpy() > 0, "floating-point numbers, but has the dtype torch.bool"),
        (X[:0], r"holds no samples \(its shape is \[0, 2\]\)"),
        (X.numpy()[:0], r"holds no samples \(its shape is \[0, 2\]\)"),
        (X[0, 0], "single number"),
        (X[:, :0], "samples without any numbers"),
        (numpy.array(["a"]), "which torch does not have|floating-point"),
    ],
    ids=lambda value: "" if isinstance(value, str) else None,
)
def test_other_samples_are_refused_alike(x, message):
    # Without an example compile_dual traces nothing yet.
    calls = {name: call for name, call in WITH_SAMPLES.items() if x is not None or name != "compile_dual"}
    refused(calls, x, message)


@pytest.mark.parametrize("name", WITH_LABELS)
def test_labels_may_be_lists_and_arrays_of_any_integers(name):
    call, expected = WITH_LABELS[name], WITH_LABELS[name](LABELS)
    plain = LABELS.tolist()
    arrays = (numpy.array(plain, kind) for kind in "bBhHiIqQ")
    for labels in (plain, tuple(plain), LABELS.int(), LABELS.byte(), *arrays):
        assert same(call(labels), expected)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.0, 1.0, 2.0], "must be integers, but have the dtype torch.float32"),
        (numpy.zeros(3), "must be integers, but have the dtype torch.float64"),
        (LABELS > 0, "must be integers, but have the dtype torch.bool"),
        (["0", "1", "2"], "must be integers, one per sample"),
        ([[0], [1, 2]], "must be integers, one per sample"),
        (1, "but are a single number"),
        ([0, 1], "there are 2 labels for 3 samples"),
        ([], "must be integers|there are 0 labels"),
        (LABELS[:, None], r"have the shape \[3, 1\], but outputs \[3, 3\] .* need \[3\]"),
        ([0, 1, 3], "the label of sample 2 is 3, but the network has the classes 0 to 2"),
        ([0, -1, 2], "the label of sample 1 is -1, but the network has the classes 0 to 2"),
    ],
    ids=lambda value: "" if isinstance(value, str) else None,
)
def test_other_labels_are_refused_alike(labels, message):
    refused(WITH_LABELS, labels, message)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_may_be_lists_and_arrays(name):
    call, expected = OBJECTIVES[name], OBJECTIVES[name](OBJECTIVE)
    plain = OBJECTIVE.tolist()
    for rows in (plain, tuple(map(tuple, plain)), numpy.array(plain), numpy.array(plain, int), OBJECTIVE.double()):
        assert same(call(rows), expected)
    torch.testing.assert_close(call([plain] * 3), expected)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("y0", "objective must be a number, but is the text 'y0'"),
        ([[1.0, 2.0], [3.0]], "objective must be a number or a regular array"),
        (OBJECTIVE > 0, "objective must hold real numbers, but has the dtype torch.bool"),
        (OBJECTIVE * 1j, "objective is complex"),
        ([[1.0, float("nan"), 0.0]], "objective holds NaN or infinity"),
        ([1.0, 2.0, 3.0], r"objective has the shape \(3,\); expected \[S, 3\] or \[3, S, 3\]"),
        (OBJECTIVE[:, :2], r"objective has the shape \(2, 2\); expected"),
        (OBJECTIVE.expand(2, 2, 3), r"objective has the shape \(2, 2, 3\); expected"),
        (OBJECTIVE[:0], "objective has no rows"),
    ],
    ids=lambda value: "" if isinstance(value, str) else None,
)
def test_other_objectives_are_refused_alike(rows, message):
    refused(OBJECTIVES, rows, message)


def test_values_that_are_no_sets_are_refused_alike():
    calls = {
        "certify": lambda ball: autodual.certify(DUAL, X, ball),
        "detect": lambda ball: autodual.detect(DUAL, X, ball),
        "certify_cascade": lambda ball: autodual.certify_cascade(autodual.Cascade([DUAL]), X, ball),
        "certified_radius": lambda ball: autodual.certified_radius(DUAL, X, lambda radius: ball),
        "robust_loss": lambda ball: autodual.robust_loss(DUAL, X, LABELS, ball),
        "loss": lambda ball: Clean()(DUAL, X, LABELS, ball),
        "uncertified": lambda ball: uncertified([DUAL], X, LABELS, ball),
        "bounds": lambda ball: DUAL.bounds(X, ball),
        "lower_bounds": lambda ball: DUAL.lower_bounds(X, ball, OBJECTIVE),
    }
    for value in (0.1, None, "LinfBall", autodual.LinfBall):
        refused(calls, value, r"ball must be a perturbation set, such as autodual.LinfBall\(0.1\), but is")
    for value in (0.1, BALL):
        with pytest.raises(InvalidInputError, match="ball must make a set from radii, such as"):
            autodual.certified_radius(DUAL, X, value)


def test_values_that_are_no_attacks_are_refused_alike():
    box = Case(numpy.zeros(2), numpy.ones(2), (Conjunction(numpy.ones((1, 3)), numpy.zeros(1), numpy.zeros(1, bool)),))
    goal = Property((Variable("X", (2,)),), (Variable("Y", (3,)),), (box,), "1.0", None, 0, "")
    cascade = autodual.Cascade([DUAL])
    calls = {
        "certify": lambda attack: autodual.certify(DUAL, X, BALL, attack=attack),
        "certified_radius": lambda attack: autodual.certified_radius(DUAL, X, autodual.LinfBall, attack=attack),
        "verify": lambda attack: autodual.verify(DUAL, goal, attack=attack),
        "attack_cascade": lambda attack: autodual.attack_cascade(cascade, X, BALL, [], attack),
        "broken": lambda attack: broken(DUAL.outputs, BALL.at(X), LABELS, attack),
    }
    for value in (5, "pgd", Pgd):
        refused(calls, value, r"attack must be an attack, such as autodual.attacks.Pgd\(\), but is")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": float("nan")}, "timeout must be a number of seconds, or None for no limit, not nan"),
        ({"timeout": "10"}, "timeout must be a number of seconds, or None for no limit, not '10'"),
        ({"exact_seconds": "10"}, "exact_seconds must be positive .*, not '10'"),
        ({"effort": "low"}, "effort must be one of fast, normal, high, complete, not 'low'"),
        ({"bracket": True, "attack": None}, "bracket=True needs an attack"),
    ],
)
def test_verify_refuses_other_arguments(options, message):
    box = Case(numpy.zeros(2), numpy.ones(2), (Conjunction(numpy.ones((1, 3)), numpy.zeros(1), numpy.zeros(1, bool)),))
    goal = Property((Variable("X", (2,)),), (Variable("Y", (3,)),), (box,), "1.0", None, 0, "")
    with pytest.raises(InvalidInputError, match=message):
        autodual.verify(DUAL, goal, **options)
    with pytest.raises(InvalidInputError, match=r"goal must be a property, .*, but is str"):
        autodual.verify(DUAL, "property.vnnlib", **options | {"effort": "complete", "attack": Pgd()})


@pytest.mark.parametrize("cases", [(), (Case(numpy.zeros(2), numpy.ones(2), ()),)])
def test_verify_refuses_what_nothing_could_violate(cases):
    goal = Property((Variable("X", (2,)),), (Variable("Y", (3,)),), cases, "1.0", None, 0, "")
    with pytest.raises(InvalidInputError, match="no case, or one without conjunctions"):
        autodual.verify(DUAL, goal)


def test_a_radius_is_sought_in_a_whole_number_of_steps():
    with pytest.raises(InvalidInputError, match=r"max_steps must be a whole number, 0 or more, not 1\.5"):
        autodual.certified_radius(DUAL, X, autodual.LinfBall, max_steps=1.5)


def test_every_public_function_that_takes_samples_is_tested_here():
    untested = {name for name in autodual.__all__ if name.startswith(("certif", "detect", "robust"))}
    assert untested <= WITH_SAMPLES.keys()
    methods = {name for name in vars(autodual.DualNetwork) if not name.startswith("_")}
    others = {
        "draws",
        "plan",
        "tensors",
        "environment",
        "substituting",
        "predicted",
        "label_rows",
    }  # these take no samples from users
    assert methods - others <= WITH_SAMPLES.keys()


def test_a_result_without_an_objective_says_so():
    with pytest.raises(InvalidInputError, match="no objective was asked for"):
        _ = DUAL(X, BALL).lower


@pytest.mark.parametrize("model", [DUAL.model, "net.pt"])
def test_a_model_that_is_not_compiled_is_refused_by_all(model) -> None:
    calls = [
        lambda: autodual.certify(model, X, BALL),
        lambda: autodual.certified_radius(model, X, autodual.LinfBall),
        lambda: autodual.detect(model, X, BALL),
        lambda: autodual.verify(model, None),
        lambda: autodual.robust_loss(model, X, LABELS, BALL),
        lambda: Robust()(model, X, LABELS, BALL),
        lambda: activation_sets(model, X, BALL),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError, match=r"dual must be a dual network, but is a .*compile_dual"):
            call()
