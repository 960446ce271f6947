"""pydantic's validation errors, reworded for operators."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from edge_worker.config.environment import variable
from edge_worker.config.sections import Config
from edge_worker.config.tree import Location, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

MAX_SHOWN = 60  # characters of an invalid value in an error message
_NO_PASSWORDS = (
    "a password does not belong in the configuration: put it into a file and name that in mqtt.password_file, "
    "or give it as the systemd credential mqtt-password or in EDGE_WORKER_MQTT_PASSWORD"
)
_WANTED = {
    "model_type": "should be a section: keys with their values, indented",
    "dict_type": "should be a section: names with their values, indented",
    "tuple_type": "should be a list: [one, another], or lines that begin with -",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "bool_type": "should be true or false",
    "string_type": "should be text (in quotes, where it looks like something else)",
    "path_type": "should be the path of a file",
}


def explain(error: ValidationError) -> list[Problem]:
    """Return a problem for each of pydantic's errors in *error*."""
    return [_problem(found) for found in error.errors(include_url=False)]


def _problem(found: ErrorDetails) -> Problem:
    location = tuple(found["loc"])
    if found["type"] == "extra_forbidden":
        return Problem(location, _unknown(location))
    if found["type"] == "missing":
        return Problem(location, f"is required: write it into the file, or set {variable(location)}")
    wanted = _WANTED.get(found["type"]) or re.sub(r"^(Value error, |Input |String )", "", found["msg"])
    return Problem(location, wanted + _shown(found))


def _shown(found: ErrorDetails) -> str:
    may_be_secret = "password" in str(found["loc"][-1])
    if may_be_secret or found["type"] == "value_error" or isinstance(found["input"], dict | tuple):
        return ""
    value = json.dumps(found["input"], ensure_ascii=False, default=str)
    return f", not {value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + '…'}"


def _unknown(location: Location) -> str:
    name, known = str(location[-1]), sorted(_known(location[:-1]))
    if name == "password":
        return _NO_PASSWORDS
    guess = difflib.get_close_matches(name, known, n=1)
    return f"unknown key: did you mean {guess[0]}?" if guess else f"unknown key: known here are {', '.join(known)}"


def _known(location: Location) -> Iterable[str]:
    """Return the names of the keys in the section at *location*."""
    section: type[BaseModel] | None = Config
    for step in location:
        if isinstance(step, str) and section is not None:
            section = _section(section.model_fields[step].annotation)
    return section.model_fields if section is not None else ()


def _section(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type, or an optional or a list of types
    """Return the section class in *annotation*, if any."""
    arguments = get_args(annotation)
    if not arguments:
        return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_section, arguments)), None)
