"""What a process in the sandbox can no longer do, tried on the real kernel."""

from __future__ import annotations

import platform
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING

from confined import attempt

from edge_worker.ops import sandbox as sandbox_module
from edge_worker.ops.sandbox import Sandbox, summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

DENIED = "PermissionError"
SIGNALS_SINCE = (6, 12)
LIMITLESS = Sandbox(hidden=(), cache_directory=None, keep_mb=None, frame_mb=0)


def kernel() -> tuple[int, ...]:
    """Version of the running kernel."""
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


def test_every_measure_takes_effect_here() -> None:
    """On the kernels that tests run on nothing is refused, so the tests below try what is promised."""
    measures, _ = attempt(LIMITLESS)
    assert set(measures.values()) == {""}
    assert {"files", "network"} <= set(measures)


def test_no_connection_and_no_new_socket() -> None:
    """Not to a port that listens on this machine, and not in any other family."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        _, outcomes = attempt(
            LIMITLESS,
            f"socket.create_connection(('127.0.0.1', {port}))",
            *(f"socket.socket({family:d})" for family in _families()),
        )
    assert outcomes == [DENIED] * len(outcomes)


def _families() -> list[socket.AddressFamily]:
    return [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK]


def test_what_it_starts_has_no_network_either() -> None:
    """Neither another program nor a thread gets out."""
    _, outcomes = attempt(
        LIMITLESS,
        "subprocess.run([sys.executable, '-c', 'import socket; socket.socket()'], capture_output=True).returncode",
        "concurrent.futures.ThreadPoolExecutor().submit(socket.socket).result()",
    )
    assert outcomes == ["1", DENIED]


def test_secrets_cannot_be_read_and_all_else_can(tmp_path: Path) -> None:
    """A file, a directory, by links to it, and after it was replaced; what lies beside them stays readable."""
    password, link, credentials, other = (tmp_path / name for name in ("password", "link", "credentials", "other"))
    credentials.mkdir()
    for file in (password, credentials / "mqtt-password", other):
        file.write_text("s3cret")
    link.symlink_to(password)
    secrets = (password, link, f"/proc/self/root{password}", credentials / "mqtt-password")
    _, outcomes = attempt(
        Sandbox((str(link), str(credentials)), str(tmp_path / "cache"), None, 0),
        *(f"open('{secret}').read()" for secret in secrets),
        f"open('{tmp_path / 'new'}', 'w').write('newer') and os.rename('{tmp_path / 'new'}', '{password}')",
        f"open('{password}').read()",
        f"open('{other}').read()",
    )
    assert outcomes == [DENIED, DENIED, DENIED, DENIED, "None", DENIED, "'s3cret'"]


def test_it_writes_its_cache_and_temporary_files_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is made where it is missing."""
    cache, temporary, elsewhere = tmp_path / "cache", tmp_path / "temporary", tmp_path / "elsewhere"
    temporary.mkdir()
    elsewhere.write_text("")
    monkeypatch.setenv("TMPDIR", str(temporary))  # else all of the test's files would be temporary ones
    _, outcomes = attempt(
        Sandbox((), str(cache), None, 0),
        f"open('{cache / 'draft'}', 'w').write('x')",
        f"os.rename('{cache / 'draft'}', '{cache / 'blob'}')",
        "tempfile.TemporaryFile().write(b'x')",
        "open('/dev/null', 'w').write('x')",
        f"open('{elsewhere}', 'a')",
        f"os.mkdir('{tmp_path / 'never'}')",
    )
    assert outcomes == ["1", "None", "1", "1", DENIED, DENIED]


def test_it_leaves_no_traps_for_those_after_it(tmp_path: Path) -> None:
    """Who opens a pipe in the cache waits on and on, who follows a link is led elsewhere: the next process too."""
    _, outcomes = attempt(
        Sandbox((), str(tmp_path), None, 0),
        f"os.mkfifo('{tmp_path / 'frame_size.json'}')",
        f"os.symlink('/etc/passwd', '{tmp_path / 'link'}')",
        f"os.mkdir('{tmp_path / 'directory'}')",
    )
    assert outcomes == [DENIED, DENIED, "None"]


def test_other_processes_are_out_of_reach() -> None:
    """The environment and the memory of the process that started it, even if both are root's; and signals to it."""
    _, outcomes = attempt(
        LIMITLESS,
        "open('/proc/%d/environ' % os.getppid()).read()",
        "open('/proc/%d/mem' % os.getppid()).read()",
        "os.readlink('/proc/%d/fd/0' % os.getppid())",
        *(["os.kill(os.getppid(), 0)"] if kernel() >= SIGNALS_SINCE else []),
    )
    assert outcomes == [DENIED] * len(outcomes)


def test_memory_has_an_end() -> None:
    """What a frame asks for beyond its share gets an error; what is loaded before is not counted."""
    _, outcomes = attempt(
        Sandbox(hidden=(), cache_directory=None, keep_mb=100, frame_mb=200),
        "globals().update(loaded=bytes(500 << 20)) or Sandbox.from_wire(json.loads(sys.argv[1])).limit_memory()",
        "len(bytes(150 << 20))",
        "bytes(350 << 20)",
    )
    assert outcomes == ["{'memory': ''}", str(150 << 20), "MemoryError"]


def test_limits_of_the_process_are_set() -> None:
    """No core dumps, few open files, no way to gain privileges; limits that were lower stay."""
    lines = "[line for line in open('/proc/self/status') if line.startswith(('NoNewPrivs', 'CapEff'))]"
    _, (core, files, status) = attempt(
        LIMITLESS,
        "resource.getrlimit(resource.RLIMIT_CORE)",
        "resource.getrlimit(resource.RLIMIT_NOFILE)",
        lines,
    )
    assert core == "(0, 0)"
    assert int(files.strip("()").split(",")[1]) <= 256
    assert "NoNewPrivs:\\t1" in status
    effective = int(status.partition("CapEff:\\t")[2][:16], 16)
    assert effective <= 2  # of root's rights only that to open others' files


def test_a_refusal_is_reported_and_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each measure stands for itself: the others are taken all the same."""

    def refuse() -> None:
        raise PermissionError(1, "Operation not permitted")

    taken: list[str] = []
    measures: dict[str, Callable[..., None]] = {
        "forbid_new_privileges": refuse,
        "drop_capabilities": lambda: taken.append("capabilities"),
        "confine": lambda **_reach: refuse(),
        "deny_network": lambda: taken.append("network"),
        "_lower": lambda limit, _value: taken.append(limit),
    }
    for name, measure in measures.items():
        monkeypatch.setattr(sandbox_module, name, measure)
    said = summary(LIMITLESS.enter())
    refused = {
        "no_new_privileges": "Operation not permitted",
        "files": "Operation not permitted",
        "network": "a socket can still be opened",
    }
    assert said == {"in_force": ["capabilities", "open_files", "core_dumps"], "refused": refused}
    assert taken == ["capabilities", "network", "RLIMIT_NOFILE", "RLIMIT_CORE"]


def test_the_wire_carries_all() -> None:
    """What the worker writes is what the model process reads."""
    inside = Sandbox(("/a", "/b"), "/cache", None, 12.5)
    assert Sandbox.from_wire(asdict(inside)) == inside
