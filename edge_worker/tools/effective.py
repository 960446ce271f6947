"""``edge-worker config -c FILE``: the configuration in force, as YAML, each value with its source."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Final

from edge_worker.common.addresses import MASK, without_login
from edge_worker.config import Config, Location, Tree, password_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue


# Column of the sources, unless the line is longer.
_COLUMN: Final = 48
# Text that YAML reads as a string without quotes; everything else is quoted as in JSON.
_PLAIN: Final = re.compile(r"(?!(?:true|false|null|y|n|yes|no|on|off)\Z)[A-Za-z/][A-Za-z0-9_./-]*", re.IGNORECASE)


def run(config: Config, written: Tree, environ: Mapping[str, str]) -> int:
    """Print *config* and where each value was *written*; other values are defaults. Returns the exit code."""
    for text, location in _section(config.masked(), (), ""):
        source = "" if location is None else f" # {_source(written, location)}"
        sys.stdout.write(f"{text:<{_COLUMN if source else 0}}{source}\n")
    password = password_source(config.mqtt, environ)
    sys.stdout.write(f"# password of the broker: {f'{MASK}, from {password}' if password else 'none'}\n")
    return 0


def _source(written: Tree, location: Location) -> str:
    origin = written.written_at(location)
    if origin is None:
        return "default"
    return origin.source if origin.line is None else f"{origin.source}:{origin.line}"


def _section(values: Mapping[str, JsonValue], location: Location, indent: str) -> Iterator[tuple[str, Location | None]]:
    """Yield the lines of a section, each with the location of its value."""
    for key, value in values.items():
        yield from _entry(f"{indent}{_scalar(key)}:", value, (*location, key), indent)


def _entry(head: str, value: JsonValue, location: Location, indent: str) -> Iterator[tuple[str, Location | None]]:
    if isinstance(value, dict) and value:
        yield head, None
        yield from _section(value, location, f"{indent}  ")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield head, None
        for number, item in enumerate(value):
            yield from _item(item, (*location, number), indent)
    else:
        yield f"{head} {_scalar(value)}", location


def _item(item: JsonValue, location: Location, indent: str) -> Iterator[tuple[str, Location | None]]:
    """Yield the lines of a list item; the first begins with a dash."""
    inner = f"{indent}    "
    dash = f"{indent}  - "
    for text, place in _section(item if isinstance(item, dict) else {}, location, inner):
        yield dash + text.removeprefix(inner) if dash else text, place
        dash = ""


def _scalar(value: JsonValue) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, str):
        masked = without_login(value)
        return masked if _PLAIN.fullmatch(masked) else json.dumps(masked, ensure_ascii=False)
    return json.dumps(value)
