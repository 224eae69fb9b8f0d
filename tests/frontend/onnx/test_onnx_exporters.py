"""Networks that PyTorch's two exporters write load, compute what the module computes, and are certified.

The current exporter (`dynamo=True`) keeps weights in a file beside the model, even those of a tiny network.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import autodual
from autodual.errors import InvalidInputError

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

IMAGE, ROW, SEQUENCE = (1, 6, 6), (8,), (5, 4)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())

    def forward(self, x):
        return functional.relu(x + self.inner(x))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.scores = nn.Linear(16, 3)

    def forward(self, x):
        h = self.embed(x)
        return self.scores(self.attention(h, h, h, need_weights=False)[0].mean(1))


class Encoder(nn.Module):
    """A U-shaped network: down, up, and a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.low = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1)
        self.up, self.last = nn.ConvTranspose2d(4, 2, 2, stride=2), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        high = functional.relu(self.first(x))
        low = functional.relu(self.low(functional.max_pool2d(high, 2)))
        return self.last(torch.cat([high, self.up(low)], 1)).mean((2, 3))


class Products(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.weight = nn.Linear(8, 8), nn.Parameter(torch.randn(2, 4, 3))

    def forward(self, x):
        return torch.einsum("bhd,hdk->bk", self.inner(x).view(-1, 2, 4), self.weight)


class Softened(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 6)

    def forward(self, x):
        a, b = self.inner(x).chunk(2, -1)
        return functional.softmax(a * torch.sigmoid(b) + functional.normalize(a, dim=-1), -1)


def head(*layers: nn.Module, features: int) -> nn.Sequential:
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 3))


NETWORKS = {
    "mlp": (nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)), ROW),
    "smooth": (nn.Sequential(nn.Linear(8, 6), nn.GELU(), nn.Linear(6, 6), nn.SiLU(), nn.Linear(6, 3)), ROW),
    "cnn": (head(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), features=8), IMAGE),
    "resnet": (head(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), Residual(), nn.AdaptiveAvgPool2d(1), features=3), IMAGE),
    "norms": (head(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.LayerNorm([4, 4, 4]), features=64), IMAGE),
    "pooling": (head(nn.AvgPool2d(2), nn.MaxPool2d(2, stride=1, padding=1), features=16), IMAGE),
    "transposed": (head(nn.ConvTranspose2d(1, 2, 3, stride=2), nn.ReLU(), features=338), IMAGE),
    "u-net": (Encoder(), IMAGE),
    "attention": (Attention(), SEQUENCE),
    "einsum": (Products(), ROW),
    "softmax": (Softened(), ROW),
}


def export(network: nn.Module, x: torch.Tensor, path: Path, *, dynamo: bool, open_batch: bool) -> None:
    options: dict[str, object] = {}
    if open_batch and dynamo:
        options["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif open_batch:
        options |= {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
    if dynamo:
        options["verbose"] = False
    torch.onnx.export(network, (x,), path, dynamo=dynamo, **options)  # type: ignore[arg-type]


QUICK = {"u-net", "attention"}
"""The current exporter takes a second or more for each network, so the others are exported with -m slow."""
CASES = [
    pytest.param(name, dynamo, id=f"{name}-{'dynamo' if dynamo else 'script'}", marks=marks)
    for name in NETWORKS
    for dynamo, marks in ((False, ()), (True, () if name in QUICK else pytest.mark.slow))
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, dynamo", CASES)
def test_exported_networks_are_certified(name: str, dynamo: bool, tmp_path: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    torch.manual_seed(0)
    network, shape = NETWORKS[name]
    network.eval()
    path = tmp_path / "model.onnx"
    open_batch = len(name) % 2 == 0
    export(network, torch.rand(2 if open_batch else 1, *shape), path, dynamo=dynamo, open_batch=open_batch)
    loaded = autodual.load_onnx(path)
    kept = [file.path.name for file in loaded.files]
    assert kept == (["model.onnx.data"] if dynamo and (kept or name in QUICK) else [])
    x = torch.rand(3, *shape)
    scores = network(x)
    torch.testing.assert_close(loaded(x), scores, rtol=1e-4, atol=1e-5)
    labels = scores.argmax(1)
    found = autodual.certify(autodual.compile_dual(loaded), x, autodual.LinfBall(1e-6), labels)
    clear = scores.topk(2).values.diff(dim=1).abs().flatten() > 1e-3
    assert np.all([certificate.status == "certified" for certificate in found] >= clear.numpy())


class Written(nn.Module):
    """Its reshape fixes the batch size at four."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.scores = nn.Conv2d(1, 2, 3), nn.Linear(32, 3)

    def forward(self, x):
        return self.scores(functional.relu(self.inner(x)).reshape(4, -1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("name", ["written", "attention"])
def test_a_batch_size_written_into_the_file(name: str, dynamo: bool, tmp_path: Path) -> None:
    network, shape = (Written(), IMAGE) if name == "written" else (Attention(), SEQUENCE)
    path, x = tmp_path / "model.onnx", torch.rand(4, *shape)
    export(network.eval(), x, path, dynamo=dynamo, open_batch=False)
    loaded = autodual.load_onnx(path)
    assert loaded.input_shapes == ((4, *shape),) and loaded.single_shapes == (shape,)
    scores = network(x)
    torch.testing.assert_close(loaded(x), scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loaded(x[:3]), scores[:3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loaded(x[None])[0], scores, rtol=1e-4, atol=1e-5)
    dual, ball, rows = autodual.compile_dual(loaded, x), autodual.LinfBall(0.01), torch.eye(3)
    lower = dual.lower_bounds(x[:3], ball, rows)
    for sample in x[:3] + 0.01 * torch.rand(20, 3, *shape).mul(2).sub(1):
        assert bool((lower <= network(torch.cat([sample, x[3:]]))[:3] + 1e-5).all())


@pytest.mark.filterwarnings("ignore")
def test_a_batch_whose_samples_mix_is_named(tmp_path: Path) -> None:
    class Centred(nn.Module):
        def forward(self, x):
            return x - x.mean(0, keepdim=True)

    path, x = tmp_path / "model.onnx", torch.rand(4, 8)
    export(Centred(), x, path, dynamo=False, open_batch=False)
    loaded = autodual.load_onnx(path)
    torch.testing.assert_close(loaded(x[None])[0], x - x.mean(0))
    written = r"batch size 4 is written .*ReduceMean.* with one sample, x\[:1\], or"
    with pytest.raises(InvalidInputError, match=written):
        loaded(x)
    with pytest.raises(InvalidInputError, match=written):
        autodual.compile_dual(loaded, x)
    with pytest.raises(InvalidInputError, match=r"got torch.float32 \[4, 7\]$"):
        loaded(x[:, :7])
