"""How a node joins a group without answering frames before older ones that it never got. Pure.

The broker gives a node whose session is new only what is published from then on; the others may still be working on
what came before. So each of them says when it has settled every frame that it got before the node's status, which comes
to it in line with the frames. Until all have said so, the new node holds its own frames back.

In the session of an earlier run of this node there may be frames whose answers only that run has read. The new run
answers them all, up to the first status that was sent since: a retained one, or its own.

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
        self._caught_up: dict[str, set[str]] = {}  # by link that is new
        self._announced: set[str] = set()
        self._in_past: dict[str, bool] = {}  # by link that was connected
        self._awaited: dict[Place, tuple[frozenset[str], float]] = {}

    def began(self, link: str) -> None:
        """Note that *link* has a new session."""
        self._caught_up[link] = set()
        self._announced.discard(link)
        self.reached_present(link)
        self._awaited = {place: awaited for place, awaited in self._awaited.items() if place[0] != link}

    def resumed(self, link: str) -> None:
        """Note that *link* has its session still: an earlier run's, if this is its first connection."""
        self._in_past.setdefault(link, True)

    def reached_present(self, link: str) -> None:
        """Note that the broker sends by *link* from here on what came since this run began."""
        self._in_past[link] = False

    def is_in_past(self, link: str) -> bool:
        """Whether the next frame of *link* may have been sent to an earlier run of ours."""
        return self._in_past.get(link, False)

    def announced(self, link: str) -> None:
        """Note that our own status came by *link*: the others know us from here on."""
        self._announced.add(link)

    def is_outside(self, link: str) -> bool:
        """Whether the next frame of *link* came before the others knew us as a member."""
        return link in self._caught_up and link not in self._announced

    def joined(self, place: Place, others: frozenset[str], now: float) -> None:
        """Note that a frame comes that may be ours: older ones of *place* are with the *others*."""
        if place[0] in self._caught_up and place not in self._awaited:
            self._awaited[place] = (others, now)

    def caught_up(self, node: str) -> None:
        """Note that *node* has settled all that is older than our status."""
        for nodes in self._caught_up.values():
            nodes.add(node)

    def awaited(self, place: Place, now: float) -> frozenset[str]:
        """Return the nodes that still have to catch up before frames of *place* may be answered."""
        others, since = self._awaited.get(place, (frozenset[str](), now))
        return others - self._caught_up.get(place[0], set()) if now - since < self._limit_s else frozenset()
