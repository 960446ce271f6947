"""State and cache are where systemd, or the user's own conventions, put them."""

from __future__ import annotations

from pathlib import Path

from edge_worker.ops.directories import cache_directory, state_directory


def test_systemds_directories_go_first() -> None:
    """The first of several: a unit may have more than one."""
    environ = {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "XDG_STATE_HOME": "/x", "HOME": "/h"}
    assert state_directory(environ) == Path("/var/lib/a")


def test_without_systemd_they_are_the_users() -> None:
    """XDG's variables where they are set, else below the home directory."""
    assert cache_directory({"XDG_CACHE_HOME": "/x", "HOME": "/h"}) == Path("/x/edge-worker")
    assert cache_directory({"HOME": "/h"}) == Path("/h/.cache/edge-worker")


def test_workers_of_one_user_have_a_state_directory_each() -> None:
    """By the node's name, whatever that is; systemd's belongs to one unit already."""
    home = {"HOME": "/h"}
    assert state_directory(home, "box-1") == Path("/h/.local/state/edge-worker/box-1")
    assert state_directory(home, "..") == Path("/h/.local/state/edge-worker/_..")
    assert state_directory(home | {"STATE_DIRECTORY": "/var/lib/a"}, "box-1") == Path("/var/lib/a")


def test_nobody_has_no_directory() -> None:
    """A system user without a home works without: nothing is kept."""
    assert state_directory({}) is None
