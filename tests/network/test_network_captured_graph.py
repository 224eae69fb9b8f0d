"""Captured functions compute what they compute when called: bounds, losses, gradients and updated statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import autodual

INTERVALS = {"inner": "interval", "last": "interval"}
LABELS, RADIUS = torch.arange(6) % 3, torch.tensor(0.05)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(x + torch.tanh(self.second(self.first(x).relu())))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(3, 6), nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, x, z):
        return self.last(self.one(x).relu() * self.two(z).sigmoid())


def _convolutional() -> nn.Module:
    return nn.Sequential(
        *(nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)),
    )


BUILDS = {
    "dense": lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)),
    "convolutional": _convolutional,
    "residual": Residual,
    "two inputs": lambda: autodual.JoinedInputs(TwoInputs(), [(3,), (5,)]),
}


def _case(build, training: bool):
    """A model, its dual network, samples, and a step on interval bounds that takes gradients."""
    torch.manual_seed(0)
    model, x = BUILDS[build](), torch.rand(6, 8)
    dual = autodual.compile_dual(model.eval(), x)
    model.train(training)

    def step(x, labels, radius):
        loss = autodual.robust_loss(dual, x, labels, autodual.LinfBall(radius), **INTERVALS)
        return loss, torch.autograd.grad(loss, list(model.parameters()))

    return model, dual, x, step


@pytest.mark.parametrize(
    ("build", "training"), [("dense", True), ("convolutional", True), ("residual", False), ("two inputs", False)]
)
def test_a_captured_step_is_the_step(build, training):
    model, dual, x, step = _case(build, training)
    graph = autodual.capture(step, dual, x, LABELS, RADIUS)
    before = copy.deepcopy(model.state_dict())
    for factor in (1.0, 2.0):  # neither the radius nor weights nor statistics are constants of the graph
        arguments = x.flip(0) * factor, LABELS.flip(0), RADIUS * factor
        expected = step(*arguments)
        after = copy.deepcopy(model.state_dict())
        model.load_state_dict(before)
        torch.testing.assert_close(graph(*arguments), expected)
        torch.testing.assert_close(model.state_dict(), after)
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), expected[1], strict=True):
                parameter -= 0.1 * gradient
        before = copy.deepcopy(model.state_dict())


def test_a_compiler_takes_a_captured_step_whole():
    model, dual, x, step = _case("convolutional", training=True)
    graph = autodual.capture(step, dual, x, LABELS, RADIUS)
    before = copy.deepcopy(model.state_dict())
    expected = step(x, LABELS, RADIUS)
    model.load_state_dict(before)
    found = torch.compile(graph, fullgraph=True, backend="aot_eager")(x, LABELS, RADIUS)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "ball",
    [
        lambda radius: autodual.LinfBall(radius, (0.0, 1.0)),
        lambda radius: autodual.LinfBall(radius.expand(6)),
        lambda radius: autodual.LinfBall(radius * torch.ones(1, 8)),
        lambda radius: autodual.Box(-radius, torch.ones(8)),
        autodual.L2Ball,
        autodual.L1Ball,
        lambda radius: autodual.L2Ball(radius, (0.0, 1.0)),
    ],
)
def test_captured_bounds_over_any_set_are_the_bounds(ball):
    _, dual, x, _ = _case("residual", training=False)

    def bounds(x, radius):
        return dual.lower_bounds(x, ball(radius), torch.eye(3), **INTERVALS)

    graph = autodual.capture(bounds, dual, x, RADIUS)
    torch.testing.assert_close(graph(x, 2 * RADIUS), bounds(x, 2 * RADIUS).detach())


def test_numbers_that_one_was_expanded_to_may_differ_later():
    _, dual, x, _ = _case("dense", training=False)

    def margins(x, labels, radius):
        return dual.margins(x, labels, autodual.LinfBall(radius), **INTERVALS)

    graph = autodual.capture(margins, dual, x[:1].expand(6, 8), LABELS, RADIUS.expand(6))
    radii = torch.linspace(0.0, 0.3, 6)
    torch.testing.assert_close(graph(x, LABELS, radii), margins(x, LABELS, radii).detach())
    torch.testing.assert_close(graph(x.T.contiguous().T, LABELS, radii), margins(x, LABELS, radii).detach())


def test_nothing_is_left_behind_by_a_capture():
    _, dual, x, step = _case("convolutional", training=True)
    before = copy.deepcopy(dual.model.state_dict())
    autodual.capture(step, dual, x, LABELS, RADIUS)
    torch.testing.assert_close(dual.model.state_dict(), before)
    assert torch.isfinite(step(x, LABELS, RADIUS)[0])
    with pytest.raises(autodual.errors.InvalidInputError, match="NaN"):
        step(x * torch.nan, LABELS, RADIUS)


@pytest.mark.parametrize("fault", ["a sample", "the radius", "the domain", "nothing"])
def test_sets_that_are_none_get_no_bounds(fault):
    """Outside a graph these are errors; inside one, no number may be taken for a bound."""
    _, dual, x, _ = _case("dense", training=False)

    def bounds(x, radius, top):
        ball = autodual.LinfBall(radius, domain=(0.0, top))
        found = dual.lower_bounds(x, ball, torch.eye(3), **INTERVALS)
        return {"bounds": found, "labels": LABELS + 0, "proved": found > -1e9}

    top = torch.tensor(1.0)
    graph = autodual.capture(bounds, dual, x, RADIUS, top)
    given = {"x": x.clone(), "radius": RADIUS.clone(), "top": top.clone()}
    if fault == "a sample":
        given["x"][2, 3] = torch.nan
    elif fault == "the radius":
        given["radius"] = -RADIUS
    elif fault == "the domain":
        given["top"] = torch.tensor(-1.0)
    found = graph(*given.values())
    assert torch.equal(found["labels"], LABELS)
    assert found["bounds"].isnan().all() == (fault != "nothing")
    assert found["proved"].all() if fault == "nothing" else not found["proved"].any()
    if fault == "nothing":
        assert torch.allclose(found["bounds"], bounds(**given)["bounds"], equal_nan=True)


def test_what_needs_values_is_refused_with_its_place():
    _, dual, x, _ = _case("residual", training=False)
    ball = autodual.LinfBall(0.1)
    place = r"test_network_captured_graph\.py:\d+"
    words = rf"refinement\.py:\d+ asks for values of tensors, called from {place}; capture bounds with"
    with pytest.raises(autodual.errors.CaptureError, match=words):
        autodual.capture(lambda x: dual.margins(x, LABELS, ball, slopes="adaptive"), dual, x)
    for asks in (lambda x: x[x > 0], lambda x: x if x.sum() > 0 else -x, lambda x: torch.from_numpy(2 * x.numpy())):
        with pytest.raises(autodual.errors.CaptureError, match=f"{place} asks for values of tensors; use operations"):
            autodual.capture(asks, dual, x)
    for asks in (
        lambda x: autodual.certify(dual, x, ball),
        lambda x: autodual.certified_radius(dual, x, autodual.LinfBall),
        lambda x: autodual.detect(dual, x, ball),
    ):
        with pytest.raises(autodual.errors.CaptureError, match=r"call this outside of autodual\.capture"):
            autodual.capture(asks, dual, x)
    with pytest.raises(autodual.errors.CaptureError, match="not traced for samples of the shape"):
        untraced = autodual.compile_dual(nn.Linear(8, 3))
        autodual.capture(lambda x: untraced.margins(x, LABELS, ball), untraced, x)


def test_a_graph_refuses_what_it_was_not_captured_for():
    model, dual, x, step = _case("dense", training=True)
    graph = autodual.capture(step, dual, x, LABELS, RADIUS)
    with pytest.raises(autodual.errors.CaptureError, match=r"a tensor \[6, 8\] .* but got \[5, 8\]"):
        graph(x[:5], LABELS[:5], RADIUS)
    with pytest.raises(autodual.errors.CaptureError, match=r"float32 on cpu, but got .*float64"):
        graph(x.double(), LABELS, RADIUS)
    with pytest.raises(autodual.errors.CaptureError, match="takes 3 tensors, not 2"):
        graph(x, LABELS)
    with pytest.raises(autodual.errors.CaptureError, match="take tensors, but argument 3 is a float"):
        graph(x, LABELS, 0.05)
    with pytest.raises(autodual.errors.CaptureError, match="take tensors, but argument 1 is a ndarray"):
        autodual.capture(lambda x: x, dual, x.numpy())
    model.eval()
    with pytest.raises(autodual.errors.CaptureError, match=r"train\(\) mode"):
        graph(x, LABELS, RADIUS)
    model.train()[1] = nn.Tanh()
    with pytest.raises(autodual.errors.CaptureError, match="other modules than when the graph was captured"):
        graph(x, LABELS, RADIUS)
    model[1] = nn.ReLU()
    model[0].double()
    with pytest.raises(autodual.errors.CaptureError, match=r"for '0.weight' \[8, 8\] of torch.float32"):
        graph(x, LABELS, RADIUS)
    model[0].float()
    model.register_buffer("more", torch.zeros(1))
    with pytest.raises(autodual.errors.CaptureError, match="has gained or lost 'more'"):
        graph(x, LABELS, RADIUS)


def test_tensors_of_the_model_are_known_by_their_names():
    """Not by their order, which changes where a module is taken out and put in again."""
    model, dual, x, _ = _case("residual", training=False)

    def margins(x):
        return dual.margins(x, LABELS, autodual.LinfBall(0.1), **INTERVALS)

    graph = autodual.capture(margins, dual, x)
    first = model.first
    del model.first
    model.first = first
    assert [name for name, _ in model.named_modules()][1:] == ["second", "last", "first"]
    torch.testing.assert_close(graph(x), margins(x))


def test_dropout_is_drawn_anew_at_each_call():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(8, 64), nn.Dropout(), nn.ReLU(), nn.Linear(64, 3)), torch.rand(6, 8)
    dual = autodual.compile_dual(model.eval(), x)
    model.train()
    loss = autodual.train.losses.IntervalBound(kappa=0.5)

    def step(x, labels):
        return loss(dual, x, labels, autodual.LinfBall(0.1))

    with pytest.warns(UserWarning, match="'1'"):
        graph = autodual.capture(step, dual, x, LABELS)
    assert graph(x, LABELS) != graph(x, LABELS)
