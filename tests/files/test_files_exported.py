"""torch.export archives: honest ones compute what was exported, crafted ones are refused with nothing executed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.export import ExportedProgram

from autodual.errors import InvalidInputError, ModelFileError
from autodual.files import load_model

MODEL = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(2)
        self.linear = nn.Linear(8, 3)
        self.register_buffer("shift", torch.ones(3), persistent=False)
        self.constant = torch.tensor([1.0, 2.0, 3.0])

    def forward(self, image):
        hidden = torch.relu(self.norm(self.convolution(image)))
        return self.linear(hidden.reshape(hidden.shape[0], -1)) + self.shift * self.constant


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return Network().eval()


@pytest.fixture(scope="module")
def archive(model) -> bytes:
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.export.export(model, (torch.rand(3, 1, 4, 4),), dynamic_shapes=({0: batch},))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def entries_of(archive: bytes) -> tuple[str, dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        root = file.namelist()[0].split("/")[0]
        return root, {name.partition("/")[2]: file.read(name) for name in file.namelist()}


def rewritten(archive: bytes, path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """`archive` with its entries changed in place, in a file."""
    root, entries = entries_of(archive)
    change(entries)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            file.writestr(f"{root}/{name}", content)
    return path


def program_change(edit: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def change(entries: dict[str, bytes]) -> None:
        program = json.loads(entries[MODEL])
        edit(program)
        entries[MODEL] = json.dumps(program).encode()

    return change


def test_an_honest_archive_computes_what_was_exported(tmp_path, archive, model):
    path = tmp_path / "model.pt2"
    path.write_bytes(archive)
    program = load_model(path)
    x = torch.rand(5, 1, 4, 4)
    assert isinstance(program, ExportedProgram)
    assert torch.equal(program.module()(x), model(x))
    assert {str(k): (v.lower, v.upper) for k, v in program.range_constraints.items()}.popitem()[1] == (1, 4096)
    convolution = next(node for node in program.graph.nodes if "conv2d" in str(node.target))
    assert "convolution" in str(convolution.meta["nn_module_stack"])


def test_pytorchs_own_loader_executes_a_crafted_archive(tmp_path, archive):
    """So that the refusals below are not vacuous: only rebuilding the program protects from its expressions."""
    marker = tmp_path / "executed"
    path = rewritten(archive, tmp_path / "evil.pt2", program_change(lambda p: set_expression(p, marker)))
    with contextlib.suppress(Exception):  # it may fail after it has executed the code, which is what counts
        torch.export.load(path)
    assert marker.exists()


def set_expression(program: dict[str, Any], marker: Path) -> None:
    values = program["graph_module"]["graph"]["tensor_values"]
    size = next(size for meta in values.values() for size in meta["sizes"] if "as_expr" in size)
    size["as_expr"]["expr_str"] = f"__import__('os').mkdir('{marker}')"


def name_a_node(program: dict[str, Any], marker: Path) -> None:
    graph = program["graph_module"]["graph"]
    text = json.dumps(graph).replace('"image"', json.dumps(f"image=__import__('os').mkdir('{marker}')"))
    program["graph_module"]["graph"] = json.loads(text)


def name_an_argument(program: dict[str, Any], marker: Path) -> None:
    signature = program["graph_module"]["module_call_graph"][0]["signature"]
    signature["forward_arg_names"] = [f"image=__import__('os').mkdir('{marker}')"]


def call_a_python_function(program: dict[str, Any], marker: Path) -> None:
    program["graph_module"]["graph"]["nodes"][-1]["target"] = "torch.os.mkdir"


def call_a_method_caller(program: dict[str, Any], marker: Path) -> None:
    program["graph_module"]["graph"]["nodes"][-1]["target"] = "_operator.methodcaller"


def open_a_file(program: dict[str, Any], marker: Path) -> None:
    program["graph_module"]["graph"]["nodes"][-1]["target"] = "torch.ops.aten.from_file.default"


def pass_a_text(program: dict[str, Any], marker: Path) -> None:
    inputs = program["graph_module"]["graph"]["nodes"][-1]["inputs"]
    inputs.append({"name": "mode", "arg": {"as_string": str(marker)}, "kind": 2})


def import_an_enum(program: dict[str, Any], marker: Path) -> None:
    signature = program["graph_module"]["module_call_graph"][0]["signature"]
    context = json.dumps({"__enum__": True, "fqn": "antigravity:x", "name": "y"})
    signature["out_spec"] = json.dumps([1, {"type": "builtins.dict", "context": context, "children_spec": []}])


def import_a_default_factory(program: dict[str, Any], marker: Path) -> None:
    signature = program["graph_module"]["module_call_graph"][0]["signature"]
    context = {"default_factory_module": "antigravity", "default_factory_name": "x", "dict_context": []}
    tree = {"type": "collections.defaultdict", "context": context, "children_spec": []}
    signature["out_spec"] = json.dumps([1, tree])


def constrain_another_name(program: dict[str, Any], marker: Path) -> None:
    program["range_constraints"] = {f"__import__('os').mkdir('{marker}')": {"min_val": 1, "max_val": 2}}


def hold_an_object(program: dict[str, Any], marker: Path) -> None:
    program["graph_module"]["graph"]["custom_obj_values"] = {"x": {"name": "x", "class_fqn": "y"}}


@pytest.mark.parametrize(
    "edit",
    [
        set_expression,
        name_a_node,
        name_an_argument,
        call_a_python_function,
        call_a_method_caller,
        open_a_file,
        pass_a_text,
        import_an_enum,
        import_a_default_factory,
        constrain_another_name,
        hold_an_object,
    ],
)
def test_a_program_that_would_execute_code_is_refused_in_one_sentence(tmp_path, archive, edit):
    marker = tmp_path / "executed"
    path = rewritten(archive, tmp_path / "evil.pt2", program_change(lambda program: edit(program, marker)))
    with pytest.raises(ModelFileError, match=r"evil.pt2' is refused because .*unsafe=True\.$") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_guards_are_source_code_and_are_dropped(tmp_path, archive):
    marker = tmp_path / "executed"

    def add_guard(program: dict[str, Any]) -> None:
        program["guards_code"] = [f"__import__('os').mkdir('{marker}') is None"]

    program = load_model(rewritten(archive, tmp_path / "guarded.pt2", program_change(add_guard)))
    program.module()(torch.rand(2, 1, 4, 4))
    assert not marker.exists()


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def evil_pickle(marker: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(((Payload(marker),), {}), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("entry", [SAMPLES, "data/weights/model.pt", "data/constants/model.pt"])
def test_a_pickle_inside_the_archive_is_refused_unexecuted(tmp_path, archive, entry):
    marker = tmp_path / "executed"
    path = rewritten(archive, tmp_path / "evil.pt2", lambda entries: entries.update({entry: evil_pickle(marker)}))
    with pytest.raises(ModelFileError, match=r"would execute code of its own choice \(.*mkdir"):
        load_model(path)
    assert not marker.exists()


def test_a_pickled_constant_is_refused_unexecuted(tmp_path, archive):
    marker = tmp_path / "executed"

    def change(entries: dict[str, bytes]) -> None:
        name = "data/constants/model_constants_config.json"
        config = json.loads(entries[name])
        payload = next(iter(config["config"].values()))
        payload.update(use_pickle=True, path_name="opaque_obj_0", tensor_meta=None)
        entries[name] = json.dumps(config).encode()
        entries["data/constants/opaque_obj_0"] = evil_pickle(marker)

    with pytest.raises(ModelFileError, match="is stored as a pickle"):
        load_model(rewritten(archive, tmp_path / "evil.pt2", change))
    assert not marker.exists()


def test_unexpected_entries_are_refused(tmp_path, archive):
    for entry in ("data/aotinductor/model/evil.so", "models/second.json", "../outside"):
        path = rewritten(archive, tmp_path / "evil.pt2", lambda entries, entry=entry: entries.update({entry: b"x"}))
        with pytest.raises(ModelFileError, match=r"unexpected entry|points outside"):
            load_model(path)


def test_a_tensor_without_data_is_refused(tmp_path, archive):
    with pytest.raises(ModelFileError, match="has no data"):
        load_model(
            rewritten(archive, tmp_path / "m.pt2", lambda entries: entries.update({"data/weights/weight_0": b""}))
        )


def test_damage_gets_one_sentence(tmp_path, archive):
    path = tmp_path / "m.pt2"
    for change in (
        lambda entries: entries.update({MODEL: b"{"}),
        lambda entries: entries.update({MODEL: b"[" * 100_000}),
        lambda entries: entries.update({MODEL: b"{}"}),
        lambda entries: entries.pop(SAMPLES),
        lambda entries: entries.update({"archive_format": b"other"}),
    ):
        with pytest.raises(ModelFileError, match="is damaged"):
            load_model(rewritten(archive, path, change))
    path.write_bytes(archive[: len(archive) // 2])
    with pytest.raises(ModelFileError, match="truncated or damaged"):
        load_model(path)


def test_an_archive_of_another_schema_names_the_version_of_pytorch(tmp_path, archive):
    edit = program_change(lambda program: program["schema_version"].update(major=1))
    with pytest.raises(ModelFileError, match="cannot be loaded by PyTorch"):
        load_model(rewritten(archive, tmp_path / "old.pt2", edit))


def test_parameters_must_be_finite_and_architectures_are_not_needed(tmp_path, archive):
    path = rewritten(archive, tmp_path / "m.pt2", lambda e: e.update({"data/weights/weight_0": b"\xff" * 72}))
    with pytest.raises(InvalidInputError, match=r"'convolution.weight' holds NaN"):
        load_model(path)
    path.write_bytes(archive)
    with pytest.raises(InvalidInputError, match="already holds the architecture"):
        load_model(path, factory=Network)
    assert isinstance(load_model(path, unsafe=True), ExportedProgram)


def leaves(tree: Any, path: tuple[Any, ...] = ()):
    """The path of every string in a JSON tree, and of every key of its dictionaries."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield (*path, key), "key"
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for position, value in enumerate(tree):
            yield from leaves(value, (*path, position))
    elif isinstance(tree, str):
        yield path, "value"


def replaced(tree: Any, path: tuple[Any, ...], what: str, text: str) -> None:
    for step in path[:-1]:
        tree = tree[step]
    if what == "value":
        tree[path[-1]] = text
    else:
        tree[text] = tree.pop(path[-1])


def test_code_in_the_programs_strings_is_never_executed(tmp_path, archive):
    """Strings and keys of the JSON are replaced by code in turn, one of each kind of place."""
    marker = tmp_path / "executed"
    code = f"__import__('os').mkdir('{marker}')"
    _, entries = entries_of(archive)
    places = {}
    for path, what in leaves(json.loads(entries[MODEL])):
        places.setdefault((what, tuple("*" if isinstance(step, int) else step for step in path[-2:])), path)
    refused = 0
    for (what, _kind), path in places.items():
        for text in (code, f"x={code}"):
            edit = program_change(lambda program, p=path, w=what, t=text: replaced(program, p, w, t))
            try:
                load_model(rewritten(archive, tmp_path / "fuzz.pt2", edit)).module()(torch.rand(2, 1, 4, 4))
            except (ModelFileError, InvalidInputError):
                refused += 1
            assert not marker.exists(), (path, what, text)
    assert refused > len(places)
