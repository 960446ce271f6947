"""Many uploads at once through the gateway, while one of two workers is killed."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Final

from brokers import wait_until
from gateways import CAMERAS, GatewayProcess

from chaos.camera import image
from chaos.probes import Probes
from chaos.row import Row

if TYPE_CHECKING:
    from gateways import Response
    from workers import WorkerProcess

    from chaos.lab import Lab

UPLOADS: Final = 50
TIMEOUT_S: Final = 15.0
"""Of the gateway. Its clients give up 5 s later; that would be hanging."""
ERRORS: Final = frozenset({429, 503, 504})
MAX_GROWTH_MB: Final = 10.0


def run(lab: Lab) -> None:
    """Send waves of uploads; in each, after some answers, a worker is killed, and is started again after it."""
    broker = lab.running_broker()
    workers = [
        lab.worker(broker.port, node={"id": name}, cameras=CAMERAS, mqtt={"reconnect": {"min_s": 0.1}}).ready()
        for name in ("left", "right")
    ]
    keys = {"timeout_s": TIMEOUT_S, "requests_per_minute": 60_000}
    with GatewayProcess(lab.place("gateway"), broker.port, gateway=keys) as gateway:
        _wait_online(gateway)
        _wave(lab, gateway, None)  # memory is compared from here on
        before = Probes.of(gateway.process.pid)
        for _ in range(lab.times):
            victim = lab.random.choice(workers)
            _wave(lab, gateway, victim)
            victim.ready()
            _wait_online(gateway)
        after = Probes.of(gateway.process.pid)
        lab.measure("requests sent again, a worker being lost", _repeated(gateway))
    lab.require(after.rss_mb - before.rss_mb <= MAX_GROWTH_MB, "the gateway's memory grew")
    lab.require(after.fds <= before.fds + UPLOADS, "the gateway's file descriptors grew")
    lab.measure("gateway's memory", f"{before.rss_mb:.0f} → {after.rss_mb:.0f} MB")


def _wait_online(gateway: GatewayProcess) -> None:
    gateway.online()
    wait_until(lambda: len(_online(gateway)) == 2, "both workers are online")


def _online(gateway: GatewayProcess) -> list[str]:
    nodes = gateway.get("/api/v1/nodes").json()
    return [name for name, said in nodes.items() if said.get("status", {}).get("state") == "online"]


def _repeated(gateway: GatewayProcess) -> int:
    lines = gateway.get("/metrics").body.decode().splitlines()
    return int(float(next(line for line in lines if line.startswith("edge_worker_gateway_repeated_total")).split()[1]))


def _wave(lab: Lab, gateway: GatewayProcess, victim: WorkerProcess | None) -> None:
    """Upload all at once, and kill *victim* after a random number of results; every upload is answered."""
    kill_after, parsed = lab.random.randrange(1, UPLOADS // 4), Counter[str]()
    images = [image(lab.random.getrandbits(60)) for _ in range(UPLOADS)]
    slowest = 0.0
    with ThreadPoolExecutor(UPLOADS) as clients:
        for future in as_completed([clients.submit(_upload, gateway, content) for content in images]):
            response, took = future.result()
            slowest = max(slowest, took)
            if response.status == 200:
                parsed[response.json()["frame_id"]] += 1
            _note(lab, response)
            if victim is not None and parsed.total() == kill_after:
                victim.kill()
                victim = None
    lab.require(slowest < TIMEOUT_S + 2.0, f"an upload took {slowest:.1f} s")
    lab.require(victim is None, "there were too few results to kill a worker amid them")
    lab.require(not parsed or max(parsed.values()) == 1, "two uploads got the same result")


def _upload(gateway: GatewayProcess, content: bytes) -> tuple[Response, float]:
    began = time.monotonic()
    return gateway.post("/api/v1/parse", content, Content_Type="image/png"), time.monotonic() - began


def _note(lab: Lab, response: Response) -> None:
    """Count an answer, which is a result or an error that says why."""
    reason = "parsed" if response.status == 200 else response.json()["reason"]
    lab.require(response.status == 200 or response.status in ERRORS, f"an upload was answered by {response.status}")
    lab.count(f"uploads: {reason}", 1)


ROWS: Final = (
    Row(
        name="gateway-load",
        fault="50 uploads at once through the gateway; one of two workers killed meanwhile",
        required="every upload gets a result or an error with its reason; memory flat",
        run=run,
        short=1,
        full=10,
    ),
)
