"""Layers that mix a sample's entries, compared with the model: products, norms, resampling, gathers, attention."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as functional
from support.agreement import Applied, assert_same
from torch import Tensor, nn

from autodual.ir import Environment

torch.set_num_threads(1)

VECTOR, SEQUENCE, IMAGE, VOLUME, HEADS = (4,), (3, 4), (3, 6, 5), (2, 4, 5, 6), (2, 3, 4)


class Paired(nn.Module):
    """A module of two operands given the same input twice."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x.sin())


MODULES: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "layer norm": (SEQUENCE, lambda: nn.LayerNorm(4)),
    "layer norm over two axes": (SEQUENCE, lambda: nn.LayerNorm((3, 4), elementwise_affine=False)),
    "layer norm without bias": (VECTOR, lambda: nn.LayerNorm(4, bias=False)),
    "group norm": (IMAGE, lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4))),
    "instance norm": (IMAGE, lambda: nn.InstanceNorm2d(3, affine=True)),
    "instance norm with running statistics": (IMAGE, lambda: nn.InstanceNorm2d(3, track_running_stats=True)),
    "rms norm": (SEQUENCE, lambda: nn.RMSNorm(4)),
    "rms norm with epsilon": (SEQUENCE, lambda: nn.RMSNorm((3, 4), eps=1e-3, elementwise_affine=False)),
    "bilinear": (SEQUENCE, lambda: Paired(nn.Bilinear(4, 4, 2))),
    "cosine similarity": (VECTOR, lambda: Paired(nn.CosineSimilarity())),
    "pairwise distance": (VECTOR, lambda: Paired(nn.PairwiseDistance())),
    "transposed conv 1d": (SEQUENCE, lambda: nn.ConvTranspose1d(3, 2, 3, 2, 1, 1)),
    "transposed conv 2d": (IMAGE, lambda: nn.ConvTranspose2d(3, 6, (2, 3), (1, 2), (0, 1), groups=3, dilation=2)),
    "transposed conv 3d": (VOLUME, lambda: nn.ConvTranspose3d(2, 2, 2, bias=False)),
    "conv 3d": (VOLUME, lambda: nn.Conv3d(2, 3, 2, stride=2, padding=1)),
    "circular conv": (IMAGE, lambda: nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular")),
    "reflected conv": (IMAGE, lambda: nn.Conv2d(3, 2, 3, padding=2, padding_mode="reflect")),
    "replicated pad": (IMAGE, lambda: nn.ReplicationPad2d((1, 2, 3, 0))),
    "reflected pad": (SEQUENCE, lambda: nn.ReflectionPad1d((1, 2))),
    "circular pad with a crop": (IMAGE, lambda: nn.CircularPad2d((1, -2, 3, 0))),
    "upsample nearest 1d": (SEQUENCE, lambda: nn.Upsample(scale_factor=2)),
    "upsample nearest 2d": (IMAGE, lambda: nn.Upsample(scale_factor=(1.5, 2.3))),
    "upsample bilinear": (IMAGE, lambda: nn.Upsample(scale_factor=2, mode="bilinear")),
    "upsample aligned": (IMAGE, lambda: nn.Upsample(size=(9, 4), mode="bilinear", align_corners=True)),
    "upsample linear": (SEQUENCE, lambda: nn.Upsample(scale_factor=1.7, mode="linear")),
    "upsample trilinear": (VOLUME, lambda: nn.Upsample(size=(5, 5, 5), mode="trilinear")),
    "upsample bicubic": (IMAGE, lambda: nn.Upsample(scale_factor=2, mode="bicubic")),
    "pixel shuffle": ((4, 3, 2), lambda: nn.PixelShuffle(2)),
    "pixel unshuffle": ((1, 4, 6), lambda: nn.PixelUnshuffle(2)),
    "channel shuffle": ((4, 2, 2), lambda: nn.ChannelShuffle(2)),
    "unfold": (IMAGE, lambda: nn.Unfold((2, 3), padding=1, stride=2)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    shape, make = MODULES[name]
    torch.manual_seed(0)
    assert_same(make(), shape)


def _interpolated(**options: object) -> Callable[..., Tensor]:
    return lambda m, x: functional.interpolate(x, **options)  # type: ignore[arg-type]


def _attention(**options: object) -> Callable[..., Tensor]:
    return lambda m, x: functional.scaled_dot_product_attention(x, x.sin(), x.flip(-1), **options)  # type: ignore[arg-type]


def _assigned(x: Tensor, place: object, values: object) -> Tensor:
    y = x.clone()
    y[place] = values  # type: ignore[index]
    return y


ALL = slice(None)
FUNCTIONS: dict[str, tuple[tuple[int, ...], Callable[..., Tensor]]] = {
    "product of matrices": (HEADS, lambda m, x: x @ x.transpose(-1, -2)),
    "product of sequences": (SEQUENCE, lambda m, x: torch.bmm(x, x.mT.relu())),
    "product added": ((4, 4), lambda m, x: torch.baddbmm(x, x, x.cos(), beta=2, alpha=0.5)),
    "product with a stack": (HEADS, lambda m, x: x @ m.token.expand(2, 4, 4)),
    "product with a stack from the left": (HEADS, lambda m, x: torch.stack([m.square, m.square.T])[..., :3] @ x),
    "product that grows a stack": ((1, 3, 4), lambda m, x: x @ torch.stack([m.square, m.square.T])),
    "vector from the left": (SEQUENCE, lambda m, x: m.vector[:3] @ x),
    "tensordot": (VECTOR, lambda m, x: torch.tensordot(x, m.matrix, 1)),
    "inner": (VECTOR, lambda m, x: torch.inner(x, m.square)),
    "vecdot": (SEQUENCE, lambda m, x: torch.linalg.vecdot(x, x.sin())),
    "einsum with a constant": (SEQUENCE, lambda m, x: torch.einsum("btc,cd->bdt", x, m.matrix)),
    "einsum from the left": (SEQUENCE, lambda m, x: torch.einsum("ut,btc->buc", m.square[:, :3], x)),
    "einsum of branches": (SEQUENCE, lambda m, x: torch.einsum("bij,bkj->bik", x, x.sin())),
    "einsum of branches and constants": (
        SEQUENCE,
        lambda m, x: torch.einsum("bij,jl,bkl,l->bk", x, m.square, x.cos(), m.vector),
    ),
    "einsum of one branch": (HEADS, lambda m, x: torch.einsum("bhij->bjh", x)),
    "einsum with an ellipsis": (HEADS, lambda m, x: torch.einsum("...ij,jk->...ki", x, m.matrix)),
    "einsum without a result": (SEQUENCE, lambda m, x: torch.einsum("aij,jk", x, m.matrix)),
    "einsum with a diagonal": ((4, 4), lambda m, x: torch.einsum("bii->bi", x)),
    "variance": (IMAGE, lambda m, x: x.var((1, 2)) + x.var(3, unbiased=False).sum(1)[:, :1]),
    "deviation": (SEQUENCE, lambda m, x: x.std(1, keepdim=True) + x.std(2, correction=0, keepdim=True)),
    "variance and mean": (SEQUENCE, lambda m, x: torch.cat(torch.var_mean(x, 1) + torch.std_mean(x, 1), 1)),
    "norms": (SEQUENCE, lambda m, x: x.norm(dim=1) + x.norm(p=1, dim=1) + x.norm(p=3, dim=1) + x.norm(p=4, dim=1)),
    "largest magnitude": (SEQUENCE, lambda m, x: x.norm(p=float("inf"), dim=2) - x.norm(p=-float("inf"), dim=2)),
    "normalise": (SEQUENCE, lambda m, x: functional.normalize(x, dim=2) + functional.normalize(x, p=1, dim=1)),
    "running sums and products": (SEQUENCE, lambda m, x: x.cumsum(1) + x.cumprod(-1) + x.prod(1, keepdim=True)),
    "resize nearest exact": (IMAGE, _interpolated(size=(4, 7), mode="nearest-exact")),
    "resize by area": (IMAGE, _interpolated(size=(4, 2), mode="area")),
    "resize bicubic aligned": (IMAGE, _interpolated(size=(4, 7), mode="bicubic", align_corners=True)),
    "resize with antialiasing": (IMAGE, _interpolated(size=(4, 3), mode="bilinear", antialias=True)),
    "resize bicubic with antialiasing": (IMAGE, _interpolated(scale_factor=0.6, mode="bicubic", antialias=True)),
    "resize by a recomputed factor": (
        IMAGE,
        _interpolated(scale_factor=1.7, mode="bilinear", recompute_scale_factor=True),
    ),
    "flip": (IMAGE, lambda m, x: x.flip((1, -1)) + x.fliplr()),
    "roll": (IMAGE, lambda m, x: x.roll((1, -2), (2, 3)) + x.roll(1, -1)),
    "rotate": (IMAGE, lambda m, x: x.rot90(1, (2, 3))),
    "diagonals": (IMAGE, lambda m, x: x.diagonal(1, 2, 3).sum(-1) + x.diagonal(-1, -1, -2).sum(-1)),
    "unfold of an axis": (IMAGE, lambda m, x: x.unfold(2, 3, 2)),
    "repeat": (SEQUENCE, lambda m, x: x.repeat(1, 2, 1) + x.tile(1, 2, 1)),
    "interleaved": (SEQUENCE, lambda m, x: x.repeat_interleave(2, 1)),
    "indices": (IMAGE, lambda m, x: x[:, [2, 0]] + x[:, torch.tensor([0, 0])]),
    "indices of several axes": (IMAGE, lambda m, x: x[:, [2, 0], [1, 3]]),
    "indices of the last axis": (IMAGE, lambda m, x: x[..., [4, 4, 0]]),
    "indices from a buffer": (SEQUENCE, lambda m, x: x[:, m.integers.clamp(max=2)]),
    "index_select": (IMAGE, lambda m, x: x.index_select(-1, torch.tensor([3, 1]))),
    "gather": (VECTOR, lambda m, x: x.gather(1, torch.full((x.shape[0], 3), 2))),
    "embedding of constants": (VECTOR, lambda m, x: functional.embedding(m.integers, m.matrix)[:, :4] + x[:, None]),
    "assignment of a slice": (IMAGE, lambda m, x: _assigned(x, (ALL, 0), 0.0)),
    "assignment of a branch": (IMAGE, lambda m, x: _assigned(x, (ALL, slice(0, 2)), x[:, 1:])),
    "assignment by positions": (SEQUENCE, lambda m, x: _assigned(x, (ALL, torch.tensor([2, 0])), 1.5)),
    "assignment of a branch by positions": (SEQUENCE, lambda m, x: _assigned(x, (ALL, [2, 0]), x[:, 1:])),
    "assignment to zeros": (SEQUENCE, lambda m, x: _assigned(torch.zeros_like(x), (ALL, 1), x[:, 0])),
    "attention": (HEADS, _attention()),
    "attention with a scale": (SEQUENCE, _attention(scale=0.3)),
    "causal attention": (HEADS, _attention(is_causal=True)),
    "attention with a mask": (HEADS, _attention(attn_mask=torch.tensor([[True, False, True]]))),
    "attention with an added mask": (HEADS, _attention(attn_mask=torch.tensor([[0.0, -0.5, -torch.inf]]))),
    "attention with a finite mask": (HEADS, _attention(attn_mask=torch.tensor([[0.0, -0.5, 1.0]]))),
    "grouped attention": (
        (4, 3, 2),
        lambda m, x: functional.scaled_dot_product_attention(x, x[:, :2], x[:, 2:], enable_gqa=True),
    ),
    "masked softmax": (SEQUENCE, lambda m, x: x.masked_fill(m.vector > 0, -torch.inf).softmax(-1)),
    "softmax with a large mask": (SEQUENCE, lambda m, x: x.masked_fill(m.vector > 0, -1e9).softmax(-1)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str) -> None:
    shape, function = FUNCTIONS[name]
    assert_same(Applied(function), shape)


def test_masked_entries_leave_no_infinite_values() -> None:
    """Minus infinity would make all later bounds NaN, which certify nothing."""
    for fill in (-torch.inf, -1e9):
        model = Applied(lambda m, x, fill=fill: x.masked_fill(m.vector > 0, fill).softmax(-1))
        traced = assert_same(model, SEQUENCE)
        inputs = torch.randn(2, *SEQUENCE, dtype=torch.float64)
        values = traced.graph.evaluate([inputs], Environment(traced.lookup(model), inputs.dtype, inputs.device))
        assert all(bool((value.abs() < 1e3).all()) for value in values.values())
