"""``edge-worker watch``: subscribes to the results and prints a line per frame; saves files on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError
from rich.text import Text

from edge_worker.common.errors import ConfigError, EdgeWorkerError
from edge_worker.common.topics import Template, is_publishable
from edge_worker.messages import ErrorMessage, LabelsMessage
from edge_worker.mqtt.events import Arrived
from edge_worker.mqtt.message import Incoming, Subscription
from edge_worker.tools.client import Client
from edge_worker.tools.interrupts import until_interrupted
from edge_worker.tools.joiner import FrameResult, Joiner
from edge_worker.tools.output import PipedConsole, end_without_reader, plain, write_json
from edge_worker.tools.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_worker.config import Config

# Maximum number of classes in a line, largest first.
NAMED_LABELS = 5


def run(config: Config, *, save: Path | None, as_json: bool, camera: str | None) -> int:
    """Print a line per frame of *camera* (None: of all) until Ctrl-C; returns the exit code.

    With *as_json*, messages are printed as JSON; *save*: folder for files, or None.

    Raises:
        ConfigError: no camera publishes labels, which complete a frame.
        EdgeWorkerError: the broker refuses us, or the camera's name is invalid.
        BrokenPipeError: standard output was closed by its reader.
    """
    if not any(config.outputs_for(section).labels.enabled for section in config.cameras):
        raise ConfigError("is off, but without labels nothing tells when a frame is done", key="output.labels.enabled")
    recorder = None if save is None else Recorder(save)
    console = PipedConsole(highlight=False, soft_wrap=True)

    def show(message: LabelsMessage | ErrorMessage) -> None:
        if as_json:
            write_json(message)
        else:
            console.print(line(message) if isinstance(message, LabelsMessage) else error_line(message))

    def on_result(result: FrameResult) -> None:
        show(result.labels)
        if recorder:
            recorder.save(result)

    results = Results(config, on_result=on_result, on_error=show, camera=camera)
    with Client(config, role="watch", subscriptions=results.subscriptions) as client, until_interrupted():
        _receive_forever(client, results)
    return 0


def _receive_forever(client: Client, results: Results) -> None:
    while True:
        event = client.next(timeout_s=1.0)
        if isinstance(event, Arrived):
            results.take(event.message)
        end_without_reader()


class Results:
    """Recognises the results of a configuration's cameras, and joins those of a frame."""

    def __init__(
        self,
        config: Config,
        *,
        on_result: Callable[[FrameResult], None],
        on_error: Callable[[ErrorMessage], None],
        camera: str | None = None,
    ) -> None:
        """Pass each frame's results to *on_result*, and errors of rejected frames to *on_error*.

        *camera*: only results of this camera; None: of all.

        Raises:
            EdgeWorkerError: *camera* is not a valid name.
        """
        if camera is not None and (not is_publishable(camera) or "/" in camera):
            raise EdgeWorkerError(f"{camera!r} cannot be a camera's name: see `camera` in the labels")
        self._joiner, self._on_result, self._on_error = Joiner(), on_result, on_error
        self._templates, self._camera = _templates(config), camera

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Return what to subscribe to."""
        filters = {template.filter_for(self._camera) for _, template in self._templates}
        return tuple(Subscription(filter=topics, qos=1) for topics in sorted(filters))

    def take(self, message: Incoming) -> None:
        """Process a message; other kinds and malformed ones are ignored."""
        for kind, template in self._templates:
            camera = template.match(message.topic)
            if camera is not None:
                self._take(kind, template, camera, message)
                return

    def _take(self, kind: str, template: Template, camera: str, message: Incoming) -> None:
        try:
            match kind:
                case "labels":
                    labels = LabelsMessage.model_validate_json(message.payload)
                    self._on_result(self._joiner.labels(labels, message.payload))
                case "error":
                    self._on_error(ErrorMessage.model_validate_json(message.payload))
                case _:
                    person = template.person(message.topic)
                    self._joiner.image(kind if person is None else f"{kind}-{person}", camera, message)
        except ValidationError:
            return


def line(labels: LabelsMessage) -> Text:
    """Describe a frame's result in a line: persons, and the largest classes in their colours."""
    size, persons = f"{labels.image.width}x{labels.image.height}", len(labels.persons)
    text = Text(f"{labels.received_at[11:23]} {plain(labels.camera)} {plain(labels.frame_id)} {size} ")
    text.append(f"{persons} person{'' if persons == 1 else 's'} ", style="bold")
    for label in labels.labels[:NAMED_LABELS]:
        text.append("■ ", style=label.color).append(f"{plain(label.name)} {label.fraction:.1%} ")
    text.append(f"{labels.timings_ms.total:.0f} ms{' (cached)' if labels.cached else ''}", style="dim")
    return text


def error_line(error: ErrorMessage) -> Text:
    """Describe in a line why a frame was rejected."""
    facts = f"{error.received_at[11:23]} {plain(error.camera)} {plain(error.frame_id)} "
    return Text(facts).append(f"{error.reason}: {plain(error.detail)}", style="red")


def _templates(config: Config) -> list[tuple[str, Template]]:
    """List the result topics of all cameras without duplicates."""
    found: dict[tuple[str, str], Template] = {}
    for camera in config.cameras:
        sections = config.outputs_for(camera).all_results()
        found |= {(kind, one.topic): Template(one.topic, node=config.node.id) for kind, one in sections.items()}
    return [(kind, template) for (kind, _), template in found.items()]
