"""When a frame may be acknowledged; and scheduler and acks together, under any order of events."""

from __future__ import annotations

import itertools
from collections import Counter, deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from samples import SimplePolicy, make_frame

from edge_worker.frames.acks import AckTracker, Loss, Remedy, Verdict
from edge_worker.frames.counters import Count
from edge_worker.frames.frame import REJECTIONS, Delivery, Frame
from edge_worker.frames.scheduler import Scheduler


def token(mid: int, epoch: int = 1) -> Delivery:
    return Delivery("every", epoch, mid)


def test_a_frame_is_acknowledged_after_all_its_results() -> None:
    """Neither the first result nor a stranger's publication is enough."""
    acks, frame = AckTracker(), make_frame(delivery=token(1))
    assert acks.opened(frame) is Verdict.NEW
    assert acks.replied(frame, {10, 11}) == ()
    assert acks.published(99) == ()
    assert acks.published(11) == ()
    assert acks.published(10) == (token(1),)
    assert acks.published(10) == ()


def test_a_frame_without_results_is_settled_at_once() -> None:
    """With every output turned off there is nothing to wait for."""
    acks, frame = AckTracker(), make_frame(delivery=token(1))
    acks.opened(frame)
    assert acks.replied(frame, ()) == (token(1),)


def test_a_reply_can_be_replaced() -> None:
    """A result that was given up leads to its frame; the error message then takes the results' place."""
    acks, frame = AckTracker(), make_frame(delivery=token(1))
    acks.opened(frame)
    acks.replied(frame, {10, 11})
    loss = acks.failed(11)
    assert loss == Loss(make_frame(delivery=token(1), payload=b""), Remedy.ERROR)
    assert acks.replied(frame, {12}) == ()
    assert acks.published(10) == ()
    assert acks.published(12) == (token(1),)


def test_after_the_last_reply_there_is_none() -> None:
    """An error that was given up settles its frame: waiting for a better broker would stop the camera."""
    acks, frame = AckTracker(), make_frame(delivery=token(1))
    acks.opened(frame)
    acks.replied(frame, {10}, final=True)
    loss = acks.failed(10)
    assert loss == Loss(make_frame(delivery=token(1), payload=b""), Remedy.UNANSWERED, (token(1),))
    assert acks.awaited == 0


@pytest.mark.parametrize("spare_first", [True, False])
def test_an_image_for_people_can_be_missed(*, spare_first: bool) -> None:
    """The overlay was given up: map and labels stand, and settle the frame, whichever comes first."""
    acks, frame = AckTracker(), make_frame(delivery=token(1))
    acks.opened(frame)
    acks.replied(frame, {10, 11}, optional={10})
    if not spare_first:
        assert acks.published(11) == ()
    loss = acks.failed(10)
    acknowledged = () if spare_first else (token(1),)
    assert loss == Loss(make_frame(delivery=token(1), payload=b""), Remedy.NOTHING, acknowledged)
    if spare_first:
        assert acks.published(11) == (token(1),)


def test_a_settled_frame_stays_settled() -> None:
    """The router replaced its reply while the dispatcher was still at it: what comes later changes nothing."""
    acks, frame = AckTracker(), make_frame(delivery=token(1))
    acks.opened(frame)
    acks.replied(frame, {10}, final=True)
    assert acks.published(10) == (token(1),)
    assert acks.replied(frame, {11}) == ()
    assert (acks.published(11), acks.awaited) == ((), 0)


def test_a_redelivered_frame_in_work_is_acknowledged_where_it_came_last() -> None:
    """After a lost connection only the new token counts: the old one would acknowledge another frame."""
    acks, frame = AckTracker(), make_frame(delivery=token(1, epoch=1))
    acks.opened(frame)
    again = make_frame(delivery=token(1, epoch=2), redelivered=True, arrived=5.0)
    assert acks.opened(again) is Verdict.IN_WORK
    assert acks.replied(frame, ()) == (token(1, epoch=2),)


def test_a_redelivered_frame_that_is_done_is_only_acknowledged() -> None:
    """It was answered before; the caller acknowledges it at once."""
    acks, frame = AckTracker(), make_frame(delivery=token(1))
    acks.opened(frame)
    acks.replied(frame, ())
    assert acks.opened(make_frame(delivery=token(1, epoch=2), redelivered=True, arrived=5.0)) is Verdict.DONE


def test_a_still_camera_may_repeat_itself() -> None:
    """Equal content that the broker does not send again is another frame, each with its own reply."""
    acks = AckTracker()
    first, second = make_frame(delivery=token(1), arrived=1.0), make_frame(delivery=token(2), arrived=2.0)
    assert acks.opened(first) is Verdict.NEW
    assert acks.opened(second) is Verdict.NEW
    assert acks.replied(first, ()) == (token(1),)
    assert acks.replied(second, ()) == (token(2),)


def test_a_senders_id_is_taken_always() -> None:
    """A camera that sends a frame twice gets one reply and two acknowledgements."""
    acks = AckTracker()
    first = make_frame(delivery=token(1), sender_id=True)
    second = make_frame(delivery=token(2), sender_id=True, payload=b"other", arrived=2.0)
    assert acks.opened(first) is Verdict.NEW
    assert acks.opened(second) is Verdict.IN_WORK
    assert acks.replied(first, ()) == (token(1), token(2))
    assert acks.opened(make_frame(delivery=token(3), sender_id=True, arrived=3.0)) is Verdict.DONE
    assert acks.opened(make_frame("other", delivery=token(4), sender_id=True)) is Verdict.NEW


def test_a_promise_is_not_kept_by_a_frame_that_may_be_dropped() -> None:
    """The same id came by a subscription that owes nothing: what became of that frame acknowledges no other."""
    acks = AckTracker()
    live = make_frame(sender_id=True)
    promised = make_frame(sender_id=True, source=1, delivery=token(1), arrived=1.0)
    assert acks.opened(live) is Verdict.NEW
    assert acks.opened(promised) is Verdict.NEW
    assert acks.replied(live, ()) == ()
    assert acks.replied(promised, {10}) == ()
    assert acks.published(10) == (token(1),)


@pytest.mark.parametrize(("publications", "verdict"), [((), Verdict.NEW), ((10,), Verdict.DONE)])
def test_a_promise_is_kept_by_a_reply_only(publications: tuple[int, ...], verdict: Verdict) -> None:
    """A live frame of this id was dropped, or answered: only the reply counts for the one to be acknowledged."""
    acks, live = AckTracker(), make_frame(sender_id=True)
    acks.opened(live)
    acks.replied(live, publications)
    for publication in publications:
        acks.published(publication)
    assert acks.opened(make_frame(sender_id=True, arrived=1.0)) is Verdict.DONE
    assert acks.opened(make_frame(sender_id=True, delivery=token(1), arrived=2.0)) is verdict


def test_a_number_is_acknowledged_once() -> None:
    """Some brokers send again on the same connection: a second acknowledgement could be taken for the next frame's."""
    acks, frame = AckTracker(), make_frame(delivery=token(1))
    acks.opened(frame)
    assert acks.opened(make_frame(delivery=token(1), redelivered=True, arrived=5.0)) is Verdict.IN_WORK
    assert acks.replied(frame, ()) == (token(1),)


def test_the_memory_of_what_is_done_is_bounded() -> None:
    """The oldest identity is forgotten first."""
    acks = AckTracker(remembered=3)
    for n in range(5):
        frame = make_frame(frame_id=str(n), sender_id=True)
        acks.opened(frame)
        acks.replied(frame, ())
    verdicts = [acks.opened(make_frame(frame_id=str(n), sender_id=True)) for n in (4, 0)]
    assert verdicts == [Verdict.DONE, Verdict.NEW]


CAMERAS = ("a", "b", "c", "d", "e")


class Node(RuleBasedStateMachine):
    """Scheduler and acknowledgements between a broker that redelivers and a model that fails, both at any moment.

    The broker holds each ``every`` frame until its token of the present epoch is acknowledged.
    """

    @initialize(limit=st.sampled_from([2, 100]), budget=st.sampled_from([30, 1000]))
    def start(self, limit: int, budget: int) -> None:
        policies = [SimplePolicy(max_age_s=8.0), SimplePolicy(delivery="every"), SimplePolicy(min_interval_s=3.0)]
        self.scheduler = Scheduler(policies, max_cameras=limit, max_waiting_bytes=budget)
        self.acks = AckTracker(remembered=1000)
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
        verdict = self.acks.opened(frame) if delivery else Verdict.NEW
        if verdict is Verdict.NEW:
            self.offered += 1
            dropped = {drop.frame for drop in self.scheduler.offer(frame, self.now)}
            assert frame not in dropped or source != 1
        else:
            self.scheduler.duplicate(frame)
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
        frame = self.scheduler.next(self.now).frame
        if frame is not None:
            self.work.append(frame)

    @precondition(lambda self: self.work)
    @rule(results=st.integers(0, 3), rejection=st.sampled_from(["", *sorted(REJECTIONS)]))
    def answer(self, results: int, rejection: str) -> None:
        frame = self.work.popleft()
        publications = [next(self.numbers) for _ in range(results)]
        self.scheduler.finish(frame, "rejected" if rejection else "processed", rejection)
        self.answered[frame.frame_id] += 1
        if frame.delivery:
            self.unpublished.update(dict.fromkeys(publications, frame.frame_id))
            self.acknowledge(self.acks.replied(frame, publications))

    @precondition(lambda self: self.unpublished)
    @rule(data=st.data())
    def broker_has_a_result(self, data: st.DataObject) -> None:
        publication = data.draw(st.sampled_from(sorted(self.unpublished)))
        del self.unpublished[publication]
        self.acknowledge(self.acks.published(publication))

    @precondition(lambda self: self.work)
    @rule()
    def model_dies(self) -> None:
        self.scheduler.requeue(self.work.pop())

    @rule(camera=st.sampled_from([*CAMERAS, None]))
    def pause(self, camera: str | None) -> None:
        self.scheduler.pause(camera)

    @rule(camera=st.sampled_from([*CAMERAS, None]))
    def resume(self, camera: str | None) -> None:
        self.scheduler.controls.resume(camera)

    @invariant()
    def the_account_is_exact(self) -> None:
        account = self.scheduler.account(0.0)
        for count in (account.total, *account.cameras.values()):
            settled = count.processed + sum(count.rejected.values()) + sum(count.dropped.values())
            assert count.received == settled + count.waiting + count.in_work
        assert account.total.received == self.offered == sum(c.received for c in account.cameras.values())
        assert account.total.in_work == len(self.work)

    def teardown(self) -> None:
        """Whatever happened: when all work is done, the broker holds nothing and every frame of it was answered."""
        if not hasattr(self, "scheduler"):
            return
        self.scheduler.controls.resume()
        while True:
            self.now += 100.0
            self.take()
            if not self.work:
                break
            self.answer(1, "")
        for publication in list(self.unpublished):
            del self.unpublished[publication]
            self.acknowledge(self.acks.published(publication))
        assert self.held == {}
        assert self.scheduler.account(0.0).total.waiting == 0
        assert not self.acks._open
        assert not self.acks._newest
        assert not self.acks._by_publication


Node.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNode = Node.TestCase


def test_an_empty_account_is_all_zero() -> None:
    """Before the first frame nothing is counted, and no camera is invented."""
    account = Scheduler([SimplePolicy()]).account(0.0)
    assert account.total == Count()
    assert account.cameras == {}
