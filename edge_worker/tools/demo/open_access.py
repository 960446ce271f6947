"""Authentication of the demo's broker: everybody is accepted; it listens on loopback only.

amqtt's own anonymous plugin drops the sessions of the clients it accepts; this one does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amqtt.plugins.base import BaseAuthPlugin

if TYPE_CHECKING:
    from amqtt.session import Session


class AllowAll(BaseAuthPlugin):  # type: ignore[misc]  # amqtt is used without its types
    """Accepts everybody."""

    async def authenticate(self, *, session: Session) -> bool:  # noqa: ARG002 - amqtt's signature
        """Accept any client."""
        return True
