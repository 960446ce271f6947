"""The composition root of ``edge-worker run``: the one module that knows all others.

Start order: logs → health page → model processes → dispatchers and router → links. The model loads while the links
connect; whichever is first waits for the other.

The main thread owns the state. Everything else tells it "look" through a queue; it looks once a second anyway.
"""

from __future__ import annotations

import logging
import os
import re
import time
from dataclasses import asdict
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker import __version__
from edge_worker.answers import Composer
from edge_worker.cache import ResultCache
from edge_worker.commands import Commands
from edge_worker.config import diff, load, read_password, warnings
from edge_worker.controls import Controls
from edge_worker.desk import Desk
from edge_worker.errors import ConfigError
from edge_worker.files import problem_with
from edge_worker.lifecycle import Deadline, Judgement, State
from edge_worker.mqtt.events import Connected, Fatal, Outgoing, Subscribed
from edge_worker.mqtt.inbox import Inbox
from edge_worker.mqtt.topics import Template
from edge_worker.ops import logs
from edge_worker.ops.clock import ClockWatch
from edge_worker.ops.directories import cache_directory, state_directory
from edge_worker.ops.health import Check, Health, HealthServer
from edge_worker.ops.metrics import Metrics, Snapshot
from edge_worker.ops.signals import Order
from edge_worker.ops.systemd import Notifier
from edge_worker.pool import ModelPool
from edge_worker.presence import Presence, judge
from edge_worker.reporter import Reporter, Stopwatch, model_name
from edge_worker.router import Desks, Router
from edge_worker.switchboard import CONTROL, Switchboard
from edge_worker.worker import Desired, Outlets, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from edge_worker.config import Config
    from edge_worker.frames import Delivery
    from edge_worker.messages import StatsMessage
    from edge_worker.mqtt.events import Incoming, LinkEvent
    from edge_worker.results import ModelCardFacts

TICK_S: Final = 1.0
STOP_S: Final = 20.0
"""Budget of a stop, seconds; the unit file's TimeoutStopSec is longer."""
GOODBYE_S: Final = 4.0
"""Kept of it to say so to the broker, whatever is still unanswered: else the will says that this worker was lost."""
BROKER_AWAY_S: Final = 3.0
"""A stop waits this long for a broker that is away to come back and confirm answers; it will ask for them again."""
LOADING_GRACE_S: Final = 30.0
"""Asked of the service manager at a time while a model is loading: how long that may take is ``watchdog.load_s``."""
STALLED_S: Final = 10.0
"""A part that has not advanced for this long is reported as not alive."""

_log = structlog.get_logger(__name__)


def run(
    config: Config, orders: SimpleQueue[Order], *, source: Path | None, environ: Mapping[str, str] = os.environ
) -> int:
    """Run the worker until an order or a defect ends it.

    Args:
        config: as loaded from *source*, which is read again when that is ordered.
        orders: what signals want of the worker, from before it was built.
        source: the configuration file; None: the environment alone.
        environ: where systemd's directories, credentials and notification socket are found.

    Returns:
        The exit code: 0 after a clean stop, 1 after a defect.

    Raises:
        ConfigError: a certificate cannot be read, a processor or an address cannot be used here.
    """
    logs.configure(config.ops.log)
    for warning in warnings(config, environ):
        _log.warning("configuration", problem=warning)
    for directory in filter(None, (state_directory(environ), cache_directory(environ))):
        if problem := problem_with(directory):
            _log.warning("nothing can be kept over a restart", directory=str(directory), problem=problem)
    return App(config, orders, source, environ).run()


class App:
    """One worker: its parts, their order, and the loop that keeps an eye on them."""

    def __init__(
        self, config: Config, orders: SimpleQueue[Order], source: Path | None, environ: Mapping[str, str]
    ) -> None:
        """Build every part; nothing is started."""
        self._config, self._wake, self._source, self._environ = config, orders, source, environ
        self._failed = self._ready_told = False
        self._looked_at = self._stats_at = time.monotonic()
        self._clock = ClockWatch()
        self._notifier = Notifier(environ)
        self._reporter = Reporter(config.node.id)
        self._stopwatch = Stopwatch()
        self._controls = Controls()
        self._cache = ResultCache(config.cache.max_mb)
        self._desk = Desk(config.cameras, self._acknowledge, self._has_room)
        self._pool = ModelPool(
            config,
            state_directory=state_directory(environ),
            cache_directory=cache_directory(environ),
            on_change=lambda: self._wake.put(Order.LOOK),
            environ=environ,
        )
        self._presence = self._make_presence()
        self._commands = self._make_commands()
        inbox = Inbox()
        self._board = self._make_switchboard(inbox)
        self._worker = self._make_worker()
        self._router = self._make_router(inbox)
        self._metrics = Metrics(self._snapshot)
        self._health = config.ops.http and HealthServer(
            config.ops.http, alive=self._alive, ready=self._ready, metrics=self._metrics.exposition
        )

    def _make_presence(self) -> Presence:
        return Presence(
            self._reporter,
            status_topic=self._topic(self._config.node.status_topic),
            model_topic=self._topic(self._config.node.model_topic),
            publish=self._publish,
            on_change=lambda judgement: self._notifier.status(_sentence(judgement)),
        )

    def _make_commands(self) -> Commands:
        return Commands(
            self._config,
            desk=self._desk,
            controls=self._controls,
            stats=lambda: self._stats(restart=False).to_values(),
            settings=self._settings,
            restart=self._pool.restart,
            publish=self._publish,
        )

    def _make_switchboard(self, inbox: Inbox) -> Switchboard:
        return Switchboard(
            self._config,
            own=[*self._presence.subscriptions(), *self._commands.subscriptions()],
            will=self._presence.will(),
            password=lambda: logs.hide(read_password(self._config.mqtt, self._environ)),
            report=inbox.put,
        )

    def _make_worker(self) -> Worker:
        worker = Worker(
            desk=self._desk,
            pool=self._pool,
            cache=self._cache,
            controls=self._controls,
            model=lambda: model_name(self._card()),
            max_payload_bytes=self._config.limits.max_payload_bytes,
            outlets=Outlets(
                publish=self._board.answer, room=self._board.room, observe=self._observe, fatal=self._fatal
            ),
        )
        worker.desired = _desired(self._config)
        return worker

    def _make_router(self, inbox: Inbox) -> Router:
        desks = Desks(
            frames=self._desk,
            node=self._take_own,
            news=self._news,
            reanswer=self._worker.reanswer,
            fatal=self._fatal,
        )
        return Router(inbox, self._board.routes, desks, max_payload=self._config.limits.max_payload_bytes)

    def _topic(self, template: str) -> str:
        return Template(template, node=self._config.node.id).format()

    def run(self) -> int:
        """Start, keep an eye on everything until told to stop, stop; returns the exit code."""
        self._start()
        while self._look():
            pass
        self._shut_down()
        return 1 if self._failed else 0

    def _start(self) -> None:
        _log.info("starting", version=__version__, node=self._config.node.id, config=str(self._source))
        if self._health:
            self._health.start()
        self._presence.move(Judgement(State.LOADING, "model_loading"))
        self._pool.start()
        self._worker.start()
        self._router.start()
        self._board.start()

    def _look(self) -> bool:
        """Wait for a wake-up or a tick, then see to what is due; False when it is time to stop."""
        try:
            order = self._wake.get(timeout=TICK_S)
        except Empty:
            order = Order.LOOK
        self._looked_at = time.monotonic()
        if order == Order.STOP:
            return False
        if order == Order.RELOAD:
            self._reload()
        if jump_s := self._clock.jump_s():
            _log.warning("the clock was set, or the machine slept", ahead_s=round(jump_s, 1))
        self._judge()
        self._publish_stats_when_due()
        if self._alive().ok:
            self._notifier.watchdog()
        return True

    def _judge(self) -> None:
        pool = self._pool.state()
        judgement = judge(self._presence.state, pool, self._board.statuses())
        self._presence.move(judgement)
        card = self._pool.card()
        if card is not None and self._presence.show(card):
            self._cache.clear()
        if pool.ready and not self._ready_told:
            self._ready_told = True
            self._notifier.ready(_sentence(judgement))
        elif pool.loading and not self._ready_told and self._alive().ok:
            self._notifier.extend_timeout(LOADING_GRACE_S)

    def _publish_stats_when_due(self) -> None:
        now = time.monotonic()
        if now - self._stats_at >= self._config.ops.stats_interval_s:
            self._stats_at = now
            self._publish(
                Outgoing(
                    self._topic(self._config.node.stats_topic),
                    self._stats(restart=True).to_json(),
                    0,
                    content_type="application/json",
                )
            )

    def _shut_down(self) -> None:
        deadline, answers_by = Deadline(STOP_S), Deadline(STOP_S - GOODBYE_S)
        self._notifier.stopping("stopping")
        self._presence.move(Judgement(State.STOPPING))
        self._desk.close()  # take no more frames
        self._worker.stop(answers_by)  # answer those in work
        self._settle(answers_by)  # have the answers' arrival confirmed, and so the frames acknowledged
        self._presence.move(Judgement(State.OFFLINE, "failed" if self._failed else "stopped"))
        self._board.stop(deadline)  # say goodbye
        self._router.stop(deadline.remaining())
        self._pool.stop(answers_by)  # nobody could be told the result of a frame still in work
        if self._health:
            self._health.stop()
        _log.info("stopped", account=asdict(self._desk.account().total))

    def _settle(self, answers_by: Deadline) -> None:
        """Wait until the broker has all answers, as long as there is one to wait for."""
        away_by = Deadline(BROKER_AWAY_S)
        while not self._desk.settle(Deadline(min(TICK_S, answers_by.remaining()))):
            if any(link.connected for link in self._board.statuses().values()):
                away_by = Deadline(BROKER_AWAY_S)
            if answers_by.expired or away_by.expired:
                return

    def _reload(self) -> None:
        """Read the configuration again and apply what can be applied to a running worker."""
        if self._ready_told:  # the end of a reload means READY
            self._notifier.reloading("reading the configuration again")
        try:
            change = diff(self._config, load(self._source, self._environ))
        except ConfigError as error:
            _log.error("configuration not reloaded", problem=str(error))
        else:
            self._config = change.config
            logs.set_level(self._config.ops.log.level)
            self._desk.set_policies(self._config.cameras)
            self._worker.desired = _desired(self._config)
            _log.info("configuration reloaded", applied=change.live, needs_restart=change.restart)
        if self._ready_told:
            self._notifier.ready(self._presence.state.value)

    def _take_own(self, message: Incoming) -> bool:
        """Take a message on one of our own topics; False where it is none. Called by the router."""
        contradiction = self._presence.contradicts(message)
        if contradiction:
            _log.warning("the broker says that this worker is offline; saying otherwise")
            self._presence.repeat()
        return contradiction is not None or self._commands.take(message)

    def _news(self, event: LinkEvent) -> None:
        """Take news of a link's condition. Called by the router."""
        fields = {name: value for name, value in asdict(event).items() if name != "link"}
        severe = isinstance(event, Connected | Subscribed) and not getattr(event, "session_lost", False)
        _log.log(logging.INFO if severe else logging.WARNING, _words(type(event).__name__), link=event.link, **fields)
        if isinstance(event, Fatal):
            self._fatal(f"link {event.link} failed: {event.detail}", None)
        if isinstance(event, Subscribed) and event.link == CONTROL:
            self._presence.repeat()
        self._wake.put(Order.LOOK)

    # Presence, commands and desk are built before the switchboard, whose links subscribe to their topics.

    def _publish(self, message: Outgoing) -> None:
        self._board.publish(message)

    def _acknowledge(self, delivery: Delivery) -> None:
        self._board.acknowledge(delivery)

    def _has_room(self, source: int) -> bool:
        return self._board.has_room(source)

    def _settings(self) -> dict[str, JsonValue]:
        return self._config.masked()  # the one in force when asked: a reload replaces it

    def _observe(self, timings_ms: dict[str, float], age_ms: float) -> None:
        self._stopwatch.observe(timings_ms, age_ms)
        self._metrics.observe(timings_ms)

    def _fatal(self, what: str, error: BaseException | None) -> None:
        """End the worker because of a defect; the service manager starts another. Called from any thread."""
        _log.critical(what, exc_info=error)
        self._failed = True
        self._wake.put(Order.STOP)

    def _card(self) -> ModelCardFacts:
        card = self._pool.card()
        if card is None:
            raise RuntimeError("a frame was parsed by a model that nobody has loaded")
        return card

    def _stats(self, *, restart: bool) -> StatsMessage:
        return self._reporter.stats(
            account=self._desk.account(),
            processes=self._pool.state().processes,
            links=self._board.statuses(),
            cache=self._cache.stats(),
            readings=self._stopwatch.read(restart=restart),
        )

    def _snapshot(self) -> Snapshot:
        account, processes = self._desk.account(), self._pool.state().processes
        return Snapshot(
            state=self._presence.state,
            cameras=account.cameras,
            processes={str(slot): process for slot, process in enumerate(processes)},
            links=self._board.statuses(),
            duplicates=account.total.duplicates,
            cache=self._cache.stats(),
            build={"version": __version__, "node": self._config.node.id},
        )

    def _alive(self) -> Health:
        """Whether main loop, network threads and model processes all advance."""
        now = time.monotonic()
        sick, pool_at = self._board.sick(), self._pool.alive_at()
        return Health(
            (
                Check("main_loop", now - self._looked_at < STALLED_S),
                Check("network", not sick, sick and f"thread dead or stuck: {sick}"),
                Check("model", now - pool_at < STALLED_S, f"last advanced {now - pool_at:.1f} s ago"),
            )
        )

    def _ready(self) -> Health:
        state = self._presence.state
        return Health((Check("state", state is State.ONLINE, state.value),))


def _desired(config: Config) -> tuple[Desired, ...]:
    composers = [Composer(config.node.id, config.outputs_for(camera)) for camera in config.cameras]
    threshold = config.model.score_threshold
    return tuple(Desired(composer, composer.request(score_threshold=threshold)) for composer in composers)


def _sentence(judgement: Judgement) -> str:
    return ": ".join(filter(None, (judgement.state.value, judgement.reason, judgement.detail)))


def _words(event_name: str) -> str:
    """``SubscriptionRefused`` → ``link: subscription refused``."""
    return "link:" + re.sub("([A-Z])", r" \1", event_name).lower()
