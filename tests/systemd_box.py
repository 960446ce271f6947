"""A separate systemd in namespaces, which runs real units without affecting the machine's own services."""

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
    """Skip the test if a box cannot be created; in CI fail, if run as root."""
    if os.geteuid() != 0:
        pytest.skip("only root may start a systemd of its own")
    why_not = _obstacle()
    if why_not and os.environ.get("CI") == "true":
        pytest.fail(why_not)
    elif why_not:
        pytest.skip(why_not)


@cache
def _obstacle() -> str:
    """Return why a box cannot be created here; empty if it can."""
    missing = [tool for tool in (SYSTEMD, "unshare", "nsenter") if shutil.which(tool) is None]
    if missing:
        return f"not installed: {missing}"
    with tempfile.TemporaryDirectory() as empty:
        command = [*UNSHARE, "sh", FURNISH, empty, empty, "true"]
        return subprocess.run(command, check=False, capture_output=True, text=True).stderr.strip() or _does_not_boot()


def _does_not_boot() -> str:
    """Return why a box without any unit does not boot; empty if it does.

    A container may allow all namespaces and mounts, and still deny systemd its cgroups.
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
    """A running systemd; use :attr:`root` for its files and :meth:`systemctl` for commands."""

    def __init__(self, units: Path, files: Path) -> None:
        """Run the units in directory *units*, with the tree *files* overlaid on the root directory."""
        self._arguments = (str(units), str(files))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start it and wait until it accepts commands."""
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
        """Stop it and everything in it."""
        self._stack.close()

    @property
    def root(self) -> Path:
        """Its root directory, as seen from outside."""
        return Path(f"/proc/{self.first}/root")

    def systemctl(self, *arguments: str) -> int:
        """Run systemctl and return its exit code."""
        return self._run(*arguments).returncode

    def show(self, unit: str, field: str) -> str:
        """Return a property of *unit*, such as ``ActiveState``."""
        return self._run("show", unit, "--property", field, "--value").stdout.strip()

    def signal(self, unit: str, signum: signal.Signals) -> None:
        """Send a signal to the main process of *unit*."""
        assert self.systemctl("kill", "--kill-whom=main", f"--signal={signum.name}", unit) == 0

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the box, with a PATH like that of root's login, which dpkg needs."""
        enter = ("nsenter", "--target", str(self.first), "--mount", "--pid")
        path = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        return subprocess.run(
            [*enter, *command], check=False, capture_output=True, text=True, timeout=90, env=os.environ | path
        )

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("systemctl", *arguments)

    @property
    def first(self) -> int:
        """Process id of its process 1, as seen from outside."""
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text()
        return int(children.split()[0])

    def _is_up(self) -> bool:
        assert self._outer.poll() is None, "systemd ended at once"
        with suppress(IndexError):
            return self._run("is-system-running").stdout.strip() in STATES_UP
        return False


def readable(path: Path | str, place: str = "") -> str:
    """Return the setting that mounts the folder *path* (also below /tmp) for a unit, at the same or another place."""
    source = f"/run{path}" if Path(path).is_relative_to("/tmp") else path  # noqa: S108 - a unit has a /tmp of its own
    return f"BindReadOnlyPaths={source}:{place or path}\n"


def copy_units(units: Path, unit: str, settings: str = "") -> None:
    """Copy ``deploy/systemd`` to the directory *units*, and call :func:`add_drop_in`."""
    shutil.copytree(UNITS, units)
    add_drop_in(units, unit, settings)


def add_drop_in(units: Path, unit: str, settings: str = "") -> None:
    """Add the targets that units wait for to the directory *units*, and a drop-in with which *unit* runs in a box.

    The unit can read this Python, waits for no other service, and gets *settings* in ``[Service]``.
    """
    (units / "box.target").write_text("[Unit]\nDefaultDependencies=no\n")
    (units / "network-online.target").symlink_to("/dev/null")
    folder = units / f"{unit}.d"
    folder.mkdir()
    python = [Path(sys.prefix), Path(sys.base_prefix), *_links_of(Path(sys.executable))]
    (folder / "test.conf").write_text(_DROP_IN + "".join(readable(path) for path in python) + settings)


def _links_of(file: Path) -> Iterator[Path]:
    """Yield the folder of each target of the chain of symbolic links at *file*, such as a venv's Python."""
    while file.is_symlink():
        file = file.parent / file.readlink()
        yield file.parent


def _hierarchies() -> list[Path]:
    """Return where to create cgroups: the tree of version 2, and those of version 1 that systemd also needs."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    wanted = {"name=systemd", "memory"}
    return [
        Path(place)
        for _, place, kind, options, *_ in mounts
        if kind == "cgroup2" or (kind == "cgroup" and wanted & set(options.split(",")))
    ]


def _own_cgroup(home: Path, stack: ExitStack) -> Path:
    """Create the root cgroup of the box in a hierarchy, and register its removal."""
    cgroup = Path(tempfile.mkdtemp(prefix="edge-worker-test-", dir=home))
    stack.callback(_remove_cgroup, cgroup)
    return cgroup


def _remove_cgroup(cgroup: Path) -> None:
    wait_until(lambda: _is_removed(cgroup), "all processes of the box have ended")


def _is_removed(cgroup: Path) -> bool:
    """Try to remove *cgroup*, which fails until all processes in it and below have ended."""
    for directory in sorted((cgroup, *(path for path in cgroup.rglob("*") if path.is_dir())), reverse=True):
        with suppress(OSError):
            directory.rmdir()
    return not cgroup.exists()
