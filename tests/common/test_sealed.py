"""Small files whose entries are not trusted when they are read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from damages import DAMAGES

from edge_worker.common.sealed import Found, SealedFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _count(values: Mapping[str, Any]) -> int:
    return int(values["count"])


def _file(directory: Path, schema: str = "test/1") -> SealedFile[int]:
    return SealedFile(directory / f"{schema[:4]}.json", schema, "things", _count)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """In its order; a file that is missing has no entries, and no problem."""
    file = _file(tmp_path / "new")
    assert file.read() == Found({})
    file.write({"b": {"count": 1}, "a": {"count": 2}})
    assert list(file.read().entries.items()) == [("b", 1), ("a", 2)]
    assert file.read().problem == ""


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_said_once_and_nothing_wrong_is_read(tmp_path: Path, damage: str) -> None:
    """The file is kept under another name; another kind of file of ours is damage, too."""
    file, other = _file(tmp_path), _file(tmp_path, "kind/1")
    for one in (file, other):
        one.write({name: {"count": 1} for name in "abc"})
    DAMAGES[damage](file.file, other.file)
    found = file.read()
    assert set(found.entries.values()) <= {1}
    assert len(found.entries) < 3
    assert "test.json.damaged" in found.problem
    assert file.read() == Found({})


def test_an_entry_that_a_program_made_up_is_checked(tmp_path: Path) -> None:
    """Its digest may agree: it is left out all the same where it is no entry."""
    file = _file(tmp_path)
    file.write({"a": {"count": "x"}, "b": {}, "c": {"count": 1e999}, "d": {"count": 4}})
    found = file.read()
    assert (dict(found.entries), found.problem[:8]) == ({"d": 4}, "3 of 4 e")


def test_an_entry_is_bound_to_its_key(tmp_path: Path) -> None:
    """Two entries exchanged by hand are both altered."""
    file = _file(tmp_path)
    file.write({"a": {"count": 1}, "b": {"count": 2}})
    document = json.loads(file.file.read_text())
    things = document["things"]
    things["a"], things["b"] = things["b"], things["a"]
    file.file.write_text(json.dumps(document))
    assert dict(file.read().entries) == {}
