"""Weights in external files that must not be read, or that do not contain them."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from onnx import TensorProto
from support.hostile_onnx.building import CASES, HUGE, Writer, case, floats, model, node
from support.hostile_onnx.tensors import weights

DATA = floats(4, 3).tobytes()


def _external(attribute: bool = False, **entries: str) -> Writer:
    def change(tensor: onnx.TensorProto) -> None:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)

    def write(path: Path) -> None:
        (path.parent / "data").write_bytes(DATA)
        (path.parent / "short").write_bytes(DATA[:7])
        (path.parent / "folder").mkdir(exist_ok=True)
        outside = path.parent.parent / "outside"
        outside.write_bytes(DATA)
        for link, target in (("out", outside), ("zero", "/dev/zero"), ("round", "round"), ("password", "/etc/passwd")):
            if not (path.parent / link).is_symlink():
                (path.parent / link).symlink_to(target)
        if not (path.parent / "pipe").exists():
            os.mkfifo(path.parent / "pipe")
        with (path.parent / "sparse").open("wb") as file:
            file.truncate(1 << 33)
        weights(change, attribute=attribute)(path)

    return write


for _where in (False, True):
    for _name, _entries in {
        "at an absolute path": {"location": "/etc/passwd"},
        "of a Windows path": {"location": "C:\\data"},
        "above the folder": {"location": "../outside"},
        "above the folder again": {"location": "folder/../../outside"},
        "above the folder for Windows": {"location": "..\\outside"},
        "behind a link": {"location": "out"},
        "behind a link to a password": {"location": "password"},
        "in a device": {"location": "zero"},
        "in a circle of links": {"location": "round"},
        "in a pipe": {"location": "pipe"},
        "in a folder": {"location": "folder"},
        "in the folder": {"location": "."},
        "in a file that is not there": {"location": "missing"},
        "in a file of a long name": {"location": "x" * 100_000},
        "in a name with a zero": {"location": "da\0ta"},
        "nowhere": {},
        "in an empty name": {"location": ""},
        "in a short file": {"location": "short"},
        "beyond the end": {"location": "data", "offset": "1"},
        "far beyond the end": {"location": "data", "offset": str(HUGE)},
        "before the start": {"location": "data", "offset": "-48"},
        "at no number": {"location": "data", "offset": "eight"},
        "at a long number": {"location": "data", "offset": "9" * 10_000},
        "of another length": {"location": "data", "length": "47"},
        "of a huge length": {"location": "data", "length": str(HUGE)},
        "of a negative length": {"location": "data", "length": "-1"},
        "in a file of 8 GiB": {"location": "sparse"},
    }.items():
        CASES[f"{'attribute' if _where else 'weights'} {_name}"] = _external(_where, **_entries)


@case
def many_tensors_claim_one_file(path: Path) -> None:
    """A thousand tensors of 16 MiB each, all the same bytes."""
    with (path.parent / "large").open("wb") as file:
        file.truncate(1 << 24)
    proto = model([node("Relu", ["x"])])
    for place in range(1000):
        tensor = proto.graph.initializer.add(
            name=f"w{place}", data_type=TensorProto.FLOAT, dims=[1 << 22], data_location=TensorProto.EXTERNAL
        )
        tensor.external_data.add(key="location", value="large")
    path.write_bytes(proto.SerializeToString())
