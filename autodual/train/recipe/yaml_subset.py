"""YAML without its surprises: words that PyYAML's own loader turns into unexpected numbers and booleans are strings.

Numbers are decimal, `true` and `false` are the only booleans, names in a table must differ, and there are no dates, no
numbers of base 60 or 8, no merge keys and no objects. That is the core of YAML 1.2, and what TOML has too.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import BaseConstructor, ConstructorError
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

_TAG = "tag:yaml.org,2002:"
_LONGEST_NUMBER = 400
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan")


class _Resolver(BaseResolver):
    """Says which plain words are not strings."""


class _Constructor(BaseConstructor):
    """Makes tables, lists, numbers, booleans and strings."""

    def table(self, node: yaml.MappingNode) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ConstructorError(None, None, "a name in a table must be a word", key_node.start_mark)
            if key in found:
                raise ConstructorError(None, None, f"{key[:40]!r} stands twice in a table", key_node.start_mark)
            found[key] = self.construct_object(value_node, deep=True)
        return found

    def values(self, node: yaml.SequenceNode) -> list[Any]:
        return self.construct_sequence(node, deep=True)

    def other(self, node: yaml.Node) -> None:
        raise ConstructorError(None, None, f"{node.tag[:60]!r} is nothing that a recipe holds", node.start_mark)


class _Loader(Reader, Scanner, Parser, Composer, _Constructor, _Resolver):
    """The parts of PyYAML's loaders that leave it to the two classes above what words mean."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Constructor.__init__(self)
        _Resolver.__init__(self)


def _scalar(kind: type, pattern: re.Pattern[str]) -> Any:
    """A constructor of numbers; an explicit tag may call it too, so it checks the text."""

    def construct(loader: _Constructor, node: yaml.ScalarNode) -> Any:
        text = loader.construct_scalar(node)
        if not pattern.fullmatch(text) or len(text) > _LONGEST_NUMBER:
            raise ConstructorError(None, None, f"{text[:40]!r} is no number", node.start_mark)
        return kind(text.replace(".inf", "inf").replace(".nan", "nan"))

    return construct


for _kind, _pattern, _make in (
    ("bool", re.compile("true|false"), lambda loader, node: loader.construct_scalar(node) == "true"),
    ("null", re.compile("null|~|"), lambda loader, node: None),
    ("int", _INTEGER, _scalar(int, _INTEGER)),
    ("float", _FLOAT, _scalar(float, _FLOAT)),
):
    _Resolver.add_implicit_resolver(_TAG + _kind, re.compile(rf"(?:{_pattern.pattern})\Z"), None)
    _Constructor.add_constructor(_TAG + _kind, _make)
_Constructor.add_constructor(_TAG + "str", lambda loader, node: loader.construct_scalar(node))
_Constructor.add_constructor(_TAG + "map", _Constructor.table)
_Constructor.add_constructor(_TAG + "seq", _Constructor.values)
_Constructor.add_constructor(None, _Constructor.other)


def load(text: str) -> Any:
    """The only document in a text, as tables, lists, numbers, booleans and strings.

    Raises yaml.YAMLError for any other text, and RecursionError for one that is nested too deeply.
    """
    return _Loader(text).get_single_data()
