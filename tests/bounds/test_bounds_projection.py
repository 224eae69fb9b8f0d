"""Random projections: correct norms of any linear graph, independent of memory and batch, and reproducible."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import pipeline
from support.projections import estimated_state, states_agree
from support.random_networks import RandomNetwork, networks
from support.random_sets import Subject, subjects
from torch import Tensor, nn

import autodual
from autodual.bounds import Projections
from autodual.errors import InvalidInputError
from autodual.passes import HighProbability, RandomProjection, default_pipeline
from autodual.perturbations import L1Ball, L2Ball, LinfBall, LpBall, PerturbationSet, ProductSet
from autodual.policies import Projection

IDENTITY = torch.eye(3, dtype=torch.float64)


def _has_norms(ball: PerturbationSet) -> bool:
    return not isinstance(ball, L1Ball | LpBall)


def _dense(seed: int = 0, width: int = 40) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = (nn.Linear(10, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(width, 3)).double()


def _compiled(model: nn.Module, x: Tensor, *passes: RandomProjection | HighProbability) -> autodual.DualNetwork:
    return autodual.compile_dual(model, x, passes=[*default_pipeline(), *passes])


@effort(80)
@given(st.data(), networks(), st.integers(0, 2**16))
def test_with_exact_norms_the_sketch_gives_the_exact_bounds(
    data: st.DataObject, model: RandomNetwork, seed: int
) -> None:
    """Residual and dense connections, convolutions, pooling, shared weights: any ReLU graph; boxes and balls.

    Projections ignore the domain of clipped l2 balls, so there the exact bound is that of the ball alone.
    """
    subject: Subject = data.draw(subjects(model.shape))
    assume(_has_norms(subject.ball))
    ball = L2Ball(subject.ball.radius) if isinstance(subject.ball, L2Ball) else subject.ball
    objective = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    dual, x = model.dual(), subject.x
    everything = {"skip_decided": False}
    plain = model.dual(pipeline(**everything))
    state, found = estimated_state(dual, x, ball, Projection(1, where="both"), objective, exactly=True, **everything)
    lower = plain.lower_bounds(x, ball, objective)
    scale = 1 + float(lower.detach().abs().max())
    assert found is not None
    torch.testing.assert_close(found.lower, lower, atol=1e-10 * scale, rtol=1e-10)
    with torch.no_grad():
        sites = plain.bounds(x, ball)
    for name, interval in sites.items():
        scale = 1 + float(interval.magnitude.max())
        for end in ("lower", "upper"):
            ours = getattr(state.intervals[name], end)
            torch.testing.assert_close(ours, getattr(interval, end), atol=1e-9 * scale, rtol=1e-9)


@effort(40)
@given(st.data(), networks(kind="continuous"), st.integers(0, 2**16))
def test_any_op_with_parallel_lines_can_be_projected(data: st.DataObject, model: RandomNetwork, seed: int) -> None:
    """All activations, not only ReLU: with exact norms in place of estimates, the last bound is exact."""
    subject: Subject = data.draw(subjects(model.shape))
    assume(_has_norms(subject.ball) and not isinstance(subject.ball, L2Ball))
    objective = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    dual = model.dual(pipeline(intersect=False))
    _, found = estimated_state(dual, subject.x, subject.ball, Projection(1, where="last"), objective, exactly=True)
    lower = dual.lower_bounds(subject.x, subject.ball, objective)
    assume(bool(lower.isfinite().all()) and float(lower.abs().max()) < 1e6)
    assert found is not None
    torch.testing.assert_close(found.lower, lower, atol=1e-7, rtol=1e-7)


@effort(60)
@given(st.data(), networks(), st.integers(0, 2**16))
def test_a_bound_of_high_probability_holds_at_all_points(data: st.DataObject, model: RandomNetwork, seed: int) -> None:
    """With a failure probability of 1e-9, no sampled point is ever outside, rounding included."""
    subject: Subject = data.draw(subjects(model.shape))
    assume(_has_norms(subject.ball))
    projection = Projection(24, where="both", delta=1e-9)
    dual, x = model.dual(), subject.x
    objective = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    state, found = estimated_state(dual, x, subject.ball, projection, objective, seed=seed, rigorous=True)
    region = subject.ball.at(x)
    generator = torch.Generator().manual_seed(seed)
    points = torch.cat([region.sample(24, generator), region.corners(24, generator)])
    graph = dual.plan.graph
    values = graph.evaluate([points.flatten(0, 1)], dual.environment(dual.compiled(x), x))
    for name, interval in state.intervals.items():
        if values[name].shape[0] == 1:
            continue
        at = values[name].reshape(*points.shape[:2], *graph[name].shape)
        assert not bool((at < interval.lower).any() | (at > interval.upper).any()), name
    outputs = values[graph.outputs[0]].reshape(*points.shape[:2], -1)
    assert found is not None
    assert not bool((outputs @ objective.T < found.lower).any())


@effort(60)
@given(st.data(), networks(), st.integers(1, 12), st.integers(0, 2**16))
def test_estimated_lower_bounds_never_exceed_upper_bounds(
    data: st.DataObject, model: RandomNetwork, dim: int, seed: int
) -> None:
    subject: Subject = data.draw(subjects(model.shape))
    assume(_has_norms(subject.ball))
    state, _ = estimated_state(model.dual(), subject.x, subject.ball, Projection(dim), seed=seed)
    for interval in state.intervals.values():
        assert bool((interval.lower <= interval.upper).all())


@pytest.mark.parametrize("ball", [LinfBall(0.1), LinfBall(0.1, (0.0, 1.0)), L2Ball(0.3)], ids=str)
def test_errors_shrink_with_the_root_of_the_number_of_columns(ball: PerturbationSet) -> None:
    x = torch.rand(2, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dual = autodual.compile_dual(_dense(width=200), x)
    exact, _ = estimated_state(dual, x, ball, Projection(1), exactly=True, skip_decided=False)
    site = dual.plan.sites[1]
    width = exact.intervals[site].radius

    def error(dim: int) -> float:
        errors = []
        for seed in range(6):
            state, _ = estimated_state(dual, x, ball, Projection(dim), seed=seed, skip_decided=False)
            errors.append((state.intervals[site].radius / width - 1).square().mean())
        return float(torch.stack(errors).mean().sqrt())

    ratio = error(50) / error(800)
    assert 2.5 < ratio < 6.5  # 4 in expectation, apart from the cut at interval bounds


@pytest.mark.parametrize("where", ["inner", "last", "both"])
def test_which_bounds_are_estimated(where: str) -> None:
    x = torch.rand(2, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model, ball = _dense(), LinfBall(0.1)
    exact = autodual.compile_dual(model, x)
    estimated = _compiled(model, x, RandomProjection(200, seed=0, where=where))  # type: ignore[arg-type]
    plain, found = exact(x, ball, IDENTITY), estimated(x, ball, IDENTITY)
    assert plain.failure_probability.tolist() == [0.0, 0.0] and found.failure_probability.tolist() == [1.0, 1.0]
    assert not torch.equal(plain.lower, found.lower)
    torch.testing.assert_close(plain.lower, found.lower, atol=0.2, rtol=0.2)
    sites = [dual(x, ball, all_units=True).intervals for dual in (exact, estimated)]
    assert torch.equal(estimated.bounds(x, ball)[exact.plan.sites[1]].lower, sites[0][exact.plan.sites[1]].lower)
    for name in exact.plan.sites:
        same = torch.equal(sites[0][name].lower, sites[1][name].lower)
        # The first site is one affine layer behind a box, where interval arithmetic is exact.
        assert same == (where == "last" or name == exact.plan.sites[0])


def test_linear_functions_are_exact_where_the_last_bound_is_estimated() -> None:
    """A linear lower function comes from rows, so the last bound is not estimated where one is asked for."""
    x = torch.rand(2, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dual = _compiled(_dense(), x, RandomProjection(20, seed=0, where="last"))
    lower, coefficients, offset = dual.lower_bounds(x, LinfBall(0.1), IDENTITY, return_linear=True)
    reached = (coefficients * x.unsqueeze(1)).sum(2) + offset - 0.1 * coefficients.abs().sum(2)
    torch.testing.assert_close(lower, reached)


@pytest.mark.parametrize(
    "passes", [RandomProjection(10, seed=3), HighProbability(0.1, 40, prefer_exact=False)], ids=str
)
@pytest.mark.parametrize("radius", [0.1, torch.tensor([0.02, 0.1, 0.3], dtype=torch.float64)], ids=["one", "several"])
def test_a_sample_has_the_same_bound_alone_and_in_a_batch(
    passes: RandomProjection | HighProbability, radius: Tensor
) -> None:
    x = torch.rand(3, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = _dense()
    together = _compiled(model, x, passes).lower_bounds(x, LinfBall(radius), IDENTITY)
    for sample in range(3):
        own = radius[sample : sample + 1] if isinstance(radius, Tensor) else radius
        alone = _compiled(model, x, passes).lower_bounds(x[sample : sample + 1], LinfBall(own), IDENTITY)
        torch.testing.assert_close(alone[0], together[sample], atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("where", ["inner", "both"])
@pytest.mark.parametrize("delta", [None, 0.1])
def test_bounds_do_not_depend_on_the_memory_budget(where: str, delta: float | None) -> None:
    """Bounds and gradients do not depend on chunks of columns, blocks of units and recomputation in backward."""
    x = torch.rand(3, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model, ball = _dense(), LinfBall(0.1)
    projection = Projection(30, where=where, delta=delta)  # type: ignore[arg-type]
    found = []
    for budget in (1 << 30, 60_000, 20_000):
        model.zero_grad()
        dual = autodual.compile_dual(model, x)
        _, bound = estimated_state(dual, x, ball, projection, IDENTITY, memory_budget=budget)
        assert bound is not None
        bound.lower.square().sum().backward()
        gradients = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
        with torch.no_grad():
            unrecorded, again = estimated_state(dual, x, ball, projection, IDENTITY, memory_budget=budget)
        assert again is not None
        torch.testing.assert_close(again.lower, bound.lower.detach(), atol=1e-11, rtol=1e-11)
        found.append((unrecorded, bound.lower.detach(), torch.cat([gradient.flatten() for gradient in gradients])))
    for other in found[1:]:
        states_agree(found[0][0], other[0])
        torch.testing.assert_close(found[0][1], other[1], atol=1e-10, rtol=1e-10)
        torch.testing.assert_close(found[0][2], other[2], atol=1e-8, rtol=1e-8)


def test_training_draws_anew_at_each_call_and_can_be_repeated() -> None:
    x = torch.rand(2, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model, ball = _dense(), LinfBall(0.1)

    def calls(dual: autodual.DualNetwork) -> list[Tensor]:
        return [dual.lower_bounds(x, ball, IDENTITY) for _ in range(3)]

    seeded = calls(_compiled(model, x, RandomProjection(10, seed=7)))
    again = calls(_compiled(model, x, RandomProjection(10, seed=7)))
    other = calls(_compiled(model, x, RandomProjection(10, seed=8)))
    for place, bound in enumerate(seeded):
        assert torch.equal(bound, again[place]) and not torch.equal(bound, other[place])
        assert not torch.equal(bound, seeded[place - 1])
    free = _compiled(model, x, RandomProjection(10))
    torch.manual_seed(5)
    first = calls(free)
    torch.manual_seed(5)
    second = calls(free)
    assert all(torch.equal(a, b) for a, b in zip(first, second)) and not torch.equal(first[0], first[1])


def test_the_sequence_of_draws_can_be_resumed() -> None:
    """`draws` is all that a resumed training has to restore."""
    x = torch.rand(2, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dual = _compiled(_dense(), x, RandomProjection(10, seed=7))
    dual.lower_bounds(x, LinfBall(0.1), IDENTITY)
    second = dual.lower_bounds(x, LinfBall(0.1), IDENTITY)
    resumed = _compiled(_dense(), x, RandomProjection(10, seed=7))
    resumed.draws = 1
    assert torch.equal(resumed.lower_bounds(x, LinfBall(0.1), IDENTITY), second)


def test_several_inputs_have_norms_of_their_own() -> None:
    """An l∞ ball, an l2 ball and a fixed input need two dual norms: one l1 norm for the first and last, one l2 norm."""
    torch.manual_seed(0)
    shapes = ((4,), (2, 2), (3,))
    x = torch.rand(2, 11, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(11, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 3)).double()
    dual = autodual.compile_dual(model, x)
    ball = ProductSet((LinfBall(0.1), L2Ball(0.2), None), shapes)
    state, found = estimated_state(dual, x, ball, Projection(1, where="both"), IDENTITY, exactly=True)
    projections = state.memories.get(Projections)
    assert projections is not None and len(projections.terms) == 2
    assert found is not None
    torch.testing.assert_close(found.lower, dual.lower_bounds(x, ball, IDENTITY), atol=1e-10, rtol=1e-10)


def test_unsupported_balls_slopes_and_options_are_refused() -> None:
    x = torch.rand(2, 10, dtype=torch.float64)
    dual = _compiled(_dense(), x, RandomProjection(10))
    with pytest.raises(InvalidInputError, match="l1 and l2 norms"):
        dual.lower_bounds(x, L1Ball(0.1), IDENTITY)
    with pytest.raises(InvalidInputError, match="slopes='shared'"):
        dual.lower_bounds(x, LinfBall(0.1), IDENTITY, slopes="adaptive")
    wrong: tuple[Callable[[], object], ...] = (
        lambda: RandomProjection(0),
        lambda: RandomProjection(where="outer"),  # type: ignore[arg-type]
        lambda: HighProbability(0.0),
        lambda: HighProbability(1.0),
        lambda: HighProbability(float("nan")),
    )
    for made in wrong:
        with pytest.raises(InvalidInputError):
            made()


def test_layers_that_are_not_linear_are_bounded_exactly() -> None:
    """A log-softmax is not linear: sites behind it get exact rows, and nothing is estimated."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 8), nn.LogSoftmax(1), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    x = torch.rand(2, 10, dtype=torch.float64)
    plain = autodual.compile_dual(model, x)(x, LinfBall(0.1), IDENTITY)
    found = _compiled(model, x, RandomProjection(10, where="both"))(x, LinfBall(0.1), IDENTITY)
    torch.testing.assert_close(plain.lower, found.lower)
    assert found.failure_probability.tolist() == [0.0, 0.0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_projections_on_a_gpu() -> None:
    x = torch.rand(2, 10, dtype=torch.float64, device="cuda")
    model = _dense().cuda()
    dual = _compiled(model, x, RandomProjection(400, seed=0))
    found = dual.lower_bounds(x, LinfBall(0.1), IDENTITY.cuda())
    found.sum().backward()
    assert found.device.type == "cuda"
    exact = autodual.compile_dual(model, x).lower_bounds(x, LinfBall(0.1), IDENTITY.cuda())
    torch.testing.assert_close(found, exact, atol=0.2, rtol=0.2)
