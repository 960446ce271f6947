"""Liveness and readiness, for orchestrators, and metrics, for Prometheus."""

import time
from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from edge_worker.gateway.hub import Hub
from edge_worker.gateway.problems import Problem, documented
from edge_worker.gateway.routes.dependencies import HubDep

router = APIRouter(tags=["health"])


@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """200 while the process is alive."""
    return "ok\n"


@router.get("/readyz", response_class=PlainTextResponse, responses=documented(503))
async def readyz(hub: HubDep) -> str:
    """200 while an image could be parsed: there is a broker, and a worker is online."""
    hub.require()
    return "ok\n"


@router.get("/v2/health/live", response_class=JSONResponse)
async def live() -> dict[str, bool]:
    """KServe's name for /healthz."""
    return {"live": True}


@router.get("/v2/health/ready", response_class=JSONResponse, responses=documented(503))
async def ready(hub: HubDep) -> Response:
    """KServe's name for /readyz."""
    try:
        hub.require()
    except Problem as problem:
        return JSONResponse({"ready": False}, problem.status)
    return JSONResponse({"ready": True})


@router.get("/metrics", response_class=PlainTextResponse, responses=documented())
async def metrics(hub: HubDep) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(generate_latest(_Figures(hub)), media_type="text/plain; version=0.0.4; charset=utf-8")


class _Figures(Collector):
    """Read from the hub at each scrape."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        hub, prefix = self._hub, "edge_worker_gateway"
        responses = CounterMetricFamily(f"{prefix}_responses", "Responses by status.", labels=["status"])
        for status, count in sorted(hub.responses.items()):
            responses.add_metric([str(status)], count)
        yield responses
        yield GaugeMetricFamily(f"{prefix}_in_flight", "Images being parsed.", hub.requests.in_flight.taken)
        yield CounterMetricFamily(f"{prefix}_timeouts", "Images without a result in time.", hub.requests.timed_out)
        yield CounterMetricFamily(
            f"{prefix}_repeated", "Requests sent again, a worker being lost.", hub.requests.repeated
        )
        yield GaugeMetricFamily(f"{prefix}_connected", "Whether the broker is there.", hub.broker.status().connected)
        yield GaugeMetricFamily(f"{prefix}_uptime_seconds", "Since the start.", time.monotonic() - hub.started)
        yield from ProcessCollector(registry=None).collect()
