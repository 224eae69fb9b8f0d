"""Rebuilding the JSON of an exported program from those of its parts that are known to be inert.

`torch.export.load` pastes node names into generated Python source, evaluates size expressions and guards, imports the
classes that tree specifications name, and looks up operators by attribute path. This module does not search for signs
of an attack: it copies what is on a list of safe things, in canonical form, and refuses the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from autodual.files.symbolic import canonical_expression, is_symbol

Json = Any

_IDENTIFIER = re.compile(r"([A-Za-z_]\w*)?\Z", re.ASCII)
_PLAIN_TEXT = re.compile(r"[\w.+\-]*\Z", re.ASCII)
_ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)\Z", re.ASCII)
_SIZE_FUNCTION = re.compile(r"torch\.sym_(max|min|float|int|not|ite|sum)\Z|math\.(ceil|floor|trunc)\Z")
_OPERATOR = re.compile(
    r"_operator\.(add|sub|mul|truediv|floordiv|mod|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)\Z"
)
_PRIVATE_ATEN = frozenset(
    {"_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "_assert_scalar", "_assert_tensor_metadata", "_conj",
     "_log_softmax", "_native_batch_norm_legit", "_native_batch_norm_legit_functional",
     "_native_batch_norm_legit_no_training", "_prelu_kernel", "_reshape_alias", "_safe_softmax", "_softmax", "_to_copy",
     "_unsafe_index", "_unsafe_view"}
)  # fmt: skip
_FILE_ATEN = frozenset({"from_file", "save", "load"})
_MODES = frozenset(
    {"none", "tanh", "constant", "reflect", "replicate", "circular", "floor", "trunc", "ij", "xy", "mean", "sum", "max"}
)
_FORBIDDEN = frozenset(
    {"as_operator", "as_custom_obj", "as_graph", "as_string_to_argument", "as_strings", "custom_obj", "token"}
)
_METADATA = ("stack_trace", "nn_module_stack")
_TREE_NODES = frozenset({"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})


class Refused(Exception):
    """A part of the program is not on the list; the message completes 'it is refused because …'."""


def rebuild_program(program: Json) -> Json:
    """An inert copy of `models/model.json`, without guards, hints of other tools and preserved module signatures.

    Raises:
        Refused: the program holds something that could execute when it is loaded.
        KeyError, TypeError, ValueError: it does not have the form of an exported program.
    """
    module = program["graph_module"]
    return {
        "graph_module": {
            "graph": _graph(module["graph"]),
            "signature": _value(module["signature"]),
            "module_call_graph": [_root_call(module["module_call_graph"])],
            "metadata": {},
            "treespec_namedtuple_fields": {},
        },
        "opset_version": {_text(key): int(version) for key, version in program["opset_version"].items()},
        "range_constraints": {_symbol(key): _range(limits) for key, limits in program["range_constraints"].items()},
        "schema_version": {key: int(program["schema_version"][key]) for key in ("major", "minor")},
        "verifiers": [_text(verifier) for verifier in program.get("verifiers", [])],
        "torch_version": _text(program.get("torch_version", "<=2.4").replace("<=", "")),
        "guards_code": [],
    }


def rebuild_payloads(payloads: Json, prefix: str) -> Json:
    """An inert copy of a configuration of weights or constants; the names of its files are `prefix` and a number."""
    config = {}
    for key, payload in payloads["config"].items():
        if payload["use_pickle"] or payload["tensor_meta"] is None:
            raise Refused(f"its tensor '{_text(key)}' is stored as a pickle")
        if not re.fullmatch(rf"{prefix}\d{{1,9}}", payload["path_name"], re.ASCII):
            raise Refused("a tensor is stored outside its folder")
        config[_text(key)] = {
            "path_name": payload["path_name"],
            "is_param": bool(payload["is_param"]),
            "use_pickle": False,
            "tensor_meta": _value(payload["tensor_meta"]),
        }
    return {"config": config}


def _graph(graph: Json) -> Json:
    if graph.get("custom_obj_values"):
        raise Refused("it holds objects other than tensors")
    copy = {key: _value(graph[key]) for key in ("inputs", "outputs")}
    copy["nodes"] = [_node(node) for node in graph["nodes"]]
    copy["is_single_tensor_return"] = bool(graph.get("is_single_tensor_return", False))
    used = set(_names([copy["inputs"], copy["outputs"], *(node["outputs"] for node in copy["nodes"])]))
    for key in ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values"):
        values = graph.get(key, {}).items()
        copy[key] = {_identifier(name): _value(value) for name, value in values if name in used}
    return copy


def _names(value: Json) -> Iterator[str]:
    """All names of values in a subtree, found under the keys `name` and `as_name`."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, (dict, list)):
            yield from _names(item)
        elif key in ("name", "as_name"):
            yield item


def _node(node: Json) -> Json:
    target = _target(node["target"])
    inputs = node["inputs"]
    if "._assert" in target:
        inputs = [_without_message(argument) for argument in inputs]
    metadata = node.get("metadata", {})
    return {
        "target": target,
        "inputs": _value(inputs),
        "outputs": _value(node["outputs"]),
        "metadata": {key: str(metadata[key]) for key in _METADATA if key in metadata},
        "is_hop_single_tensor_return": None,
        "name": None if node.get("name") is None else _identifier(node["name"]),
    }


def _target(target: str) -> str:
    aten = _ATEN.match(target)
    if aten is not None:
        name = aten.group(1)
        if name not in _FILE_ATEN and (not name.startswith("_") or name in _PRIVATE_ATEN):
            return target
    elif _SIZE_FUNCTION.match(target) or _OPERATOR.match(target):
        return target
    raise Refused(f"it calls '{target}', which is not on the list of tensor operations")


def _without_message(argument: Json) -> Json:
    if "as_string" not in argument["arg"]:
        return argument
    return {**argument, "arg": {"as_string": "none"}}


def _root_call(calls: Json) -> Json:
    """The calling convention of the program itself; only `torch.export.unflatten` needs those of submodules."""
    signature = {call["fqn"]: call["signature"] for call in calls}[""]
    names = signature.get("forward_arg_names")
    return {
        "fqn": "",
        "signature": {
            "inputs": [],
            "outputs": [],
            "in_spec": _tree_specification(signature["in_spec"]),
            "out_spec": _tree_specification(signature["out_spec"]),
            "forward_arg_names": None if names is None else [_identifier(name) for name in names],
        },
    }


def _tree_specification(text: str) -> str:
    protocol, tree = json.loads(text)
    return json.dumps([int(protocol), _tree(tree)])


def _tree(tree: Json) -> Json:
    kind, context = tree["type"], tree["context"]
    if kind is None:
        return {"type": None, "context": None, "children_spec": []}
    if kind not in _TREE_NODES:
        raise Refused(f"its inputs or outputs are of the type '{kind}'")
    keys = json.loads(context)
    if keys is not None and not (isinstance(keys, list) and all(isinstance(key, (str, int)) for key in keys)):
        raise Refused("the structure of its inputs or outputs names a class to import")
    if isinstance(keys, list):
        keys = [_identifier(key) if isinstance(key, str) else key for key in keys]
    return {
        "type": kind,
        "context": json.dumps(keys),
        "children_spec": [_tree(child) for child in tree["children_spec"]],
    }


def _value(value: Json, key: str = "") -> Json:
    """A copy of a subtree whose dictionaries are keyed by the schema's field names."""
    if isinstance(value, dict):
        forbidden = _FORBIDDEN & value.keys()
        if forbidden:
            raise Refused(f"it uses '{min(forbidden)}', which may carry code")
        if key in ("device", "as_device"):
            return {"type": "cpu", "index": None}
        return {_identifier(name): _value(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_value(item, key) for item in value]
    if isinstance(value, str):
        return _string(value, key)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise TypeError(type(value).__name__)


def _string(value: str, key: str) -> str:
    if key == "expr_str":
        try:
            return canonical_expression(value)
        except ValueError as error:
            raise Refused(f"its size expression '{value[:60]}' would be evaluated and {error}") from None
    if key == "as_string" and value not in _MODES:
        raise Refused(f"it passes the text '{value[:60]}' to an operation")
    return _identifier(value) if key in ("name", "as_name") else _text(value)


def _identifier(name: str) -> str:
    if not isinstance(name, str) or not _IDENTIFIER.match(name):
        raise Refused(f"the name '{str(name)[:60]}' would become source code")
    return name


def _text(value: str) -> str:
    if not isinstance(value, str) or not _PLAIN_TEXT.match(value):
        raise Refused(f"it holds the unexpected text '{str(value)[:60]}'")
    return value


def _symbol(name: str) -> str:
    if not is_symbol(name):
        raise Refused(f"'{str(name)[:60]}' is not the name of a size")
    return name


def _range(limits: Json) -> Json:
    return {key: None if limits[key] is None else int(limits[key]) for key in ("min_val", "max_val")}
