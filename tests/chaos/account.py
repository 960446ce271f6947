"""What became of every frame: counted at the broker's side, and compared with what the worker itself says."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chaos.camera import Camera
    from chaos.consumer import Answers, Consumer
    from chaos.lab import Lab

ENOUGH_TO_NAME: Final = 5
IDLE_S: Final = 30.0
"""Given to a worker to finish what nobody waits for."""
NOTHING: Final[Mapping[str, Any]] = {"received": 0, "processed": 0, "rejected": {}, "duplicates": 0}
"""What a worker says of a camera that it does not mention."""


@dataclass(frozen=True)
class CameraAccount:
    """One camera's frames as sender and receiver know them.

    ``repeated`` counts answers beyond the first of a frame, ``errors`` frames answered by an error, by reason. A
    frame is ``lost`` if the broker accepted it and nobody answered; an answer is ``foreign`` if no such frame was
    offered; ``uncovered`` counts labels that came before their map.
    """

    camera: str
    accepted: int
    answered: int
    labelled: int
    errors: Mapping[str, int]
    repeated: int
    uncovered: int
    lost: tuple[str, ...]
    foreign: tuple[str, ...]

    def problems(self) -> list[str]:
        """Say what must not be: loss, answers to nobody, labels without their map."""
        found = {
            "accepted and never answered": self.lost,
            "answered and never offered": self.foreign,
            "labels before their map": range(self.uncovered),
        }
        return [f"{self.camera}: {len(all_)} {what}{_named(all_)}" for what, all_ in found.items() if all_]

    def contradictions(self, own: Mapping[str, Any]) -> list[str]:
        """Say where the worker's *own* count of the camera differs; to be asked of one that lived all the time.

        It may have received more: a camera that missed an acknowledgement sends its frame again.
        """
        problems = []
        settled, answers = own["processed"] + sum(own["rejected"].values()), self.answered + self.repeated
        if settled != answers:
            problems.append(f"{self.camera}: the worker counts {settled} answers, {answers} came")
        received = own["received"] + own["duplicates"]
        if received < self.accepted:
            problems.append(f"{self.camera}: the worker counts {received} frames, the broker accepted {self.accepted}")
        return problems


def balance(camera: str, offered: Sequence[str], accepted: Sequence[str], seen: Mapping[str, Answers]) -> CameraAccount:
    """Compare what a camera sent with what was answered."""
    answered = {frame_id: answers for frame_id, answers in seen.items() if answers.count}
    return CameraAccount(
        camera,
        accepted=len(set(accepted)),
        answered=len(answered),
        labelled=sum(bool(answers.labels) for answers in answered.values()),
        errors=Counter(reason for answers in answered.values() for reason in set(answers.errors.values())),
        repeated=sum(answers.count - 1 for answers in answered.values()),
        uncovered=sum(answers.commits_without_map for answers in answered.values()),
        lost=tuple(sorted(set(accepted) - answered.keys())),
        foreign=tuple(sorted(answered.keys() - set(offered))),
    )


def identity_problems(stats: Mapping[str, Any]) -> list[str]:
    """Check ``received = processed + rejected + dropped + waiting + in_work`` in a stats message, camera by camera."""
    parts = {"total": stats["total"], **stats["cameras"]}
    return [f"{name} does not add up: {count}" for name, count in parts.items() if count["received"] != _settled(count)]


def close_books(
    lab: Lab, consumer: Consumer, cameras: Sequence[Camera], idle_s: float = 60.0
) -> dict[str, CameraAccount]:
    """Wait until everything accepted is answered, then require the accounts to be right; returns them by camera.

    The wait ends when nothing was answered for *idle_s* seconds. Puts the totals into the report. What the worker
    says about itself must add up in every stats message of the run.
    """
    for camera in cameras:
        camera.wait_accepted()
        with suppress(AssertionError):  # who is missing, the account says
            consumer.wait_answered(camera.name, camera.accepted, idle_s)
    accounts = {
        camera.name: balance(camera.name, camera.offered, camera.accepted, consumer.seen(camera.name))
        for camera in cameras
    }
    for account in accounts.values():
        for problem in account.problems():
            lab.require(False, problem)
    _check_own_words(lab, consumer, accounts)
    lab.count("frames accepted", sum(account.accepted for account in accounts.values()))
    lab.count("lost", sum(len(account.lost) for account in accounts.values()))
    lab.count("answered again", sum(account.repeated for account in accounts.values()))
    return accounts


def _check_own_words(lab: Lab, consumer: Consumer, accounts: Mapping[str, CameraAccount]) -> None:
    now = _last_word(consumer)
    if len({said.content["session"] for said in consumer.statuses}) == 1:
        for camera, account in accounts.items():
            for problem in account.contradictions(now["cameras"].get(camera, NOTHING)):
                lab.require(False, problem)
    for said in consumer.stats:
        for problem in identity_problems(said.content):
            lab.require(False, problem)
    lab.require(_is_idle(now["total"]), f"frames left over in the worker: {now['total']}")
    lab.count("stats messages that add up", len(consumer.stats))


def _last_word(consumer: Consumer) -> dict[str, Any]:
    """Ask a worker for its account when it has nothing left to do: frames that nobody waits for may be in work."""
    known = len(consumer.stats)
    with suppress(AssertionError):  # what is left, the account says
        consumer.wait(lambda: any(_is_idle(said.content["total"]) for said in consumer.stats[known:]), "idle", IDLE_S)
    return consumer.account()


def _is_idle(total: Mapping[str, Any]) -> bool:
    return (total["waiting"], total["in_work"]) == (0, 0)


def _settled(count: Mapping[str, Any]) -> int:
    return int(
        count["processed"]
        + sum(count["rejected"].values())
        + sum(count["dropped"].values())
        + count["waiting"]
        + count["in_work"]
    )


def _named(all_: Sequence[object]) -> str:
    names = [str(name) for name in all_[:ENOUGH_TO_NAME] if isinstance(name, str)]
    return f" ({', '.join(names)}{' …' if len(all_) > len(names) else ''})" if names else ""
