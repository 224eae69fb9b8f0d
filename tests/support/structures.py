"""Small PyTorch networks of every usual structure, for tests that their bounds are sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


class Residual(nn.Module):
    """x + f(x), with an in-place sum and activation."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        y += x
        return y


class DenseBlock(nn.Module):
    """Each layer reads the outputs of all layers before it."""

    def __init__(self, channels: int, growth: int = 2, layers: int = 2):
        super().__init__()
        widths = range(channels, channels + growth * layers, growth)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, growth, 3, padding=1)) for width in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


class Inception(nn.Module):
    """Concatenated branches with different kernels, and one with max-pooling."""

    def __init__(self, channels: int):
        super().__init__()
        self.one, self.three = nn.Conv2d(channels, 2, 1), nn.Conv2d(channels, 2, 3, padding=1)
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x).relu(), functional.gelu(self.three(x)), self.pooled(x)], 1)


class UNet(nn.Module):
    """Max-pooling down; a transposed convolution and interpolation up; skip connections."""

    def __init__(self, channels: int):
        super().__init__()
        self.enter, self.inner = nn.Conv2d(channels, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.up, self.leave = nn.ConvTranspose2d(4, 3, 2, 2), nn.Conv2d(10, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        outer = functional.silu(self.enter(x))
        inner = self.inner(functional.max_pool2d(outer, 2)).relu()
        smooth = functional.interpolate(inner, scale_factor=2, mode="bilinear")
        return self.leave(torch.cat([outer, self.up(inner), smooth], 1))


class Highway(nn.Module):
    """A gate mixes a layer's output with its input; a gated linear unit follows."""

    def __init__(self, width: int):
        super().__init__()
        self.plain, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        self.wide = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return functional.glu(self.wide(gate * torch.tanh(self.plain(x)) + (1 - gate) * x))


class Mixer(nn.Module):
    """One block of an MLP mixer on tokens `[T, C]`."""

    def __init__(self, tokens: int, width: int):
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.across = nn.Sequential(nn.Linear(tokens, 4), nn.GELU(), nn.Linear(4, tokens))
        self.along = nn.Sequential(nn.Linear(width, 4), nn.GELU(), nn.Linear(4, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.first(x).transpose(1, 2)).transpose(1, 2)
        return x + self.along(self.second(x))


class ViT(nn.Module):
    """A vision transformer: patches, a class token, positions, and one block of two-headed attention."""

    def __init__(self, channels: int, patches: int, width: int = 4):
        super().__init__()
        self.patch = nn.Conv2d(channels, width, 2, 2)
        self.token = nn.Parameter(0.3 * torch.randn(1, 1, width))
        self.position = nn.Parameter(0.3 * torch.randn(1, patches + 1, width))
        self.norm, self.joined, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 6), nn.GELU(), nn.Linear(6, width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        x = x + self.attend(self.norm(x))
        return (x + self.mlp(x))[:, 0]

    def attend(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = self.joined(x).reshape(batch, tokens, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))


class SqueezeExcite(nn.Module):
    """Channels scaled by a function of their means, as in squeeze-and-excitation blocks."""

    def __init__(self, channels: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, 2, 1),
            nn.Hardswish(),
            nn.Conv2d(2, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self.depthwise(x))
        return x * self.scale(x)


class Cells(nn.Module):
    """A recurrent cell unrolled by a loop; returns the last state."""

    def __init__(self, cell: nn.Module):
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return state[0] if isinstance(state, tuple) else state  # type: ignore[return-value]


class Last(nn.Module):
    """A recurrent layer's state after the last step."""

    def __init__(self, layer: nn.RNNBase):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0][:, -1]


class Shared(nn.Module):
    """One layer used three times."""

    def __init__(self, width: int):
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = functional.leaky_relu(self.layer(x), 0.1) + x
        return x


class Maxout(nn.Module):
    """The largest of several affine functions, normalised to unit length."""

    def __init__(self, width: int):
        super().__init__()
        self.layer = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.layer(x).unflatten(1, (3, -1))
        return functional.normalize(parts.amax(1) + 0.5, dim=1)


@dataclass(frozen=True)
class Structure:
    """A function that makes a network, the shape of its samples, and the radius of the perturbation."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    radius: float = 0.05

    def build(self) -> nn.Module:
        """The network in evaluation mode and in double precision, always with the same weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.make().double().eval()

    def samples(self, count: int = 2) -> Tensor:
        """Points `[count, *shape]` in [0, 1]."""
        generator = torch.Generator().manual_seed(1)
        return torch.rand(count, *self.shape, dtype=torch.float64, generator=generator)


def _headed(body: nn.Module, outputs: int = 3) -> nn.Module:
    """The body, flattened, and a last linear layer of the width that fits."""
    return nn.Sequential(body, nn.Flatten(), nn.LazyLinear(outputs))


def _made(body: Callable[[], nn.Module], shape: tuple[int, ...]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        model = _headed(body())
        model.eval()(torch.zeros(2, *shape))
        return model

    return make


def _structure(body: Callable[[], nn.Module], *shape: int, radius: float = 0.05) -> Structure:
    return Structure(_made(body, shape), shape, radius)


def _residual() -> nn.Module:
    return Residual(nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)))


STRUCTURES: dict[str, Structure] = {
    "residual": _structure(_residual, 2, 4, 4),
    "dense": _structure(lambda: DenseBlock(2), 2, 4, 4),
    "inception": _structure(lambda: Inception(2), 2, 4, 4),
    "u-net": _structure(lambda: UNet(1), 1, 4, 4),
    "highway": _structure(lambda: Highway(4), 4),
    "mixer": _structure(lambda: Mixer(3, 4), 3, 4, radius=0.01),
    "vit": _structure(lambda: ViT(1, 4), 1, 4, 4, radius=0.01),
    "encoder": _structure(
        lambda: nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, norm_first=True), 3, 4, radius=0.01
    ),
    "squeeze and excite": _structure(lambda: SqueezeExcite(3), 3, 4, 4),
    "lstm cell": _structure(lambda: Cells(nn.LSTMCell(3, 4)), 2, 3),
    "gru": _structure(lambda: Last(nn.GRU(3, 4, batch_first=True)), 2, 3),
    "rnn": _structure(lambda: Last(nn.RNN(3, 4, batch_first=True, bidirectional=True)), 2, 3),
    "shared": _structure(lambda: Shared(4), 4),
    "maxout": _structure(lambda: Maxout(4), 4, radius=0.02),
    "norms": _structure(lambda: nn.Sequential(nn.Conv2d(2, 4, 1), nn.GroupNorm(2, 4), nn.ELU()), 2, 3, 3, radius=0.01),
    "pooled": _structure(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.MaxPool2d(2, 1)), 1, 5, 5),
    "probabilities": _structure(lambda: nn.Sequential(nn.Linear(4, 4), nn.Softplus(), nn.Softmax(1)), 4),
}
