"""The composition root of ``edge-worker run``: builds the parts of a worker and joins them; knows all others."""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog

from edge_worker.answers import Composer
from edge_worker.cache import ResultCache
from edge_worker.commands import Commands
from edge_worker.config import read_password
from edge_worker.controls import Controls
from edge_worker.desk import Desk
from edge_worker.messages import ModelName
from edge_worker.mqtt.events import Connected, Fatal, Subscribed
from edge_worker.mqtt.inbox import Inbox
from edge_worker.mqtt.topics import Template
from edge_worker.ops import logs
from edge_worker.ops.directories import cache_directory, state_directory
from edge_worker.ops.health import HealthServer
from edge_worker.ops.signals import Order
from edge_worker.ops.systemd import Notifier
from edge_worker.pool import ModelPool
from edge_worker.presence import Presence
from edge_worker.reporter import Reporter
from edge_worker.router import Desks, Router
from edge_worker.switchboard import CONTROL, Switchboard
from edge_worker.vitals import Vitals
from edge_worker.worker import Desired, Outlets, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from queue import SimpleQueue

    from pydantic import JsonValue

    from edge_worker.config import Config
    from edge_worker.frames import Delivery
    from edge_worker.mqtt.events import Incoming, LinkEvent, Outgoing
    from edge_worker.results import ModelCardFacts

_log = structlog.get_logger(__name__)


class Parts:
    """The parts of one worker, and what they tell each other. Each part knows only what it is given here."""

    def __init__(self, config: Config, wake: SimpleQueue[Order], environ: Mapping[str, str]) -> None:
        """Build every part of a worker whose main loop waits on *wake*; nothing is started.

        Raises:
            ConfigError: a processor cannot be used here.
        """
        self.config, self._wake, self._environ = config, wake, environ
        self.failed = False
        """Whether a defect is what ends this worker."""
        self.notifier = Notifier(environ)
        self.cache = ResultCache(config.cache.max_mb)
        self.desk = Desk(config.cameras, self._acknowledge, self._has_room)
        self.pool = ModelPool(
            config,
            state_directory=state_directory(environ),
            cache_directory=cache_directory(environ),
            on_change=lambda: wake.put(Order.LOOK),
            environ=environ,
        )
        reporter, controls, inbox = Reporter(config.node.id), Controls(), Inbox()
        self.presence = self._make_presence(reporter)
        self._commands = self._make_commands(controls)
        self.board = self._make_switchboard(inbox)
        self.vitals = self._make_vitals(reporter)
        self.worker = self._make_worker(controls)
        self.router = self._make_router(inbox)
        self.health = self._make_health()
        self.apply(config)

    def apply(self, config: Config) -> None:
        """Go on with *config*, which differs from the one before only in keys that apply live."""
        self.config = config
        logs.set_level(config.ops.log.level)
        self.desk.set_policies(config.cameras)
        self.worker.desired = _desired(config)

    def topic(self, template: str) -> str:
        """The topic of this node that *template* stands for."""
        return Template(template, node=self.config.node.id).format()

    def _make_presence(self, reporter: Reporter) -> Presence:
        return Presence(
            reporter,
            status_topic=self.topic(self.config.node.status_topic),
            model_topic=self.topic(self.config.node.model_topic),
            publish=self._publish,
            on_change=lambda judgement: self.notifier.status(str(judgement)),
        )

    def _make_commands(self, controls: Controls) -> Commands:
        return Commands(
            self.config,
            desk=self.desk,
            controls=controls,
            stats=lambda: self.vitals.stats(restart=False).to_values(),
            settings=self._settings,
            restart=self.pool.restart,
            publish=self._publish,
        )

    def _make_switchboard(self, inbox: Inbox) -> Switchboard:
        return Switchboard(
            self.config,
            will=self.presence.will(),
            password=lambda: logs.hide(read_password(self.config.mqtt, self._environ)),
            report=inbox.put,
        )

    def _make_vitals(self, reporter: Reporter) -> Vitals:
        return Vitals(
            self.config.node.id,
            desk=self.desk,
            pool=self.pool,
            board=self.board,
            cache=self.cache,
            presence=self.presence,
            reporter=reporter,
        )

    def _make_worker(self, controls: Controls) -> Worker:
        return Worker(
            desk=self.desk,
            pool=self.pool,
            cache=self.cache,
            controls=controls,
            model=lambda: ModelName.of(self._card()),
            max_payload_bytes=self.config.limits.max_payload_bytes,
            outlets=Outlets(
                publish=self.board.answer,
                max_packet=self.board.max_packet,
                observe=self.vitals.observe,
                fatal=self._fatal,
            ),
        )

    def _make_router(self, inbox: Inbox) -> Router:
        desks = Desks(
            frames=self.desk,
            node=self._take_own,
            news=self._news,
            reanswer=self.worker.reanswer,
            fatal=self._fatal,
        )
        return Router(inbox, self.board.routes, desks, max_payload=self.config.limits.max_payload_bytes)

    def _make_health(self) -> HealthServer | None:
        http = self.config.ops.http
        if http is None:
            return None
        vitals = self.vitals
        return HealthServer(http, alive=vitals.alive, ready=vitals.ready, metrics=vitals.exposition)

    # -- what the parts tell each other -------------------------------------------------------------------------------
    # Presence, commands and desk are built before the switchboard, which carries presence's will.

    def _publish(self, message: Outgoing) -> bool:
        return self.board.publish(message)

    def _acknowledge(self, delivery: Delivery) -> None:
        self.board.acknowledge(delivery)

    def _has_room(self, source: int) -> bool:
        return self.board.has_room(source)

    def _settings(self) -> dict[str, JsonValue]:
        return self.config.masked()  # the one in force when asked: a reload replaces it

    def _take_own(self, message: Incoming) -> bool:
        """Take a message on one of our own topics; False where it is none. Called by the router."""
        contradiction = self.presence.contradicts(message)
        if contradiction:
            _log.warning("the broker says that this worker is offline; saying otherwise")
            self.presence.repeat()
        return contradiction is not None or self._commands.take(message)

    def _news(self, event: LinkEvent) -> None:
        """Take news of a link's condition. Called by the router."""
        fields = {name: value for name, value in asdict(event).items() if name != "link"}
        good = isinstance(event, Subscribed) or (isinstance(event, Connected) and not event.session_lost)
        _log.log(logging.INFO if good else logging.WARNING, _words(type(event).__name__), link=event.link, **fields)
        if isinstance(event, Fatal):
            self._fatal(f"link {event.link} failed: {event.detail}", None)
        if isinstance(event, Connected | Subscribed) and event.link == CONTROL:
            self.presence.repeat()  # at once; and when no late will can escape us any more, if that is granted
        self._wake.put(Order.LOOK)

    def _fatal(self, what: str, error: BaseException | None) -> None:
        """End the worker because of a defect; the service manager starts another. Called from any thread."""
        _log.critical(what, exc_info=error)
        self.failed = True
        self._wake.put(Order.STOP)

    def _card(self) -> ModelCardFacts:
        card = self.pool.card()
        if card is None:
            raise RuntimeError("a frame was parsed by a model that nobody has loaded")
        return card


def _desired(config: Config) -> tuple[Desired, ...]:
    composers = [Composer(config.node.id, config.outputs_for(camera)) for camera in config.cameras]
    threshold = config.model.score_threshold
    return tuple(Desired(composer, composer.request(score_threshold=threshold)) for composer in composers)


def _words(event_name: str) -> str:
    """``SubscriptionRefused`` → ``link: subscription refused``."""
    return "link:" + re.sub("([A-Z])", r" \1", event_name).lower()
