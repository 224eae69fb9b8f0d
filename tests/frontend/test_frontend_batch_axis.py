"""Networks that move the batch axis, or merge it with heads and windows, and restore it later."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as functional
from support.agreement import Applied, assert_same
from torch import Tensor, nn

torch.set_num_threads(1)

SEQUENCE, IMAGE = (3, 4), (2, 4, 6)


class Recurrent(nn.Module):
    """A recurrent layer, its states for every step or for the last."""

    def __init__(self, kind: type[nn.RNNBase], batch_first: bool = True, last: bool = True, **options: object):
        super().__init__()
        self.layer = kind(4, 3, batch_first=batch_first, **options)  # type: ignore[arg-type]
        self.batch_first, self.last = batch_first, last

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.layer(x if self.batch_first else x.transpose(0, 1))
        if self.last:
            return states[:, -1] if self.batch_first else states[-1]
        return states if self.batch_first else states.transpose(0, 1)


class FinalState(nn.Module):
    """The state after the last step, as the layer returns it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(4, 3, batch_first=True, num_layers=2)

    def forward(self, x: Tensor) -> Tensor:
        _, (state, cell) = self.layer(x)
        return state[-1] + cell[0]


class Cells(nn.Module):
    """A recurrent cell unrolled by a loop."""

    def __init__(self, kind: type[nn.RNNCellBase]):
        super().__init__()
        self.cell = kind(4, 3)  # type: ignore[call-arg]

    def forward(self, x: Tensor) -> Tensor:
        state = None
        outputs = []
        for step in x.unbind(1):
            state = self.cell(step, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs).transpose(0, 1)


class Attending(nn.Module):
    """torch's attention on one input, with or without its weights."""

    def __init__(self, batch_first: bool = True, masked: bool = False, **options: object):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=batch_first)
        self.batch_first, self.options = batch_first, options
        mask = torch.triu(torch.full((3, 3), float("-inf")), 1) if masked else None
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.batch_first else x.transpose(0, 1)
        result = self.attention(x, x, x, attn_mask=self.mask, **self.options)[0]
        return result if self.batch_first else result.transpose(0, 1)


def _fused(m: Applied, x: Tensor) -> Tensor:
    """Queries, keys and values of all heads from one product, as vision transformers have them."""
    batch, tokens, width = x.shape
    joined = functional.linear(x, torch.cat([m.square, m.square.T, m.square.cos()]))
    q, k, v = joined.reshape(batch, tokens, 3, 2, width // 2).permute(2, 0, 3, 1, 4).unbind(0)
    weights = (q @ k.transpose(-2, -1) * 0.5).softmax(dim=-1)
    return (weights @ v).transpose(1, 2).reshape(batch, tokens, width) @ m.square


def _merged_heads(m: Applied, x: Tensor) -> Tensor:
    """Heads merged with the batch for a plain batched product."""
    batch, tokens, width = x.shape
    heads = x.view(batch, tokens, 2, width // 2).transpose(1, 2).reshape(batch * 2, tokens, width // 2)
    weights = torch.bmm(heads, (heads * 2).transpose(1, 2)).softmax(-1)
    mixed = torch.bmm(weights, heads).view(batch, 2, tokens, width // 2)
    return mixed.transpose(1, 2).reshape(batch, tokens, width)


def _windows(m: Applied, x: Tensor) -> Tensor:
    """An image cut into windows, which become a larger batch."""
    batch, channels, height, width = x.shape
    cut = x.view(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 3, 5, 1)
    windows = cut.reshape(-1, 4, channels)
    windows = torch.softmax(windows @ windows.transpose(1, 2), -1) @ windows
    back = windows.view(batch, height // 2, width // 2, 2, 2, channels)
    return back.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, height, width)


MODULES: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "lstm": (SEQUENCE, lambda: Recurrent(nn.LSTM)),
    "lstm, all steps": (SEQUENCE, lambda: Recurrent(nn.LSTM, last=False)),
    "lstm, sequence first": (SEQUENCE, lambda: Recurrent(nn.LSTM, batch_first=False)),
    "lstm both ways": (SEQUENCE, lambda: Recurrent(nn.LSTM, bidirectional=True, num_layers=2, last=False)),
    "lstm with a projection": (SEQUENCE, lambda: Recurrent(nn.LSTM, proj_size=2)),
    "final states": (SEQUENCE, FinalState),
    "gru": (SEQUENCE, lambda: Recurrent(nn.GRU, last=False, num_layers=2)),
    "gru, sequence first": (SEQUENCE, lambda: Recurrent(nn.GRU, batch_first=False, last=False)),
    "rnn": (SEQUENCE, lambda: Recurrent(nn.RNN)),
    "rnn of relu both ways": (SEQUENCE, lambda: Recurrent(nn.RNN, nonlinearity="relu", bidirectional=True)),
    "lstm cell": (SEQUENCE, lambda: Cells(nn.LSTMCell)),
    "gru cell": (SEQUENCE, lambda: Cells(nn.GRUCell)),
    "rnn cell": (SEQUENCE, lambda: Cells(nn.RNNCell)),
    "attention": (SEQUENCE, Attending),
    "attention without weights": (SEQUENCE, lambda: Attending(need_weights=False)),
    "attention, sequence first": (SEQUENCE, lambda: Attending(batch_first=False)),
    "attention with a mask": (SEQUENCE, lambda: Attending(masked=True)),
    "attention with a mask and without weights": (SEQUENCE, lambda: Attending(masked=True, need_weights=False)),
    "encoder layer": (SEQUENCE, lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)),
    "encoder layer, norm first": (
        SEQUENCE,
        lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, norm_first=True, activation="gelu"),
    ),
    "encoder": (
        SEQUENCE,
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2, nn.LayerNorm(4)),
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str) -> None:
    shape, make = MODULES[name]
    torch.manual_seed(0)
    assert_same(make(), shape)


FUNCTIONS: dict[str, tuple[tuple[int, ...], Callable[..., Tensor]]] = {
    "heads of one product": (SEQUENCE, _fused),
    "heads merged with the batch": (SEQUENCE, _merged_heads),
    "windows merged with the batch": (IMAGE, _windows),
    "transposed and back": ((4,), lambda m, x: (x.T.relu() + m.vector[:, None]).T),
    "merged and separated": (SEQUENCE, lambda m, x: x.reshape(-1, 4).sin().view(x.shape[0], 3, 4)),
    "merged, shifted and separated": (
        SEQUENCE,
        lambda m, x: (functional.linear(x.flatten(0, 1), m.square, m.vector) * m.vector).unflatten(0, (-1, 3)),
    ),
    "stacked first": ((4,), lambda m, x: torch.stack([x, x.sin()]).sum(0)),
    "numbers of sequences first": (SEQUENCE, lambda m, x: (x.transpose(0, 1) * m.square[:3, None]).transpose(0, 1)),
    "softmax of sequences first": (SEQUENCE, lambda m, x: x.permute(2, 0, 1).softmax(0).permute(1, 2, 0)),
    "reductions before the batch": (SEQUENCE, lambda m, x: x.permute(2, 1, 0).amax((0, 1))[:, None] + x.mT.sum(1)),
    "norm of sequences first": (
        SEQUENCE,
        lambda m, x: functional.layer_norm(x.transpose(0, 1), (4,), m.vector).transpose(0, 1),
    ),
    "cut and joined": (SEQUENCE, lambda m, x: torch.cat([x.transpose(0, 1)[1:], x.mT.permute(2, 0, 1)[:1]])[:, :, 0].T),
    "einsum to a sequence first": (SEQUENCE, lambda m, x: torch.einsum("btc,cd->tbd", x, m.matrix).transpose(0, 1)),
    "einsum of sequences first": (
        SEQUENCE,
        lambda m, x: torch.einsum("tbc,sbc->bts", x.transpose(0, 1), x.transpose(0, 1).sin()),
    ),
    "state repeated over steps": (
        (4,),
        lambda m, x: (x.expand(3, -1, -1) * m.square[:3, None]).transpose(0, 1),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str) -> None:
    shape, function = FUNCTIONS[name]
    assert_same(Applied(function), shape)
