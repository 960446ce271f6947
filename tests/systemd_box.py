"""A systemd of a test's own, in namespaces: real units, really started, on a machine that runs something else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from brokers import wait_until

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
    from typing import Self

UNITS = Path(__file__).parents[1] / "deploy" / "systemd"
SYSTEMD = "/lib/systemd/systemd"
OPTIONS = ("--system", "--unit=box.target", "--show-status=no", "--log-target=null")
FURNISH = str(Path(__file__).with_suffix(".sh"))
UNSHARE = ("unshare", "--pid", "--mount", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child")
# The first arguments are cgroups to enter, up to "--"; what follows is run in them.
ENTER_CGROUPS = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done; shift; exec "$@"'
_DROP_IN = """[Unit]
DefaultDependencies=no
[Service]
ProtectHome=tmpfs
RestartSec=100ms
"""
STATES_UP = ("running", "degraded", "starting")


def require() -> None:
    """Skip the test where there can be no box. In CI that is a failure, where root could have one."""
    if os.geteuid() != 0:
        pytest.skip("only root may start a systemd of its own")
    why_not = _obstacle()
    if why_not and os.environ.get("CI") == "true":
        pytest.fail(why_not)
    elif why_not:
        pytest.skip(why_not)


@cache
def _obstacle() -> str:
    """Return why there can be no box here, or nothing."""
    missing = [tool for tool in (SYSTEMD, "unshare", "nsenter") if shutil.which(tool) is None]
    if missing:
        return f"not installed: {missing}"
    with tempfile.TemporaryDirectory() as empty:
        command = [*UNSHARE, "sh", FURNISH, empty, empty, "true"]
        return subprocess.run(command, check=False, capture_output=True, text=True).stderr.strip() or _does_not_boot()


def _does_not_boot() -> str:
    """Return why a box without any unit does not come up, or nothing.

    A container may allow each namespace and mount, and still keep systemd from its cgroups.
    """
    with tempfile.TemporaryDirectory() as folder:
        units, files = Path(folder, "units"), Path(folder, "files")
        units.mkdir()
        files.mkdir()
        (units / "box.target").write_text("[Unit]\nDefaultDependencies=no\n")
        try:
            with SystemdBox(units, files):
                return ""
        except (AssertionError, OSError) as error:
            return f"systemd does not come up here: {error}"


class SystemdBox:
    """A running systemd. Files go to it through :attr:`root`, commands through :meth:`systemctl`."""

    def __init__(self, units: Path, files: Path) -> None:
        """Run the units in directory *units*, with the tree *files* laid over the root directory."""
        self._arguments = (str(units), str(files))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start, and wait until it takes commands."""
        cgroups = [str(_own_cgroup(home, self._stack)) for home in _hierarchies()]
        furnish = [*UNSHARE, "sh", FURNISH, *self._arguments]
        self._outer = subprocess.Popen(
            ["sh", "-c", ENTER_CGROUPS, "sh", *cgroups, "--", *furnish, "env", "container=test", SYSTEMD, *OPTIONS]
        )
        self._stack.callback(self._outer.wait)
        self._stack.callback(self._outer.kill)
        with self._stack.pop_all() as started:
            wait_until(self._is_up, "systemd is up")
            self._stack = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End it and all that runs in it."""
        self._stack.close()

    @property
    def root(self) -> Path:
        """Its root directory, seen from here."""
        return Path(f"/proc/{self.first}/root")

    def systemctl(self, *arguments: str) -> int:
        """Run systemctl, and return its exit code."""
        return self._run(*arguments).returncode

    def show(self, unit: str, field: str) -> str:
        """Return a property of *unit*, such as ``ActiveState``."""
        return self._run("show", unit, "--property", field, "--value").stdout.strip()

    def signal(self, unit: str, signum: signal.Signals) -> None:
        """Send a signal to the main process of *unit*."""
        assert self.systemctl("kill", "--kill-whom=main", f"--signal={signum.name}", unit) == 0

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it."""
        enter = ("nsenter", "--target", str(self.first), "--mount", "--pid")
        return subprocess.run([*enter, *command], check=False, capture_output=True, text=True, timeout=90)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("systemctl", *arguments)

    @property
    def first(self) -> int:
        """The number of its process 1, seen from here."""
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text()
        return int(children.split()[0])

    def _is_up(self) -> bool:
        assert self._outer.poll() is None, "systemd ended at once"
        with suppress(IndexError):
            return self._run("is-system-running").stdout.strip() in STATES_UP
        return False


def readable(path: Path | str, place: str = "") -> str:
    """The setting that shows a unit the folder *path*, at the same or another place; one below /tmp as well."""
    source = f"/run{path}" if Path(path).is_relative_to("/tmp") else path  # noqa: S108 - a unit has a /tmp of its own
    return f"BindReadOnlyPaths={source}:{place or path}\n"


def copy_units(units: Path, unit: str, settings: str = "") -> None:
    """Make a directory *units* with those of ``deploy/systemd`` and what :func:`add_drop_in` adds."""
    shutil.copytree(UNITS, units)
    add_drop_in(units, unit, settings)


def add_drop_in(units: Path, unit: str, settings: str = "") -> None:
    """Add to the directory *units* what units wait for, and a drop-in with which *unit* runs in a box.

    It may read this Python, waits for no other service of the machine, and has *settings* of ``[Service]``.
    """
    (units / "box.target").write_text("[Unit]\nDefaultDependencies=no\n")
    (units / "network-online.target").symlink_to("/dev/null")
    folder = units / f"{unit}.d"
    folder.mkdir()
    python = [Path(sys.prefix), Path(sys.base_prefix), *_links_of(Path(sys.executable))]
    (folder / "test.conf").write_text(_DROP_IN + "".join(readable(path) for path in python) + settings)


def _links_of(file: Path) -> Iterator[Path]:
    """The folders that symbolic links lead through from *file* on: a venv's program is one, and may name another."""
    while file.is_symlink():
        file = file.parent / file.readlink()
        yield file.parent


def _hierarchies() -> list[Path]:
    """Where cgroups are made: in the one tree of version 2, and in those of version 1 that systemd needs beside it."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    wanted = {"name=systemd", "memory"}
    return [
        Path(place)
        for _, place, kind, options, *_ in mounts
        if kind == "cgroup2" or (kind == "cgroup" and wanted & set(options.split(",")))
    ]


def _own_cgroup(home: Path, stack: ExitStack) -> Path:
    """Make a cgroup in a hierarchy to be the root of the box's own, and see to its removal."""
    cgroup = Path(tempfile.mkdtemp(prefix="edge-worker-test-", dir=home))
    stack.callback(_remove_cgroup, cgroup)
    return cgroup


def _remove_cgroup(cgroup: Path) -> None:
    wait_until(lambda: _is_removed(cgroup), "all processes of the box have ended")


def _is_removed(cgroup: Path) -> bool:
    """Try; it cannot be removed while a process in it, or in one below, has not quite ended."""
    for directory in sorted((cgroup, *(path for path in cgroup.rglob("*") if path.is_dir())), reverse=True):
        with suppress(OSError):
            directory.rmdir()
    return not cgroup.exists()
