"""The networks that attacks are compared on, with the images that they classify correctly and the sets around these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from measure import EXAMPLE
from torch import Tensor, nn

import autodual
from autodual.attacks import broken
from autodual.data import load_dataset
from autodual.perturbations import PerturbationSet

PIXELS = (0.0, 1.0)

SETS: dict[str, PerturbationSet] = {
    "linf 0.1": autodual.LinfBall(0.1, PIXELS),
    "linf 0.3": autodual.LinfBall(0.3, PIXELS),
    "linf 0.02": autodual.LinfBall(0.02, PIXELS),
    "linf 2/255": autodual.LinfBall(2 / 255, PIXELS),
    "l2 1.58": autodual.L2Ball(1.58, PIXELS),
    "l2 0.5": autodual.L2Ball(0.5, PIXELS),
    "l2 0.25": autodual.L2Ball(0.25, PIXELS),
    "l1 10": autodual.L1Ball(10.0, PIXELS),
    "l1 3": autodual.L1Ball(3.0, PIXELS),
    "l1 2": autodual.L1Ball(2.0, PIXELS),
}
SETS["union"] = autodual.Union(SETS["linf 0.1"], SETS["l2 1.58"], SETS["l1 10"])

#: Networks of a folder of public reference networks, and of `examples/`, and the sets around their images.
NETWORKS = {
    "mnist_small": ("linf 0.1", "l2 1.58", "l1 10", "union"),
    "mnist_small_0.3": ("linf 0.3", "l2 1.58", "l1 10"),
    "mnist_6x100": ("linf 0.02", "l2 0.5", "l1 3"),
    "cifar_cnn_a": ("linf 2/255", "l2 0.25", "l1 2"),
    "mnist_0.1": ("linf 0.1", "l2 1.58", "l1 10"),
    "mnist_0.3": ("linf 0.3", "l2 1.58", "l1 10"),
    "mnist_wasserstein": ("linf 0.1", "l2 0.5", "l1 3"),
}
_CASCADE, _NORMALISED = "mnist_small_0.3", "cifar_cnn_a"


@dataclass(frozen=True)
class Attacked:
    """A network in evaluation mode, whose weights take no gradients, with images and labels that it gets right."""

    model: nn.Module
    x: Tensor
    labels: Tensor

    def first(self, count: int) -> Attacked:
        """The same with `count` images at most."""
        return Attacked(self.model, self.x[:count], self.labels[:count])


class Normalised(nn.Module):
    """A network behind the shift and scale of its inputs."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: nn.Module, mean: Tensor, deviation: Tensor):
        super().__init__()
        self.model = model
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, x: Tensor) -> Tensor:
        return self.model((x - self.mean) / self.deviation)


def attacked(folder: Path, name: str) -> Attacked:
    """One of `NETWORKS`, with those of the first MNIST test images that it classifies correctly.

    The network for CIFAR-10 comes with the fifty images whose bounds the folder of reference networks holds.
    """
    if name == _NORMALISED:
        with numpy.load(folder / "linear_relaxation" / "cifar_cnn_a_eps2_255_clipped.npz") as stored:
            x, labels, mean, deviation = (torch.from_numpy(stored[key]) for key in ("x", "labels", "mean", "std"))
        model: nn.Module = Normalised(_loaded(folder / f"{name}.pt"), mean.float(), deviation.float())
    else:
        data, model = load_dataset("sample"), _mnist(folder, name)
        x, labels = data.x.float(), data.y
    model = model.float().eval().requires_grad_(False)
    right = (~broken(model, autodual.LinfBall(0.0).at(x), labels, None)).nonzero().squeeze(1)
    return Attacked(model, x[right], labels[right])


def _mnist(folder: Path, name: str) -> nn.Module:
    if name == _CASCADE:
        stored = torch.load(folder / f"{name}_cascade.pth", map_location="cpu", weights_only=True)["state_dict"][0]
        model = _loaded(folder / "mnist_small.pt")
        model.load_state_dict(dict(zip(model.state_dict(), stored.values(), strict=True)))
        return model
    place = folder / f"{name}.pt"
    return _loaded(place if place.exists() else EXAMPLE.parent / f"{name}.pt")


def _loaded(path: Path) -> nn.Module:
    model = autodual.load_model(path)
    return getattr(model, "module", model)
