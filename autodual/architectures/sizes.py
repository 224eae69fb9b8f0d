"""How large networks are: hidden units and parameters, as measured here and as the thesis prints them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from autodual.architectures.build import build_architecture

MNIST, CIFAR10 = (1, 28, 28), (3, 32, 32)


@dataclass(frozen=True)
class NetworkSize:
    """The size of a network.

    units: outputs of all its ReLUs for one sample. parameters: numbers that training changes.
    """

    units: int
    parameters: int


@dataclass(frozen=True)
class PrintedSize:
    """The size of a network as the thesis prints it, and a remark where it is a misprint."""

    size: NetworkSize
    remark: str = ""


#: Table 3.4, by architecture and shape of a sample. No other table of the thesis prints sizes.
PRINTED_SIZES: dict[tuple[str, tuple[int, ...]], PrintedSize] = {
    ("small", MNIST): PrintedSize(NetworkSize(4_804, 166_406)),
    ("small", CIFAR10): PrintedSize(NetworkSize(6_244, 214_918)),
    ("large", MNIST): PrintedSize(
        NetworkSize(28_064, 1_974_762), "misprint: a network of so many parameters has 48,064"
    ),
    ("large", CIFAR10): PrintedSize(NetworkSize(62_464, 2_466_858)),
    ("resnet", MNIST): PrintedSize(NetworkSize(82_536, 3_254_562)),
    ("resnet", CIFAR10): PrintedSize(NetworkSize(107_496, 4_214_850)),
}


def architecture_size(name: str, shape: Sequence[int], classes: int = 10, *, batch_norm: bool = False) -> NetworkSize:
    """The size of an architecture, without allocating its weights.

    Args:
        name: one of `ARCHITECTURES`, such as `small` or `wide:4`.
        shape: of one sample.
        classes: the number of outputs.
        batch_norm: as in `build_architecture`.

    Raises:
        InvalidInputError: as `build_architecture`.

    Example:
        >>> from autodual.architectures import architecture_size
        >>> architecture_size("small", (1, 28, 28))
        NetworkSize(units=4804, parameters=166406)
    """
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns that nothing is initialised
        return network_size(build_architecture(name, shape, classes, batch_norm=batch_norm), shape)


def network_size(network: nn.Module, shape: Sequence[int]) -> NetworkSize:
    """The size of a network made of modules; ReLUs that are no modules are not counted.

    Args:
        network: is put into evaluation mode.
        shape: of one sample.

    Example:
        >>> import torch
        >>> from autodual.architectures import network_size
        >>> network_size(torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2)), (3,))
        NetworkSize(units=5, parameters=32)
    """
    parameters = list(network.parameters())
    counts: list[int] = []
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: counts.append(output.numel()))
        for module in network.modules()
        if isinstance(module, nn.ReLU)
    ]
    like = parameters[0] if parameters else torch.zeros(())
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *shape, dtype=like.dtype, device=like.device))
    finally:
        for hook in hooks:
            hook.remove()
    return NetworkSize(sum(counts), sum(value.numel() for value in parameters))
