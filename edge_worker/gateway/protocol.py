"""HTTP connections that end when the other side neither sends nor reads in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

MAX_CONNECTIONS: Final = 256
HEADERS_S: Final = 10.0
WRITE_S: Final = 30.0
MIN_READ: Final = 16_384  # bytes that a client takes in that time, or all there are


class Protocol(H11Protocol):
    """uvicorn's protocol with the timeouts that it lacks.

    A connection whose request's headers do not arrive in time is closed (slowloris); uvicorn limits only how long it
    may be idle between two requests. One whose client reads nothing is aborted: closing would wait for the client to
    read, for ever. Beyond :data:`MAX_CONNECTIONS`, each new one replaces the one that has been idle for longest, so
    /healthz is always answered.
    """

    _headers: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # writing is paused whenever the kernel's buffer is full
        self._time_headers()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Keep waiting, or stop once the headers have arrived."""
        super().data_received(data)
        self._time_headers()

    def pause_writing(self) -> None:
        """Begin to wait until something is read."""
        super().pause_writing()
        self._time_writing()

    def resume_writing(self) -> None:
        """Stop waiting: the kernel has everything."""
        super().resume_writing()
        _cancel(self._writing)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        _cancel(self._headers)
        _cancel(self._writing)

    @property
    def idle_since(self) -> float | None:
        """Since when it waits for a request, on the loop's clock; None amid one."""
        if self._headers is not None:
            return self._headers.when() - HEADERS_S
        kept = self.timeout_keep_alive_task
        return None if kept is None else kept.when() - self.timeout_keep_alive

    def _make_room(self) -> None:
        open_ones = [one for one in self.connections if isinstance(one, Protocol) and not one.transport.is_closing()]
        idle = {one: since for one in open_ones if one is not self and (since := one.idle_since) is not None}
        if len(open_ones) > MAX_CONNECTIONS and idle:
            min(idle, key=idle.__getitem__).transport.abort()

    def _time_headers(self) -> None:
        cycle: Any = self.cycle  # None until the first headers are there
        if cycle is not None and not cycle.response_complete:
            _cancel(self._headers)
            self._headers = None
        elif self._headers is None:
            self._headers = self.loop.call_later(HEADERS_S, self.transport.close)

    def _time_writing(self) -> None:
        self._writing = self.loop.call_later(WRITE_S, self._check_progress, self.transport.get_write_buffer_size())

    def _check_progress(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() < MIN_READ:
            self.transport.abort()
        else:
            self._time_writing()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
