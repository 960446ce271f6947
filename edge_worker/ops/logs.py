"""Structured logs on one stream: JSON for collectors, coloured lines for a terminal.

Both ``structlog.get_logger()`` and the standard library's ``logging`` (which our libraries use) end in the same
handler, with the same fields and the same level.
"""

from __future__ import annotations

import io
import logging
import re
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

    from edge_worker.config import LogConfig

MASK: Final = "***"
SHORTEST_SECRET = 4  # masking a shorter one would hit parts of ordinary words all over the log
_SECRET_KEY = re.compile(r"passw|secret|token|credential|private_key|authorization", re.IGNORECASE)


def configure(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send every log line of this process to *stream* (standard output by default) in the format and level of *config*.

    May be called again; the last call wins.
    """
    target = sys.stdout if stream is None else stream
    if isinstance(target, io.TextIOWrapper):
        target.reconfigure(errors="backslashreplace")  # a line that cannot be encoded would be lost
    handler = Lines(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=_renderers(config.format, target))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    logging.captureWarnings(capture=True)
    set_level(config.level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a second call of configure must reach loggers already in use
    )


def set_level(level: str) -> None:
    """Change the level of a running process; *level* is a name such as ``info``."""
    logging.getLogger().setLevel(level.upper())


def hide(secret: str | None) -> str | None:
    """Register *secret*, so that no later log line shows it; returns it."""
    if secret is not None and len(secret) >= SHORTEST_SECRET:
        _redact.learn(secret)
    return secret


class Lines(logging.StreamHandler):  # type: ignore[type-arg]  # Python 3.10 accepts no type argument
    """Writes log lines. With a full disk or a closed reader, lines are lost without other consequences."""

    _complained = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Report once on standard error that lines are lost; other errors are shown as usual."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._complained:
            self._complained = True
            with suppress(OSError):
                sys.stderr.write(f"log lines are lost: {error}\n")
                sys.stderr.flush()


class _Redactor:
    """A structlog processor that masks values of suspicious keys, and known secrets everywhere.

    A second line of defence: no line should contain a secret in the first place.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: tuple[str, ...] = ()

    def learn(self, secret: str) -> None:
        with self._lock:
            known = {*self._secrets, secret}
            self._secrets = tuple(sorted(known, key=len, reverse=True))  # a secret may contain another

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        del logger, method
        return {key: self._field(key, value) for key, value in event.items()}

    def _field(self, key: object, value: object) -> Any:  # noqa: ANN401 - structlog's own type of a field
        named_secret = isinstance(key, str) and _SECRET_KEY.search(key) is not None
        return MASK if named_secret and isinstance(value, str | bytes) else self._clean(value)

    def _clean(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {str(key): self._field(key, item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(item) for item in value]
        text = str(value)
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


_redact = _Redactor()

# Processors of every line, from structlog or logging, before it is rendered.
_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def _renderers(form: str, stream: TextIO) -> list[Processor]:
    """Return the processors that render a line; exceptions are rendered first, to be redacted like the rest."""
    as_console = form == "console" or (form == "auto" and stream.isatty())
    is_utf_8 = (stream.encoding or "utf-8").lower().replace("_", "-") in {"utf-8", "utf8"}
    last: Processor = structlog.processors.JSONRenderer(ensure_ascii=not is_utf_8)
    if as_console:
        last = structlog.dev.ConsoleRenderer(colors=stream.isatty())
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redact,
        last,
    ]
