"""The broker is there but says no: to the login, to a publication, to a subscription; until an operator mends it."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brokers import add_account

from chaos.account import close_books
from chaos.camera import image
from chaos.consumer import Consumer
from chaos.model_faults import PATIENT
from chaos.recovery import now, require_retained, wait_back
from chaos.row import Row
from chaos.tail import Tail
from chaos.times import spread

if TYPE_CHECKING:
    from brokers import Mosquitto

    from chaos.camera import Camera
    from chaos.lab import Lab

NOTICED_S: Final = 60.0
"""A limit, not a promise: a model process that was just killed must load and parse before its answer is refused."""
REFUSED_S: Final = (1.0, 5.0)
"""For how long the broker says no: at least, at most."""
LONGER: Final = 2.0
SOON_S: Final = 2.0
"""Waits double: who was refused for a time is back after ``LONGER`` times as long and ``SOON_S``, at the latest."""
BURST: Final = 8
LINKS: Final = {"control", "every"}
USER, RIGHT, WRONG = "worker", "right", "wrong"
EVERYTHING: Final = "topic readwrite #\n"
DENIALS: Final = (("parsing/+/labels", "every"), ("parsing/+/colormap", "every"), ("edge-worker/+/status", "control"))
"""Topics, and the links that publish to them."""
PLUGINS: Final = tuple(
    Path(folder, "mosquitto_dynamic_security.so")
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib")
)


def login(lab: Lab) -> None:
    """Give the worker a wrong password, then the right one, by turns in its own file and in the broker's."""
    place = lab.place("secrets")
    secret, passwords = place / "secret", place / "passwd"
    _let_in(passwords, RIGHT)
    secret.write_text(RIGHT)
    broker = lab.running_broker(f"password_file {passwords}")
    consumer, camera = lab.consumer(broker.port), lab.camera(broker.port, "door")
    worker = lab.worker(broker.port, mqtt={"username": USER, "password_file": str(secret)}).start()
    consumer.wait_state("online", pid=worker.pid)
    refused, back = [], []
    for number in range(lab.times):
        ours = number % 2 == 0
        with closing(Tail(worker)) as tail:
            broker.stop()
            secret.write_text(WRONG if ours else RIGHT)
            _let_in(passwords, RIGHT if ours else WRONG)
            broker.start()
            began = time.monotonic()
            tail.wait_links("link: refused", LINKS, NOTICED_S)
        _offer(camera)
        time.sleep(lab.random.uniform(*REFUSED_S))
        secret.write_text(RIGHT)
        _let_in(passwords, RIGHT)
        moment = now()
        broker.reload()
        refused.append(time.monotonic() - began)
        back.append(wait_back(broker.port, moment))
        require_retained(lab, broker.port)
    close_books(lab, consumer, [camera])
    _require_soon(lab, refused, back)


def publication(lab: Lab) -> None:
    """Deny results or the status by the broker's access file, then allow them."""
    place = lab.place("rights")
    passwords, rights = place / "passwd", place / "acl"
    _let_in(passwords, RIGHT)
    (place / "secret").write_text(RIGHT)
    _allow(rights)
    broker = lab.running_broker(f"password_file {passwords}", f"acl_file {rights}")
    consumer, camera = lab.consumer(broker.port), lab.camera(broker.port, "door")
    login = {"username": USER, "password_file": str(place / "secret")}
    worker = lab.worker(broker.port, mqtt=login, watchdog=PATIENT).start()
    consumer.wait_state("online", pid=worker.pid)
    refused, back = [], []
    for number in range(lab.times):
        topic, link = DENIALS[number % len(DENIALS)]
        with closing(Tail(worker)) as tail:
            _allow(rights, but=topic)
            broker.reload()
            os.kill(worker.model_pid(), signal.SIGKILL)  # to be said by the status
            _offer(camera)
            known = len(consumer.statuses)
            tail.wait_links("link: publication refused", {link}, NOTICED_S)
        began = time.monotonic()
        if link == "every":
            _wait_said(consumer, known)
        else:  # it cannot be heard; but the model process is up again when all is answered
            _wait_answered(consumer, camera)
        time.sleep(lab.random.uniform(*REFUSED_S))
        _allow(rights)
        broker.reload()
        refused.append(time.monotonic() - began)
        back.append(_wait_published(broker, consumer, camera))
    close_books(lab, consumer, [camera])
    _require_soon(lab, refused, back)


def _wait_said(consumer: Consumer, known: int) -> None:
    """Wait until the status says that the broker refuses something."""
    consumer.wait(
        lambda: any(said.content.get("reason") == "refused" for said in consumer.statuses[known:]),
        "the status says that messages are refused",
    )


def _wait_published(broker: Mosquitto, consumer: Consumer, camera: Camera) -> float:
    """Wait until all frames are answered and the retained status is ``online``; returns the seconds it took."""
    began = time.monotonic()
    _wait_answered(consumer, camera)
    with Consumer(broker.port, "observer", persistent=False) as observer:
        observer.wait(lambda: observer.statuses and observer.statuses[-1].content["state"] == "online", "online")
    return time.monotonic() - began


def _wait_answered(consumer: Consumer, camera: Camera) -> None:
    camera.wait_accepted()
    consumer.wait_answered(camera.name, camera.accepted)


def subscription(lab: Lab) -> None:
    """Deny all subscriptions by the broker's plugin, then allow them; it reads its rights when it starts."""
    plugin = next((plugin for plugin in PLUGINS if plugin.exists()), None)
    assert plugin is not None, f"no {PLUGINS[0].name}: it comes with mosquitto 2"
    rights = lab.place("rights") / "rights.json"
    _grant(rights, subscribe=True)
    broker = lab.running_broker(f"plugin {plugin}", f"plugin_opt_config_file {rights}")
    consumer, camera = lab.consumer(broker.port), lab.camera(broker.port, "door")
    worker = lab.worker(broker.port).start()
    consumer.wait_state("online", pid=worker.pid)
    back = []
    for _ in range(lab.times):
        with closing(Tail(worker)) as tail:
            _restart(broker, consumer, rights, subscribe=False)
            tail.wait_links("link: subscription refused", LINKS, NOTICED_S)
        moment = now()
        _restart(broker, consumer, rights, subscribe=True)
        back.append(wait_back(broker.port, moment))
        consumer.ready()
        _offer(camera)
        _wait_answered(consumer, camera)
        require_retained(lab, broker.port)
    close_books(lab, consumer, [camera])
    lab.measure("back after it is allowed", spread(back))


def _let_in(passwords: Path, password: str) -> None:
    """Let the worker in with *password*."""
    add_account(passwords, USER, password)
    passwords.chmod(0o600)


def _allow(rights: Path, but: str = "") -> None:
    """Allow everybody everything, and the worker everything *but* one topic."""
    denied = f"topic deny {but}\n" if but else ""
    rights.write_text(f"{EVERYTHING}user {USER}\n{denied}{EVERYTHING}")
    rights.chmod(0o644)


def _grant(rights: Path, *, subscribe: bool) -> None:
    access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": subscribe, "unsubscribe": True}
    rights.write_text(json.dumps({"defaultACLAccess": access, "clients": [], "groups": [], "roles": []}))


def _restart(broker: Mosquitto, consumer: Consumer, rights: Path, *, subscribe: bool) -> None:
    broker.stop()
    consumer.wait_cut_off()
    _grant(rights, subscribe=subscribe)
    broker.start()


def _offer(camera: Camera) -> None:
    for _ in range(BURST):
        camera.send(image(len(camera.offered)))


def _require_soon(lab: Lab, refused: list[float], back: list[float]) -> None:
    lab.measure("refused for", spread(refused))
    lab.measure("back after it is allowed", spread(back))
    late = [after for before, after in zip(refused, back, strict=True) if after > LONGER * before + SOON_S]
    lab.require(not late, f"back only after {', '.join(f'{after:.1f} s' for after in late)}")


ROWS: Final = (
    Row(
        name="login-refused",
        fault="login refused (wrong password), then allowed",
        required="back after twice the time it was refused and 2 s at the latest; status and model card retained",
        run=login,
        short=2,
        full=20,
    ),
    Row(
        name="publication-denied",
        fault="ACL denies labels, map or status, then allows it",
        required="the status says so; published after twice the time it was denied and 2 s at the latest",
        run=publication,
        short=3,
        full=21,
    ),
    Row(
        name="subscription-denied",
        fault="ACL denies the subscriptions, then, after a broker restart, allows them",
        required="the status says so; back by itself; status and model card retained",
        run=subscription,
        short=1,
        full=10,
    ),
)
