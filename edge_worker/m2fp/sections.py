"""Sections of a model's JSON files, checked against their types.

With msgspec instead of pydantic, which the worker's own configuration and messages use: every model process reads these
files, and with pydantic would take 10 MB more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import inspect

from edge_worker.common.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What msgspec says: "Expected `int` >= 1 - at `$.sizes[0][1]`", "Object contains unknown field `size`".
_PROBLEM = re.compile(r"(?P<problem>.*?)(?: - at `\$\.?(?P<key>.*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?:contains|missing) (?P<problem>unknown|required) field `(?P<field>.*)`", re.DOTALL)
_INDEX = re.compile(r"\[(\d+|\.\.\.)\]")


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the sections: immutable, without unknown keys.

    Types are checked by :func:`read_section` alone, neither on construction nor by ``structs.replace``.
    """


SectionT = TypeVar("SectionT", bound=Section)


def read_section(kind: type[SectionT], data: object, file: Path | str, name: str = "") -> SectionT:
    """Create a section from parsed JSON; *name* is its key in *file*, empty if it is the whole of it.

    Raises:
        CheckpointError: a key is unknown, missing or invalid; names *file* and the key.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{file}: {_described(str(error), kind, name)}") from error


def read_json(file: Path) -> object:
    """Parse *file*.

    Raises:
        OSError: it is unreadable.
        CheckpointError: it is not JSON; names it.
    """
    try:
        return msgspec.json.decode(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: not JSON: {error}") from error


def _described(message: str, kind: type[Section], name: str) -> str:
    """Return ``key: problem``, the key with dots throughout; with the allowed values, if they are few."""
    found = _PROBLEM.fullmatch(message)
    problem, inner = (found["problem"], found["key"] or "") if found else (message, "")
    keys = [key for key in _INDEX.sub(r".\1", inner).split(".") if key]
    if field := _FIELD.fullmatch(problem):
        keys.append(field["field"])
        problem = f"{field['problem']} key" + (" is missing" if field["problem"] == "required" else "")
    elif choices := dict.fromkeys(_choices(inspect.type_info(kind), keys)):
        problem += f"; allowed: {', '.join(map(str, choices))}"
    key = ".".join(filter(None, [name, *keys]))
    return f"{key}: {problem}" if key else problem


def _choices(kind: inspect.Type, keys: Sequence[str]) -> list[object]:
    """Return the values that a type allows at the end of a path of *keys*; none if they are not listed."""
    if isinstance(kind, inspect.UnionType):
        return [value for one in kind.types for value in _choices(one, keys)]
    if isinstance(kind, inspect.StructType) and keys:
        if list(keys) == [kind.tag_field]:
            return [kind.tag]
        return [value for field in kind.fields if field.name == keys[0] for value in _choices(field.type, keys[1:])]
    if isinstance(kind, inspect.VarTupleType):
        return _choices(kind.item_type, keys[1:])
    return list(kind.values) if isinstance(kind, inspect.LiteralType) else []
