"""Redaction of credentials in URLs."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"
# Passwords may contain any character but blanks, so a login extends to the last @. A port is not taken for a password.
_REST = r":(?!\d{1,5}(?:[/?#\s]|$))\S*"
_LOGIN = re.compile(rf"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:/{{1,3}})(?:[^/?#\s@:]*{_REST}|[^/?#\s@]*)@")
_BARE_LOGIN = re.compile(rf"(?<!\S)[^\s:/@]+(?!:/){_REST}@(?=\S)")
_SECRET_PARAMETER = re.compile(
    r"(?P<name>[?&](?:[^=&#\s]*(?:passw|pwd|token|secret|key|auth)[^=&#\s]*)=)[^&#\s]*", re.IGNORECASE
)


def without_login(text: str) -> str:
    """Mask user and password, and parameters named like secrets, of every URL in *text*.

    ``rtsp://admin:pw@10.0.0.7/1`` → ``rtsp://***@10.0.0.7/1``
    """
    masked = _BARE_LOGIN.sub(f"{MASK}@", _LOGIN.sub(rf"\g<scheme>{MASK}@", text))
    return _SECRET_PARAMETER.sub(rf"\g<name>{MASK}", masked)
