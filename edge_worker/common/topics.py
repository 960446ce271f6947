"""Topic templates, filters and valid characters. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Final

MAX_LEVEL: Final = 128
"""Longest level accepted from a sender, in characters."""

_PERSON: Final = "{person}"
_NAMES: Final = frozenset({"{camera}", "{command}"})
_PLACEHOLDERS: Final = _NAMES | {_PERSON}

# Characters that MQTT 5 (1.5.4) and brokers refuse in a topic: controls, surrogates, non-characters. U+FEFF is allowed,
# but clients that use paho close the connection over it.
_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
# A camera may be a topic's first level. Brokers accept no topic that begins with $, so its frame would wait for ever.
_NOT_IN_A_LEVEL: Final = re.compile(rf"{_FORBIDDEN.pattern}|[+#/]|^\$")
_CHANGED: Final = re.compile(r"~[0-9a-f]{8}\Z")


def clean_text(text: str, limit: int = 65_535) -> str:
    """Return *text* as a string that every broker accepts, in at most *limit* bytes of UTF-8."""
    return _FORBIDDEN.sub("_", text).encode()[:limit].decode(errors="ignore")


def clean_level(level: str) -> str:
    """Return *level* as a topic level that can be published to.

    A changed level gets eight hex digits of its SHA-256, so that levels stay distinct. A level that already ends in
    such digits is changed as well: it could be the new name of another.
    """
    clean = _NOT_IN_A_LEVEL.sub("_", level)
    if clean == level and 0 < len(level) <= MAX_LEVEL and not _CHANGED.search(level):
        return level
    digest = hashlib.sha256(level.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{clean[: MAX_LEVEL - 9]}~{digest}"


def is_publishable(topic: str) -> bool:
    """Whether *topic* can be published to: not empty, not too long, no wildcards or characters that brokers refuse."""
    wild = any(sign in topic for sign in "+#")
    return bool(topic) and not wild and not _FORBIDDEN.search(topic) and len(topic.encode()) <= 65_535  # noqa: PLR2004


class Template:
    """A topic with ``{node}``, one level ``{camera}`` (or ``{command}``) and at most one level ``{person}``."""

    def __init__(self, text: str, *, node: str = "") -> None:
        """Read *text*; ``{node}`` becomes *node*.

        Raises:
            ValueError: it contains a wildcard, or other or more placeholders.
        """
        self._levels = text.replace("{node}", node).split("/")
        places = [place for place, level in enumerate(self._levels) if level in _NAMES]
        fixed = [level for level in self._levels if level not in _PLACEHOLDERS]
        if (
            len(places) > 1
            or self._levels.count(_PERSON) > 1
            or any(sign in level for level in fixed for sign in "+#{}")
        ):
            raise ValueError(f"{text!r} may hold {{node}}, one level {{camera}} and one {{person}}, but no wildcard")
        self._place = places[0] if places else None

    @property
    def filter(self) -> str:
        """The subscription filter for all topics of this template."""
        return self.filter_for(None)

    def filter_for(self, camera: str | None) -> str:
        """Return the subscription filter for the topics of *camera* (None: of all cameras)."""
        filled = [camera if level == "{camera}" and camera is not None else level for level in self._levels]
        return "/".join("+" if level in _PLACEHOLDERS else level for level in filled)

    def match(self, topic: str) -> str | None:
        """Return the camera (or command) of *topic*, cleaned; None if *topic* does not match.

        Without such a placeholder in the template, the name is empty.
        """
        levels = topic.split("/")
        if len(levels) != len(self._levels):
            return None
        pairs = list(zip(self._levels, levels, strict=True))
        if any(mine != other for mine, other in pairs if mine not in _PLACEHOLDERS):
            return None
        return "" if self._place is None else clean_level(levels[self._place])

    def person(self, topic: str) -> str | None:
        """Return the person of a matching *topic*, cleaned; None if the template has no ``{person}``."""
        if _PERSON not in self._levels:
            return None
        return clean_level(topic.split("/")[self._levels.index(_PERSON)])

    def format(self, *, camera: str = "", command: str = "", person: int | None = None) -> str:
        """Return the topic of *camera* (or *command*) and *person*; names from :meth:`match` are always valid."""
        values = {"{camera}": camera, "{command}": command, _PERSON: str(person)}
        return "/".join(values.get(level, level) for level in self._levels)


def filter_of_all_nodes(text: str) -> str:
    """Return the filter for the topics of all nodes, if ``{node}`` is a level of its own in the template *text*."""
    return "/".join("+" if level == "{node}" else level for level in text.split("/"))


def overlaps(first: str, second: str) -> bool:
    """Whether a topic can match both filters (without ``$share``), so that it would be delivered twice."""
    ours, theirs = first.split("/"), second.split("/")
    if _reserved(ours) != _reserved(theirs) and ({ours[0], theirs[0]} & {"+", "#"}):
        return False  # wildcards do not match the broker's own $ topics
    for one, other in zip(ours, theirs, strict=False):
        if "#" in (one, other):
            return True
        if one != other and "+" not in (one, other):
            return False
    longer = max(ours, theirs, key=len)
    shorter = min(len(ours), len(theirs))
    return len(ours) == len(theirs) or longer[shorter] == "#"  # a/# matches a, too


def _reserved(levels: list[str]) -> bool:
    return levels[0].startswith("$")
