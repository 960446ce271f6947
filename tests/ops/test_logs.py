"""What a log line looks like, and what it never shows."""

from __future__ import annotations

import io
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
import structlog

from edge_worker.config import LogConfig
from edge_worker.ops import logs

Form = Literal["auto", "json", "console"]
SECRET = 'hun"ter2'  # noqa: S105 - with a character that JSON escapes


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def configured(form: Form = "json", stream: io.StringIO | None = None) -> io.StringIO:
    target = io.StringIO() if stream is None else stream
    logs.configure(LogConfig(format=form), target)
    return target


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_its_fields() -> None:
    """A collector gets event, level, logger, a UTC time and the bound fields."""
    stream = configured()
    structlog.get_logger("edge_worker.service.dispatcher").bind(camera="door").info("frame", persons=2)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "frame", "level": "info", "logger": "edge_worker.service.dispatcher", "camera": "door", "persons": 2,
    }  # fmt: skip


def test_libraries_log_the_same_way() -> None:
    """A line of the standard library's logging has the same form, and its exception is a field."""
    stream = configured()
    try:
        raise ValueError("bad bytes")  # noqa: TRY301 - there must be one to log
    except ValueError:
        logging.getLogger("paho").exception("caught %s", "it")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("caught it", "error", "paho")
    assert "ValueError: bad bytes" in line["exception"]


def test_the_level_can_be_changed_while_running() -> None:
    """A debug line appears once the level allows it, in loggers that existed before."""
    stream, log = configured(), structlog.get_logger("early")
    log.debug("hidden")
    logs.set_level("debug")
    log.debug("shown")
    assert [line["event"] for line in lines(stream)] == ["shown"]


def test_the_newest_configuration_wins() -> None:
    """After a second call nothing more goes to the first stream."""
    first = configured()
    log = structlog.get_logger("early")
    log.info("one")
    second = configured()
    log.info("two")
    assert [line["event"] for line in lines(first)] == ["one"]
    assert [line["event"] for line in lines(second)] == ["two"]


def test_a_terminal_gets_readable_lines_and_a_pipe_gets_json() -> None:
    """``auto`` looks at the stream; ``console`` and ``json`` do not."""
    cases: list[tuple[Form, io.StringIO, bool]] = [
        ("auto", Terminal(), True), ("auto", io.StringIO(), False),
        ("console", io.StringIO(), True), ("json", Terminal(), False),
    ]  # fmt: skip
    for form, stream, readable in cases:
        configured(form=form, stream=stream)
        structlog.get_logger().info("hello")
        assert stream.getvalue().startswith("{") is not readable
        assert ("\x1b[" in stream.getvalue()) is (readable and stream.isatty())


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_are_masked_wherever_they_turn_up(form: Form) -> None:
    """By the name of the key, and known ones in any text: message, field, nested value, bytes, exception."""
    stream = configured(form=form)
    secret = str(logs.hide(SECRET))
    log = structlog.get_logger()
    log.info("login", why="as " + secret, reply={"why": [f"wrong {secret}", secret.encode()]}, error=OSError(secret))
    log.info("config", mqtt={"password": "abcd"}, key_password="efgh")  # noqa: S106 - not a real one
    try:
        raise OSError(secret)  # noqa: TRY301 - there must be one to log
    except OSError:
        logging.getLogger("paho").exception("login as %s failed", secret)
    text = stream.getvalue()
    assert logs.MASK in text
    for hidden in ("hun", "ter2", "abcd", "efgh"):
        assert hidden not in text


def test_numbers_and_absent_secrets_stay_readable() -> None:
    """A count of tokens is not a secret, and an absent password is worth knowing."""
    stream = configured()
    structlog.get_logger().info("facts", tokens=3, password=None, ratio=0.5, fine=True)
    (line,) = lines(stream)
    assert (line["tokens"], line["password"], line["ratio"], line["fine"]) == (3, None, 0.5, True)


def test_a_short_secret_does_not_blot_the_log() -> None:
    """A one-letter password is not masked inside words; nothing is masked for no secret."""
    stream = configured()
    assert logs.hide("a") == "a"
    assert logs.hide(None) is None
    structlog.get_logger().info("a camera")
    assert lines(stream)[0]["event"] == "a camera"


def test_a_full_disk_costs_the_lines_and_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever logs goes on; the reason stands on standard error, once."""
    with Path("/dev/full").open("w") as full:
        logs.configure(LogConfig(format="json"), full)
        for number in range(3):
            structlog.get_logger().info("frame", number=number)
        with suppress(OSError):
            full.close()  # which has lines left to write
    assert capsys.readouterr().err.count("\n") == 1


def test_a_defect_in_a_line_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Only trouble with the stream is passed over."""
    configured()
    logging.getLogger().info("%d", "no number")
    assert "no number" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("form", ["json", "console"])
def test_every_name_can_be_logged(form: Form, encoding: str) -> None:
    """Whatever the locale's encoding holds: cameras are named by strangers, and a line must not be lost over it."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    logs.configure(LogConfig(format=form), stream)
    structlog.get_logger().info("frame", camera="Tür 門 \ud800")
    stream.flush()
    written = stream.buffer.getvalue().decode(encoding)
    assert written.count("\n") == 1
    assert "frame" in written
    assert form == "console" or json.loads(written)["camera"] == "Tür 門 \ud800"
