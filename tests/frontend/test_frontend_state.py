"""Tracing uses inference semantics and leaves the model, its gradients and the random state exactly as found."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from autodual.errors import TraceError
from autodual.frontend import trace

torch.set_num_threads(1)


class Stateful(nn.Module):
    """Changes its own state in every way that a forward can."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear, self.dropout = nn.BatchNorm1d(4), nn.Linear(4, 4), nn.Dropout(0.5)
        self.seen: list[Tensor] = []
        self.table: dict[str, Tensor] = {}
        self.calls = 0
        self.scratch = torch.ones(4)
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.last = x
        self.seen.append(x)
        self.table["x"] = x
        self.scratch = self.scratch + 1
        torch.rand(3)
        if self.fails and x.sum() > 0:
            return x
        return self.dropout(self.linear(self.norm(x)))


def snapshot(model: nn.Module) -> dict[str, object]:
    return {
        "modes": [module.training for module in model.modules()],
        "state": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "identity": [id(tensor) for tensor in (*model.parameters(), *model.buffers())],
        "requires": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "hooks": [list(module._forward_hooks) for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
    }


def assert_unchanged(before: dict[str, object], model: nn.Module) -> None:
    after = snapshot(model)
    for key, value in before.items():
        if key == "state":
            assert all(torch.equal(after[key][name], tensor) for name, tensor in value.items())  # type: ignore[index]
        elif key == "gradients":
            assert str(after[key]) == str(value)
        else:
            assert after[key] == value, key


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_found(fails: bool) -> None:
    model = Stateful()
    model.train()
    model.norm.eval()
    model.linear.bias.requires_grad_(False)
    model(torch.randn(3, 4)).sum().backward()
    model.linear.register_forward_hook(lambda module, inputs, output: output)
    model.fails = fails
    scratch, calls, seen = model.scratch, model.calls, list(model.seen)
    before, random = snapshot(model), torch.get_rng_state()
    if fails:
        with pytest.raises(TraceError):
            trace(model, torch.randn(2, 4, generator=torch.Generator().manual_seed(0)))
    else:
        trace(model, torch.randn(2, 4, generator=torch.Generator().manual_seed(0)))
    assert_unchanged(before, model)
    assert torch.equal(torch.get_rng_state(), random)
    assert model.scratch is scratch and model.calls == calls and torch.equal(scratch, torch.full((4,), 2.0))
    assert len(model.seen) == 1 and model.seen[0] is seen[0] and model.table["x"] is seen[0]
    assert torch.is_grad_enabled()


def test_training_mode_traces_the_same_graph_as_evaluation_mode() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.ReLU(inplace=True))
    model[1].running_mean.uniform_()
    graphs = [[node.op.kind for node in trace(model.train(mode), torch.randn(1, 4)).graph] for mode in (True, False)]
    assert graphs[0] == graphs[1] == ["input", "linear", "elementwise_affine", "relu"]


def test_an_overridden_train_method_is_not_called() -> None:
    class Merging(nn.Linear):
        def train(self, mode: bool = True) -> Merging:
            raise AssertionError("merges its weights")

    trace(Merging(2, 2), torch.randn(1, 2))


def test_a_hook_that_changes_the_output_is_part_of_the_network() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].register_forward_hook(lambda module, inputs, output: output.relu() * 2)
    kinds = [node.op.kind for node in trace(model, torch.randn(1, 4)).graph]
    assert kinds == ["input", "linear", "relu", "elementwise_affine"]


def test_weights_that_hooks_recompute_follow_their_parameters() -> None:
    with pytest.warns(FutureWarning):
        model = nn.utils.weight_norm(nn.Linear(4, 3))
    traced = trace(model, torch.randn(1, 4))
    assert traced.names == ("bias", "weight_g", "weight_v")
    assert isinstance(model.weight, Tensor) and model.weight.dtype == torch.float32


def test_parameters_stay_live_and_names_resolve_through_copies() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False))
    traced = trace(model, torch.randn(1, 2))
    assert traced.lookup(model)("0.weight") is model[0].weight
    other = copy.deepcopy(model)
    assert traced.lookup(other)("0.weight") is other[0].weight
    assert traced.constants == {}
