"""The composition root of ``edge-worker run``: builds and connects the worker's components, all of which it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from edge_worker.common import log_events
from edge_worker.common.topics import Template
from edge_worker.config import read_password
from edge_worker.config.tls_context import certificate_expiries
from edge_worker.frames.queue import FrameQueue
from edge_worker.integrations.home_assistant import HomeAssistant, Memory
from edge_worker.mqtt.events import Connected, Disconnected, Fatal, Subscribed
from edge_worker.mqtt.inbox import Inbox
from edge_worker.ops import logs
from edge_worker.ops.directories import cache_directory, state_directory
from edge_worker.ops.health import HealthServer
from edge_worker.ops.signals import Order
from edge_worker.ops.systemd import Notifier
from edge_worker.pool import ModelPool
from edge_worker.service.commands import Commands
from edge_worker.service.dispatcher import Dispatchers, Outlets
from edge_worker.service.groups import Groups
from edge_worker.service.links import CONTROL, HOME_ASSISTANT, Links, log_link_event
from edge_worker.service.overrides import Overrides
from edge_worker.service.probes import Probes
from edge_worker.service.result_cache import ResultCache
from edge_worker.service.router import Handlers, Router
from edge_worker.service.section_outputs import section_outputs
from edge_worker.service.settings import seen_cameras
from edge_worker.service.stats import Reporter
from edge_worker.service.status import NodeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from queue import SimpleQueue

    from pydantic import JsonValue

    from edge_worker.common.errors import ConfigError
    from edge_worker.config import Config
    from edge_worker.frames.frame import Delivery, Frame
    from edge_worker.mqtt.events import LinkEvent
    from edge_worker.mqtt.message import Incoming, Outgoing

_log = structlog.get_logger(__name__)


class Components:
    """The components of one worker, and what they tell each other. Each knows only what it is given here."""

    def __init__(self, config: Config, wake: SimpleQueue[Order], environ: Mapping[str, str]) -> None:
        """Build the components of a worker whose main loop waits on *wake*; nothing is started.

        Raises:
            ConfigError: a CPU cannot be used here.
        """
        self.config, self._wake, self._environ = config, wake, environ
        self.failed = False
        """Whether a defect is what ends this worker."""
        self.misconfigured: ConfigError | None = None
        """The setting that ends this worker."""
        self.notifier = Notifier(environ)
        self.cache = ResultCache(config.cache.max_mb)
        self.frame_queue = FrameQueue(config.cameras, self._acknowledge, self._has_room)
        self.pool = ModelPool(
            config,
            state_directory=state_directory(environ, config.node.id),
            cache_directory=cache_directory(environ),
            on_change=lambda: wake.put(Order.CHECK),
            environ=environ,
        )
        self._overrides, inbox = Overrides(), Inbox()
        reporter = Reporter(config.node.id, config.groups)
        self.node_status = self._make_node_status(reporter)
        self.home_assistant = HomeAssistant(
            config, Memory.load(state_directory(environ, config.node.id)), self._announce
        )
        self._commands = self._make_commands()
        self.links = self._make_links(inbox)
        self.groups = Groups(
            config,
            self.frame_queue,
            announce=self._announce_answer,
            session=reporter.session,
            publish=self._publish,
            is_standby=self.node_status.is_standby,
        )
        self.probes = self._make_probes(reporter)
        self.dispatchers = self._make_dispatchers()
        self.router = self._make_router(inbox)
        self.health = self._make_health()
        self.apply(config)

    def apply(self, config: Config) -> None:
        """Continue with *config*, which differs from the one before only in keys that apply live."""
        self.config = config
        logs.set_level(config.ops.log.level)
        self.frame_queue.set_policies(config.cameras)
        self.dispatchers.sections = section_outputs(config)
        self.home_assistant.apply(config)

    def tell_home_assistant(self) -> None:
        """Publish what Home Assistant does not know yet."""
        if self.home_assistant.wanted:
            sections = self.dispatchers.sections
            paused, cameras = seen_cameras(self.config, self.frame_queue, self._overrides, sections)
            self.home_assistant.publish_due(cameras, paused=paused)

    def topic(self, template: str) -> str:
        """The topic of this node that *template* stands for."""
        return Template(template, node=self.config.node.id).format()

    def _make_node_status(self, reporter: Reporter) -> NodeStatus:
        return NodeStatus(
            reporter,
            status_topic=self.topic(self.config.node.status_topic),
            model_topic=self.topic(self.config.node.model_topic),
            retain=self.config.node.retain,
            publish=self._publish,
            on_change=lambda judgement: self.notifier.status(str(judgement)),
        )

    def _make_commands(self) -> Commands:
        return Commands(
            self.config,
            frame_queue=self.frame_queue,
            overrides=self._overrides,
            stats=lambda: self.probes.stats(restart=False).to_values(),
            settings=self._settings,
            restart=self.pool.restart,
            forget=self.home_assistant.forget,
            publish=self._publish,
        )

    def _make_links(self, inbox: Inbox) -> Links:
        return Links(
            self.config,
            will=self.node_status.will(),
            password=lambda: logs.hide(read_password(self.config.mqtt, self._environ)),
            report=inbox.put,
            announces=self.home_assistant.wanted,
        )

    def _make_probes(self, reporter: Reporter) -> Probes:
        return Probes(
            self.config.node.id,
            frame_queue=self.frame_queue,
            pool=self.pool,
            links=self.links,
            cache=self.cache,
            node_status=self.node_status,
            reporter=reporter,
            certificates=lambda: certificate_expiries(self.config.mqtt.tls),
        )

    def _make_dispatchers(self) -> Dispatchers:
        return Dispatchers(
            frame_queue=self.frame_queue,
            pool=self.pool,
            cache=self.cache,
            overrides=self._overrides,
            max_payload_bytes=self.config.limits.max_payload_bytes,
            outlets=Outlets(
                publish=self.links.reply,
                packet_limit=self.links.packet_limit,
                observe=self.probes.observe,
                fatal=self._fatal,
                misconfigured=self._misconfigured,
            ),
        )

    def _make_router(self, inbox: Inbox) -> Router:
        handlers = Handlers(
            frames=self.frame_queue,
            node=self._take_from_node,
            arrive=self.groups.arrive,
            published=self.home_assistant.published,
            link_changed=self._link_changed,
            results_lost=self.dispatchers.results_lost,
            fatal=self._fatal,
        )
        return Router(inbox, self.links.routes, handlers, max_payload=self.config.limits.max_payload_bytes)

    def _make_health(self) -> HealthServer | None:
        http = self.config.ops.http
        if http is None:
            return None
        probes = self.probes
        return HealthServer(http, alive=probes.alive, ready=probes.ready, metrics=probes.exposition)

    # -- what the components tell each other --
    # Status, commands and the frame queue are built before the links, which carry the status as their will.

    def _publish(self, message: Outgoing) -> bool:
        return self.links.publish(message)

    def _announce(self, message: Outgoing) -> bool:
        return self.links.announce(message)

    def _acknowledge(self, delivery: Delivery) -> None:
        self.links.acknowledge(delivery)

    def _has_room(self, source: int) -> bool:
        return self.links.has_room(source)

    def _settings(self) -> dict[str, JsonValue]:
        return self.config.masked()  # the one in force when asked: a reload replaces it

    def _announce_answer(self, frame: Frame) -> None:
        self.dispatchers.announce(frame)

    def _take_from_node(self, link: str, message: Incoming) -> bool:
        """Take a message on the topics of this node or another; False for any other. Called by the router."""
        if self.groups.take(link, message):
            return True
        contradiction = self.node_status.contradicts(message)
        if contradiction:
            self.node_status.restore(message.payload)
        if contradiction is not None or self.home_assistant.take(message):
            return True
        taken = self._commands.take(message)
        if taken and self.home_assistant.wanted:
            self._wake.put(Order.CHECK)  # changes are shown at once
        return taken

    def _link_changed(self, event: LinkEvent) -> None:
        """Handle a change of a link's status. Called by the router."""
        log_link_event(event)
        if isinstance(event, Fatal):
            self._fatal(f"link {event.link} failed: {event.detail}", None)
        if isinstance(event, Connected):
            self.groups.connected(event.link, session_present=event.session_present)
        elif isinstance(event, Disconnected):
            self.groups.disconnected(event.link)
        if isinstance(event, Connected | Subscribed) and event.link == CONTROL:
            self.node_status.repeat()  # at once, and again when the subscription can show us a late will
        elif isinstance(event, Subscribed) and self.groups.must_publish_status(event.link):
            self.node_status.repeat()
        if isinstance(event, Connected) and event.link == HOME_ASSISTANT:
            self.home_assistant.connected()
        self._wake.put(Order.CHECK)

    def _fatal(self, what: str, error: BaseException | None) -> None:
        """End the worker because of a defect; the service manager starts another. Called from any thread."""
        _log.critical(log_events.FATAL, problem=what, exc_info=error)
        self.failed = True
        self._wake.put(Order.STOP)

    def _misconfigured(self, error: ConfigError) -> None:
        """End the worker because the model cannot run as configured: starting it again helps nobody."""
        self.misconfigured = error
        self._wake.put(Order.STOP)
