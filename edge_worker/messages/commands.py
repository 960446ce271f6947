"""Commands to a running worker, and its replies."""

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import ErrorDetails, from_json

from edge_worker.common.errors import CommandError
from edge_worker.messages.base import Detail, Message, Score, Time

MAX_REQUEST_BYTES = 16_384  # a request is a handful of short fields

Transaction = Annotated[str, Field(max_length=256)] | int
"""Any text or number by which the requester recognises the reply."""
CameraName = Annotated[str, Field(min_length=1)]


class CommandRequest(Message):
    """Arguments of all requests; an empty payload means none."""

    model_config = ConfigDict(strict=True)

    transaction: Transaction | None = None


class PingRequest(CommandRequest):
    """Reply, to show that the worker is running."""


class StatsRequest(CommandRequest):
    """Reply with the current stats message."""


class ConfigRequest(CommandRequest):
    """Reply with the configuration in force, which contains no secrets."""


class PauseRequest(CommandRequest):
    """Drop the frames of a camera, or of all, until resumed."""

    camera: CameraName | None = None


class ResumeRequest(CommandRequest):
    """Accept the frames of a camera, or of all, again."""

    camera: CameraName | None = None


class SetRequest(CommandRequest):
    """Change settings until the next restart, for one camera or for all."""

    camera: CameraName | None = None
    paused: bool | None = None
    """As ``pause`` and ``resume``."""
    min_interval_s: Annotated[float, Field(ge=0)] | None = None
    score_threshold: Score | None = None
    overlay: bool | None = None

    @model_validator(mode="after")
    def _sets_something(self) -> "SetRequest":
        settings = (self.paused, self.min_interval_s, self.score_threshold, self.overlay)
        if all(setting is None for setting in settings):
            raise ValueError("nothing to set: give paused, min_interval_s, score_threshold or overlay")
        return self


class SnapshotRequest(CommandRequest):
    """Publish the overlay of the camera's next frame, once."""

    camera: CameraName


class ForgetRequest(CommandRequest):
    """Remove the camera from Home Assistant until it sends again."""

    camera: CameraName


class RestartRequest(CommandRequest):
    """Restart the model processes, each after the frame that it is working on."""


COMMANDS: Mapping[str, type[CommandRequest]] = MappingProxyType(
    {
        "ping": PingRequest,
        "stats": StatsRequest,
        "config": ConfigRequest,
        "pause": PauseRequest,
        "resume": ResumeRequest,
        "set": SetRequest,
        "snapshot": SnapshotRequest,
        "forget": ForgetRequest,
        "restart": RestartRequest,
    }
)
"""The commands by name, each with the model of its arguments."""


class CommandResponse(Message):
    """The reply to a request."""

    schema_: Literal["edge-worker.response/1"] = Field("edge-worker.response/1", alias="schema")
    node: str
    command: str
    status: Literal["ok", "error"]
    transaction: Transaction | None = None
    error: Detail | None = None
    data: dict[str, JsonValue] | None = None
    published_at: Time


def parse_request(command: str, payload: bytes) -> CommandRequest:
    """Read the arguments of *command* from the JSON object *payload*; an empty payload means no arguments.

    Raises:
        CommandError: no such command, no JSON object, or wrong arguments; it says what is expected, and has the
            request's transaction if that could be read.
    """
    model = COMMANDS.get(command)
    arguments = _json_object(payload)
    transaction = _transaction(arguments)
    if model is None:
        raise CommandError(f"no such command: {_nearest(command, COMMANDS)}", transaction=transaction)
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        problems = "; ".join(_in_words(model, problem) for problem in error.errors(include_url=False))
        raise CommandError(problems, transaction=transaction) from error


def _json_object(payload: bytes) -> dict[str, object]:
    if len(payload) > MAX_REQUEST_BYTES:
        raise CommandError(f"the request has {len(payload)} bytes; at most {MAX_REQUEST_BYTES} are taken")
    try:
        arguments = from_json(payload.strip() or b"{}", allow_inf_nan=False)
    except ValueError as error:
        raise CommandError(f"the request is not JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise CommandError('the request should be a JSON object, such as {"transaction": "1"}')
    return arguments


def _transaction(arguments: Mapping[str, object]) -> str | int | None:
    try:
        return CommandRequest.model_validate({"transaction": arguments.get("transaction")}).transaction
    except ValidationError:
        return None


def _in_words(model: type[CommandRequest], problem: ErrorDetails) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    if problem["type"] == "extra_forbidden":
        return f"{name[:64]}: no such argument: {_nearest(name, model.model_fields)}"
    text = "is required" if problem["type"] == "missing" else problem["msg"]
    return ": ".join(filter(None, (name, re.sub("^(Value error, |Input |String )", "", text))))


def _nearest(name: str, known: Mapping[str, object]) -> str:
    guess = difflib.get_close_matches(name[:64], known, n=1)
    return f"did you mean {guess[0]}?" if guess else f"there are {', '.join(sorted(known))}"
