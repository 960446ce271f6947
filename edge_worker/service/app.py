"""The life of a worker: start order, main loop, reload, stop order.

Start order: logs → health page → dispatchers with their model processes → router → links. The model loads while the
links connect; whichever is first waits for the other.

The main thread owns the state. Everything else wakes it through a queue; it wakes once a second anyway.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from queue import Empty
from typing import TYPE_CHECKING, Final

import structlog

from edge_worker import __version__
from edge_worker.common import log_events
from edge_worker.common.deadline import Deadline
from edge_worker.common.errors import ConfigError
from edge_worker.common.files import problem_with
from edge_worker.config import diff, load, warnings
from edge_worker.frames.counters import LateCameras
from edge_worker.mqtt.message import Outgoing
from edge_worker.ops import logs
from edge_worker.ops.clock import ClockWatch
from edge_worker.ops.directories import NO_HOME, cache_directory, state_directory
from edge_worker.ops.memory import WAITING, MemoryTrimmer
from edge_worker.ops.signals import Order
from edge_worker.service.lifecycle import Judgement, State
from edge_worker.service.status import judge
from edge_worker.service.wiring import Components

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from queue import SimpleQueue

    from edge_worker.config import Config
    from edge_worker.messages import StatsMessage

TICK_S: Final = 1.0
STOP_S: Final = 18.0
"""Budget of a stop, so that the process has ended after 20 s; the unit file's TimeoutStopSec is longer."""
GOODBYE_S: Final = 4.0
"""Reserved of it for telling the broker, whatever replies are missing: else the will says that this worker was lost.
Nothing else is left to say by then, and waiting longer does not reach a broker that hangs."""
LEAVE_S: Final = 2.0
"""For the broker to confirm that this worker leaves its share groups."""
BROKER_AWAY_S: Final = 3.0
"""A stop waits this long for a broker that is away to come back and confirm replies; it will ask for them again."""
BROKER_IDLE_S: Final = 6.0
"""And this long for a connected broker to confirm the next reply. One that confirms none hangs or refuses them; a slow
one keeps confirming some. Either way nothing is lost: what is not acknowledged is delivered again."""
LOADING_GRACE_S: Final = 30.0
"""Extension asked of the service manager at a time while a model is loading; ``watchdog.load_s`` limits the total."""

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
        ConfigError: a certificate cannot be read, a CPU cannot be used here, the model cannot run as configured.
        EdgeWorkerError: the health page cannot listen on its address.
    """
    WAITING.take_effect()
    logs.configure(config.ops.log)
    for warning in warnings(config, environ):
        _log.warning(log_events.CONFIGURATION_WARNING, problem=warning)
    state = state_directory(environ, config.node.id)
    for purpose, directory in (("state", state), ("cache", cache_directory(environ))):
        if problem := NO_HOME if directory is None else problem_with(directory):
            _log.warning(log_events.DIRECTORY_UNUSABLE, directory=str(directory or purpose), problem=problem)
    return App(config, orders, source, environ).run()


class App:
    """One worker and its main loop."""

    def __init__(
        self, config: Config, orders: SimpleQueue[Order], source: Path | None, environ: Mapping[str, str]
    ) -> None:
        """Build every part; nothing is started."""
        self._wake, self._source, self._environ = orders, source, environ
        self._components = Components(config, orders, environ)
        self._clock, self._late_cameras, self._trimmer = ClockWatch(), LateCameras(), MemoryTrimmer()
        self._ready_notified = False
        self._will_restart = False
        self._stats_at = time.monotonic()

    def run(self) -> int:
        """Start, watch over everything until told to stop, then stop; returns the exit code."""
        self._start()
        while self._run_once():
            pass
        self._shut_down()
        if self._components.misconfigured:
            raise self._components.misconfigured
        return 1 if self._components.failed else 0

    def _start(self) -> None:
        components = self._components
        _log.info(log_events.STARTING, version=__version__, node=components.config.node.id, config=str(self._source))
        if components.health:
            components.health.start()
        components.node_status.move(Judgement(State.LOADING, "model_loading"))
        components.dispatchers.start()
        components.router.start()
        components.links.start()

    def _run_once(self) -> bool:
        """Wait for a wake-up or a tick, then do what is due; False when it is time to stop."""
        try:
            order = self._wake.get(timeout=min(TICK_S, self._components.groups.due_in_s()))
        except Empty:
            order = Order.CHECK
        self._components.probes.main_loop_advanced()
        if order in {Order.STOP, Order.RESTART}:
            self._will_restart = order is Order.RESTART or self._components.failed
            return False
        if order == Order.RELOAD:
            self._reload()
        if jump_s := self._clock.jump_s():
            _log.warning(log_events.CLOCK_JUMPED, ahead_s=round(jump_s, 1))
        self._judge()
        self._components.node_status.restore_when_due()
        self._components.groups.update()
        self._publish_stats_when_due()
        self._components.tell_home_assistant()
        self._trimmer.trim_if_due()
        if self._components.probes.alive().ok:
            self._components.notifier.watchdog()
        return True

    def _judge(self) -> None:
        components, pool = self._components, self._components.pool.state()
        status = components.node_status
        judgement = judge(
            status.state, pool, components.links.needed(), status.duplicate_nodes, is_standby=status.is_standby()
        )
        components.node_status.move(judgement)
        card = components.pool.card()
        if card is not None and components.node_status.show(card):
            components.cache.clear()
            _log.info(
                log_events.MODEL_LOADED,
                model=card.name,
                engine=card.engine,
                precision=card.precision,
                choice=card.reason,
                kernels=card.kernels,
            )
            components.home_assistant.check_parts(card.classes)
        if pool.ready and not self._ready_notified:
            self._ready_notified = True
            components.notifier.ready(str(judgement))
        elif pool.loading and not self._ready_notified and components.probes.alive().ok:
            components.notifier.extend_timeout(LOADING_GRACE_S)

    def _publish_stats_when_due(self) -> None:
        now = time.monotonic()
        if now - self._stats_at >= self._components.config.ops.stats_interval_s:
            self._stats_at = now
            self._publish_stats()
            for camera in self._late_cameras.newly_late(self._components.frame_queue.account().cameras):
                _log.warning(log_events.CAMERA_CLOCK, camera=camera)

    def _publish_stats(self) -> None:
        stats = self._components.probes.stats(restart=True)
        if not self._publish_stats_message(stats):  # senders choose cameras: there may be too many
            self._publish_stats_message(stats.model_copy(update={"cameras": {}}))

    def _publish_stats_message(self, stats: StatsMessage) -> bool:
        topic = self._components.topic(self._components.config.node.stats_topic)
        return self._components.links.publish(Outgoing(topic, stats.to_json(), 0, content_type="application/json"))

    def _shut_down(self) -> None:
        components, deadline, replies_by = self._components, Deadline(STOP_S), Deadline(STOP_S - GOODBYE_S)
        components.notifier.stopping("stopping")
        components.node_status.move(Judgement(State.STOPPING))
        components.frame_queue.close()  # take no more frames
        membership = self._membership_after(Deadline(LEAVE_S))
        components.dispatchers.stop(replies_by)  # reply to those in work
        self._settle(replies_by)  # wait until the broker confirms the replies, which acknowledges the frames
        self._publish_stats()  # the account is closed
        wrong = components.misconfigured
        reason = "misconfigured" if wrong else "failed" if components.failed else "stopped"
        components.node_status.move(Judgement(State.OFFLINE, reason, str(wrong) if wrong else membership))
        components.links.stop(Deadline(min(GOODBYE_S, deadline.remaining())))  # say goodbye
        components.router.stop(deadline.remaining())
        components.dispatchers.kill()  # nobody could be told the result of a frame still in work
        if components.health:
            components.health.stop()
        _log.info(log_events.STOPPED, account=asdict(components.frame_queue.account().total))

    def _membership_after(self, deadline: Deadline) -> str:
        """Leave the share groups, unless this worker is to be started again; returns what has become of them."""
        groups = ", ".join(sorted({one.share_group for one in self._components.config.cameras if one.share_group}))
        if not groups:
            return ""
        if self._will_restart:
            return f"still a member of share group {groups}: its part of the frames waits for it"
        if problem := self._components.links.leave_share_groups(deadline):
            _log.warning(log_events.SHARE_GROUPS_NOT_LEFT, groups=groups, problem=problem)
            return f"could not leave share group {groups}: its part of the frames waits for it ({problem})"
        _log.info(log_events.SHARE_GROUPS_LEFT, groups=groups)
        return f"left share group {groups}: the other members get its part of new frames"

    def _settle(self, replies_by: Deadline) -> None:
        """Wait until the broker has all replies, as long as there is one that takes them."""
        away_by, idle_by, left_before = Deadline(BROKER_AWAY_S), replies_by, 0
        while left := self._components.frame_queue.settle(Deadline(min(TICK_S, replies_by.remaining()))):
            if any(link.connected for link in self._components.links.statuses().values()):
                away_by = Deadline(BROKER_AWAY_S)
            if left != left_before:
                idle_by, left_before = Deadline(BROKER_IDLE_S), left
            if replies_by.expired or away_by.expired or idle_by.expired:
                return

    def _reload(self) -> None:
        """Read the configuration again and apply what can be applied to a running worker."""
        components = self._components
        if self._ready_notified:  # to the service manager the end of a reload means READY
            components.notifier.reloading("reading the configuration again")
        try:
            change = diff(components.config, load(self._source, self._environ))
        except ConfigError as error:
            _log.error(log_events.CONFIGURATION_NOT_RELOADED, problem=str(error))
        else:
            components.apply(change.config)
            _log.info(log_events.CONFIGURATION_RELOADED, applied=change.live, needs_restart=change.restart)
        if self._ready_notified:
            components.notifier.ready(str(components.node_status.present))
