"""How a node joins a group without answering frames before older ones that it never got. Pure.

The broker gives a node whose session is new only what is published from then on; the others may still be working on
what came before. So each of them says when it has settled every frame that it got before the node's status, which comes
to it in line with the frames. Until all have said so, the new node holds its own frames back.

The caller holds one lock around every call.
"""

from __future__ import annotations

Place = tuple[str, str]
"""A link, and a group whose frames it brings."""


class Joining:
    """Where this node is new, and whom it waits for."""

    def __init__(self, *, limit_s: float) -> None:
        """Wait for no node longer than *limit_s* seconds."""
        self._limit_s = limit_s
        self._outside: set[str] = set()
        self._announced: set[str] = set()
        self._awaited: dict[Place, tuple[frozenset[str], float]] = {}
        self._caught_up: set[str] = set()

    def began(self, link: str) -> None:
        """Note that *link* has a new session."""
        self._outside.add(link)
        self._announced.discard(link)
        self._caught_up.clear()
        self._awaited = {place: awaited for place, awaited in self._awaited.items() if place[0] != link}

    def announced(self, link: str) -> None:
        """Note that our own status came by *link*: the others know us from here on."""
        self._announced.add(link)

    def is_outside(self, link: str) -> bool:
        """Whether the next frame of *link* came before the others knew us as a member."""
        return link in self._outside and link not in self._announced

    def joined(self, place: Place, others: frozenset[str], now: float) -> None:
        """Note that a frame comes that may be ours: older ones of *place* are with the *others*."""
        if place[0] in self._outside and place not in self._awaited:
            self._awaited[place] = (others, now)

    def caught_up(self, node: str) -> None:
        """Note that *node* has settled all that is older than our status."""
        self._caught_up.add(node)

    def awaited(self, place: Place, now: float) -> frozenset[str]:
        """Return the nodes that still have to catch up before frames of *place* may be answered."""
        others, since = self._awaited.get(place, (frozenset[str](), now))
        return others - self._caught_up if now - since < self._limit_s else frozenset()
