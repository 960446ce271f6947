"""YAML in, values with their lines out."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_worker.common.errors import ConfigError
from edge_worker.config.tree import Tree
from edge_worker.config.yaml_source import MAX_BYTES, parse_value, read


def _read(folder: Path, content: bytes | str) -> Tree:
    file = folder / "c.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(file)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("5", 5),
        ("-5", -5),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("off", "off"),
        ("no", "no"),
        ("on", "on"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("3.1.1", "3.1.1"),
        ("2026-01-31", "2026-01-31"),
        (".inf", ".inf"),
        ("=", "="),
        ('"5"', "5"),
        ('""', ""),
        ("edge-worker/{node}/status", "edge-worker/{node}/status"),
        ("[1, a]", (1, "a")),
        ('{a: {b: "#fff"}}', {"a": {"b": "#fff"}}),
    ],
)
def test_plain_values_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    """Only true, false, null and decimal numbers are more than text; the traps of YAML 1.1 are text."""
    got = parse_value(text, "here").values["value"]
    assert (got, type(got)) == (value, type(value))


@given(st.text(max_size=60))
def test_any_text_is_a_value_or_a_configuration_error(text: str) -> None:
    """Nothing that stands in a variable or a file ends in another exception than ConfigError."""
    with contextlib.suppress(ConfigError):
        assert set(parse_value(text, "here").values) == {"value"}


def test_every_setting_knows_its_line(tmp_path: Path) -> None:
    """Keys, nested keys and list entries are found again, for error messages."""
    tree = _read(tmp_path, "a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n")
    lines = {location: origin.line for location, origin in tree.origins.items()}
    assert lines[("a", "b")] == 2
    assert lines[("a", "c", 0)] == 4
    assert lines[("a", "c", 1, "d")] == 5


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("a:\n\tb: 1\n", 2, "tab"),
        ("a: [1\n", 2, "not YAML"),
        ("a: {camera}/frame\n", 1, "without quotes"),
        (b'a: 1\nb: "\xff"\n', 2, "UTF-8"),
        ("a: 1\nb: \x01\n", 2, "character"),
        ('a: 1\nb: "\\ud83d"\n', 2, "half a character"),
        ("a: 1\n---\nb: 2\n", 2, "single document"),
        ("a: 1\nb: *nobody\n", 2, "undefined alias"),
        ("a: &a\n  - *a\n", None, "nested too deeply"),
        ("[" * 5000, None, "nested too deeply"),
        ("- a\n", 1, "sections"),
        (b"a: b\n" * (MAX_BYTES // 5 + 1), None, "larger than"),
    ],
)
def test_a_file_that_is_not_yaml_is_refused_at_its_line(
    tmp_path: Path, content: bytes | str, line: int | None, words: str
) -> None:
    """Broken files end in one ConfigError that names the line and says what is wrong."""
    with pytest.raises(ConfigError, match=words) as caught:
        _read(tmp_path, content)
    assert line is None or caught.value.line == line


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """A missing file or a folder is told by its path."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n", "\ufeff"])
def test_an_empty_file_is_an_empty_tree(tmp_path: Path, content: str) -> None:
    """No settings are no error here: the environment may have them all."""
    tree = _read(tmp_path, content)
    assert (tree.values, tree.problems) == ({}, [])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "c.yaml:3: a: is written twice, first on line 1"),
        ("a:\n  b:\n", "c.yaml:2: a.b: has no value"),
        ("Hat: #ff0000\n", "c.yaml:1: Hat: has no value: write one (text that begins with # goes in quotes"),
        ("a: !!python/object:os.system x\n", "c.yaml:1: a: has a tag"),
        ("a: !!int x\n", "c.yaml:1: a: has a tag"),
        ("b: 1\na: !section {b: 1}\n", "c.yaml:2: a: has a tag"),
        ("a: !list [1]\n", "c.yaml:1: a: has a tag"),
    ],
)
def test_what_is_doubtful_in_a_file_is_a_problem_at_its_line(tmp_path: Path, content: str, problem: str) -> None:
    """Equal keys, keys without value and tags are refused, not guessed at."""
    tree = _read(tmp_path, content)
    assert problem in str(tree.error(tree.problems))


def test_anchors_are_understood(tmp_path: Path) -> None:
    """A value may be written once and used again."""
    tree = _read(tmp_path, "a: &x {b: 1}\nc: *x\n")
    assert tree.values == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_syntax_error_does_not_quote_the_line(tmp_path: Path) -> None:
    """A broken line might hold a secret: neither the message nor the traceback repeats it."""
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, 'a: "geheim\n')
    assert "geheim" not in str(caught.value)
    assert caught.value.__suppress_context__
