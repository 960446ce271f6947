"""The fault suite's own judgement: an account that cannot fail proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chaos import __main__, report
from chaos.account import balance, identity_problems
from chaos.camera import content_id, image
from chaos.consumer import Answers
from chaos.row import Findings, Result
from chaos.times import p95

from edge_worker.frames import frame

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

COUNT: dict[str, Any] = {
    "received": 10,
    "processed": 5,
    "rejected": {"poisoned": 2},
    "dropped": {"too_old": 1},
    "waiting": 1,
    "in_work": 1,
    "duplicates": 3,
}


def result(name: str, *problems: str) -> Result:
    return Result(name, "a fault", "no harm", "3 times", {"lost": "0"}, problems, 1, "short", "2026-01-01", 0.5)


def test_every_frame_is_accounted_for() -> None:
    """Lost, answered twice, answered by an error, answered though never offered, labels before their map."""
    seen = {
        "a": Answers(labels={"1"}, maps=1),
        "b": Answers(labels={"1", "2"}, maps=2),
        "c": Answers(errors={"3": "poisoned"}),
        "e": Answers(labels={"4"}, commits_without_map=1),
        "f": Answers(maps=1),
        "z": Answers(labels={"5"}, maps=1),
    }
    account = balance("door", offered="abcdefg", accepted="abcdef", seen=seen)
    assert (account.accepted, account.labelled, account.repeated) == (6, 4, 1)
    assert account.errors == {"poisoned": 1}
    assert (account.lost, account.foreign, account.uncovered) == (("d", "f"), ("z",), 1)
    assert len(account.problems()) == 3


def test_the_worker_is_not_taken_at_its_word() -> None:
    """What it counts is compared with what came, and with what was sent."""
    account = balance(
        "door", offered="ab", accepted="ab", seen={"a": Answers(labels={"1"}), "b": Answers(labels={"2"})}
    )
    own = {**COUNT, "received": 2, "processed": 2, "rejected": {}, "duplicates": 0}
    assert account.contradictions(own) == []
    assert len(account.contradictions({**own, "processed": 3})) == 1
    assert len(account.contradictions({**own, "received": 1})) == 1


def test_a_clean_account_has_no_problems() -> None:
    """A frame offered that the broker never took is nobody's fault."""
    assert balance("door", offered="ab", accepted="a", seen={"a": Answers(labels={"1"}, maps=1)}).problems() == []


def test_a_stats_message_that_does_not_add_up_is_found() -> None:
    """In the total and in each camera; duplicates stand apart."""
    stats = {"total": COUNT, "cameras": {"door": COUNT, "yard": {**COUNT, "processed": 4}}}
    assert [problem.split()[0] for problem in identity_problems(stats)] == ["yard"]


def test_frame_ids_are_what_the_contract_says() -> None:
    """Computed here independently, so that a change of the rule is noticed."""
    payload = image(3)
    assert content_id("door", payload) == frame.content_id("door", payload)
    assert len({image(number) for number in range(300)}) == 300


def test_one_broken_promise_fails_the_row() -> None:
    """Named once, however often it was broken; the experiment goes on."""
    findings = Findings()
    for holds in (True, False, False):
        findings.require(holds, "no frame is lost")
    assert findings.problems == ["no frame is lost"]


def test_the_percentile_is_of_the_values() -> None:
    """One value is its own; of many, one in twenty is larger."""
    assert p95([3.0]) == 3.0
    assert p95([float(n) for n in range(101)]) == 95.0


def test_the_report_says_what_failed_and_can_be_gone_on_with(tmp_path: Path) -> None:
    """The table for people, the values for the next run."""
    results = [result("good"), result("bad", "lost: 1")]
    report.write(tmp_path, results)
    assert report.read(tmp_path) == results
    text = (tmp_path / report.MARKDOWN).read_text(encoding="utf-8")
    assert "**FAILED**" in text
    assert "- `bad`: lost: 1" in text


def test_what_people_added_to_the_report_stays(tmp_path: Path) -> None:
    """Another run writes the page anew up to their notes."""
    report.write(tmp_path, [result("good")])
    page = tmp_path / report.MARKDOWN
    with page.open("a", encoding="utf-8") as file:
        file.write(f"\n{report.NOTES}\nThe machine was busy.\n")
    for _ in range(2):
        report.write(tmp_path, [result("good"), result("new")])
    text = page.read_text(encoding="utf-8")
    assert text.endswith(f"\n{report.NOTES}\nThe machine was busy.\n")
    assert (text.count(report.NOTES), text.count("| `new` |")) == (1, 1)


def test_what_failed_is_said_again_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reasons: of a long output, the end is what a CI system keeps. The exit code says it, too."""
    monkeypatch.setattr(__main__, "MOSQUITTO", "mosquitto")
    monkeypatch.setattr(report, "MOSQUITTO", None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("PYTHONPATH", "")
    for results, code in (([result("good"), result("bad", "lost: 1")], 1), ([result("good")], 0)):
        monkeypatch.setattr(__main__, "_run_all", lambda *_, results=results: results)
        assert __main__.main(["--out", str(tmp_path)]) == code
        said = capsys.readouterr().out.splitlines()
        assert said[-1] == f"1 of {len(results)} rows passed; {tmp_path}"
        assert (said[0].startswith("bad: FAILED"), "  NOT SO: lost: 1" in said) == (code == 1, code == 1)
