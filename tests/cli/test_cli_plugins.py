"""Commands of other packages: listed without being imported, and harmless when they are broken."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from autodual_cli.main import cli
from autodual_cli.plugins import plugin_commands


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes an installed package that offers commands: `offer(package, entry_points, modules)`."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(package: str, lines: str, **modules: str) -> None:
        record = tmp_path / f"{package}-1.0.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (record / "entry_points.txt").write_bytes(b"[autodual.commands]\n" + lines.encode("latin-1"))
        for name, code in modules.items():
            (tmp_path / f"{name}.py").write_text(code)
            monkeypatch.delitem(sys.modules, name, raising=False)

    return make


HELLO = """
import click
from autodual.errors import InvalidInputError

@click.command(short_help="Greets.")
@click.option("--loud", is_flag=True)
def hello(loud):
    if loud:
        raise InvalidInputError("too loud; be quiet.")
    click.echo("hello")
"""


def test_help_lists_commands_without_importing_them(invoke, offer):
    offer("greetings", "hello = greeting:hello\n", greeting=HELLO)
    listed = invoke("--help")
    assert listed.exit_code == 0 and "Command of the package 'greetings'." in listed.output
    assert "greeting" not in sys.modules
    assert invoke("hello").output == "hello\n"
    assert "--loud" in invoke("hello", "--help").output


def test_errors_of_a_command_look_like_our_own(invoke, offer):
    offer("greetings", "hello = greeting:hello\n", greeting=HELLO)
    failed = invoke("hello", "--loud")
    assert failed.exit_code == 2 and failed.stderr == "Error: too loud; be quiet.\n"
    assert invoke("hello", "--nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("lines", "code", "message"),
    [
        (
            "x = broken:x\n",
            "raise RuntimeError('no\\nluck')",
            "cannot be loaded (RuntimeError: no luck); update or",
        ),
        ("x = broken:x\n", "import absent_module", "cannot be loaded (ModuleNotFoundError: No module named"),
        ("x = broken:x\n", "raise SystemExit(0)", "cannot be loaded (SystemExit: 0)"),
        ("x = broken:x\n", "", "cannot be loaded (AttributeError"),
        ("x = broken:x\n", "x = print", "'broken:x' is no click command; tell its authors."),
        ("x = gone:x\n", "", "cannot be loaded (ModuleNotFoundError"),
        ("x = not a place\n", "", "cannot be loaded ("),
    ],
)
def test_a_broken_command_is_one_line_and_harms_no_other(invoke, offer, lines, code, message):
    offer("fragile", lines, broken=code)
    failed = invoke("x")
    assert failed.exit_code == 2 and failed.stderr.startswith("Error: The command 'x' of the package 'fragile' cannot")
    assert message in failed.stderr and failed.stderr.count("\n") == 1
    assert invoke("certify", "--help").exit_code == 0
    assert "fragile" in invoke("--help").output


@pytest.mark.parametrize("lines", ["no equals sign\n", "\xff = \xff\n", "= x\n"])
def test_broken_records_of_packages_harm_no_command(invoke, offer, lines):
    offer("fragile", lines)
    assert invoke("certify", "--help").exit_code == 0
    assert invoke("--help").exit_code == 0
    assert invoke("nonsense").exit_code == 2


def test_no_package_replaces_a_command_of_ours(invoke, offer):
    offer("greedy", "certify = greeting:hello\nhello = greeting:hello\n", greeting=HELLO)
    assert isinstance(cli.get_command(click.Context(cli), "certify"), click.Command)
    assert cli.get_command(click.Context(cli), "certify") is cli.commands["certify"]
    assert invoke("--help").output.count("greedy") == 1


def test_two_packages_that_offer_one_name_are_both_named(invoke, offer):
    offer("first", "hello = greeting:hello\n", greeting=HELLO)
    offer("second", "hello = other:hello\n", other=HELLO)
    failed = invoke("hello")
    assert failed.exit_code == 2
    assert "The packages 'first' and 'second' both offer a command 'hello'; uninstall one of them" in failed.stderr
    assert plugin_commands()["hello"].packages == "'first' and 'second'"
