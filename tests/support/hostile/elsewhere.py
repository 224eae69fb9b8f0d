"""Formats whose hostile files are generated in other modules: ONNX, VNN-LIB, recipes, checkpoints."""

from __future__ import annotations

import contextlib
import functools
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
from support.hostile.field import PROPERTY
from support.hostile.format import Format, Named, Surroundings
from support.hostile.pickles import commands as network_commands
from support.hostile_recipes import hostile_checkpoints, hostile_recipes
from support.hostile_vnnlib import hostile_files

_RECIPE = b"""epochs = 1
batch_size = 2
network = { arch = "mlp:2" }
set = { eps = 0.05 }
data = { hold_out = 4 }
optimiser = { clip = 1.0, averaging = 0.9 }
"""
_FIXED = ["--threads", "1", "--quiet"]


def _onnx() -> Named:
    from support.hostile_onnx import CASES

    yield from CASES.items()


def _onnx_network() -> Iterator[bytes]:
    from support.hostile_onnx.building import floats, model, node

    nodes = [node("Gemm", ["x", "w", "b"], "h"), node("Relu", ["h"], "r"), node("Gemm", ["r", "v"])]
    honest = model(nodes, {"w": floats(4, 5), "b": floats(5), "v": floats(5, 3)}, shape=("batch", 4))
    yield honest.SerializeToString()


def _with_suffix(files: Callable[[], Named], suffix: str) -> Callable[[], Named]:
    return lambda: ((name, writer) for name, writer in files() if name.endswith(suffix))


def _verify(path: Path, around: Surroundings) -> list[list[str]]:
    return [["verify", str(around.model), str(path)]]


_KEPT = tempfile.TemporaryDirectory()
"""Folder for the data of honest runs; it must stay, since a run refers to its data by absolute path."""


@functools.cache
def _data() -> Path:
    path = Path(_KEPT.name) / "data.npz"
    x = numpy.linspace(0, 1, 64, dtype=numpy.float32).reshape(16, 4)
    numpy.savez(path, x=x, y=numpy.arange(16) % 3)
    return path


def _train(path: Path, around: Surroundings) -> list[list[str]]:
    return [["train", "--recipe", str(path), "--data", str(_data()), "--output", str(path.parent / "run"), *_FIXED]]


@functools.cache
def _run() -> dict[str, bytes]:
    """The files of a run that can be resumed, by their names in a folder."""
    from autodual_cli.main import cli

    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        (folder / "recipe.toml").write_bytes(_RECIPE)
        (command,) = _train(folder / "recipe.toml", Surroundings(folder, folder, folder))
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            cli(command, prog_name="autodual", standalone_mode=False)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _checkpoint() -> Iterator[bytes]:
    yield _run()["run/checkpoint.pt"]


def _resume(path: Path, around: Surroundings) -> list[list[str]]:
    return [["train", "--resume", "--output", str(path.parent), *_FIXED]]


ELSEWHERE = (
    Format("ONNX", "network.onnx", _onnx, _onnx_network, network_commands),
    Format("VNN-LIB", "property.vnnlib", _with_suffix(hostile_files, ".vnnlib"), lambda: iter([PROPERTY]), _verify),
    Format("packed VNN-LIB", "property.vnnlib.gz", _with_suffix(hostile_files, ".gz"), lambda: iter(()), _verify),
    Format("TOML recipes", "recipe.toml", _with_suffix(hostile_recipes, ".toml"), lambda: iter([_RECIPE]), _train),
    Format("YAML recipes", "recipe.yaml", _with_suffix(hostile_recipes, ".yaml"), lambda: iter(()), _train),
    Format(
        "checkpoints",
        "run/checkpoint.pt",
        hostile_checkpoints,
        lambda: iter([_run()["run/checkpoint.pt"]]),
        _resume,
        _run,
    ),
)
