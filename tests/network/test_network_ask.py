"""An Ask says how bounds are computed: everywhere the same as the keywords, and checked when it is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, get_type_hints

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.random_networks import RandomNetwork, networks
from support.random_sets import subjects
from torch import Tensor, nn

import autodual
from autodual import Ask, DualNetwork, Interval
from autodual.certification.activation_sets import activation_sets
from autodual.certification.proof import prove
from autodual.errors import InvalidInputError
from autodual.network.ask_options import (
    AskOptions,
    LinearOptions,
    MethodOptions,
    PartOptions,
    PolicyOptions,
    ProofOptions,
)
from autodual.specs import HalfSpaces
from autodual.train import uncertified
from autodual.train.losses import Batch

torch.manual_seed(0)
MODEL = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).double()
DUAL = autodual.compile_dual(MODEL, torch.zeros(1, 3, dtype=torch.float64))
X = torch.rand(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LABELS, BALL, ROWS = [0, 1, 2, 0], autodual.LinfBall(0.3), torch.eye(3, dtype=torch.float64)
SITE = DUAL.plan.sites[-1]
KNOWN = {SITE: DUAL.bounds(X, BALL, slopes="adaptive")[SITE].map(Tensor.detach)}

POLICIES: list[dict[str, Any]] = [
    {"slopes": "adaptive"},
    {"slopes": "shared", "inner": "interval"},
    {"slopes": "adaptive", "last": "interval"},
    {"slopes": "adaptive", "inner": "interval", "last": "interval"},
]
PROOFS: list[dict[str, Any]] = [{"known": KNOWN}, {"slopes": "adaptive", "all_units": True}]
METHODS: list[dict[str, Any]] = [{"rigorous": True}, {"slopes": "shared", "exact": True}]

#: One valid value for each field of an Ask that needs no other field.
VALUES: dict[str, Any] = {
    "slopes": "shared",
    "inner": "dual",
    "last": "dual",
    "known": KNOWN,
    "given": KNOWN,
    "constraints": [],
    "owner": torch.zeros(2, dtype=torch.long),
    "at": "linear",
    "chosen_slopes": autodual.Slopes({}),
    **dict.fromkeys(["all_units", "rigorous", "exact", "linear", "sites", "record", "search", "balls"], True),
    **dict.fromkeys(["steps", "inner_steps", "sweeps"], 3),
    "enough": 0.0,
}

Entry = Callable[..., Any]


def _margins(found: list[Any]) -> Tensor:
    return torch.tensor([certificate.margin for certificate in found])


#: Every function that takes an Ask: what it returns as a tensor, the keywords that it takes, and the function itself.
ENTRIES: dict[str, tuple[Entry, type, Entry]] = {
    "forward": (lambda **o: DUAL(X, BALL, ROWS, **o).lower, AskOptions, DualNetwork.forward),
    "lower_bounds": (
        lambda **o: DUAL.lower_bounds(X, BALL, ROWS, **o),
        LinearOptions,
        DualNetwork.lower_bounds,
    ),
    "upper_bounds": (
        lambda **o: DUAL.upper_bounds(X, BALL, ROWS, **o),
        LinearOptions,
        DualNetwork.upper_bounds,
    ),
    "margins": (lambda **o: DUAL.margins(X, LABELS, BALL, **o), MethodOptions, DualNetwork.margins),
    "bounds": (lambda **o: DUAL.bounds(X, BALL, **o)[SITE].upper, PartOptions, DualNetwork.bounds),
    "certify": (lambda **o: _margins(autodual.certify(DUAL, X, BALL, LABELS, **o)), ProofOptions, autodual.certify),
    "certify_cascade": (
        lambda **o: _margins(
            [one.certificates[0] for one in autodual.certify_cascade(autodual.Cascade([DUAL]), X, BALL, **o)]
        ),
        PolicyOptions,
        autodual.certify_cascade,
    ),
    "certified_radius": (
        lambda **o: autodual.certified_radius(DUAL, X, autodual.LinfBall, max_steps=4, **o),
        PolicyOptions,
        autodual.certified_radius,
    ),
    "detect": (lambda **o: autodual.detect(DUAL, X, autodual.LinfBall(0.02), **o), ProofOptions, autodual.detect),
    "activation_sets": (lambda **o: activation_sets(DUAL, X, BALL, **o)[SITE], ProofOptions, activation_sets),
    "robust_loss": (
        lambda **o: autodual.robust_loss(DUAL, X, LABELS, BALL, reduction="none", **o),
        ProofOptions,
        autodual.robust_loss,
    ),
    "of": (lambda **o: Batch.of(DUAL, X, LABELS, BALL, **o).margins(), ProofOptions, Batch.of),
    "uncertified": (
        lambda **o: uncertified([DUAL], X, LABELS, autodual.LinfBall(0.02), **o),
        PolicyOptions,
        uncertified,
    ),
}


def _names(options: type) -> list[str]:
    """The keywords of a TypedDict, in the order in which an Ask has them."""
    return [field.name for field in fields(Ask) if field.name in options.__annotations__]


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_ask_means_what_its_fields_mean_as_keywords(entry: str) -> None:
    """Keywords beside an Ask override its fields; None overrides nothing."""
    call, options, _ = ENTRIES[entry]
    for words in [*POLICIES, *PROOFS, *METHODS]:
        if not set(words) <= set(_names(options)):
            continue
        expected = call(**words)
        assert torch.equal(call(ask=Ask(**words)), expected)
        assert torch.equal(call(ask=Ask(**words), slopes=None), expected)
        other = Ask(**{**words, "slopes": "optimized"})
        assert torch.equal(call(ask=other, slopes="adaptive"), call(**{**words, "slopes": "adaptive"}))


@pytest.mark.parametrize("entry", ENTRIES)
def test_signatures_and_docstrings_list_the_keywords(entry: str) -> None:
    _, options, function = ENTRIES[entry]
    parameters = inspect.signature(function).parameters
    assert all(each.kind is not each.VAR_KEYWORD for each in parameters.values())
    shown = [name for name in parameters if name in AskOptions.__annotations__]
    assert shown == _names(options)
    text = inspect.getdoc(function) or ""
    assert all(text.count(f"\n    {name}: ") == 1 for name in ["ask", *shown])


@pytest.mark.parametrize("entry", ENTRIES)
def test_unknown_keywords_are_refused_by_name(entry: str) -> None:
    """One sentence names the function, the probable keyword, and all keywords."""
    call, options, _ = ENTRIES[entry]
    expected = rf"^{entry}\(\) got an unexpected keyword argument 'slope' \(did you mean 'slopes'\?\); it takes .*ask, "
    with pytest.raises(TypeError, match=expected + ", ".join(_names(options)) + "$"):
        call(slope="shared")
    with pytest.raises(InvalidInputError, match=r"ask must be an autodual\.Ask, but is a str;"):
        call(ask="shared")
    for name in set(VALUES) - set(_names(options)):
        with pytest.raises(TypeError, match=rf"^{entry}\(\) got an unexpected keyword argument '{name}'"):
            call(**{name: VALUES[name]})
        with pytest.raises(InvalidInputError, match=f"^ask says {name}, which {entry} decides itself; it takes "):
            call(ask=Ask(**{name: VALUES[name]}))


def test_fields_are_the_keywords() -> None:
    assert get_type_hints(Ask) == get_type_hints(AskOptions)
    assert all(field.default is None for field in fields(Ask))
    assert set(VALUES) == set(AskOptions.__annotations__) - {"executed"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"slopes": "optimal"}, "slopes must be 'shared', 'adaptive' or 'optimized', not 'optimal'"),
        ({"slopes": ["shared"]}, "slopes must be 'shared', 'adaptive' or 'optimized', not ['shared']"),
        ({"inner": "shared"}, "inner must be 'dual' or 'interval', not 'shared'"),
        ({"last": 1}, "last must be 'dual' or 'interval', not 1"),
        ({"known": [1]}, "known must be a dict from node names to intervals, but is a list"),
        ({"given": "linear"}, "given must be a dict from node names to intervals, but is a str"),
        ({"constraints": 1}, "constraints must be a list of autodual.Constraint or autodual.Split, but is an int"),
        ({"owner": [0]}, "owner must be a tensor of indices of samples, but is a list"),
        (
            {"chosen_slopes": "shared"},
            "chosen_slopes must be autodual.Slopes (slopes= takes the name of a policy), but is a str",
        ),
        ({"at": 3}, "at must be the name of a node, but is an int"),
        ({"rigorous": "yes"}, "rigorous must be True, False or None, not 'yes'"),
        ({"sites": 2}, "sites must be True, False or None, not 2"),
        (
            {"executed": True, "rigorous": True, "given": {}, "owner": torch.zeros(1)},
            "executed=True speaks of whole sets, and does not go with given=, constraints= or owner=",
        ),
        (
            {"executed": True, "at": "linear"},
            "executed=True speaks of the output, and does not go with at=",
        ),
        ({"executed": True}, "executed=True needs rigorous=True: other bounds say nothing of a run"),
    ],
)
def test_values_are_checked_when_an_ask_is_made(words: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Ask(**words)
    assert str(caught.value) == message


def test_fields_that_are_none_are_taken_from_another_ask() -> None:
    ask = Ask(slopes="adaptive", sites=False).over(Ask(slopes="shared", inner="interval", sites=True))
    assert ask.said == {"slopes": "adaptive", "inner": "interval", "sites": False}
    assert repr(ask) == "Ask(slopes='adaptive', inner='interval', sites=False)"
    assert Ask().said == {} and Ask().select(slice(0, 1)).said == {}


@given(st.integers(1, 5), st.booleans(), st.data())
@effort(20)
def test_samples_of_an_ask_keep_their_intervals(count: int, alike: bool, data: st.DataObject) -> None:
    """An end given once for all samples (length 1) is not indexed, also if only one of the two ends is."""
    lower, upper = torch.rand(1 if alike else count, 2), 1 + torch.rand(count, 2)
    index = torch.tensor(data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=6)))
    found = (Ask(known={"site": Interval(lower, upper)}).select(index).known or {})["site"]
    assert torch.equal(found.lower.expand(len(index), 2), lower.expand(count, 2)[index])
    assert torch.equal(found.upper.expand(len(index), 2), upper.expand(count, 2)[index])


@pytest.mark.parametrize("words", POLICIES)
@effort(15)
@given(networks(kind="any"), st.data())
def test_proofs_of_every_policy_hold_at_random_points(
    words: dict[str, Any], model: RandomNetwork, data: st.DataObject
) -> None:
    subject = data.draw(subjects(model.shape))
    dual, rows = model.dual(), torch.cat([ROWS, -ROWS])
    region, generator = subject.ball.at(subject.x), torch.Generator().manual_seed(0)
    with torch.no_grad():
        points = torch.cat([region.sample(12, generator), region.corners(12, generator)])
        values = dual.outputs(points.flatten(0, 1)).reshape(24, len(subject.x), 3) @ rows.T
        found = prove(dual, region, HalfSpaces(rows, torch.zeros(6, dtype=torch.float64)), Ask(**words))
    below = found.lower <= values.amin(0) + 1e-9 * (1 + values.abs().amax(0))
    assert bool((below | ~found.lower.isfinite()).all())


def test_certificates_say_which_bounds_proved_them() -> None:
    methods = [autodual.certify(DUAL, X, BALL, LABELS, **words)[0].method for words in POLICIES]
    assert methods == [
        "dual bound, adaptive slopes",
        "dual bound over intervals, shared slopes",
        "dual bound, the last ones by intervals, adaptive slopes",
        "dual bound over intervals, the last ones by intervals, adaptive slopes",
    ]


def test_proofs_are_exact_unless_estimates_are_asked_for() -> None:
    """Without `exact`, bounds are exact, so that nobody gets a probable proof by accident."""
    passes = [*autodual.passes.default_pipeline(), autodual.passes.HighProbability(0.01, dim=64, prefer_exact=False)]
    dual = autodual.compile_dual(MODEL, X, passes=passes)
    region, spec = BALL.at(X), HalfSpaces(ROWS, torch.zeros(3, dtype=torch.float64))
    ask = Ask(slopes="shared")
    assert not bool(prove(dual, region, spec, ask).failure_probability.any())
    assert bool(prove(dual, region, spec, replace(ask, exact=False)).failure_probability.all())
