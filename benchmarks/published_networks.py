"""Published networks whose weights lie in files of their own, and what their authors' tools verify of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


def mnist_cnn_a() -> nn.Module:
    """CNN-A for MNIST."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip


def cifar_cnn_a() -> nn.Module:
    """CNN-A for CIFAR-10."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(2048, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip


def mnist_conv_small() -> nn.Module:
    """ERAN's ConvSmall for MNIST."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, 2), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(),
        nn.Flatten(), nn.Linear(800, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip


def mnist_6_100() -> nn.Module:
    """ERAN's fully connected network of six layers for MNIST."""
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(784, 100), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Linear(100, 100), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(100, 10))


@dataclass(frozen=True)
class Published:
    """A network, the set it is examined over, its files, and published figures in per cent of 200 images.

    verified: by tool. upper: the share that no published attack breaks.
    """

    factory: str
    weights: str
    images: str
    norm: str
    eps: str
    mean: str | None = None
    std: str | None = None
    verified: tuple[tuple[str, float], ...] = ()
    upper: float | None = None


NETWORKS = {
    "CNN-A-Adv MNIST, l∞ 0.3": Published(
        "mnist_cnn_a", "sdp_mnist_cnn_a_adv.pth", "mnist_sdp.npz", "linf", "0.3",
        verified=(("β-CROWN", 71.0),), upper=76.5,
    ),
    "CNN-A-Adv CIFAR-10, l∞ 2/255": Published(
        "cifar_cnn_a", "sdp_cifar_cnn_a_adv.pth", "cifar_sdp.npz", "linf", "2/255",
        "0.4913725490196078,0.4823529411764706,0.4466666666666667",
        "0.24705882352941178,0.24352941176470588,0.2615686274509804",
        verified=(("β-CROWN", 45.5),), upper=50.0,
    ),
    "ERAN 6x100 MNIST, l∞ 0.026": Published(
        "mnist_6_100", "eran_mnist_6_100.pth", "mnist_eran.npz", "linf", "0.026",
    ),
    "ERAN ConvSmall MNIST, l2 0.3": Published(
        "mnist_conv_small", "eran_mnist_conv_small.pth", "mnist_eran.npz", "l2", "0.3", "0.1307", "0.3081",
        verified=(("the best of l2", 81.5), ("β-CROWN", 16.0)), upper=84.5,
    ),
}  # fmt: skip
