"""The base class of all sections of the configuration, and types of values that several sections share."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

MAX_TOPIC_BYTES = 1024  # far less than MQTT's 65,535; a longer template is a mistake
MAX_SECONDS = 1_000_000_000  # 30 years: as good as for ever, and accepted as a timeout by sockets and locks
MAX_MEGABYTES = 1_000_000  # a terabyte: a larger number was meant as bytes
NODE_ID = "[A-Za-z0-9._-]{1,64}"
Item = TypeVar("Item")
T = TypeVar("T")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class Section(BaseModel):
    """A frozen part of the configuration; unknown keys and values of other types are rejected."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        protected_namespaces=(),  # pydantic reserves model_…, but we have a key model_topic
    )


def beside_the_file(path: Path, info: ValidationInfo) -> Path:
    """Return *path*; a relative one is relative to the directory of the configuration file being loaded.

    Raises:
        ValueError: it contains a null character, which file functions would reject with an error of another kind.
    """
    if "\0" in str(path):
        raise ValueError("should be the path of a file, which holds no null character")
    folder: Path | None = (info.context or {}).get("folder")
    return path if folder is None else folder / path


def _topic_problem(template: str, allowed: frozenset[str], required: frozenset[str]) -> str | None:
    used = _PLACEHOLDER.findall(template)
    rest = _PLACEHOLDER.sub("", template)
    levels = template.split("/")
    if not template or len(template.encode()) > MAX_TOPIC_BYTES:
        return f"should be a topic of 1 to {MAX_TOPIC_BYTES} bytes"
    if any(sign in rest for sign in "+#"):
        return "may not hold the wildcards + and #: placeholders such as {camera} stand for one level"
    if "{" in rest or "}" in rest or set(used) - allowed:
        return f"may hold {_names(allowed)} and no other braces" if allowed else "may hold no placeholders"
    if template.startswith("$") or not template.isprintable():
        return "may not begin with $ (reserved by MQTT) nor hold control characters"
    for name in sorted(required):
        if levels.count(f"{{{name}}}") != 1 or used.count(name) != 1:
            return f"should hold {{{name}}} once, as a level of its own"
    return None


def _names(placeholders: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(placeholders))


def satisfying(holds: Callable[[Any], object], wanted: str) -> Callable[[T], T]:
    """Return a function for validators that checks that *holds* is true of a value; *wanted* is its error message."""

    def check(value: T) -> T:
        if not holds(value):
            raise ValueError(wanted)
        return value

    return check


def matching(pattern: str, wanted: str) -> AfterValidator:
    """Return a validator of text that fully matches *pattern*; *wanted* is its error message."""
    return AfterValidator(satisfying(re.compile(pattern).fullmatch, wanted))


def one_of(words: tuple[str, ...]) -> AfterValidator:
    """Return a validator of text that is one of two or more *words*."""
    listed = [f"'{word}'" for word in words]
    return AfterValidator(satisfying(words.__contains__, f"should be {', '.join(listed[:-1])} or {listed[-1]}"))


def _topic_template(*required: str, optional: tuple[str, ...] = ("node",)) -> AfterValidator:
    """Return a validator of topics: *required* placeholders once each, perhaps *optional* ones, no wildcards."""
    needed = frozenset(required)

    def check(template: str) -> str:
        if problem := _topic_problem(template, needed.union(optional), needed):
            raise ValueError(problem)
        return template

    return AfterValidator(check)


OneOrMore = Annotated[tuple[Item, ...], AfterValidator(satisfying(bool, "should have at least one entry"))]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
Megabytes = Annotated[float, Field(gt=0, le=MAX_MEGABYTES)]
Port = Annotated[int, Field(ge=1, le=65535)]
Qos = Annotated[
    Literal[0, 1], BeforeValidator(satisfying(lambda value: not isinstance(value, bool), "should be a number"))
]
"""0 (at most once) or 1 (at least once). With QoS 2, a frame between its two steps would be lost if the worker dies."""
Fraction = Annotated[float, Field(ge=0, le=1)]
Colour = Annotated[
    str,
    matching("#[0-9a-fA-F]{6}", 'should be a colour such as "#ff8000" (in quotes, or YAML takes it for a comment)'),
    AfterValidator(str.lower),
]
FilePath = Annotated[Path, Field(strict=False), AfterValidator(beside_the_file)]
"""A file; a relative path is relative to the directory of the configuration file."""
CameraTopic = Annotated[str, _topic_template("camera")]
"""A topic template with one level ``{camera}``, and optionally ``{node}``."""
PersonTopic = Annotated[str, _topic_template("camera", "person")]
"""A topic template with the levels ``{camera}`` and ``{person}``, and optionally ``{node}``."""
NodeId = Annotated[str, matching(NODE_ID, "should be 1 to 64 letters, digits, '.', '_' or '-'")]
NodeTopic = Annotated[str, _topic_template()]
CommandTopic = Annotated[str, _topic_template("command")]
PlainTopic = Annotated[str, _topic_template(optional=())]
