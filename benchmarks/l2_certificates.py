"""Rigorous l2 certificates of a published network: what balls around clean values are worth, and what they cost.

    OMP_NUM_THREADS=1 python benchmarks/l2_certificates.py --assets FOLDER [--limit 40] [--batch 20]

FOLDER holds `torch/weights/eran_mnist_conv_small.pth` and `torch/images/mnist_eran.npz` of the verification community:
a network of two convolutions and two fully connected layers (of ERAN), and the first 200 MNIST test images. Of the
first images that the network classifies rightly, for each way to bound: how many are certified at l2 0.3 (pixels from 0
to 1, not normalised), the mean of the smallest margins, and CPU seconds an image.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn

import autodual

WAYS: dict[str, dict[str, Any]] = {
    "adaptive slopes": {"slopes": "adaptive"},
    "optimized slopes": {"slopes": "optimized"},
    "adaptive slopes, balls": {"slopes": "adaptive", "balls": True},
    "optimized slopes, balls": {"slopes": "optimized", "balls": True},
    "effort normal": {"effort": "normal"},
}


def network(folder: Path) -> nn.Module:
    """ERAN's ConvSmall."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.Flatten(),
        nn.Linear(800, 100), nn.ReLU(), nn.Linear(100, 10),
    )  # fmt: skip
    model.load_state_dict(torch.load(folder / "torch/weights/eran_mnist_conv_small.pth", weights_only=True))
    return model.eval()


def images(folder: Path, model: nn.Module, limit: int) -> tuple[Tensor, Tensor]:
    """The first images that the model classifies rightly, with their labels."""
    arrays = numpy.load(folder / "torch/images/mnist_eran.npz")
    x, labels = torch.from_numpy(arrays["X"]), torch.from_numpy(arrays["y"])
    with torch.no_grad():
        right = model(x).argmax(1) == labels
    return x[right][:limit], labels[right][:limit]


def show(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--radius", type=float, default=0.3)
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    options = parser.parse_args()
    model = network(options.assets)
    x, labels = images(options.assets, model, options.limit)
    dual, ball = autodual.compile_dual(model, x[:1]), autodual.L2Ball(options.radius)
    show(f"autodual {autodual.__version__}, torch {torch.__version__}, {len(x)} images, batches of {options.batch}\n")
    show("| bounds | certified | mean margin | CPU s an image |\n|---|---|---|---|")
    for name in options.ways:
        start, found = time.process_time(), []
        for some, own in zip(x.split(options.batch), labels.split(options.batch)):
            found += autodual.certify(dual, some, ball, own, **WAYS[name])
        seconds = (time.process_time() - start) / len(x)
        certified = sum(one.status == "certified" for one in found)
        margin = numpy.mean([one.margin for one in found])
        show(f"| {name} | {certified} | {margin:.3f} | {seconds:.3f} |")


if __name__ == "__main__":
    main()
