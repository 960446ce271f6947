"""The worker against brokers that start quickly; ``make brokers`` tries more of them, with more frames."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from interop import report, trial
from interop.servers import MosquittoServer, NatsServer, Server

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("server", "mqtt", "shared"), [(MosquittoServer, "5", True), (NatsServer, "3.1.1", False)])
def test_no_frame_is_lost_over_the_brokers_restart(
    tmp_path: Path,
    server: type[Server],
    mqtt: str,
    shared: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Whoever made the broker; what `check` says of it, and the version spoken, are what the table has."""
    if not server.is_installed():
        missing = f"{server.name} is not installed (scripts/services.sh)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    outcome = trial.run(server(tmp_path / "broker"), tmp_path / "worker", 10)
    assert (outcome.answered, outcome.mqtt, outcome.shared, outcome.retained) == (10, mqtt, shared, True)


def test_the_table_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """A broker that fails has a row as well, and nothing else on the page changes."""
    page = tmp_path / "brokers.md"
    page.write_text(f"before\n{report.BEGIN}old\n{report.END}after\n")
    outcome = trial.Outcome("X", "1.0", 9, 10, "slow", "5", shared=True, retained=True, dots=False)
    report.write(page, [outcome, trial.Outcome("Y", "2.0", 0, 10, "failed: it does not start")])
    assert page.read_text() == (
        f"before\n{report.BEGIN}{report.table([])}"
        "| X 1.0 | 9 of 10 | 5 | yes | yes | no | slow |\n"
        "| Y 2.0 | 0 of 10 | ? | ? | ? | ? | failed: it does not start |\n"
        f"{report.END}after\n"
    )
