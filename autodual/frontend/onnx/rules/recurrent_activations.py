"""The activation functions that recurrent operators name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from autodual.frontend.compositions import affine, hard_sigmoid, thresholded
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.ir import Node
from autodual.ir.expressions import number
from autodual.ir.ops import Clamp, Elu, LeakyRelu, Relu, Sigmoid, Softplus, Softsign, Tanh

Activation = Callable[[Node], Node]

#: How many numbers each takes, and what they are where a file gives none.
_NUMBERS: dict[str, tuple[float, ...]] = {
    "affine": (1.0, 0.0),
    "leakyrelu": (0.01,),
    "thresholdedrelu": (1.0,),
    "scaledtanh": (1.0, 1.0),
    "hardsigmoid": (0.2, 0.5),
    "elu": (1.0,),
}


def activations(
    builder: OnnxBuilder, attributes: Attributes, defaults: tuple[str, ...], direction: int
) -> tuple[Activation, ...]:
    """The activations of one direction. `clip` limits what gates and candidates see, not a cell's output."""
    names = tuple(attributes.get("activations") or ())
    names = tuple(name.decode() if isinstance(name, bytes) else name for name in names)
    if not names:
        names = defaults * 2
    alphas, betas = (iter(attributes.get(name, ())) for name in ("activation_alpha", "activation_beta"))
    clip = attributes.get("clip", 0.0)
    made = [
        _activation(builder, name.lower(), alphas, betas, clip if place % len(defaults) < 2 else 0.0)
        for place, name in enumerate(names)
    ]
    start = direction * len(defaults)
    chosen = made[start : start + len(defaults)]
    if len(chosen) < len(defaults):
        raise Unsupported(f"it names {len(names)} activations, too few for its gates and directions")
    return tuple(chosen)


def _activation(
    builder: OnnxBuilder, name: str, alphas: Iterator[float], betas: Iterator[float], clip: float
) -> Activation:
    usual = _NUMBERS.get(name, ())
    given = [next(source, default) for source, default in zip((alphas, betas), usual)]
    function = _function(builder, name, *given)

    def run(x: Node) -> Node:
        return function(builder.emit(Clamp(-clip, clip), x) if clip > 0 else x)

    return run


def _function(builder: OnnxBuilder, name: str, alpha: float = 1.0, beta: float = 0.0) -> Activation:
    ops = {
        "relu": Relu(),
        "tanh": Tanh(),
        "sigmoid": Sigmoid(),
        "leakyrelu": LeakyRelu(number(alpha)),
        "elu": Elu(alpha),
        "softsign": Softsign(),
        "softplus": Softplus(),
    }
    if name in ops:
        return lambda x: builder.emit(ops[name], x)
    if name == "affine":
        return lambda x: affine(builder, x, alpha, beta)
    if name == "scaledtanh":
        return lambda x: affine(builder, builder.emit(Tanh(), affine(builder, x, beta)), alpha)
    if name == "hardsigmoid":
        return lambda x: hard_sigmoid(builder, x, alpha, beta)
    if name == "thresholdedrelu":
        return lambda x: thresholded(builder, x, alpha)
    raise Unsupported(f"it names the activation '{name}', which ONNX does not define")
