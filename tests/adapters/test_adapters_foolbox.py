"""Adapters to and from Foolbox: with small stand-ins, and with the package itself where it is installed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.adapters import FoolboxAttack, from_foolbox, from_foolbox_model
from autodual.adapters import foolbox as adapter
from autodual.attacks import Apgd, Attack, Pgd, broken
from autodual.errors import InvalidInputError
from autodual.specs import ClassMargin

X = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 4)).eval().requires_grad_(False)


MODEL = network()
LABELS = MODEL(X).argmax(1)


class Model:
    """Stands for a Foolbox model: callable on plain and wrapped tensors, with bounds."""

    bounds = (0.0, 1.0)

    def __call__(self, x):
        return Wrapped(MODEL(x.raw)) if isinstance(x, Wrapped) else MODEL(x)


class Wrapped:
    """Stands for a tensor of eagerpy."""

    def __init__(self, raw: Tensor):
        self.raw = raw


def test_our_attack_called_as_a_foolbox_attack_finds_the_same_points() -> None:
    attack = FoolboxAttack(Pgd(10))
    raw, clipped, hits = attack(Model(), X, LABELS, epsilons=0.2)
    ball = autodual.LinfBall(0.2, domain=(0, 1))
    assert torch.equal(hits, broken(MODEL, ball.at(X), LABELS, Pgd(10)))
    assert torch.equal(raw, clipped) and ball.at(X).contains(raw).all()
    assert torch.equal(hits, MODEL(raw).argmax(1) != LABELS)
    assert torch.equal(attack.run(Model(), X, LABELS, epsilon=0.2), raw)


def test_several_radii_give_lists() -> None:
    raw, clipped, hits = FoolboxAttack(Pgd(10), autodual.L2Ball)(Model(), X, LABELS, epsilons=[0.1, 0.5, 2.0])
    assert len(raw) == len(clipped) == 3 and hits.shape == (3, 12)
    for radius, points in zip((0.1, 0.5, 2.0), raw):
        assert autodual.L2Ball(radius, domain=(0, 1)).at(X).contains(points).all()
    assert hits.sum(1).tolist() == sorted(hits.sum(1).tolist())


def test_wrapped_tensors_give_wrapped_results() -> None:
    plain = FoolboxAttack(Pgd(5))(Model(), X, LABELS, epsilons=[0.2])
    raw, _, hits = FoolboxAttack(Pgd(5))(Model(), Wrapped(X), Wrapped(LABELS), epsilons=[0.2])
    assert isinstance(raw[0], Wrapped) and isinstance(hits, Wrapped)
    assert torch.equal(raw[0].raw, plain[0][0]) and torch.equal(hits.raw, plain[2])


def test_criteria_about_classes_are_understood() -> None:
    attack, targets = FoolboxAttack(Pgd(20)), (LABELS + 1) % 4
    labels = attack(Model(), X, SimpleNamespace(labels=LABELS), epsilons=0.2)
    assert torch.equal(labels[0], attack(Model(), X, LABELS, epsilons=0.2)[0])
    raw, _, hits = attack(Model(), X, SimpleNamespace(target_classes=Wrapped(targets)), epsilons=0.6)
    assert torch.equal(hits, MODEL(raw).argmax(1) == targets)
    assert hits.float().mean() > 0.7
    with pytest.raises(InvalidInputError, match="not a function"):
        attack(Model(), X, lambda perturbed, outputs: outputs, epsilons=0.1)


def test_repetitions_keep_the_first_success() -> None:
    once = FoolboxAttack(Apgd(3, objective="margin"))
    hits = [attack(Model(), X, LABELS, epsilons=0.12)[2] for attack in (once, once.repeat(2).repeat(2))]
    assert (hits[1] >= hits[0]).all()
    assert once.repeat(2).repeat(2).times == 4
    with pytest.raises(InvalidInputError, match="once or more"):
        once.repeat(0)


def test_missing_radii_and_samples_outside_the_bounds_are_refused() -> None:
    attack = FoolboxAttack(Pgd(5))
    with pytest.raises(InvalidInputError, match="must be radii"):
        attack(Model(), X, LABELS, epsilons=[0.1, None])
    with pytest.raises(InvalidInputError, match="within the model's bounds, 0 to 1"):
        attack(Model(), 2 * X, LABELS, epsilons=0.1)


class Theirs:
    """Stands for a Foolbox attack, with the norm of its distance; its points lie outside the ball."""

    def __init__(self, order: float):
        self.distance = SimpleNamespace(p=order)

    def __call__(self, model, inputs, criterion, *, epsilons):
        points = inputs.clone().requires_grad_()
        loss = nn.functional.cross_entropy(model(points), criterion)
        found = inputs + 3 * epsilons * torch.autograd.grad(loss, points)[0].sign()
        lower, upper = model.bounds
        return found, found.clip(lower, upper), model(found).argmax(1) != criterion


class PackageModel:
    def __init__(self, module: nn.Module, bounds: tuple[float, float], device: torch.device):
        assert not module.training
        self.bounds, self.module = bounds, module

    def __call__(self, x: Tensor) -> Tensor:
        return self.module(x)


def test_points_of_a_foolbox_attack_are_projected_into_the_set(monkeypatch) -> None:
    monkeypatch.setattr(adapter, "required", lambda *names: SimpleNamespace(PyTorchModel=PackageModel))
    for ball, order in ((autodual.LinfBall(0.2, domain=(0, 1)), torch.inf), (autodual.L2Ball(0.5), 2)):
        region = ball.at(X)
        points = from_foolbox(Theirs(order)).run(MODEL, region, ClassMargin(LABELS))
        assert region.contains(points).all()
        assert not torch.equal(points, X)

    with pytest.raises(InvalidInputError, match="linf norms, but the set is another: l2 ball"):
        from_foolbox(Theirs(torch.inf)).run(MODEL, autodual.L2Ball(0.5).at(X), ClassMargin(LABELS))


class Minimising:
    """Stands for an attack of Foolbox that looks for the smallest change, by a distance that it may not know."""

    def __init__(self, order: float | None):
        self.order, self.stops = order, []

    @property
    def distance(self):
        if self.order is None:
            raise ValueError("unknown distance, please pass one")
        return SimpleNamespace(p=self.order)

    def __call__(self, model, inputs, criterion, *, epsilons):
        raise AssertionError("it cannot say which of its points are near enough")

    def run(self, model, inputs, criterion, *, early_stop=None, **options):
        self.stops.append(early_stop)
        _, found, _ = Theirs(torch.inf)(model, inputs, criterion, epsilons=0.1)
        return found


@pytest.mark.parametrize("order", [None, 2, 1])
def test_attacks_that_take_no_radius_search_balls_of_any_norm(order: float | None, monkeypatch) -> None:
    monkeypatch.setattr(adapter, "required", lambda *names: SimpleNamespace(PyTorchModel=PackageModel))
    attack, region = Minimising(order), autodual.L1Ball(2.0, domain=(0, 1)).at(X)
    points = from_foolbox(attack).run(MODEL, region, ClassMargin(LABELS))
    assert region.contains(points).all() and not torch.equal(points, X)
    assert attack.stops == [2.0 if order == 1 else None]


def test_foolbox_models_get_the_range_of_the_set_as_bounds(monkeypatch) -> None:
    seen = []

    class Telling(PackageModel):
        def __init__(self, module, bounds, device):
            seen.append(bounds)
            super().__init__(module, bounds, device)

    monkeypatch.setattr(adapter, "required", lambda *names: SimpleNamespace(PyTorchModel=Telling))
    from_foolbox(Theirs(torch.inf)).run(MODEL, autodual.LinfBall(0.3, domain=(0, 1)).at(X), ClassMargin(LABELS))
    from_foolbox(Theirs(torch.inf)).run(MODEL, autodual.LinfBall(0.5).at(X), ClassMargin(LABELS))
    least, most = float(X.min()), float(X.max())
    assert seen[0] == pytest.approx((max(least - 0.3, 0), min(most + 0.3, 1)))
    assert seen[1] == pytest.approx((least - 0.5, most + 0.5))


def test_a_missing_package_is_named(monkeypatch) -> None:
    monkeypatch.setattr("autodual.adapters.packages.find_spec", lambda name: None)
    with pytest.raises(InvalidInputError, match="needs the package foolbox; install it with pip install foolbox"):
        from_foolbox(Theirs(torch.inf)).run(MODEL, autodual.LinfBall(0.5).at(X), ClassMargin(LABELS))


def made_like_theirs(module: nn.Module, mean: float, std: float) -> SimpleNamespace:
    """A stand-in that holds its module and its preprocessing as a PyTorchModel does."""
    model = module

    def inner(x: Tensor) -> Tensor:
        return model(x)

    arguments = Wrapped(torch.tensor(mean)), Wrapped(torch.tensor(std)), -1
    return SimpleNamespace(_model=inner, bounds=(0.0, 1.0), _preprocess_args=arguments)


def test_a_model_gives_its_network_with_its_preprocessing() -> None:
    model = made_like_theirs(MODEL, 0.3, 0.5)
    expected = MODEL((X.flip(-1) - 0.3) / 0.5)
    assert torch.allclose(from_foolbox_model(model)(X), expected)
    transformed = SimpleNamespace(_model=model, bounds=(0.0, 255.0))
    assert torch.allclose(from_foolbox_model(transformed)(255 * X), expected, atol=1e-5)


def test_other_models_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="takes a PyTorchModel of Foolbox, not a Linear"):
        from_foolbox_model(nn.Linear(2, 2))
    hidden = SimpleNamespace(_model=lambda x: x, bounds=(0, 1))
    with pytest.raises(InvalidInputError, match="pass module="):
        from_foolbox_model(hidden)


def test_foolbox_attacks_find_the_same_through_the_adapter() -> None:
    foolbox = pytest.importorskip("foolbox")
    model, ball = foolbox.PyTorchModel(MODEL, (0, 1)), autodual.LinfBall(0.2, domain=(0, 1))
    theirs = foolbox.attacks.LinfPGD(steps=10, random_start=False)
    alone = theirs(model, X, LABELS, epsilons=0.2)[2]
    assert torch.equal(broken(MODEL, ball.at(X), LABELS, from_foolbox(theirs)), alone)
    assert alone.any() and not alone.all()
    criterion = foolbox.criteria.TargetedMisclassification((LABELS + 1) % 4)
    assert FoolboxAttack(Pgd(20))(model, X, criterion, epsilons=0.6)[2].any()


@pytest.mark.parametrize("wrapper", [None, True, False])
def test_models_of_the_package_can_be_compiled(wrapper: bool | None) -> None:
    foolbox = pytest.importorskip("foolbox")
    preprocessing = {"mean": [0.3], "std": [0.5], "axis": -3, "flip_axis": -1}
    model = foolbox.PyTorchModel(MODEL, (0, 1), preprocessing=preprocessing)
    scale = 1.0
    if wrapper is not None:
        model, scale = model.transform_bounds((-5, 5), wrapper=wrapper), 10.0
    x = scale * X - (0 if wrapper is None else 5)
    found = from_foolbox_model(model)
    assert torch.allclose(found(x), model(x), atol=1e-5)
    ball = autodual.LinfBall(0.01 * scale, domain=tuple(model.bounds))
    certificates = autodual.certify(autodual.compile_dual(found), x, ball, model(x).argmax(1))
    plain = autodual.certify(
        autodual.compile_dual(nn.Sequential(_Prepared(), MODEL)), X, autodual.LinfBall(0.01, (0, 1)), model(x).argmax(1)
    )
    margins, expected = ([one.margin for one in each] for each in (certificates, plain))
    assert margins == pytest.approx(expected, abs=1e-4)
    assert from_foolbox_model(foolbox.PyTorchModel(MODEL, (0, 1))) is MODEL


class _Prepared(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x.flip(-1) - 0.3) / 0.5


def test_points_outside_the_set_are_neither_returned_nor_adversarial() -> None:
    class Astray(Attack):
        def run(self, function, region, specification, generator=None):
            return region.centre.flip(0)

    points, _, hits = FoolboxAttack(Astray())(Model(), X, LABELS, epsilons=0.01)
    assert torch.equal(points, X) and not hits.any()
    assert (MODEL(X.flip(0)).argmax(1) != LABELS).any()
