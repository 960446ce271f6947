"""How long the worker takes to be back after the broker is, as a stranger sees it at the broker."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from chaos.consumer import Consumer

if TYPE_CHECKING:
    from chaos.consumer import Said
    from chaos.lab import Lab


def now() -> str:
    """Return the time as the messages write it, to compare with theirs."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wait_back(port: int, since: str) -> float:
    """Wait until the worker says that it is online, in a status entered after *since*; returns the seconds it took.

    The time runs from this call on: the broker must have begun to listen just before.
    """
    began = time.monotonic()
    with Consumer(port, "observer", persistent=False) as observer:
        found: list[Said] = []

        def look() -> bool:
            found[:] = [s for s in observer.statuses if s.content["state"] == "online" and s.content["since"] > since]
            return bool(found)

        observer.wait(look, "the worker is online again")
        return found[0].at - began


def require_retained(lab: Lab, port: int) -> None:
    """Require that who comes late is given the worker's status and model card."""
    with Consumer(port, "late", persistent=False) as late:
        try:
            late.wait(lambda: late.statuses and late.cards, "retained status and model card", 5.0)
        except AssertionError as error:
            lab.require(False, str(error))
            return
        lab.require(late.statuses[0].retained, "the status is not retained")
        lab.require(late.statuses[0].content["state"] == "online", f"retained: {late.statuses[0].content['state']}")
        lab.require(late.cards[0].retained and late.cards[0].content["classes"], "the model card is not retained")
