"""Hostile `torch.export` archives: an honest archive with changes in its JSON or in other bytes."""

from __future__ import annotations

import copy
import functools
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from support.hostile.format import Format, Named, Surroundings, content
from support.hostile.pickles import commands as pickle_commands
from support.hostile.torch_files import unzipped, zipped
from torch import nn

_MODEL = "archive/models/model.json"
_WEIGHTS = "archive/data/weights/model_weights_config.json"
_SAMPLES = "archive/data/sample_inputs/model.pt"
_HUGE = 10**6


@functools.cache
def archive() -> bytes:
    """An honest archive."""
    torch.manual_seed(0)
    first, last = [nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 4)], [nn.Flatten(), nn.Linear(4, 3)]
    model = nn.Sequential(*first, nn.Unflatten(1, (1, 2, 2)), nn.Upsample(size=(2, 2)), *last).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (torch.rand(2, 4),), dynamic_shapes=({0: batch},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def changed(entry: str, change: Callable[[Any], Any]) -> bytes:
    """The archive with one of its JSON texts changed: `change` edits the value in place or returns a new one."""
    entries = unzipped(archive())
    value = json.loads(entries[entry])
    changed = change(value)
    entries[entry] = json.dumps(value if changed is None else changed).encode()
    return zipped(entries)


def _node(graph: Any, number: int, count: int) -> None:
    """Repeat a node `count` times in a chain."""
    nodes, values = graph["nodes"], graph["tensor_values"]
    model = nodes[number]
    before, chain = model["inputs"][0]["arg"]["as_tensor"]["name"], []
    for step in range(count):
        node, name = copy.deepcopy(model), f"step{step}"
        node["inputs"][0]["arg"]["as_tensor"]["name"] = before
        node["outputs"], node["name"] = [{"as_tensor": {"name": name}}], name
        values[name] = values[model["outputs"][0]["as_tensor"]["name"]]
        chain.append(node)
        before = name
    model["inputs"][0]["arg"]["as_tensor"]["name"] = before
    nodes[number:number] = chain


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def _weights() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    def meta(**entries: Any) -> Callable[[Any], None]:
        return lambda value: value["config"]["0.weight"]["tensor_meta"].update(entries)

    integers = lambda *numbers: [{"as_int": number} for number in numbers]  # noqa: E731
    yield "a weight of terabytes", meta(sizes=integers(_HUGE, _HUGE), strides=integers(0, 0))
    yield "a weight of 4 GiB", meta(sizes=integers(2**15, 2**15), strides=integers(0, 0))
    yield "a weight beyond its bytes", meta(sizes=integers(5, 400))
    yield "a weight of a negative stride", meta(strides=integers(-4, 1), storage_offset={"as_int": 16})
    yield "a weight of a huge offset", meta(storage_offset={"as_int": 2**62})
    yield "a weight of a size beyond 64 bits", meta(sizes=integers(2**70, 4), strides=integers(0, 0))
    yield "a weight of a million axes", meta(sizes=integers(*[1] * _HUGE), strides=integers(*[1] * _HUGE))
    yield "a weight of no dtype", meta(dtype=99)
    yield "a weight of another dtype", meta(dtype=8)
    yield "a weight of a symbolic size", meta(sizes=[{"as_expr": {"expr_str": "s0", "hint": None}}] * 2)
    yield "a weight of floats for sizes", meta(sizes=[{"as_int": 5.5}, {"as_int": 4}])
    yield "a weight that is elsewhere", lambda value: value["config"]["0.weight"].update(path_name="../weight_0")
    yield "a weight twice", lambda value: value["config"].update(other=value["config"]["0.weight"])
    yield (
        "100,000 weights of one",
        lambda value: {"config": {f"w{i}": value["config"]["0.weight"] for i in range(100_000)}},
    )


def _graphs() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    def graph(change: Callable[[Any], Any]) -> Callable[[Any], None]:
        return lambda value: change(value["graph_module"]["graph"])

    def sizes(number: Any) -> Callable[[Any], None]:
        return graph(lambda value: value["tensor_values"]["linear"]["sizes"][1].update(as_int=number))

    def symbol(expression: str) -> Callable[[Any], None]:
        return graph(lambda value: value["tensor_values"]["input"]["sizes"][0]["as_expr"].update(expr_str=expression))

    yield "10,000 nodes", graph(lambda value: _node(value, 1, 10_000))
    yield "597 nodes", graph(lambda value: _node(value, 1, 597))
    yield "a size of 10**18", sizes(10**18)
    yield "a size beyond 64 bits", sizes(2**70)
    yield "a size of 4,000 digits", sizes(10**4000)
    yield "a nested size", sizes(_nested(500))
    yield "a deeply nested size", graph(lambda value: value["nodes"].append(_nested(900)))
    yield "an expression of brackets", symbol("(" * 1500 + "s31" + ")" * 1500)
    yield "an expression of sums", symbol("+".join(["s31"] * 900))
    yield "an expression of products", symbol("*".join(["(s31+1)"] * 300))
    yield "an expression of quotients", symbol("FloorDiv(" * 200 + "s31" + ", 3)" * 200)
    yield "an expression of maxima", symbol("Max(s31," * 200 + "1" + ")" * 200)
    yield "an expression of remainders", symbol("*".join(["Mod(s31*s31+1, 7)"] * 100))
    yield "an expression of a large number", symbol("9" * 3000)
    yield "an expression of few products", symbol("*".join(["(s31+1)"] * 30))
    yield "a power", symbol("s31**9**9**9")
    yield (
        "a range of 4,000 digits",
        lambda value: value["range_constraints"].update(s31={"min_val": 1, "max_val": 10**4000}),
    )
    yield (
        "100,000 ranges",
        lambda value: value.update(range_constraints={f"s{i}": {"min_val": 0, "max_val": 9} for i in range(100_000)}),
    )
    yield (
        "100,000 values",
        graph(
            lambda value: value["tensor_values"].update(
                {f"v{i}": value["tensor_values"]["relu"] for i in range(100_000)}
            )
        ),
    )
    tree = '{"type": "builtins.tuple", "context": "null", "children_spec": ['
    yield (
        "a deep tree of inputs",
        lambda value: value["graph_module"]["module_call_graph"][0]["signature"].update(
            in_spec="[1, " + tree * 900 + "]}" * 900 + "]"
        ),
    )
    yield (
        "a broken tree of inputs",
        lambda value: value["graph_module"]["module_call_graph"][0]["signature"].update(in_spec="[" * 100_000),
    )
    yield "a list in the place of the program", lambda value: [value]
    yield "a program of nothing", lambda value: {}


def _operations() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    def resized(*numbers: Any) -> Callable[[Any], None]:
        def change(value: Any) -> None:
            graph = value["graph_module"]["graph"]
            (node,) = (node for node in graph["nodes"] if "upsample" in node["target"])
            entry = next(item for item in node["inputs"] if "as_ints" in item["arg"])
            entry["arg"]["as_ints"] = list(numbers)

        return change

    def instead(target: str, *inputs: Any) -> Callable[[Any], None]:
        def change(value: Any) -> None:
            graph = value["graph_module"]["graph"]
            (node,) = (node for node in graph["nodes"] if "upsample" in node["target"])
            node.update(target=target, inputs=[node["inputs"][0], *inputs])

        return change

    def argument(name: str, **value: Any) -> dict[str, Any]:
        return {"name": name, "arg": value, "kind": 1}

    yield "an enlargement to terabytes", resized(_HUGE, _HUGE)
    yield "an enlargement to 1 GiB", resized(16_000, 16_000)
    yield "an enlargement beyond 64 bits", resized(2**70, 2)
    yield (
        "a padding",
        instead(
            "torch.ops.aten.constant_pad_nd.default",
            argument("pad", as_ints=[_HUGE] * 4),
            argument("value", as_float=0.0),
        ),
    )
    yield "a repetition", instead("torch.ops.aten.repeat.default", argument("repeats", as_ints=[1, 1, _HUGE, _HUGE]))
    yield "an expansion", instead("torch.ops.aten.expand.default", argument("size", as_ints=[-1, -1, _HUGE, 2]))
    yield "a huge window", instead(
        "torch.ops.aten.max_pool2d.default",
        argument("kernel_size", as_ints=[2**40, 2**40]), argument("stride", as_ints=[1, 1]),
        argument("padding", as_ints=[2**39, 2**39]),
    )  # fmt: skip
    yield "a one-hot of many classes", instead("torch.ops.aten.one_hot.default", argument("num_classes", as_int=2**40))


def hostile() -> Named:
    """Names and writers."""
    for entry, changes in ((_WEIGHTS, _weights), (_MODEL, _graphs), (_MODEL, _operations)):
        for name, change in changes():
            yield name, lambda path, entry=entry, change=change: path.write_bytes(changed(entry, change))  # type: ignore[misc]
    yield "nested JSON", lambda path: path.write_bytes(_with(_MODEL, b"[" * 10**7))
    yield "JSON of ten million lists", lambda path: path.write_bytes(_with(_MODEL, b"[" + b"[]," * 10**7 + b"[]]"))
    yield "JSON of 60 million lists", lambda path: path.write_bytes(_with(_MODEL, b"[" + b"[]," * 6 * 10**7 + b"[]]"))
    yield "JSON that is no text", lambda path: path.write_bytes(_with(_MODEL, b"\xff\xfe" * 1000))
    yield "a weight of no bytes", lambda path: path.write_bytes(_with("archive/data/weights/weight_0", b""))
    yield (
        "a weight of too many bytes",
        lambda path: path.write_bytes(_with("archive/data/weights/weight_0", bytes(10**7))),
    )
    yield "an example input of claims", lambda path: path.write_bytes(_with(_SAMPLES, _claims()))
    yield "an example input of nothing", lambda path: path.write_bytes(_with(_SAMPLES, b""))
    yield (
        "an example input that is cut",
        lambda path: path.write_bytes(_with(_SAMPLES, unzipped(archive())[_SAMPLES][:-100])),
    )
    yield (
        "an entry that is compressed",
        lambda path: path.write_bytes(zipped(unzipped(archive()), zipfile.ZIP_DEFLATED)),
    )
    yield "an old program", content(zipped({"serialized_exported_program.json": b"{}", "version": b"1"}))


def _with(entry: str, data: bytes) -> bytes:
    return zipped({**unzipped(archive()), entry: data})


def _claims() -> bytes:
    from support.hostile.torch_files import Storage, saved, tensor

    return saved(((tensor(Storage(16), (_HUGE, _HUGE), (0, 0)),), {}))


def valid() -> Iterator[bytes]:
    """An archive with a dynamic batch size and an upsampling layer."""
    yield archive()


def commands(path: Path, around: Surroundings) -> list[list[str]]:
    """Each command that reads a network, without a factory: the archive has its own."""
    own = ("--arch", "--cascade")
    return [command for command in pickle_commands(path, around) if not any(option in command for option in own)]


EXPORTED = Format("torch.export", "model.pt2", hostile, valid, commands)
