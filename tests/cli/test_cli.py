from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_worker import __version__, cli
from edge_worker.cli import model
from edge_worker.cli.arguments import positive
from edge_worker.cli.completion import _actions
from edge_worker.common.errors import ConfigError, EdgeWorkerError
from edge_worker.ops import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(cli.__file__).parents[2]
HEAVY = ("PIL", "asyncio", "cv2", "numpy", "openvino", "paho", "pydantic", "rich", "structlog", "torch", "yaml")


@pytest.fixture(autouse=True)
def _signals_come_back() -> Iterator[None]:
    """``run`` leaves its process deaf to signals, as it is about to end; this one goes on, and starts others."""
    before = {
        number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _nothing_in_or_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have a configuration, and other tests log: neither is touched."""
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    monkeypatch.delenv("EDGE_WORKER_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """--version names program and version, and succeeds."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == cli.OK
    assert capsys.readouterr().out == f"edge-worker {__version__}\n"


@pytest.mark.parametrize(
    "argv", [[], ["dance"], ["run", "--fast"], ["parse", "a.jpg"], ["demo", "--seconds", "-1"], ["model"]]
)
def test_wrong_usage_is_exit_code_2(argv: list[str]) -> None:
    """Unknown commands and options, and missing ones, are usage errors."""
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == cli.USAGE


def test_a_sample_comes_along(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever installed the package has no checkout to copy it from."""
    assert cli.main(["config"]) == cli.OK
    assert capsys.readouterr().out == (ROOT / "config" / "edge_worker.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["run", "check", "watch"])
def test_wrong_setting_is_exit_code_78_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """A wrong configuration is told as FILE:LINE: key, without a traceback, by every command that reads one."""
    file = tmp_path / "bad.yaml"
    file.write_text("mqtt:\n  host: localhost\n  prot: 1883\n")
    assert cli.main([command, "-c", str(file)]) == cli.CONFIGURATION
    said = capsys.readouterr().err
    assert f"{file}:3: mqtt.prot: " in said
    assert "port" in said
    assert "Traceback" not in said


def test_missing_file_is_a_configuration_error(capsys: pytest.CaptureFixture[str]) -> None:
    """A file named with -c must exist."""
    assert cli.main(["run", "-c", "nowhere.yaml"]) == cli.CONFIGURATION
    assert "nowhere.yaml" in capsys.readouterr().err


def test_no_configuration_at_all_asks_for_the_broker(capsys: pytest.CaptureFixture[str]) -> None:
    """Without any file and setting, the one key without a default is named."""
    assert cli.main(["watch"]) == cli.CONFIGURATION
    assert "mqtt.host" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(EdgeWorkerError("it broke"), 1), (ConfigError("is wrong", key="a.b"), 78), (KeyboardInterrupt, 130)],
)
def test_expected_errors_are_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    """Errors of our own tree become a line on standard error; defects are not hidden."""

    def fail(_arguments: object) -> int:
        raise error

    monkeypatch.setattr(model, "_info", fail)
    assert cli.main(["model", "info"]) == code
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_file_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file system's own errors name the file, without a traceback."""
    (tmp_path / "a.jpg").touch()
    (tmp_path / "out").touch()
    assert cli.main(["demo", "--source", str(tmp_path / "a.jpg"), "--out", str(tmp_path / "out")]) == cli.FAILURE
    assert capsys.readouterr().err == f"{tmp_path / 'out'}: File exists\n"


@pytest.mark.parametrize(
    ("command", "said"), [(["camera", "nothing.mp4"], "nothing.mp4"), (["status", "--timeout", "0.1"], "no connection")]
)
def test_clients_of_the_broker_need_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], said: str
) -> None:
    """They may share the file of a worker whose model is on another machine."""
    file = tmp_path / "c.yaml"
    file.write_text("mqtt: {host: 127.0.0.1, port: 1}\nmodel: {path: nowhere}\n")
    assert cli.main([*command, "-c", str(file)]) == cli.FAILURE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#"])
def test_camera_name_is_one_level_of_a_topic(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A name that would change the topic is refused before anything is published."""
    assert cli.main(["camera", "scene", "--camera", name, "--host", "127.0.0.1"]) == cli.FAILURE
    assert "camera's name" in capsys.readouterr().err


def test_defects_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception outside the tree of expected errors is not caught."""

    def fail(_arguments: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(model, "_info", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["model", "info"])


def test_every_option_says_what_holds_without_it() -> None:
    """Nobody has to try, or to read the code, to know a default; the same for the unit of a number."""
    options = [one for one in _actions(cli.parser()) if one.option_strings and one.nargs != 0 and not one.required]
    assert [one.option_strings for one in options if "default" not in str(one.help)] == []
    numbers = [one for one in options if one.type is positive]
    assert [one.option_strings for one in numbers if not re.search("seconds|frames a second", str(one.help))] == []


def test_version_imports_nothing_heavy() -> None:
    """The command line itself is quick: libraries are imported by the command that needs them."""
    code = (
        "import atexit, sys; from edge_worker import cli; sys.argv[1:] = ['--version']; "
        f"atexit.register(lambda: print([m for m in {HEAVY} if m in sys.modules])); cli.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True, cwd=ROOT
    )
    assert ended.stdout == f"edge-worker {__version__}\n[]\n"


def test_options_override_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--host and --port take the place of the configuration's; wrong ones are configuration errors, too."""
    file = tmp_path / "good.yaml"
    file.write_text("mqtt: {host: broker.example}\n")
    assert cli.main(["watch", "-c", str(file), "--port", "seven"]) == cli.CONFIGURATION
    assert "mqtt.port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["camera", "scene", "--host", "h", "--port", "x"], '--port: mqtt.port: should be a whole number, not "x"'),
        (["parse", "x", "--out", "o", "--threads", "0"], "--threads: threads.inference: should be auto or a whole"),
    ],
)
def test_a_wrong_option_is_named_as_it_was_typed(
    capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    """Not as the variable of the environment that it stands for."""
    assert cli.main(argv) == cli.CONFIGURATION
    assert capsys.readouterr().err.startswith(said)


def test_a_model_that_is_typed_is_seen_from_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a configuration from elsewhere, too: only what stands in the file is seen from the file's folder."""
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc" / "edge_worker.yaml"
    file.write_text("mqtt: {host: h}\n", encoding="utf-8")
    assert cli.main(["parse", "a.jpg", "--out", "out", "-c", str(file), "--model", "mine"]) == cli.CONFIGURATION
    assert f"--model: model.path: no readable model directory: {tmp_path / 'mine'};" in capsys.readouterr().err


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_no_failure(closed: str) -> None:
    """Some jobs and service managers close what nobody reads; the command does its work and says how it went."""
    command = f"exec {sys.executable} -m edge_worker config {closed}"
    assert subprocess.run(command, shell=True, capture_output=True, check=False).returncode == cli.OK  # noqa: S602


def test_reader_that_goes_away_is_no_traceback() -> None:
    """`edge-worker … | head -1` ends quietly, with the exit code of a program that SIGPIPE killed."""
    code = "import sys; from edge_worker.cli import main; sys.exit(main(['model', 'info', 'builtin:seeded']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 128 + signal.SIGPIPE


def test_a_full_disk_under_the_output_is_said_in_one_line() -> None:
    """What a command cannot print makes it fail, with the reason and without a traceback."""
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "edge_worker", "config"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    assert (ended.returncode, ended.stderr) == (cli.FAILURE, "output: No space left on device\n")


def test_log_lines_that_nobody_took_are_no_failure_of_the_worker(tmp_path: Path) -> None:
    """What is left of the log when a worker stops, and a full disk does not take, leaves its exit code alone."""
    file = tmp_path / "good.yaml"
    file.write_text('mqtt: {host: broker.example}\ncameras: [{topic: "cameras/{camera}/frame"}]\n')
    code = (
        "import sys; from edge_worker import cli; from edge_worker.service import app\n"
        "app.run = lambda *_, **__: 0 * sys.stdout.write('a line')\n"
        f"sys.exit(cli.main(['run', '-c', {str(file)!r}]))"
    )
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, cwd=ROOT, env=buffered, check=False
        )
    assert (ended.returncode, ended.stderr) == (cli.OK, b"")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
@pytest.mark.parametrize("argv", [["config"], ["--help"], ["run", "--help"], ["model", "info"], ["check", "-c", "…"]])
def test_commands_write_in_any_encoding(encoding: str, argv: list[str]) -> None:
    """What an encoding lacks is written as an escape; nothing ends in a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_worker", *argv],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == (cli.CONFIGURATION if argv[0] == "check" else cli.OK), done.stderr
