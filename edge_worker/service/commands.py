"""Commands: what a running worker can be asked over MQTT, and its replies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import structlog

from edge_worker.common import log_events
from edge_worker.common.errors import CommandError
from edge_worker.common.timestamps import rfc3339
from edge_worker.common.topics import Template
from edge_worker.frames.request import may_reply_to
from edge_worker.messages import (
    CommandResponse,
    ForgetRequest,
    PauseRequest,
    ResumeRequest,
    SetRequest,
    SnapshotRequest,
    parse_request,
)
from edge_worker.mqtt.message import Outgoing
from edge_worker.service.overrides import CameraOverrides

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue

    from edge_worker.config import Config
    from edge_worker.frames.queue import FrameQueue
    from edge_worker.messages import CommandRequest
    from edge_worker.mqtt.message import Incoming
    from edge_worker.service.overrides import Overrides

_log = structlog.get_logger(__name__)


class Commands:
    """Carries out requests; each gets a reply, whatever it asked for."""

    def __init__(
        self,
        config: Config,
        *,
        frame_queue: FrameQueue,
        overrides: Overrides,
        stats: Callable[[], dict[str, JsonValue]],
        settings: Callable[[], dict[str, JsonValue]],
        restart: Callable[[], None],
        forget: Callable[[str], bool],
        publish: Callable[[Outgoing], bool],
    ) -> None:
        """*stats* and *settings* give the replies' data; *restart* restarts the model processes and returns at once.

        *forget* removes a camera from Home Assistant; it returns False where there is none. *publish* returns False for
        a message that is larger than the broker accepts.
        """
        self._config, self._publish = config.commands, publish
        self._node = config.node.id
        self._request_topic = Template(config.node.request_topic, node=self._node)
        self._response_topic = Template(config.node.response_topic, node=self._node)
        self._frame_queue, self._overrides, self._forget_camera = frame_queue, overrides, forget
        self._actions: Mapping[str, Callable[[Any], dict[str, JsonValue] | None]] = {
            "ping": lambda _: None,
            "stats": lambda _: stats(),
            "config": lambda _: settings(),
            "pause": self._pause,
            "resume": self._resume,
            "set": self._set,
            "snapshot": self._snapshot,
            "forget": self._forget,
            "restart": lambda _: restart(),
        }

    def take(self, message: Incoming) -> bool:
        """Carry out the request that *message* is, and reply to it; False where it is none."""
        command = self._request_topic.match(message.topic) if self._config.enabled else None
        if command is None:
            return False
        if message.retained:
            _log.warning(log_events.RETAINED_COMMAND, topic=message.topic)
            return True
        response = self._carry_out(command, message.payload)
        _log.info(log_events.COMMAND, command=command, status=response.status, error=response.error)
        if not self._reply(message, response):
            what = "carried out, but the broker does not take so large a reply"
            self._reply(message, self._response(command, response.transaction, status="error", error=what))
        return True

    def _reply(self, request: Incoming, response: CommandResponse) -> bool:
        return self._publish(
            Outgoing(
                topic=self._reply_topic(response.command, request.response_topic),
                payload=response.to_json(),
                content_type="application/json",
                correlation=request.correlation,
            )
        )

    def _carry_out(self, command: str, payload: bytes) -> CommandResponse:
        try:
            asked = parse_request(command, payload)
            data = self._actions[command](asked)
        except CommandError as error:
            return self._response(command, error.transaction, status="error", error=str(error))
        return self._response(command, asked.transaction, status="ok", data=data)

    def _response(self, command: str, transaction: str | int | None, **rest: Any) -> CommandResponse:  # noqa: ANN401
        return CommandResponse(
            node=self._node, command=command, transaction=transaction, published_at=rfc3339(time.time()), **rest
        )

    def _reply_topic(self, command: str, asked: str) -> str:
        """Our own topic, or the one *asked* for under the prefix that the configuration allows."""
        if may_reply_to(asked, self._config.response_prefix):
            return asked
        return self._response_topic.format(command=command)  # any level that was matched can be published to

    def _pause(self, request: PauseRequest) -> None:
        self._bounded(request, self._frame_queue.pause(request.camera))

    def _resume(self, request: ResumeRequest) -> None:
        self._frame_queue.resume(request.camera)

    def _set(self, request: SetRequest) -> None:
        overrides = CameraOverrides(request.score_threshold, request.overlay)
        # Checked before anything is changed: all or nothing. Only commands use up room, and they come one at a time.
        self._bounded(request, self._overrides.has_room(request.camera, overrides))
        if request.min_interval_s is not None:
            self._bounded(request, self._frame_queue.set_min_interval(request.camera, request.min_interval_s))
        if request.paused:
            self._bounded(request, self._frame_queue.pause(request.camera))
        elif request.paused is not None:
            self._frame_queue.resume(request.camera)
        self._overrides.set(request.camera, overrides)

    def _snapshot(self, request: SnapshotRequest) -> None:
        self._bounded(request, self._overrides.snapshot(request.camera))

    def _forget(self, request: ForgetRequest) -> None:
        if not self._forget_camera(request.camera):
            raise CommandError("Home Assistant knows no such camera of this worker", transaction=request.transaction)

    def _bounded(self, request: CommandRequest, accepted: bool) -> None:  # noqa: FBT001
        if not accepted:
            raise CommandError("too many cameras have settings of their own", transaction=request.transaction)
