"""The files of the package import one another without circles, and a file's name says what it holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"autodual": ROOT / "autodual", "autodual_cli": ROOT / "cli" / "autodual_cli"}

#: Names that mean the same in every room.
CONVENTIONAL = {"__init__", "__main__", "base", "registry"}
#: Rooms whose files are each about one topic of operations: the same name in two of them is the same topic.
TOPICS = {
    "autodual/ir/ops",
    "autodual/dual",
    "autodual/frontend/compositions",
    "autodual/frontend/torch/rules",
    "autodual/frontend/onnx/rules",
    "autodual/frontend/onnx/batch",
}
#: What each frontend consists of.
FRONTENDS = {"autodual/frontend/torch", "autodual/frontend/torch/tracing", "autodual/frontend/onnx"}
PARTS = {"builder", "lowering", "operands"}
#: A command is one file, called by what is typed; the file of the function that it calls has the same name.
COMMANDS = {"autodual_cli/commands", "autodual/certification"}


def _files() -> dict[str, Path]:
    """All modules of the packages by their dotted names."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
            assert parts[0] == package
    return found


FILES = _files()


def imports(source: str, known: Mapping[str, object], *, annotations: bool) -> set[str]:
    """The known modules that a file imports anywhere, functions included.

    annotations: also those that it imports for type checkers alone.
    """
    tree = ast.parse(source)
    blocks = (node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    checked = {id(inner) for block in blocks for statement in block.body for inner in ast.walk(statement)}
    found = set()
    for node in ast.walk(tree):
        if id(node) not in checked or annotations:
            found.update(name for name in _imported(node, known) if name in known)
    return found


def _imported(node: ast.AST, known: Mapping[str, object]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0 and node.module is not None, "imports are absolute"
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield whole if whole in known else node.module


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules each of which is imported by the next, the first one again at the end; none if there is no circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("annotations", [False, True], ids=["run time", "annotations too"])
def test_no_file_imports_itself_by_way_of_others(annotations: bool) -> None:
    graph = {name: imports(path.read_text(), FILES, annotations=annotations) for name, path in FILES.items()}
    assert sum(map(len, graph.values())) > len(graph)
    assert " is imported by ".join(circle(graph)) == ""


def test_a_circle_is_found() -> None:
    straight = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert circle(straight) == []
    assert {*circle({**straight, "c": {"d"}, "d": {"b"}})} == {"b", "c", "d"}
    assert circle({"a": {"a"}}) == ["a", "a"]


def test_imports_are_found_wherever_they_are() -> None:
    source = (
        "from a import b\nfrom a import other\nimport d\n"
        "if TYPE_CHECKING:\n    from e import f\n"
        "def late():\n    from g import h\n"
    )
    known = dict.fromkeys(("a", "a.b", "d", "e", "g"))
    assert imports(source, known, annotations=False) == {"a", "a.b", "d", "g"}
    assert imports(source, known, annotations=True) == {*known}


def _same_thing(name: str, rooms: set[str]) -> bool:
    """Whether a name stands for one thing in all these rooms."""
    return name in CONVENTIONAL or rooms <= TOPICS or rooms <= COMMANDS or (name in PARTS and rooms <= FRONTENDS)


def test_a_name_needs_no_folder_to_be_understood() -> None:
    rooms: dict[str, set[str]] = {}
    for path in FILES.values():
        for package, folder in PACKAGES.items():
            if folder in path.parents:
                within = PurePosixPath(package) / path.parent.relative_to(folder).as_posix()
                rooms.setdefault(path.stem, set()).add(str(within))
    found = {name for name, where in rooms.items() if len(where) > 1 and not _same_thing(name, where)}
    assert not found, {name: sorted(rooms[name]) for name in sorted(found)}
