"""The options `given`, `owner` and `constraints` of the public methods: what they mean, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual import Constraint, LinfBall, Split
from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.measured import measured
from autodual.network import DualNetwork
from autodual.network.call import Call
from autodual.passes import ChooseExecution, default_pipeline

BALL = LinfBall(0.2)
IDENTITY = torch.eye(3, dtype=torch.float64)


class Residual(nn.Module):
    """Convolutions with a residual branch, so that dual rows are added, also as windows."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Linear(75, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        return self.last((self.second(hidden) + hidden).relu().flatten(1))


def _dual(**options: object) -> DualNetwork:
    torch.manual_seed(1)
    passes = [
        ChooseExecution(**options) if isinstance(step, ChooseExecution) else step  # type: ignore[arg-type]
        for step in default_pipeline()
    ]
    return autodual.compile_dual(Residual().double().eval(), torch.zeros(1, 1, 5, 5).double(), passes=passes)


DUAL = _dual()
X = torch.rand(3, 1, 5, 5, generator=torch.Generator().manual_seed(0)).double()
FIRST, SECOND = DUAL.plan.sites


def _given(dual: DualNetwork, x: Tensor, owner: Tensor, seed: int = 0) -> dict[str, Interval]:
    """Dual intervals of each subproblem's sample, with their ends moved inwards at random."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, interval in dual.bounds(x, BALL, slopes="adaptive").items():
        interval = interval.map(lambda end: end.detach()[owner])
        cut = 0.3 * torch.rand(interval.shape, generator=generator, dtype=x.dtype) * interval.radius
        found[name] = Interval(interval.lower + cut, interval.upper - cut)
    return found


def _splits(owner: Tensor, seed: int = 0) -> list[Split]:
    generator = torch.Generator().manual_seed(seed)
    splits = []
    for name in DUAL.plan.sites:
        shape = (len(owner), *DUAL.plan.graph[name].shape)
        sign = (
            torch.randint(-1, 2, shape, generator=generator) * (torch.rand(shape, generator=generator) < 0.2).double()
        )
        units = torch.Size(shape[1:]).numel()
        splits.append(
            Split(
                node=name,
                sign=sign,
                point=torch.randn(shape, generator=generator).double() / 3,
                multiplier=torch.rand(len(owner), 3, *shape[1:], generator=generator).double(),
                unit_multipliers={
                    SECOND: torch.rand(len(owner), 2, units, *shape[1:], generator=generator).double() / 30
                },
            )
        )
    return splits


OWNER = torch.tensor([2, 0, 0, 1, 2, 2])


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
@pytest.mark.parametrize("rigorous", [False, True])
def test_giving_the_intervals_that_would_be_computed_changes_nothing(slopes: str, rigorous: bool) -> None:
    found = DUAL(X, BALL, IDENTITY, slopes=slopes, rigorous=rigorous, sites=True)
    again = DUAL(X, BALL, IDENTITY, slopes=slopes, rigorous=rigorous, given=found.intervals)
    torch.testing.assert_close(again.lower, found.lower, atol=1e-12, rtol=1e-12)
    assert not again.infeasible.any()


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
@pytest.mark.parametrize("rigorous", [False, True])
def test_subproblems_together_have_the_bounds_of_each_alone(slopes: str, rigorous: bool) -> None:
    """For every choice of given sites: at a site that is not given, unit rows have owners too. All are constrained."""
    given, splits = _given(DUAL, X, OWNER), _splits(OWNER)
    for names in ((FIRST, SECOND), (SECOND,), (FIRST,), ()):
        chosen = {name: given[name] for name in names}
        ask = autodual.Ask(slopes=slopes, rigorous=rigorous, sites=True)
        together = DUAL(X, BALL, IDENTITY, ask=ask, given=chosen, owner=OWNER, constraints=splits)
        assert int(together.infeasible.sum()) < 3
        for i, sample in enumerate(OWNER.tolist()):

            def own(values: Tensor, i: int = i) -> Tensor:
                return values[i : i + 1]

            alone = DUAL(
                X[sample : sample + 1],
                BALL,
                IDENTITY,
                ask=ask,
                given={name: interval.map(own) for name, interval in chosen.items()},
                constraints=[split.mapped(own) for split in splits],
            )
            torch.testing.assert_close(together.lower[i], alone.lower[0], atol=1e-12, rtol=1e-12, equal_nan=True)
            for name in (FIRST, SECOND):
                torch.testing.assert_close(
                    together.intervals[name].lower[i], alone.intervals[name].lower[0], atol=1e-12, rtol=1e-12
                )


def test_neither_memory_nor_windows_change_bounds_of_subproblems() -> None:
    given, splits = {FIRST: _given(DUAL, X, OWNER)[FIRST]}, _splits(OWNER)
    ask = autodual.Ask(slopes="adaptive", given=given, owner=OWNER, constraints=splits)
    found = DUAL.lower_bounds(X, BALL, IDENTITY, ask=ask)
    for options in ({"windows": False}, {"memory_budget": 1 << 20}, {"mode": "push"}):
        torch.testing.assert_close(
            _dual(**options).lower_bounds(X, BALL, IDENTITY, ask=ask), found, atol=1e-12, rtol=0, equal_nan=True
        )


def test_gradients_reach_multipliers_and_given_ends_also_with_recomputation() -> None:
    given, splits = _given(DUAL, X, OWNER), _splits(OWNER)
    gradients = []
    for dual in (DUAL, _dual(memory_budget=1 << 20)):
        beta = splits[0].multiplier.clone().requires_grad_()  # type: ignore[union-attr]
        ends = {
            name: Interval(interval.lower.clone().requires_grad_(), interval.upper.clone().requires_grad_())
            for name, interval in given.items()
        }
        split = Split(node=splits[0].node, sign=splits[0].sign, point=splits[0].point, multiplier=beta)
        lower = dual.lower_bounds(X, BALL, IDENTITY, given=ends, owner=OWNER, constraints=[split], slopes="adaptive")
        of = [beta, *(end for interval in ends.values() for end in (interval.lower, interval.upper))]
        gradients.append(torch.autograd.grad(lower.sum(), of))
    for first, second in zip(*gradients):
        assert bool(first.any())
        torch.testing.assert_close(first, second, atol=1e-10, rtol=1e-10)
    step, at = 1e-6, splits[0].multiplier
    assert at is not None

    def value(moved: Tensor) -> Tensor:
        split = Split(node=splits[0].node, sign=splits[0].sign, point=splits[0].point, multiplier=moved)
        ask = autodual.Ask(given=given, owner=OWNER, constraints=[split], slopes="adaptive")
        return DUAL.lower_bounds(X, BALL, IDENTITY, ask=ask).sum()

    along = torch.randn_like(at)
    difference = (value(at + 1 + step * along) - value(at + 1 - step * along)) / (2 * step)
    moved = (at + 1).requires_grad_()
    slope = (torch.autograd.grad(value(moved), moved)[0] * along).sum()
    torch.testing.assert_close(slope, difference, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rigorous", [False, True])
def test_an_empty_subproblem_is_flagged_and_does_not_change_the_others(rigorous: bool) -> None:
    given = _given(DUAL, X, OWNER)
    whole = DUAL(X, BALL, IDENTITY, given=given, owner=OWNER, rigorous=rigorous)
    lower = given[FIRST].lower.clone()
    lower[1, 0, 2, 2] = given[FIRST].upper[1, 0, 2, 2] + 0.1
    emptied = {**given, FIRST: Interval(lower, given[FIRST].upper)}
    found = DUAL(X, BALL, IDENTITY, given=emptied, owner=OWNER, rigorous=rigorous)
    assert found.infeasible.tolist() == [False, True, False, False, False, False]
    assert bool(found.lower[1].isnan().all())
    linear = DUAL(X, BALL, IDENTITY, given=emptied, owner=OWNER, linear=True).objective.linear  # type: ignore[union-attr]
    assert linear is not None and linear.offset.isnan().all(1).tolist() == found.infeasible.tolist()
    others = torch.tensor([0, 2, 3, 4, 5])
    torch.testing.assert_close(found.lower[others], whole.lower[others], atol=0, rtol=0)
    assert not bool((found.lower[1] > -torch.inf).any())


def test_a_part_outside_the_set_is_flagged() -> None:
    inputs = DUAL.plan.graph.inputs[0]
    part = Interval(X - 0.1, X + 0.1)
    beside = Interval(part.lower.clone(), part.upper.clone())
    beside.lower[1], beside.upper[1] = X[1] + 0.3, X[1] + 0.4
    assert DUAL(X, BALL, IDENTITY, given={inputs: beside}).infeasible.tolist() == [False, True, False]
    halved = DUAL.lower_bounds(X, BALL, IDENTITY, given={inputs: part}, slopes="adaptive")
    torch.testing.assert_close(halved, DUAL.lower_bounds(X, LinfBall(0.1), IDENTITY, slopes="adaptive"))


def test_rounding_of_an_end_does_not_make_a_part_empty() -> None:
    """A part may be just an end of the set, x ± ε, which float32 rounds to another number than float64."""
    dual = autodual.compile_dual(nn.Linear(1, 1))
    x = torch.rand(400, 1, generator=torch.Generator().manual_seed(0))
    name = dual.compiled(x).plan.graph.inputs[0]
    edges = torch.cat([x.double() - 0.2, x.double() + 0.2])
    owner = torch.arange(400).repeat(2)
    found = dual(x, BALL, torch.ones(1, 1), given={name: Interval(edges, edges)}, owner=owner)
    assert not bool(found.infeasible.any()) and bool(found.lower.isfinite().all())


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
def test_bounds_that_cross_by_rounding_do_not_make_a_part_empty(slopes: str) -> None:
    """Large numbers cancel at the second site, so two ways to compute its value differ by far more than an ulp."""
    for seed in range(8):
        torch.manual_seed(seed)
        first, second = nn.Linear(3, 64), nn.Linear(64, 4)
        with torch.no_grad():
            first.bias += 2e4
            second.bias -= second.weight.sum(1) * 2e4
        dual, x = autodual.compile_dual(nn.Sequential(first, nn.ReLU(), second, nn.ReLU())), torch.rand(1, 3)
        point = {dual.compiled(x).plan.graph.inputs[0]: Interval(x, x)}
        found = dual(x, LinfBall(0.0), torch.ones(1, 4), given=point, slopes=slopes, all_units=True)
        assert found.infeasible.tolist() == [False]


def test_a_multiplier_term_that_overflows_is_ignored() -> None:
    """x + 1 ≥ 1.9 is feasible; the term β b is infinite in float32, though the row and the other terms are finite."""
    layers = [nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU()]
    with torch.no_grad():
        layers[0].weight.fill_(1.0)
        layers[0].bias.fill_(1.0)
        layers[2].weight.copy_(torch.eye(2) - 1)
        layers[2].bias.fill_(1.0)
    dual, x = autodual.compile_dual(nn.Sequential(*layers)), torch.full((1, 1), 0.5)
    first, second = dual.compiled(x).plan.sites
    above = Constraint(
        {first: torch.tensor([[[1.0, 0.0]]])}, torch.tensor([[1.9]]), unit_multipliers={second: torch.tensor([[3e38]])}
    )
    found = dual(x, LinfBall(0.5), torch.ones(1, 2), constraints=[above], slopes="adaptive", all_units=True, sites=True)
    assert found.infeasible.tolist() == [False]
    assert bool((found.intervals[second].lower <= -0.9).all()), "1 - (x + 1) is -1 at the end of the set"


@pytest.mark.parametrize("inner", ["dual", "interval"])
def test_an_empty_part_does_not_contradict_known_intervals_of_the_set(inner: str) -> None:
    """An interval given for the first site is unreachable, so bounds of the second lie outside its true interval."""
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)).double()
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.fill_(1.0)
            layer.bias.fill_(0.0)
    x = torch.zeros(1, 1).double()
    dual = autodual.compile_dual(model, x)
    first, second = dual.plan.sites
    known = {second: dual.bounds(x, BALL)[second].map(Tensor.detach)}
    low, high = torch.tensor([[-9.0], [50.0]]).double(), torch.tensor([[9.0], [51.0]]).double()
    found = dual(x, BALL, torch.ones(1, 1).double(), known=known, given={first: Interval(low, high)}, inner=inner)
    assert found.infeasible.tolist() == [False, True]
    assert found.lower.isnan().flatten().tolist() == [False, True]


def test_a_constraint_that_the_dtype_cannot_hold_is_refused() -> None:
    """In float32 the row 1e-46 becomes zero, so the bound would unsoundly gain β b = 1."""
    dual, x = autodual.compile_dual(nn.Identity()), torch.zeros(1, 1)
    row, bound, multiplier = (torch.tensor([[value]], dtype=torch.float64) for value in (1e-46, 1e-38, 1e38))
    tiny = Constraint({dual.compiled(x).plan.graph.inputs[0]: row.unsqueeze(1)}, bound, multiplier=multiplier)
    with pytest.raises(InvalidInputError, match="too small or too large for"):
        dual(x, LinfBall(1e9), torch.zeros(1, 1), constraints=[tiny])
    assert float(dual.lower_bounds(x.double(), LinfBall(1e9), torch.zeros(1, 1).double(), constraints=[tiny])) <= 0


def test_intervals_of_sites_after_the_bounded_node_are_returned_too() -> None:
    given = _given(DUAL, X, OWNER)
    found = DUAL(X, BALL, torch.eye(75).double()[:2], at=FIRST, given={FIRST: given[FIRST]}, owner=OWNER, sites=True)
    whole = DUAL(X, BALL, IDENTITY, given={FIRST: given[FIRST]}, owner=OWNER, sites=True)
    assert list(found.intervals) == [FIRST, SECOND]
    torch.testing.assert_close(found.intervals[SECOND].lower, whole.intervals[SECOND].lower)


def test_a_subproblem_refuted_by_crossing_bounds_is_flagged() -> None:
    """The first site is at most 1.2, but constrained to be at least 2, so bounds of the second site cross."""
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)).double()
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.fill_(1.0)
            layer.bias.fill_(0.0)
    dual, x = autodual.compile_dual(model), torch.tensor([[1.0]]).double()
    first, second = dual.compiled(x).plan.sites
    one = Split(
        node=first,
        sign=torch.ones(1, 1).double(),
        point=torch.full((1, 1), 2.0).double(),
        unit_multipliers={second: torch.tensor([[3.0]]).double()},
    )
    found = dual(x, LinfBall(0.2), torch.ones(1, 1).double(), slopes="adaptive", constraints=[one], all_units=True)
    assert found.infeasible.tolist() == [True] and bool(found.lower.isnan().all())


def test_margins_of_subproblems_use_the_labels_of_their_samples() -> None:
    labels, given = torch.tensor([0, 2, 1]), _given(DUAL, X, OWNER)
    found = DUAL.margins(X, labels, BALL, given=given, owner=OWNER)
    rows = torch.stack([IDENTITY[labels[sample]] - IDENTITY for sample in OWNER.tolist()])
    expected = DUAL.lower_bounds(X, BALL, rows, given=given, owner=OWNER)
    torch.testing.assert_close(found, expected * (rows != 0).any(-1))


def test_the_given_intervals_set_the_number_of_subproblems_of_a_single_sample() -> None:
    given = _given(DUAL, X, torch.zeros(7, dtype=torch.long))
    assert DUAL.lower_bounds(X[:1], BALL, IDENTITY, given=given).shape == (7, 3)
    assert DUAL.bounds(X[:1], BALL, given={SECOND: given[SECOND]})[SECOND].shape == (7, 3, 5, 5)


REFUSED = [
    ({"given": {"nowhere": Interval(X, X)}}, "'nowhere' is no input or bound site"),
    ({"given": [FIRST]}, "given must be a dict"),
    ({"given": {FIRST: (X, X)}}, "must be an autodual.interval.Interval"),
    ({"given": {FIRST: Interval(X, X)}}, r"has the shape \[3, 1, 5, 5\]; expected \[3, 3, 5, 5\]"),
    ({"owner": [0, 1]}, "owner must be a tensor"),
    ({"owner": torch.tensor([0.0])}, "int64"),
    ({"owner": torch.tensor([3])}, "0 to 2"),
    ({"constraints": ["z > 0"]}, "list of autodual.Constraint or autodual.Split"),
    ({"constraints": [Split(node="nowhere", sign=X, point=X)]}, "no node of this network"),
    ({"constraints": [Split(node=FIRST, sign=X, point=X)]}, "sign of a split"),
    ({"constraints": [Split(node="x", sign=X, point=X, multiplier=-X)]}, "must not be negative"),
    ({"constraints": [Split(node="x", sign=X, point=X / 0, multiplier=X)]}, "NaN or infinity"),
    ({"constraints": [Split(node="x", sign=X, point=X, multiplier=X[:, :, 0])]}, "multiplier has the shape"),
    ({"constraints": [Split(node="relu", sign=X, point=X, unit_multipliers={"x": X})]}, "is no bound site"),
    ({"at": "nowhere"}, "no node of this network"),
    ({"rigorous": True, "executed": True, "owner": OWNER}, "executed=True speaks of whole sets"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_invalid_options_are_refused_in_a_sentence(options: dict, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        DUAL(X, BALL, IDENTITY, **options)


def test_several_samples_need_an_owner() -> None:
    given = _given(DUAL, X, OWNER)
    with pytest.raises(InvalidInputError, match="owner="):
        DUAL.lower_bounds(X, BALL, IDENTITY, given=given)
    with pytest.raises(InvalidInputError, match="expected"):
        DUAL.lower_bounds(X, BALL, IDENTITY, constraints=[Constraint(rows={"x": X}, bound=X)])


def test_an_objective_that_the_dtype_cannot_hold_is_refused() -> None:
    """1e-46 would become 0 in float32, so the bound would be that of another function."""
    with pytest.raises(InvalidInputError, match=r"too small or too large for torch\.float32"):
        DUAL(X.float(), BALL, 1e-46 * IDENTITY)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("together", [1, 2, 5])
def test_bounds_do_not_depend_on_how_many_relaxations_are_made_at_once(
    monkeypatch: pytest.MonkeyPatch, together: int, count: int
) -> None:
    owner = torch.tensor([0, 1, 1, 2, 0, 2, 1])
    given = _given(DUAL, X, owner)
    calls: list[int] = []
    real = Call.bound
    monkeypatch.setattr(Call, "bound", lambda *given, **named: calls.append(0) or real(*given, **named))
    whole = DUAL(X, BALL, IDENTITY[:count], given=given, owner=owner)
    assert len(calls) == 1
    widest = max(node.size for node in DUAL.plan.graph) * X.element_size()
    monkeypatch.setattr(measured, "cache_bytes", together * measured.row_tensors * widest)
    parted = DUAL(X, BALL, IDENTITY[:count], given=given, owner=owner)
    assert len(calls) > 2
    torch.testing.assert_close(parted.lower, whole.lower, rtol=0, atol=1e-12)
    assert torch.equal(parted.infeasible, whole.infeasible)
