"""Other workers that run under our node id, by what they publish on our status topic. Pure: time is passed in.

Of those that are online, the one with the lowest session goes on; the others are on standby, so that no camera of a
group of nodes is parsed twice. Nobody stays on standby for a worker that has fallen silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from edge_worker.messages import MAX_STATUS_BYTES, StatusMessage

if TYPE_CHECKING:
    from collections.abc import Iterable

ASK_S: Final = 20.0
"""A worker on standby publishes its status this often, whereupon the one that goes on publishes its own again."""

FORGET_S: Final = 3.5 * ASK_S
"""A worker not heard of for this long is gone."""

_MAX_KNOWN: Final = 8


@dataclass(frozen=True, slots=True)
class _Duplicate:
    session: str
    pid: int | None
    online: bool
    heard_at: float


class DuplicateNodes:
    """Written by one thread, read by any."""

    def __init__(self, node: str, session: str) -> None:
        """Start without any; this worker is *node*, in its run *session*."""
        self._node, self._session = node, session
        self._known: tuple[_Duplicate, ...] = ()

    def heard(self, payload: bytes, now: float) -> bool:
        """Take in what somebody published on our status topic; returns whether it is another worker that runs."""
        try:
            status = StatusMessage.model_validate_json(payload if len(payload) <= MAX_STATUS_BYTES else b"")
        except ValidationError:
            return False
        if status.session == self._session:
            return False
        others = tuple(one for one in self._present(now) if one.session != status.session)
        runs = status.state != "offline"
        self._known = (
            (*others, _Duplicate(status.session, status.pid, status.state == "online", now))[-_MAX_KNOWN:]
            if runs
            else others
        )
        return runs

    def is_standby(self, now: float) -> bool:
        """Whether another goes on instead of this worker."""
        return any(one.online and one.session < self._session for one in self._present(now))

    def explanation(self, now: float) -> str:
        """Description for an operator, and what to do; empty while there is no duplicate."""
        others = ", ".join(f"session {one.session:.32}, pid {one.pid}" for one in self._present(now))
        if not others:
            return ""
        return f"another worker has our node id {self._node!r} ({others}): give each a node.id of its own"

    def _present(self, now: float) -> Iterable[_Duplicate]:
        return (one for one in self._known if now - one.heard_at < FORGET_S)
