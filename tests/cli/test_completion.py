from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_worker import cli

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Path:
    """The script for the shell that the test names."""
    pytest.importorskip("shtab", reason="needs edge-worker[completion]")
    assert cli.main(["completion", request.param]) == cli.OK
    file = tmp_path / "script"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    return file


def answer(*command: str | Path) -> str:
    """What a shell says; without it, the test is skipped, but not in CI."""
    program = shutil.which(str(command[0]))
    if program is None:
        assert os.environ.get("CI") != "true", f"{command[0]} is not installed: CI must not skip its tests"
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("script", ["bash"], indirect=True)
@pytest.mark.parametrize(
    ("words", "word"),
    [
        ("wat", "watch"),
        ("model ex", "export"),
        ("watch --js", "--json"),
        ("request sna", "snapshot"),
        ("config -c n", "notes"),
    ],
)
def test_bash_completes(script: Path, tmp_path: Path, words: str, word: str) -> None:
    """Commands, those below commands, options, choices and files."""
    (tmp_path / "notes").touch()
    line = f"edge-worker {words}"
    ask = (
        f"cd {tmp_path}; source {script}; COMP_WORDS=({line}); COMP_CWORD={len(line.split()) - 1};"
        "_shtab_edge_worker; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    assert answer("bash", "-c", ask).split() == [word]


@pytest.mark.parametrize("script", ["fish"], indirect=True)
@pytest.mark.parametrize(("words", "word"), [("wat", "watch"), ("model ex", "export"), ("watch --js", "--json")])
def test_fish_completes(script: Path, words: str, word: str) -> None:
    """Commands, those below commands, and options."""
    said = answer("fish", "--no-config", "-c", f"source {script}; complete -C 'edge-worker {words}'")
    assert [line.split("\t")[0] for line in said.splitlines()] == [word]


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_reads_the_script(script: Path) -> None:
    """No description of an option breaks its quoting."""
    assert answer("zsh", "-f", "-n", script) == ""


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words options otherwise in each version")
def test_the_manual_page_is_that_of_the_parsers() -> None:
    """`make man` was run after the last change of a command or an option."""
    pytest.importorskip("argparse_manpage", reason="needs edge-worker[dev]")
    made = subprocess.run([ROOT / "scripts" / "man.sh", sys.prefix], capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "edge_worker" / "cli" / "edge-worker.1").read_text(encoding="utf-8")
