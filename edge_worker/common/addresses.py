"""Addresses as people may see them: without the login that a URL may hold."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"
_LOGIN = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s@]*(?:@[^/?#\s@]*)*@")
_SECRET_PARAMETER = re.compile(
    r"(?P<name>[?&](?:[^=&#\s]*(?:passw|pwd|token|secret|key|auth)[^=&#\s]*)=)[^&#\s]*", re.IGNORECASE
)


def without_login(text: str) -> str:
    """Mask user and password, and parameters named like secrets, of every URL in *text*.

    ``rtsp://admin:pw@10.0.0.7/1`` → ``rtsp://***@10.0.0.7/1``
    """
    return _SECRET_PARAMETER.sub(rf"\g<name>{MASK}", _LOGIN.sub(rf"\g<scheme>{MASK}@", text))
