"""The competition's scripts, run from another folder, with the arguments and the results file that it prescribes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.relu_file import write_relu

SCRIPTS = Path(__file__).resolve().parents[2] / "examples" / "vnncomp"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripts are for bash")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """y = ReLU(x), whether it reaches 0.5 for x in [-1, 1], and an environment with the present Python."""
    write_relu(tmp_path / "relu.onnx")
    (tmp_path / "p.vnnlib").write_text(
        "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= -1 X_0 1))(assert (>= Y_0 0.5))"
    )
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "autodual"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m autodual_cli "$@"\n')
    command.chmod(0o755)
    return tmp_path


def run(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / script, *arguments],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "AUTODUAL_VENV": str(folder),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": ":".join(sys.path),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_instance_is_prepared_and_run(folder: Path) -> None:
    assert run(folder, "prepare_instance.sh", "v1", "test", "relu.onnx", "p.vnnlib").returncode == 0
    done = run(folder, "run_instance.sh", "v1", "test", "relu.onnx", "p.vnnlib", "results.txt", "300")
    assert done.returncode == 0 and done.stdout == "sat\n", done.stderr
    text = (folder / "results.txt").read_text()
    found = re.fullmatch(r"sat\n\(\(X_0 (\S+)\)\n\(Y_0 (\S+)\)\)\n", text)
    assert found is not None and float(found[1]) == float(found[2]) >= 0.5
    assert not (folder / "results.txt.unfinished").exists()


def test_what_goes_wrong_is_an_error_in_the_results(folder: Path) -> None:
    done = run(folder, "run_instance.sh", "v1", "test", "none.onnx", "p.vnnlib", "results.txt", "300")
    assert done.returncode == 0 and (folder / "results.txt").read_text() == "error\n"
    assert "none.onnx" in done.stderr


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("install_tool.sh", ["v2"]),
        ("prepare_instance.sh", ["v1", "test", "none.onnx", "p.vnnlib"]),
        ("prepare_instance.sh", ["v2", "test", "relu.onnx", "p.vnnlib"]),
        ("run_instance.sh", ["v1", "test", "relu.onnx", "p.vnnlib"]),
    ],
)
def test_other_arguments_are_refused(script: str, arguments: list[str], folder: Path) -> None:
    refused = run(folder, script, *arguments)
    assert refused.returncode == 1 and script in refused.stderr
