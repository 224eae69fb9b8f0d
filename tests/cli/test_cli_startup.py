"""Help is instant, since it loads neither PyTorch nor NumPy; `python -m autodual_cli` runs the command."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "networkx", "rich", "sympy", "jinja2")


@pytest.mark.parametrize(
    "command",
    ["", *("certify", "attack", "radius", "detect", "architectures", "inspect", "report", "replay", "verify")],
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


def test_the_package_is_runnable_and_says_its_version():
    run = subprocess.run(
        [sys.executable, "-m", "autodual_cli", "--version"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0
    assert run.stdout.startswith("autodual ")


def test_unknown_commands_and_options_are_usage_errors(invoke):
    for arguments in (["nonsense"], ["certify"], ["certify", "m.pt", "--nonsense"]):
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert "Error: " in result.stderr
