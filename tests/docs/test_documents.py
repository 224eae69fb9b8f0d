"""The documents' Python runs, and the links, files and tests that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from autodual_cli.commands.architectures import architectures
from autodual_cli.commands.attack import attack
from autodual_cli.commands.bench import bench
from autodual_cli.commands.certify import certify
from autodual_cli.commands.detect import detect
from autodual_cli.commands.evaluate import evaluate
from autodual_cli.commands.inspect import inspect
from autodual_cli.commands.radius import radius
from autodual_cli.commands.replay import replay
from autodual_cli.commands.report import report
from autodual_cli.commands.supports import supports
from autodual_cli.commands.verify import verify
from support.python_blocks import python_blocks, run_blocks

from autodual.data import DATA_SETS

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENTS = sorted(DOCS.glob("*.md"))
NAMES = [document.name for document in DOCUMENTS]
_LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
_PATH = re.compile(r"`((?:autodual|autodual_cli|cli|docs|tests|examples)/[\w./-]*)`")
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.mark.usefixtures("restored_registries")
@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_python_blocks_run(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks assert what the text claims, in the folder of the repository; the tutorial has a test of its own."""
    monkeypatch.chdir(DOCS.parent)
    if document.name == "tutorial.md":
        pytest.skip("run by test_tutorial.py")
    if not python_blocks(document):
        pytest.skip("the document has no Python")
    run_blocks(document)


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_no_python_block_is_hidden_from_the_tests(document: Path) -> None:
    """Blocks within lists are indented, and would not be run."""
    assert not re.findall(r"^[ \t>]+```python", document.read_text(encoding="utf-8"), re.MULTILINE)


def _anchor(heading: str) -> str:
    return "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_and_their_headings_exist(document: Path) -> None:
    for target, anchor in _LINK.findall(_CODE.sub("", document.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        file = document.parent / target if target else document
        assert file.exists(), target
        if anchor:
            headings = _HEADING.findall(file.read_text(encoding="utf-8"))
            assert anchor in map(_anchor, headings), anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_files_that_a_document_names_exist(document: Path) -> None:
    """Code and tests that are referred to by their path."""
    for path in _PATH.findall(document.read_text(encoding="utf-8")):
        assert (DOCS.parent / path).exists(), path


@pytest.mark.parametrize(
    "command",
    [certify, attack, evaluate, radius, detect, architectures, inspect, report, replay, verify, bench, supports],
    ids=lambda command: command.name,
)
def test_every_option_of_the_command_line_is_documented(command: click.Command) -> None:
    text = (DOCS / "command_line.md").read_text(encoding="utf-8")
    assert f"autodual {command.name}" in text
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert options
    for option in options:
        assert any(re.search(rf"`{flag}[ `]", text) for flag in option.opts), option.opts


def test_every_data_set_is_documented() -> None:
    text = (DOCS / "command_line.md").read_text(encoding="utf-8")
    assert [name for name in DATA_SETS if f"`{name}`" not in text] == []
