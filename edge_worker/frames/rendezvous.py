"""Which of several nodes owns a camera: rendezvous hashing (highest random weight). Pure.

Nodes that know the same members agree without communicating, and when a member joins or leaves only its own cameras
move (Thaler and Ravishankar, 1998).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def ranking(camera: str, nodes: Iterable[str]) -> list[str]:
    """Sort *nodes* by their weight for *camera*: the first owns it, the second would if the first were gone."""
    return sorted(nodes, key=lambda node: _weight(camera, node), reverse=True)


def _weight(camera: str, node: str) -> tuple[bytes, str]:
    return hashlib.blake2b(f"{node}\0{camera}".encode(), digest_size=8).digest(), node
