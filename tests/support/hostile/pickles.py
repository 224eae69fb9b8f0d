"""Hostile `torch.save` files: modules, state dicts, cascades and older formats."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from support.hostile.format import Format, Named, Surroundings, content
from support.hostile.torch_files import New, Raw, Reduced, Storage, parameter, pickled, saved, tensor, torch_zip, zipped
from torch import nn

_HUGE = 10**6


def network() -> nn.Sequential:
    """The honest network from which others are made: four features, three classes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).eval()


def bare(cls: type, **attributes: Any) -> nn.Module:
    """A module with these attributes, made without calling its constructor."""
    module = cls.__new__(cls)
    nn.Module.__init__(module)
    vars(module).update(attributes)
    return module


def images(*layers: nn.Module) -> nn.Sequential:
    """A classifier of images of shape 1, 2, 2 that applies `layers` first."""
    return nn.Sequential(nn.Unflatten(1, (1, 2, 2)), *layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4, 3))


def _constructors() -> Iterator[tuple[str, Any]]:
    yield "a constructor that allocates", Reduced(nn.Linear, _HUGE, _HUGE)
    yield "a constructor that allocates slowly", Reduced(nn.Linear, 20_000, 20_000)
    yield "a bilinear constructor", Reduced(nn.Bilinear, 10_000, 10_000, 100)
    yield "a call of torch.Tensor", {"a": Reduced(torch.Tensor, _HUGE, _HUGE)}
    yield "a smaller call of torch.Tensor", {"a": Reduced(torch.Tensor, 50_000, 50_000)}
    yield "a new torch.Tensor", {"a": New(torch.Tensor, 50_000, 50_000)}
    yield "a new sparse tensor", {"a": New(torch.sparse.FloatTensor, 50_000, 50_000)}
    yield "a bytearray", {"a": Reduced(bytearray, 3 * 10**9)}
    yield "a counter", {"a": Reduced(Counter, {"a": 10**12})}
    yield "a device", {"a": Reduced(torch.device, "cuda:999999999999")}
    yield "a large module list", lambda: Reduced(nn.ModuleList, [Reduced(nn.ReLU)] * 200_000)
    yield "an encoding", {"a": Reduced(__import__("_codecs").encode, "a" * 1000, "punycode")}
    yield "a parameter by its class", {"a": New(nn.Parameter, Reduced(torch.Tensor, 50_000, 50_000))}


def _views() -> Iterator[tuple[str, Any]]:
    one = Storage(16)
    sizes: dict[str, tuple[Storage, Any, Any, Any]] = {
        "expanded": (one, (_HUGE, _HUGE), (0, 0), 0),
        "expanded to 4 GiB": (one, (2**15, 2**15), (0, 0), 0),
        "beyond its storage": (one, (4, 100), (100, 1), 0),
        "of a negative stride": (one, (4, 4), (-4, 1), 12),
        "of a negative size": (one, (-4, 4), (4, 1), 0),
        "of a negative offset": (one, (4, 4), (4, 1), -4),
        "of a huge offset": (one, (4, 4), (4, 1), 2**62),
        "of a size beyond 64 bits": (one, (2**70, 4), (4, 1), 0),
        "of sizes that overflow": (one, (2**33, 2**33), (0, 0), 0),
        "of 10,000 axes": (one, (1,) * 10**4, (1,) * 10**4, 0),
        "of a thousand axes": (one, (1,) * 1000, (1,) * 1000, 0),
        "of floats for sizes": (one, (4.5, 4), (4, 1), 0),
        "of another rank": (one, (4, 4), (1,), 0),
        "of a storage that is not there": (Storage(16, key="7"), (4, 4), (4, 1), 0),
        "of a storage that claims more": (Storage(10**9), (4, 4), (4, 1), 0),
        "of a storage that claims terabytes": (Storage(10**13), (4, 4), (4, 1), 0),
        "of a negative storage": (Storage(-16), (4, 4), (4, 1), 0),
        "of a storage of floats": (Storage(1.5), (4, 4), (4, 1), 0),
        "on another device": (Storage(16, location="cuda:0"), (4, 4), (4, 1), 0),
        "on a device of no name": (Storage(16, location="x" * 1000), (4, 4), (4, 1), 0),
        "of complex numbers": (Storage(8, torch.ComplexFloatStorage), (4, 2), (2, 1), 0),
        "of quantised numbers": (Storage(16, torch.QInt8Storage), (4, 4), (4, 1), 0),
        "of a key that is a path": (Storage(16, key="../data.pkl"), (4, 4), (4, 1), 0),
    }
    for name, claim in sizes.items():
        yield f"a state dict with a tensor {name}", OrderedDict({"weight": tensor(*claim)})
        linear = bare(nn.Linear, in_features=4, out_features=4)
        vars(linear)["_parameters"] = {"weight": parameter(*claim), "bias": None}
        yield f"a module with a parameter {name}", nn.Sequential(linear)
    rebuild = torch._utils
    yield "a sparse tensor", {"a": Reduced(rebuild._rebuild_sparse_tensor, torch.sparse_coo, (
        tensor(one, (1, 0), (1, 1)), tensor(one, (0,), (1,)), (_HUGE, _HUGE), True))}  # fmt: skip
    yield "a meta tensor", {"a": Reduced(rebuild._rebuild_meta_tensor_no_storage, torch.float32, (_HUGE, _HUGE),
                                         (_HUGE, 1), False)}  # fmt: skip
    yield "a wrapper", {"a": Reduced(rebuild._rebuild_wrapper_subclass, nn.Parameter, torch.float32, (_HUGE, _HUGE),
                                     (1, 1), 0, torch.strided, torch.device("cpu"), False)}  # fmt: skip


def _nested_containers(levels: int, copies: int) -> nn.Module:
    """Nested containers: each holds `copies` references to the next inner one."""
    module: nn.Module = nn.ReLU()
    for _ in range(levels):
        module = bare(nn.Sequential, _modules={str(copy): module for copy in range(copies)}, training=False)
    return module


def _many_layers(count: int) -> nn.Module:
    """A container that applies the same layer `count` times."""
    return bare(nn.Sequential, _modules=dict.fromkeys(map(str, range(count)), nn.ReLU()), training=False)


def _structures() -> Iterator[tuple[str, Any]]:
    yield "1,000 nested containers", lambda: _nested_containers(1000, 1)
    yield "60 doublings of a container", lambda: _nested_containers(60, 2)
    yield "14 doublings of a container", lambda: _nested_containers(14, 2)
    yield "5,000 layers", lambda: _many_layers(5000)
    yield "50,000 layers", lambda: _many_layers(50_000)
    yield "600 layers", lambda: nn.Sequential(*(nn.ReLU() for _ in range(596)), nn.Linear(4, 3)).eval()
    cycle = nn.Sequential(nn.ReLU())
    cycle._modules["1"] = cycle
    yield "a container that contains itself", cycle
    values: Any = "x"
    for _ in range(60):
        values = [values, values]
    yield "60 doublings of a list", values
    yield "60 doublings of a list in a module", bare(nn.ReLU, inplace=values)
    doubling = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    yield "a key of 60 doublings", Raw(b"}(K\x01\x85" + doubling + b"K\x01u")
    deep: Any = []
    for _ in range(20_000):
        deep = [deep]
    yield "20,000 nested lists", deep
    yield "20,000 nested lists in a module", bare(nn.ReLU, inplace=deep)
    yield "300,000 entries", lambda: {f"weight{i}": 0 for i in range(300_000)}
    yield "a long name", lambda: {"w" * 10**7: tensor(Storage(16), (4, 4), (4, 1))}
    yield "a set of a million numbers", lambda: {"a": Reduced(set, list(range(_HUGE)))}
    recursive: list[Any] = []
    recursive.append(recursive)
    yield "a list that contains itself", recursive
    yield "a cascade of 10,000", [{"weight": tensor(Storage(16), (4, 4), (4, 1))}] * 10_000
    yield "a cascade of doublings", [values, values]


def _layers() -> Iterator[tuple[str, Any]]:
    yield "an enlargement by a million", images(nn.Upsample(scale_factor=1e6))
    yield "an enlargement by ten thousand", images(nn.Upsample(scale_factor=1e4))
    yield "an enlargement by 1e300", images(nn.Upsample(scale_factor=1e300))
    yield "an enlargement to a size", images(nn.Upsample(size=(_HUGE, _HUGE)))
    yield "a padding of a million", images(nn.ConstantPad2d(_HUGE, 0.0))
    yield "a padding of 2**62", images(nn.ConstantPad2d(2**62, 0.0))
    yield "a padding of 20,000", images(nn.ZeroPad2d(20_000))
    yield "a pool to a size", images(nn.AdaptiveAvgPool2d(_HUGE))
    yield "a maximum to a size", images(nn.AdaptiveMaxPool2d(30_000))
    yield "a convolution's padding", images(nn.Conv2d(1, 1, 3, padding=30_000))
    yield "a convolution's stride", images(nn.Conv2d(1, 1, 1, stride=2**62))
    yield "a transposed convolution", images(nn.ConvTranspose2d(1, 1, 1, stride=_HUGE))
    yield "a fold", nn.Sequential(nn.Unflatten(1, (4, 1)), nn.Fold((_HUGE, _HUGE), 2), nn.Flatten(), nn.Linear(4, 3))
    yield "an unfold", images(nn.Unfold(1, padding=20_000))
    yield "an unflattening", nn.Sequential(nn.Unflatten(1, (2**62, 4)), nn.Flatten(), nn.Linear(4, 3))
    yield "a pool of a huge window", images(nn.MaxPool2d(2**40, padding=2**39))
    yield "a slow pool", images(nn.ZeroPad2d(2000), nn.AvgPool2d(2001, stride=1))
    yield "a pool of no stride", images(nn.AvgPool2d(1, stride=0))
    yield "ten enlargements", images(*(nn.Upsample(scale_factor=8) for _ in range(10)))
    grouped = nn.Conv2d(1, 1, 1)
    grouped.groups = 2**62
    yield "groups", images(grouped)
    normalised = nn.LayerNorm(4, elementwise_affine=False)
    normalised.normalized_shape = (2**62, 4)  # type: ignore[assignment]
    yield "a layer norm of a shape", nn.Sequential(normalised, nn.Linear(4, 3))


def _descriptions() -> Iterator[tuple[str, Any]]:
    """Files of trained networks, which describe their architecture, with false descriptions."""
    from autodual.architectures import NetworkDescription

    honest = NetworkDescription("mlp:3", (4,), 3)
    base = {"autodual_network": 1, "network": honest.to_mapping(), "state_dict": honest.build().state_dict()}
    for name, entry in {
        "a width": {"arch": "mlp:1000000000"},
        "a depth": {"arch": "deep:1000000000"},
        "a wide network": {"arch": "wide:1000000000", "shape": [1, 28, 28]},
        "a width of many digits": {"arch": "mlp:" + "9" * 5000},
        "an input": {"shape": [_HUGE, _HUGE]},
        "an image": {"arch": "small", "shape": [1, _HUGE, _HUGE]},
        "a large image": {"arch": "large", "shape": [1, 5000, 5000]},
        "classes": {"classes": 10**12},
        "negative classes": {"classes": -3},
        "a batch norm of a width": {"arch": "mlp:1000000000", "batch_norm": True},
    }.items():
        yield f"a trained network that claims {name}", {**base, "network": {**base["network"], **entry}}  # type: ignore[dict-item]
    yield "a trained network of too few weights", {**base, "state_dict": {}}
    yield "a trained network of no weights", {**base, "state_dict": 3}
    yield "a trained network of no description", {**base, "network": [1]}
    yield "a trained network of another version", {**base, "autodual_network": 10**30}


def _containers() -> Named:
    honest = saved(network())
    entries = {"archive/data.pkl": b"\x80\x02]q\x00.", "archive/version": b"3\n"}
    yield "an empty file", content(b"")
    yield "a zip of nothing", content(zipped({}))
    yield (
        "a compressed bomb",
        lambda path: path.write_bytes(zipped({**entries, "archive/data/0": bytes(10**8)}, zipfile.ZIP_DEFLATED)),
    )
    yield "a zip that claims more", content(_with_sizes(honest, 2**31))
    yield "a zip that claims 64 bits", content(_with_sizes(honest, 2**32 - 1))
    yield "an encrypted zip", content(_with_flags(honest, 0x1))
    yield "a zip of unknown compression", content(_with_method(honest, 99))
    yield "two entries of one name", content(_doubled(honest))
    yield "a hundred thousand entries", lambda path: path.write_bytes(_many_entries(100_000))
    yield "a sparse file of a terabyte", _sparse(b"PK\x03\x04", 10**12)
    yield "a sparse pickle of a terabyte", _sparse(b"\x80\x02", 10**12)
    yield "a sparse zip of 4 GiB", _sparse(honest, 2**32)
    yield "a device", lambda path: path.symlink_to("/dev/zero")
    yield "a folder", lambda path: path.mkdir()
    yield "a pipe", lambda path: __import__("os").mkfifo(path)
    yield "a link to itself", lambda path: path.symlink_to(path)
    yield "an old file of many keys", lambda path: path.write_bytes(_old_keys())
    yield "a tar of before", content(_tar())
    for name, data in _old_pickles():
        yield name, content(data)
    memo = b"\x80\x02]r\xff\xff\xff\x7f."
    yield "a memo of 2**31", content(torch_zip(memo))
    yield "a string of 4 GiB", content(torch_zip(b"\x80\x02X\xff\xff\xff\xffabc."))
    yield "a string of 2**60 bytes", content(torch_zip(b"\x80\x04\x8d" + (2**60).to_bytes(8, "little") + b"abc."))
    yield "a frame of 2**60 bytes", content(torch_zip(b"\x80\x04\x95" + (2**60).to_bytes(8, "little") + b"]."))
    yield "a pickle of marks", lambda path: path.write_bytes(torch_zip(b"\x80\x02" + b"(" * 10**6 + b"."))
    yield "a pickle of nothing", content(torch_zip(b""))
    yield "ten million instructions", lambda path: path.write_bytes(torch_zip(b"\x80\x02](" + b"]" * 10**7 + b"e."))
    yield "a number of a megabyte", content(torch_zip(b"\x80\x02\x8b" + (10**6).to_bytes(4, "little") + bytes(10**6)))


_OLD_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
_OLD_INFO = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)


def _old_keys() -> bytes:
    return _OLD_MAGIC + _OLD_INFO + pickled({"a": 1})[0] + pickle.dumps([str(i) for i in range(10**6)], 2)


def _old_pickles() -> Iterator[tuple[str, bytes]]:
    magic, info = _OLD_MAGIC, _OLD_INFO
    yield "an old file that is cut", magic + info
    data = _old_tensor(10**13)
    yield "an old storage of terabytes", magic + info + data + pickle.dumps(["0"], 2) + (10**13).to_bytes(8, "little")
    data = _old_tensor(2**30)
    yield "an old storage of 4 GiB", magic + info + data + pickle.dumps(["0"], 2) + (2**30).to_bytes(8, "little")
    data = _old_tensor(16)
    yield "an old storage of another size", magic + info + data + pickle.dumps(["0"], 2) + (2**40).to_bytes(8, "little")
    yield "a plain pickle", pickle.dumps([1, 2, 3])
    yield "a plain pickle of protocol 0", b"\x80\x00" + pickle.dumps([1, 2, 3], 0)


def _old_tensor(numel: int) -> bytes:
    """A state dict in the pickle format of older versions, in which storages have a sixth field (the view)."""

    class Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
        def persistent_id(self, value: Any) -> Any:
            if isinstance(value, Storage):
                return "storage", value.kind, value.key, value.location, value.numel, None
            return None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({"weight": tensor(Storage(numel), (4, 4), (4, 1))})
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = 8
            archive.addfile(entry, io.BytesIO(bytes(8)))
    return buffer.getvalue()


def _sparse(start: bytes, size: int) -> Any:
    def write(path: Path) -> None:
        with open(path, "wb") as file:
            file.write(start)
            file.truncate(size)

    return write


def _with_sizes(data: bytes, size: int) -> bytes:
    """The first entry of the directory claims `size` bytes."""
    place = data.rindex(b"PK\x01\x02", 0, data.index(b"PK\x05\x06")) if b"PK\x05\x06" in data else 0
    first = data.index(b"PK\x01\x02")
    place = min(first, place) if place else first
    return data[: place + 20] + size.to_bytes(4, "little") * 2 + data[place + 28 :]


def _with_flags(data: bytes, flags: int) -> bytes:
    changed = bytearray(data)
    place = -1
    while (place := data.find(b"PK\x01\x02", place + 1)) >= 0:
        changed[place + 8] |= flags
    while (place := data.find(b"PK\x03\x04", place + 1)) >= 0:
        changed[place + 6] |= flags
    return bytes(changed)


def _with_method(data: bytes, method: int) -> bytes:
    place = data.index(b"PK\x01\x02")
    return data[: place + 10] + method.to_bytes(2, "little") + data[place + 12 :]


def _doubled(data: bytes) -> bytes:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.filelist.clear()
        archive.NameToInfo.clear()
        for _ in range(2):
            info = zipfile.ZipInfo("archive/data.pkl")
            archive.NameToInfo.clear()
            archive.writestr(info, b"\x80\x02].")
    return buffer.getvalue()


def _many_entries(count: int) -> bytes:
    return zipped({"archive/data.pkl": b"\x80\x02].", **{f"archive/data/{number}": b"" for number in range(count)}})


def _write(value: Any, path: Path) -> None:
    """Write a value, or the result of a function; large values are given as functions, so that they are made late."""
    path.write_bytes(saved(value() if isinstance(value, FunctionType) else value))


def hostile() -> Named:
    """Names and writers."""
    yield from _containers()
    for group in (_constructors, _views, _structures, _layers, _descriptions):
        for name, value in group():
            yield name, partial(_write, value)


def valid() -> Iterator[bytes]:
    """A module, a state dict and a cascade."""
    from autodual.architectures import NetworkDescription
    from autodual.files.network_file import NetworkFile, network_bytes

    yield saved(network(), {})
    yield saved(network().state_dict(), {})
    yield saved([network(), network()], {})
    description = NetworkDescription("mlp:3", (4,), 3)
    yield network_bytes(NetworkFile(description, description.build().state_dict(), {"norm": "inf", "eps": 0.1}))
    yield saved(images(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.MaxPool2d(1)).eval(), {})


def commands(path: Path, around: Surroundings) -> list[list[str]]:
    """Each command that reads a network."""
    data = ["--data", str(around.data), "--limit", "1"]
    factory = ["--arch", f"{around.folder / 'factory.py'}:network"]
    return [
        ["certify", str(path), "--eps", "0.01", *data],
        ["certify", str(path), "--eps", "0.01", "--cascade", *data],
        ["certify", str(path), "--eps", "0.01", *factory, *data],
        ["inspect", str(path)],
        ["inspect", str(path), "--input-shape", "4"],
        ["radius", str(path), *data],
        ["detect", str(path), "--eps", "0.01", *data],
        ["verify", str(path), str(around.folder / "property.vnnlib")],
        ["attack", str(path), "--eps", "0.01", "--attack", "1", *data],
    ]


PICKLES = Format("torch.save", "model.pt", hostile, valid, commands)
