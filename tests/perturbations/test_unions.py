"""Unions of perturbation sets: their contract; support function and points compared with those of the members."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autodual.errors import EmptySetError, InvalidInputError
from autodual.perturbations import (
    Box,
    L1Ball,
    L2Ball,
    LinfBall,
    LpBall,
    PerturbationSet,
    ProductSet,
    Union,
    WholeView,
    choose_set,
    require_searchable,
    require_support,
)
from autodual.testing import check_perturbation_set

X = torch.rand(3, 1, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
VIEW = WholeView()
THREE = Union(LinfBall(0.3), L2Ball(1.5), L1Ball(12.0))


@pytest.mark.parametrize(
    ("union", "exact"),
    [
        (Union(LinfBall(0.1), L2Ball(0.25), L1Ball(0.5)), True),
        (Union(L2Ball(torch.tensor([0.1, 0.2, 0.3])), Box(X - 0.2, X + 0.05)), True),
        (Union(L2Ball(0.4, (0, 1)), L1Ball(0.6), LinfBall(0.2, (-0.5, 2))), False),
    ],
)
def test_a_union_keeps_the_contract(union: PerturbationSet, exact: bool) -> None:
    check_perturbation_set(union, X, exact=exact)


def test_overflow_in_one_member_is_no_bound_of_the_union() -> None:
    """<row, z> is -1e38 in the first member, but the sum is infinity on the way there."""
    far, near = torch.ones(1, 1025), torch.zeros(1, 1025)
    far[:, 512:] = -1
    row = torch.full((1, 1, 1025), 1e38)
    union = require_support(Union(Box(far, far), Box(near, near)).at(near))
    for bound in (union.least(row, VIEW), union.extremes(row, VIEW)[0], union.extremes(-row, VIEW)[1]):
        assert bound.isnan().all()


def test_a_product_may_hold_unions() -> None:
    product = ProductSet((Union(LinfBall(0.1), L1Ball(0.3)), None, Union(L2Ball(0.2), L1Ball(0.3))), ((4,), (2,), (2,)))
    check_perturbation_set(product, X.flatten(1))
    words = [member.describe() for member in product.members()]
    assert len(words) == len(set(words)) == 4
    points = torch.cat([member.at(X.flatten(1)).corners(20) for member in product.members()])
    assert product.at(X.flatten(1)).contains(points).all()


RADII = st.floats(0, 0.5)
SETS = st.one_of(
    st.builds(LinfBall, RADII),
    st.builds(LinfBall, RADII, st.just((0, 1))),
    st.builds(L2Ball, RADII),
    st.builds(L1Ball, RADII, st.just((0.0, 1.0))),
    st.builds(LpBall, st.sampled_from([1.5, 3.0]), RADII),
    st.builds(lambda low, high: Box(X - low, X + high), RADII, RADII),
)


@settings(max_examples=25)
@given(st.lists(SETS, min_size=1, max_size=4), st.integers(0, 999))
def test_a_union_takes_the_best_value_of_its_members(members: list[PerturbationSet], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    union, placed = Union(*members).at(X), [member.at(X) for member in members]
    nu = torch.randn(3, 6, 1, 2, 4, dtype=X.dtype, generator=generator)
    found = [torch.stack(part.extremes(nu, VIEW)) for part in placed]
    lower, upper = union.extremes(nu, VIEW)
    assert torch.equal(lower, torch.stack(found)[:, 0].amin(0)) and torch.equal(upper, torch.stack(found)[:, 1].amax(0))
    far = X + torch.randn(10, *X.shape, dtype=X.dtype, generator=generator)
    distances = torch.stack([(part.project(far) - far).flatten(2).norm(dim=2) for part in placed])
    near = union.project(far)
    assert union.contains(near).all()
    torch.testing.assert_close((near - far).flatten(2).norm(dim=2), distances.amin(0))
    assert torch.equal(union.contains(far), torch.stack([part.contains(far) for part in placed]).any(0))
    drawn = torch.cat([union.sample(40, generator), union.corners(40, generator), *[p.corners(9) for p in placed]])
    assert union.contains(drawn).all()
    values = torch.einsum("pnf,nkf->pnk", drawn.flatten(2), nu.flatten(2))
    assert (values >= lower - 1e-12).all() and (values <= upper + 1e-12).all()
    ascent = nu[:, 0]
    gains = torch.stack([(part.steepest(ascent) * ascent).flatten(1).sum(1) for part in placed])
    torch.testing.assert_close((union.steepest(ascent) * ascent).flatten(1).sum(1), gains.amax(0))


def test_random_points_come_from_every_member() -> None:
    one, other = Box(X - 1, X - 0.5), Box(X + 0.5, X + 1)
    points = Union(one, other).at(X).sample(100, torch.Generator().manual_seed(0))
    shares = [member.at(X).contains(points).double().mean() for member in (one, other)]
    assert all(0.4 < share < 0.6 for share in shares) and sum(shares) == 1


def test_nested_unions_are_flattened() -> None:
    nested = Union(Union(LinfBall(0.3), L2Ball(1.5)), Union(L1Ball(12.0)))
    assert nested.describe() == THREE.describe() and len(nested.members()) == 3
    assert LinfBall(0.3).members()[0].describe() == "l∞ ball of radius 0.3, unclipped"


def test_a_union_of_one_is_that_one() -> None:
    alone = Union(L2Ball(0.5)).at(X)
    assert type(alone) is type(L2Ball(0.5).at(X)) and alone.source.describe() == L2Ball(0.5).describe()


def test_a_union_is_symmetric_if_all_members_are() -> None:
    assert THREE.neighbourhood and THREE.symmetric(X)
    assert not Union(LinfBall(0.1), Box(0.0, 1.0)).neighbourhood
    assert not Union(LinfBall(0.1), L2Ball(torch.tensor([0.1, 0.2, 0.1]))).symmetric(X)


def test_invalid_unions_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least one set"):
        Union()
    with pytest.raises(InvalidInputError, match=r"made of perturbation sets, as in Union\(.*, not of 0.3"):
        Union(LinfBall(0.1), 0.3)  # type: ignore[arg-type]
    with pytest.raises(EmptySetError):
        Union(LinfBall(0.1), LinfBall(0.1, (5, 6))).at(X)
    with pytest.raises(InvalidInputError, match="no radius to scale"):
        THREE.scaled(0.5)  # since two half steps in different members may leave the union


def test_a_union_is_spelled_by_its_members() -> None:
    chosen = choose_set("union", {"members": "linf:0.3, l2:3/2,l1.5:12"})
    made = chosen.make(torch.full((3,), 0.5), (0, 1))
    radii = [member.settings()["radius"] for member in made.members()]
    assert [member.settings()["p"] for member in made.members()] == ["inf", 2.0, 1.5]
    assert radii == [0.15, 0.75, 6.0]
    assert chosen.make(1.0).describe().startswith("union of l∞ ball of radius 0.3, unclipped; l2 ball of radius 1.5")
    assert require_support(made.at(X)) is not None and require_searchable(made.at(X)).contains(X).all()


@pytest.mark.parametrize("members", ["linf", "linf:", "linf:-1", "linf:nan", "square:2", "0.3", "", "linf:0.1,,l2:1"])
def test_misspelled_members_are_refused(members: str) -> None:
    with pytest.raises(InvalidInputError):
        choose_set("union", {"members": members}).make(1.0)


def test_a_union_needs_its_members_named() -> None:
    with pytest.raises(InvalidInputError, match="needs its parameter 'members'"):
        choose_set("union")
