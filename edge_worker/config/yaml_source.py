"""YAML into a :class:`Tree`: PyYAML's parser, the plain scalars of YAML 1.2, and line numbers for errors.

YAML 1.1, PyYAML's default, reads ``off`` as false, ``010`` as 8 and ``12:30`` as 750, and lets the last of two equal
keys win. Here only ``true``, ``false``, ``null``, ``~`` and decimal numbers are not text; equal keys are refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from edge_worker.common.errors import ConfigError
from edge_worker.config.tree import Location, Origin, Problem, Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_BYTES = 1_000_000  # a configuration has a few kilobytes; a larger file is something else
MAX_DEPTH = 20  # the configuration is five deep; an alias may contain itself
_TAG = "tag:yaml.org,2002:"
_HALF_CHARACTER = re.compile(r"\\(?:u|U0000)[dD][89a-fA-F][0-9a-fA-F]{2}")  # not valid in a file, topic or message
_COLLECTIONS = (_TAG + "map", _TAG + "seq")
_TAGGED = "has a tag (!…) that is not understood here: delete it"
_USUAL_CAUSES = "usual causes: keys of a section that begin in different columns; text with {, # or ': ' without quotes"
_BLANK = (
    "has no value: write one (text that begins with # goes in quotes, keys of a section are indented), "
    "null for none, or delete the line"
)


class _Loader(yaml.SafeLoader):
    """Composes nodes; plain scalars get their type only by :data:`_PLAIN`."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as in PyYAML


_PLAIN: dict[str, tuple[str, str, Callable[[str], object]]] = {
    "null": (r"~|null|Null|NULL|", "~nN", lambda _: None),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    "int": (r"[-+]?(0|[1-9][0-9]*)", "-+0123456789", int),
    "float": (r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789", float),
}
"""Type → pattern of its plain scalars, the characters that they begin with, and how to convert them."""
_READ: dict[str, Callable[[str], object]] = {"str": str, **{name: read for name, (_, _, read) in _PLAIN.items()}}

for _name, (_pattern, _first, _) in _PLAIN.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), [*_first, ""])


def read(file: Path) -> Tree:
    """Read the YAML in *file*; an empty file is an empty tree.

    Raises:
        ConfigError: the file cannot be read, or is not YAML. Other problems are added to the tree.
    """
    source = str(file)
    node, tree = _compose(_text(file), source), Tree(origins={(): Origin(source)})
    if isinstance(node, yaml.MappingNode):
        tree.values = _Builder(tree, source).build(node, ())
    elif node is not None and not _is_blank(node):
        raise ConfigError("should hold sections, such as mqtt: {host: localhost}", file=source, line=1)
    return tree


def parse_value(text: str, source: str) -> Tree:
    """Read *text*, one value in YAML, into the key ``value`` of a tree; *source* says where it comes from."""
    node = _compose(text, source)
    tree = Tree()
    tree.values["value"] = _Builder(tree, source).build(node, ("value",)) if node else None
    if node is None or _is_blank(node):
        tree.problems.append(Problem(("value",), _BLANK))
    return tree


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ConfigError(
            "no such file: give its path with -c or in EDGE_WORKER_CONFIG, or make it: edge-worker config > FILE",
            file=file,
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file) from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES} bytes: not a configuration", file=file)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8: save the file in that encoding", file=file, line=line) from error


def _compose(text: str, source: str) -> yaml.Node | None:
    if half := _HALF_CHARACTER.search(text):
        line = text.count("\n", 0, half.start()) + 1
        raise ConfigError(f"{half[0]} is half a character: write the character itself", file=source, line=line)
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:  # it quotes the line, which might contain a secret
        mark = error.problem_mark or error.context_mark
        raise ConfigError(_in_words(error), file=source, line=mark.line + 1 if mark else None) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError("holds a character that YAML does not allow", file=source, line=line) from error
    except RecursionError as error:
        raise ConfigError("is nested too deeply", file=source) from error


def _in_words(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be read"
    if "'\\t'" in problem:
        return "YAML is indented with spaces, but this line has a tab"
    return f"is not YAML: {', '.join(filter(None, (error.context, problem)))}; {_USUAL_CAUSES}"


def _is_blank(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "null" and not node.value


class _Builder:
    """Converts nodes to values; writes origins and problems into its tree."""

    def __init__(self, tree: Tree, source: str) -> None:
        self._tree, self._source = tree, source

    def build(self, node: yaml.Node, location: Location) -> Any:  # noqa: ANN401 - a value of any type
        """Return the value of *node*: a dict, tuple, str, number, bool or None."""
        self._tree.origins.setdefault(location, Origin(self._source, node.start_mark.line + 1))
        if len(location) > MAX_DEPTH:
            raise ConfigError("is nested too deeply", file=self._source, line=node.start_mark.line + 1)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
            self._problem(location, _TAGGED, node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.build(item, (*location, index)) for index, item in enumerate(node.value))
        return self._scalar(node, location)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            place = (*location, name)
            if name in values:
                first = self._tree.origins[place].line
                self._problem(place, f"is written twice, first on line {first}: delete one", key)
                continue
            self._tree.origins[place] = Origin(self._source, key.start_mark.line + 1)
            if _is_blank(value):
                self._problem(place, _BLANK, key)
            values[name] = self.build(value, place)
        return values

    def _scalar(self, node: yaml.Node, location: Location) -> object:
        reader = _READ.get(node.tag.removeprefix(_TAG))
        try:
            if reader:
                return reader(node.value)
        except ValueError:
            pass
        self._problem(location, _TAGGED, node)
        return None

    def _problem(self, location: Location, text: str, node: yaml.Node) -> None:
        self._tree.origins[location] = Origin(self._source, node.start_mark.line + 1)
        self._tree.problems.append(Problem(location, text))
