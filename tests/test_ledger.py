"""When a frame may be acknowledged; and intake and ledger together, under any order of events."""

from __future__ import annotations

import itertools
from collections import Counter, deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from samples import SimplePolicy, make_frame

from edge_worker.accounts import Count
from edge_worker.frames import REJECTIONS, Delivery, Frame
from edge_worker.intake import Intake
from edge_worker.ledger import AckLedger, Loss, Remedy, Verdict


def token(mid: int, epoch: int = 1) -> Delivery:
    return Delivery("every", epoch, mid)


def test_a_frame_is_acknowledged_after_all_its_results() -> None:
    """Neither the first result nor a stranger's publication is enough."""
    ledger, frame = AckLedger(), make_frame(delivery=token(1))
    assert ledger.opened(frame) is Verdict.NEW
    assert ledger.answered(frame, {10, 11}) == ()
    assert ledger.published(99) == ()
    assert ledger.published(11) == ()
    assert ledger.published(10) == (token(1),)
    assert ledger.published(10) == ()


def test_a_frame_without_results_is_settled_at_once() -> None:
    """With every output turned off there is nothing to wait for."""
    ledger, frame = AckLedger(), make_frame(delivery=token(1))
    ledger.opened(frame)
    assert ledger.answered(frame, ()) == (token(1),)


def test_an_answer_can_be_replaced() -> None:
    """A result that was given up leads to its frame; the error message then takes the results' place."""
    ledger, frame = AckLedger(), make_frame(delivery=token(1))
    ledger.opened(frame)
    ledger.answered(frame, {10, 11})
    loss = ledger.failed(11)
    assert loss == Loss(make_frame(delivery=token(1), payload=b""), Remedy.ERROR)
    assert ledger.answered(frame, {12}) == ()
    assert ledger.published(10) == ()
    assert ledger.published(12) == (token(1),)


def test_after_the_last_answer_there_is_none() -> None:
    """An error that was given up settles its frame: waiting for a better broker would stop the camera."""
    ledger, frame = AckLedger(), make_frame(delivery=token(1))
    ledger.opened(frame)
    ledger.answered(frame, {10}, final=True)
    loss = ledger.failed(10)
    assert loss == Loss(make_frame(delivery=token(1), payload=b""), Remedy.GONE, (token(1),))
    assert ledger.awaited == 0


@pytest.mark.parametrize("spare_first", [True, False])
def test_a_picture_for_people_can_be_missed(*, spare_first: bool) -> None:
    """The overlay was given up: map and labels stand, and settle the frame, whichever comes first."""
    ledger, frame = AckLedger(), make_frame(delivery=token(1))
    ledger.opened(frame)
    ledger.answered(frame, {10, 11}, spare=10)
    if not spare_first:
        assert ledger.published(11) == ()
    loss = ledger.failed(10)
    acknowledged = () if spare_first else (token(1),)
    assert loss == Loss(make_frame(delivery=token(1), payload=b""), Remedy.NOTHING, acknowledged)
    if spare_first:
        assert ledger.published(11) == (token(1),)


def test_a_settled_frame_stays_settled() -> None:
    """The router replaced its answer while the dispatcher was still at it: what comes later changes nothing."""
    ledger, frame = AckLedger(), make_frame(delivery=token(1))
    ledger.opened(frame)
    ledger.answered(frame, {10}, final=True)
    assert ledger.published(10) == (token(1),)
    assert ledger.answered(frame, {11}) == ()
    assert (ledger.published(11), ledger.awaited) == ((), 0)


def test_a_redelivered_frame_in_work_is_acknowledged_where_it_came_last() -> None:
    """After a lost connection only the new token counts: the old one would acknowledge another frame."""
    ledger, frame = AckLedger(), make_frame(delivery=token(1, epoch=1))
    ledger.opened(frame)
    again = make_frame(delivery=token(1, epoch=2), redelivered=True, arrived=5.0)
    assert ledger.opened(again) is Verdict.IN_WORK
    assert ledger.answered(frame, ()) == (token(1, epoch=2),)


def test_a_redelivered_frame_that_is_done_is_only_acknowledged() -> None:
    """It was answered before; the caller acknowledges it at once."""
    ledger, frame = AckLedger(), make_frame(delivery=token(1))
    ledger.opened(frame)
    ledger.answered(frame, ())
    assert ledger.opened(make_frame(delivery=token(1, epoch=2), redelivered=True, arrived=5.0)) is Verdict.DONE


def test_a_still_camera_may_repeat_itself() -> None:
    """Equal content that the broker does not send again is another frame, each with its own answer."""
    ledger = AckLedger()
    first, second = make_frame(delivery=token(1), arrived=1.0), make_frame(delivery=token(2), arrived=2.0)
    assert ledger.opened(first) is Verdict.NEW
    assert ledger.opened(second) is Verdict.NEW
    assert ledger.answered(first, ()) == (token(1),)
    assert ledger.answered(second, ()) == (token(2),)


def test_a_senders_id_is_believed_always() -> None:
    """A camera that sends a frame twice gets one answer and two acknowledgements."""
    ledger = AckLedger()
    first = make_frame(delivery=token(1), sender_id=True)
    second = make_frame(delivery=token(2), sender_id=True, payload=b"other", arrived=2.0)
    assert ledger.opened(first) is Verdict.NEW
    assert ledger.opened(second) is Verdict.IN_WORK
    assert ledger.answered(first, ()) == (token(1), token(2))
    assert ledger.opened(make_frame(delivery=token(3), sender_id=True, arrived=3.0)) is Verdict.DONE
    assert ledger.opened(make_frame("other", delivery=token(4), sender_id=True)) is Verdict.NEW


def test_a_promise_is_not_kept_by_a_frame_that_may_be_dropped() -> None:
    """The same id came by a subscription that owes nothing: what became of that frame acknowledges no other."""
    ledger = AckLedger()
    live = make_frame(sender_id=True)
    promised = make_frame(sender_id=True, source=1, delivery=token(1), arrived=1.0)
    assert ledger.opened(live) is Verdict.NEW
    assert ledger.opened(promised) is Verdict.NEW
    assert ledger.answered(live, ()) == ()
    assert ledger.answered(promised, {10}) == ()
    assert ledger.published(10) == (token(1),)


@pytest.mark.parametrize(("publications", "verdict"), [((), Verdict.NEW), ((10,), Verdict.DONE)])
def test_a_promise_is_kept_by_an_answer_only(publications: tuple[int, ...], verdict: Verdict) -> None:
    """A live frame of this id was dropped, or answered: only the answer counts for the one to be acknowledged."""
    ledger, live = AckLedger(), make_frame(sender_id=True)
    ledger.opened(live)
    ledger.answered(live, publications)
    for publication in publications:
        ledger.published(publication)
    assert ledger.opened(make_frame(sender_id=True, arrived=1.0)) is Verdict.DONE
    assert ledger.opened(make_frame(sender_id=True, delivery=token(1), arrived=2.0)) is verdict


def test_a_number_is_acknowledged_once() -> None:
    """Some brokers send again on the same connection: a second acknowledgement could be taken for the next frame's."""
    ledger, frame = AckLedger(), make_frame(delivery=token(1))
    ledger.opened(frame)
    assert ledger.opened(make_frame(delivery=token(1), redelivered=True, arrived=5.0)) is Verdict.IN_WORK
    assert ledger.answered(frame, ()) == (token(1),)


def test_the_memory_of_what_is_done_is_bounded() -> None:
    """The oldest identity is forgotten first."""
    ledger = AckLedger(remembered=3)
    for n in range(5):
        frame = make_frame(frame_id=str(n), sender_id=True)
        ledger.opened(frame)
        ledger.answered(frame, ())
    verdicts = [ledger.opened(make_frame(frame_id=str(n), sender_id=True)) for n in (4, 0)]
    assert verdicts == [Verdict.DONE, Verdict.NEW]


CAMERAS = ("a", "b", "c", "d", "e")


class Node(RuleBasedStateMachine):
    """Intake and ledger between a broker that redelivers and a model that fails, both at any moment.

    The broker holds each ``every`` frame until its token of the present epoch is acknowledged.
    """

    @initialize(limit=st.sampled_from([2, 100]), budget=st.sampled_from([30, 1000]))
    def start(self, limit: int, budget: int) -> None:
        policies = [SimplePolicy(max_age_s=8.0), SimplePolicy(delivery="every"), SimplePolicy(min_interval_s=3.0)]
        self.intake = Intake(policies, max_cameras=limit, max_waiting_bytes=budget)
        self.ledger = AckLedger(remembered=1000)
        self.now, self.epoch, self.numbers = 0.0, 1, itertools.count(1)
        self.held: dict[str, str] = {}  # by the broker: frame id → camera
        self.tokens: dict[Delivery, str] = {}  # of the present epoch → frame id
        self.work: deque[Frame] = deque()
        self.unpublished: dict[int, str] = {}  # publication → frame id
        self.answered: Counter[str] = Counter()
        self.offered = 0

    def deliver(self, camera: str, source: int, frame_id: str, *, redelivered: bool) -> None:
        self.now += 0.001
        delivery = Delivery("every", self.epoch, next(self.numbers)) if source == 1 else None
        if delivery:
            self.tokens[delivery] = frame_id
        frame = make_frame(
            camera,
            source=source,
            frame_id=frame_id,
            arrived=self.now,
            redelivered=redelivered,
            delivery=delivery,
            payload=b"0123456789",
        )
        verdict = self.ledger.opened(frame) if delivery else Verdict.NEW
        if verdict is Verdict.NEW:
            self.offered += 1
            dropped = {drop.frame for drop in self.intake.offer(frame, self.now)}
            assert frame not in dropped or source != 1
        else:
            self.intake.duplicate(frame)
        if verdict is Verdict.DONE and delivery:
            self.acknowledge((delivery,))

    def acknowledge(self, deliveries: tuple[Delivery, ...]) -> None:
        for delivery in deliveries:
            if delivery.epoch != self.epoch:
                continue  # the link suppresses it
            frame_id = self.tokens.pop(delivery)
            assert self.answered[frame_id], "acknowledged before it was answered"
            assert frame_id not in self.unpublished.values(), "acknowledged before its results were"
            self.held.pop(frame_id, None)

    @rule(camera=st.sampled_from(CAMERAS), source=st.sampled_from([0, 1, 2]))
    def arrive(self, camera: str, source: int) -> None:
        frame_id = f"f{next(self.numbers)}"
        if source == 1:
            self.held[frame_id] = camera
        self.deliver(camera, source, frame_id, redelivered=False)

    @rule()
    def lose_the_connection(self) -> None:
        self.epoch += 1
        self.tokens.clear()
        for frame_id, camera in list(self.held.items()):
            self.deliver(camera, 1, frame_id, redelivered=True)

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        frame = self.intake.next(self.now).frame
        if frame is not None:
            self.work.append(frame)

    @precondition(lambda self: self.work)
    @rule(results=st.integers(0, 3), rejection=st.sampled_from(["", *sorted(REJECTIONS)]))
    def answer(self, results: int, rejection: str) -> None:
        frame = self.work.popleft()
        publications = [next(self.numbers) for _ in range(results)]
        self.intake.finish(frame, "rejected" if rejection else "processed", rejection)
        self.answered[frame.frame_id] += 1
        if frame.delivery:
            self.unpublished.update(dict.fromkeys(publications, frame.frame_id))
            self.acknowledge(self.ledger.answered(frame, publications))

    @precondition(lambda self: self.unpublished)
    @rule(data=st.data())
    def broker_has_a_result(self, data: st.DataObject) -> None:
        publication = data.draw(st.sampled_from(sorted(self.unpublished)))
        del self.unpublished[publication]
        self.acknowledge(self.ledger.published(publication))

    @precondition(lambda self: self.work)
    @rule()
    def model_dies(self) -> None:
        self.intake.release(self.work.pop())

    @rule(camera=st.sampled_from([*CAMERAS, None]))
    def pause(self, camera: str | None) -> None:
        self.intake.pause(camera)

    @rule(camera=st.sampled_from([*CAMERAS, None]))
    def resume(self, camera: str | None) -> None:
        self.intake.resume(camera)

    @invariant()
    def the_account_is_exact(self) -> None:
        account = self.intake.account()
        for count in (account.total, *account.cameras.values()):
            settled = count.processed + sum(count.rejected.values()) + sum(count.dropped.values())
            assert count.received == settled + count.waiting + count.in_work
        assert account.total.received == self.offered == sum(c.received for c in account.cameras.values())
        assert account.total.in_work == len(self.work)

    def teardown(self) -> None:
        """Whatever happened: when all work is done, the broker holds nothing and every frame of it was answered."""
        if not hasattr(self, "intake"):
            return
        self.intake.resume()
        while True:
            self.now += 100.0
            self.take()
            if not self.work:
                break
            self.answer(1, "")
        for publication in list(self.unpublished):
            del self.unpublished[publication]
            self.acknowledge(self.ledger.published(publication))
        assert self.held == {}
        assert self.intake.account().total.waiting == 0
        assert not self.ledger._open
        assert not self.ledger._newest
        assert not self.ledger._by_publication


Node.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNode = Node.TestCase


def test_an_empty_account_is_all_zero() -> None:
    """Before the first frame nothing is counted, and no camera is invented."""
    account = Intake([SimplePolicy()]).account()
    assert account.total == Count()
    assert account.cameras == {}
