"""Help is instant, since it loads neither PyTorch nor NumPy; `python -m autodual_cli` runs the command."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.relu_file import write_relu

HEAVY = ("torch", "numpy", "networkx", "rich", "sympy", "jinja2")
# What PyTorch needs to trace a module or to read an exported program, and an ONNX file does not.
TRACING = ("sympy", "torch._dynamo", "torch.export.pt2_archive")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "certify",
        "attack",
        "evaluate",
        "radius",
        "detect",
        "architectures",
        "inspect",
        "report",
        "replay",
        "verify",
        "bench",
    ],
)
def test_help_loads_nothing_heavy(command):
    script = (
        "import sys\nfrom autodual_cli.main import cli\n"
        f"cli({[*command.split(), '--help']!r}, standalone_mode=False)\n"
        f"sys.exit(sum(name in sys.modules for name in {HEAVY!r}))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Usage:" in run.stdout


@pytest.mark.parametrize("module", ["autodual_cli", "autodual_cli.main"])
def test_the_package_is_runnable_and_says_its_version(module):
    run = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert run.stdout.startswith("autodual ")


def test_unknown_commands_and_options_are_usage_errors(invoke):
    for arguments in (["nonsense"], ["certify"], ["certify", "m.pt", "--nonsense"]):
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert "Error: " in result.stderr


def test_an_onnx_run_loads_no_tracer(tmp_path):
    write_relu(tmp_path / "m.onnx")
    (tmp_path / "p.vnnlib").write_text(
        "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (<= -1 X_0 1))(assert (>= Y_0 2))"
    )
    script = (
        "import sys\nfrom autodual_cli.main import cli\n"
        f"cli(['verify', {str(tmp_path / 'm.onnx')!r}, {str(tmp_path / 'p.vnnlib')!r}], standalone_mode=False)\n"
        f"sys.exit(', '.join(name for name in {TRACING!r} if name in sys.modules) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "unsat\n"


def test_the_first_collection_waits_for_the_modules_and_later_ones_do_not():
    script = (
        "import gc\nfrom autodual_cli.process.collection import postpone_collection\n"
        "usual = gc.get_threshold()\npostpone_collection()\n"
        "made = [[] for _ in range(100_000)]\nassert gc.get_freeze_count() == 0\n"
        "gc.collect()\nassert gc.get_freeze_count() > 100_000\nassert gc.get_threshold() == usual\n"
        "assert gc.callbacks == []"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
