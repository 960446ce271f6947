"""``edge-worker bench --json FILE --plot FILE``: what cannot be written is told before anything is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from edge_worker.cli import main
from edge_worker.common.errors import EdgeWorkerError
from edge_worker.tools.bench import outputs

if TYPE_CHECKING:
    from collections.abc import Callable

FINDINGS: dict[str, Any] = {"variants": []}


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_nothing_is_measured_for_a_file_that_cannot_be_written(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option, the folder and what to do are told at once."""
    monkeypatch.delattr("edge_worker.tools.bench.command.measure_all")
    (tmp_path / "file").touch()
    wanted = tmp_path / "file" / "bench.png"
    assert main(["bench", option, str(wanted)]) == 1
    said = f"no file can be made in {tmp_path / 'file'} (File exists): name a file in another folder"
    assert capsys.readouterr().err == f"{option} {wanted}: {said}\n"


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (lambda folder: outputs.check(folder, None), "--json .*: is a folder: name a file in it"),
        (lambda folder: outputs.check(None, folder / "bench"), "--plot .*/bench: .* name one such as bench.png"),
        (lambda folder: outputs.check(None, folder / "bench.txt"), "--plot .*/bench.txt: .* such as bench.png"),
    ],
)
def test_a_name_that_will_not_do_is_told(check: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    """A folder is no file, and an image's ending says what is written."""
    with pytest.raises(EdgeWorkerError, match=said):
        check(tmp_path)


def test_folders_are_made(tmp_path: Path) -> None:
    """Before anything is measured, and nothing in them until then."""
    as_json, as_plot = tmp_path / "new" / "one" / "bench.json", tmp_path / "other" / "bench.PNG"
    outputs.check(as_json, as_plot)
    assert {*tmp_path.rglob("*")} == {as_json.parent.parent, as_json.parent, as_plot.parent}
    outputs.write(FINDINGS, as_json, as_plot)
    assert json.loads(as_json.read_text()) == FINDINGS
    with Image.open(as_plot) as image:
        assert np.asarray(image).any()


def test_what_is_there_is_kept_until_it_is_written_anew(tmp_path: Path) -> None:
    """A measurement that is broken off costs no older file; and a device is a file like any other."""
    file = tmp_path / "bench.json"
    file.write_text("old")
    outputs.check(file, None)
    outputs.check(Path("/dev/null"), None)
    assert file.read_text() == "old"
    outputs.write(FINDINGS, file, None)
    assert json.loads(file.read_text()) == FINDINGS
