"""A buyer is told once, of what is true, by the way they left us."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from tests.fakes import NOON
from tests.patience import until
from tests.product.services.notifications.conftest import CODEC, World
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.allocation import OrderSeats
from cludale.kernel.events import Cause, Envelope, envelop
from cludale.kernel.money import Money
from cludale.kernel.refusals import NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.contacts import Contact
from cludale.ports.messengers import HandedTo, Message, NotSent, Trouble
from cludale.ports.records import Commit, Outcome, Query, StoreUnavailable
from cludale.services.notifications.domain import AlreadySent, Status
from cludale.services.notifications.events import Channel, NotificationKind, NotificationSent
from cludale.services.notifications.store import NOTIFICATIONS
from cludale.services.orders.events import CancelReason, OrderCancelled, OrderPaid
from cludale.services.payments.events import PaymentCompleted

DONE = Acknowledgement.SUCCESS


def paid(order: str = "order-1", *, reachable: bool = False, total: int = 9000) -> Envelope:
    event = OrderPaid(
        order_id=order,
        allocation=allocation(f"reservation-of-{order}", 2, section="main"),
        total=Money(total, "EUR"),
        reachable=reachable,
    )
    return envelop(event, id=f"paid-{order}", source="orders", time=NOON, cause=Cause(None, "00-trace-01"))


def taken(order: str = "order-1", *, amount: int = 9000) -> Envelope:
    event = PaymentCompleted(
        payment_id=f"payment-of-{order}",
        order_id=order,
        allocation=allocation(f"reservation-of-{order}", 2, section="main"),
        amount=Money(amount, "EUR"),
        round=1,
        attempts=1,
    )
    return envelop(event, id=f"taken-{order}", source="payments", time=NOON, cause=Cause())


def cancelled(
    order: str = "order-1",
    *,
    reason: CancelReason = CancelReason.BUYER,
    was_paid: bool = False,
    reachable: bool = False,
    total: int | None = 9000,
) -> Envelope:
    event = OrderCancelled(
        order_id=order,
        seats=OrderSeats(concert_id="concert-1", quantity=2, section=None, reservation_id=None),
        total=None if total is None else Money(total, "EUR"),
        reason=reason,
        was_paid=was_paid,
        reachable=reachable,
    )
    return envelop(event, id=f"{reason}-{order}", source="orders", time=NOON, cause=Cause())


def delivered(*events: Envelope, attempt: int = 1) -> Sequence[Delivery]:
    return [Delivery(event, CODEC.encode(event), attempt) for event in events]


async def test_a_buyer_without_an_address_is_told_in_the_log_and_the_store(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert await world.notifications().handle(delivered(paid())) == [DONE]
    assert caplog.messages == ["Order order-1 is confirmed. 2 tickets (main), concert-1: 90.00 EUR."]
    (notification,) = (await world.stored()).values()
    assert (notification.id, notification.order_id) == ("confirmation-1", "order-1")
    assert (notification.status, notification.channel, notification.sent_at) == (Status.SENT, Channel.LOG, NOON)
    assert await world.published() == [
        NotificationSent(
            notification_id="confirmation-1",
            order_id="order-1",
            concert_id="concert-1",
            kind=NotificationKind.CONFIRMATION,
            channel=Channel.LOG,
        )
    ]
    assert world.contacts.asked == []


async def test_what_was_sent_says_which_event_caused_it(world: World) -> None:
    world.contacts.known["order-2"] = Contact(email="zoe@example.org")
    await world.notifications().handle(delivered(paid(), paid("order-2", reachable=True)))
    await world.settled()
    events = [CODEC.decode(entry.body) for entry in await world.records.pending(0, 10)]
    assert {(event.causationid, event.traceparent, event.correlationid, event.source) for event in events} == {
        ("paid-order-1", "00-trace-01", "order-1", "notifications"),
        ("paid-order-2", "00-trace-01", "order-2", "notifications"),
    }


async def test_a_redelivered_payment_confirms_the_order_once(world: World) -> None:
    service = world.notifications()
    assert await service.handle(delivered(paid(), paid())) == [DONE] * 2
    assert await service.handle(delivered(paid())) == [DONE]
    assert await world.notifications().handle(delivered(paid())) == [DONE]
    assert len(await world.published()) == 1


async def test_two_different_facts_of_one_payment_confirm_the_order_once(world: World) -> None:
    service = world.notifications()
    again = envelop(paid().data, id="told-otherwise", source="orders", time=NOON, cause=Cause())
    assert await service.handle(delivered(paid())) == [DONE]
    assert await service.handle(delivered(again)) == [DONE]
    assert len(await world.published()) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_paid_order_that_is_cancelled_is_told_both_in_any_order(world: World, order: tuple[int, int]) -> None:
    events = (paid(), cancelled(was_paid=True))
    service = world.notifications()
    for at in order:
        await service.handle(delivered(events[at]))
    kinds = {notification.kind for notification in (await world.stored()).values()}
    assert kinds == {NotificationKind.CONFIRMATION, NotificationKind.CANCELLATION}
    assert len(await world.published()) == 2


async def test_an_order_that_failed_and_was_paid_after_all_tells_of_its_second_cancellation(world: World) -> None:
    service = world.notifications()
    declined, regretted = cancelled(reason=CancelReason.DECLINED), cancelled(was_paid=True)
    for fact in (declined, paid(), regretted, declined, regretted):
        await service.handle(delivered(fact))
    assert [event.notification_id for event in await world.published()] == [
        "cancellation-1",
        "confirmation-1",
        "ticket-cancellation-1",
    ]


async def test_an_order_that_was_never_paid_is_never_confirmed(world: World) -> None:
    await world.notifications().handle(delivered(cancelled(reason=CancelReason.EXPIRED)))
    assert [event.kind for event in await world.published()] == [NotificationKind.CANCELLATION]


async def test_an_e_mail_address_gets_an_e_mail(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org", phone="+3161234567")
    service = world.notifications()
    assert await service.handle(delivered(paid(reachable=True))) == [DONE]
    (notification,) = (await world.settled()).values()
    assert (notification.status, notification.channel, notification.attempts) == (Status.SENT, Channel.EMAIL, 1)
    (message,) = world.mailer.sent
    assert (message.id, message.to) == ("confirmation-1", "zoe@example.org")
    assert message.subject == "Your tickets: Coldplay, Saturday, June 5, 2027, 22:30"
    assert [event.channel for event in await world.published()] == [Channel.EMAIL]


async def test_a_phone_alone_gets_a_text_message(world: World) -> None:
    world.contacts.known["order-1"] = Contact(phone="+3161234567")
    await world.notifications().handle(delivered(cancelled(reachable=True)))
    await world.settled()
    assert [message.to for message in world.texts.sent] == ["+3161234567"]
    assert [event.channel for event in await world.published()] == [Channel.SMS]


async def test_an_address_that_is_gone_leaves_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await world.notifications().handle(delivered(paid(reachable=True)))
        await world.settled()
    assert "Order order-1 is confirmed" in caplog.text
    assert [event.channel for event in await world.published()] == [Channel.LOG]


async def test_no_address_is_stored_or_published(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org", phone="+3161234567")

    async def name_it(message: Message) -> None:
        raise NotSent(f"450 <{message.to}> is busy", Trouble.LATER)

    world.mailer.then = name_it
    await world.notifications().handle(delivered(paid(reachable=True)))
    await world.settled()
    page = await world.records.find(NOTIFICATIONS.kind, Query())
    assert page.items
    assert all(b"zoe" not in stored.body and b"316" not in stored.body for stored in page.items)
    assert all(b"zoe" not in entry.body for entry in await world.records.pending(0, 10))


async def test_a_message_that_does_not_go_out_is_tried_again_later_and_later(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.refuses(Trouble.AWAY)
    service = world.notifications()
    await service.handle(delivered(paid(reachable=True)))
    first = (await world.settled())["confirmation-1"]
    assert (first.status, first.attempts, first.detail) == (Status.PENDING, 1, "451 not now")
    assert first.due_at is not None
    assert (first.due_at - NOON).total_seconds() == 10
    world.clock.advance(9)
    assert await service.due.sweep() == 0
    world.clock.advance(1)
    assert await service.due.sweep() == 1
    second = (await world.settled())["confirmation-1"]
    assert second.due_at is not None
    assert (second.due_at - world.clock.now()).total_seconds() == 20
    world.mailer.then = None
    world.clock.advance(20)
    assert await service.due.sweep() == 1
    assert (await world.settled())["confirmation-1"].status is Status.SENT
    assert world.mailer.tried == ["confirmation-1"] * 3
    assert len(await world.published()) == 1


async def test_a_message_is_tried_for_days_and_then_given_up(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.refuses(Trouble.AWAY)
    service = world.notifications(try_seconds=3 * 86_400)
    await service.handle(delivered(paid(reachable=True)))
    for _ in range(3 * 96 - 1):
        await world.settled()
        world.clock.advance(900)
        await service.due.sweep()
    assert (await world.settled())["confirmation-1"].status is Status.PENDING
    world.clock.advance(900)
    await service.due.sweep()
    failed = (await world.settled())["confirmation-1"]
    assert (failed.status, failed.due_at, failed.detail) == (Status.FAILED, None, "451 not now")
    assert f"confirmation-1 was given up after {failed.attempts} tries: 451 not now" in caplog.messages
    assert service.gauges()["cludale_messages_failed_total"] == 1
    world.clock.advance(86_400)
    assert await service.due.sweep() == 0
    assert await world.published() == []


async def test_what_was_given_up_is_sent_again_when_the_organizer_says_so(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.refuses(Trouble.REFUSED)
    service = world.notifications()
    await service.handle(delivered(paid(reachable=True), cancelled(was_paid=True)))
    await world.settled()
    found, _ = await service.find(Query(), lambda each: each.status is Status.FAILED)
    assert [each.id for each in found] == ["confirmation-1"]
    world.mailer.then = None
    world.clock.advance(30 * 86_400)
    (again,) = await service.retry(["confirmation-1"])
    assert (again.status, again.due_at) == (Status.PENDING, world.clock.now())
    assert (await world.settled())["confirmation-1"].status is Status.SENT
    with pytest.raises(AlreadySent):
        await service.retry(["confirmation-1"])
    with pytest.raises(NotFound):
        await service.retry(["confirmation-2"])
    assert [message.id for message in world.mailer.sent] == ["confirmation-1"]


async def test_one_that_is_sent_again_is_tried_for_days_anew(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.refuses(Trouble.REFUSED)
    service = world.notifications(try_seconds=86_400)
    await service.handle(delivered(paid(reachable=True)))
    await world.settled()
    world.mailer.refuses(Trouble.AWAY)
    world.clock.advance(10 * 86_400)
    await service.retry(["confirmation-1"])
    assert (await world.settled())["confirmation-1"].status is Status.PENDING
    assert [each.status for each in await service.retry(["confirmation-1"])] == [Status.PENDING]
    world.clock.advance(86_400)
    await service.due.sweep()
    assert (await world.settled())["confirmation-1"].status is Status.FAILED


async def test_those_that_were_given_up_are_found_among_many(world: World) -> None:
    service = world.notifications()
    world.mailer.refuses(Trouble.REFUSED)
    for number in range(60):
        if number % 25 == 7:
            world.contacts.known[f"order-{number}"] = Contact(email="zoe@example.org")
    await service.handle(delivered(*(paid(f"order-{n}", reachable=n % 25 == 7) for n in range(60))))
    await world.settled()
    found: list[str] = []
    after: str | None = None
    while True:
        page, after = await service.find(Query(limit=2, after=after), lambda each: each.status is Status.FAILED)
        assert len(page) <= 2
        found += [each.id for each in page]
        if after is None:
            break
    assert found == ["confirmation-7", "confirmation-32", "confirmation-57"]


def reachable(world: World, count: int) -> list[Envelope]:
    for number in range(count):
        world.contacts.known[f"order-{number}"] = Contact(email="zoe@example.org")
    return [paid(f"order-{number}", reachable=True) for number in range(count)]


async def test_a_server_that_takes_nothing_is_left_alone_and_tried_with_one_message(world: World) -> None:
    world.mailer.refuses(Trouble.AWAY)
    service = world.notifications(at_once=8)
    await service.handle(delivered(*reachable(world, 200)))
    await world.settled()
    assert len(world.mailer.tried) == 8
    assert service.is_paused
    for _ in range(60):
        world.clock.advance(60)
        await service.due.sweep()
        await world.settled()
    assert len(world.mailer.tried) == 68
    world.mailer.then = None
    world.clock.advance(60)
    await service.due.sweep()
    stored = await world.settled()
    assert {each.status for each in stored.values()} == {Status.SENT}
    assert len(world.mailer.sent) == 200
    assert not service.is_paused


async def test_one_message_that_is_not_taken_now_holds_up_none_of_the_others(world: World) -> None:
    async def grey(message: Message) -> None:
        if message.id == "confirmation-3":
            raise NotSent("451 greylisted", Trouble.LATER)

    world.mailer.then = grey
    service = world.notifications(at_once=1)
    await service.handle(delivered(*reachable(world, 30)))
    await world.settled()
    assert len(world.mailer.sent) == 29
    assert not service.is_paused


async def test_where_one_message_after_another_is_not_taken_all_wait(world: World) -> None:
    world.mailer.refuses(Trouble.LATER)
    service = world.notifications(at_once=1)
    await service.handle(delivered(*reachable(world, 30)))
    await world.settled()
    assert len(world.mailer.tried) == 5
    assert service.is_paused


async def test_a_message_that_may_have_arrived_is_sent_again_a_few_times_at_most(world: World) -> None:
    async def take_and_say_nothing(message: Message) -> None:
        world.mailer.sent.append(message)
        raise NotSent("no answer to the message", Trouble.UNKNOWN)

    world.mailer.then = take_and_say_nothing
    service = world.notifications()
    await service.handle(delivered(*reachable(world, 1)))
    for _ in range(60):
        await world.settled()
        world.clock.advance(60)
        await service.due.sweep()
    failed = (await world.settled())["confirmation-0"]
    assert failed.status is Status.FAILED
    assert failed.detail is not None
    assert "may have arrived" in failed.detail
    assert [message.id for message in world.mailer.sent] == ["confirmation-0"] * 4


async def test_a_stop_finishes_what_is_being_sent(world: World) -> None:
    world.mailer.takes_seconds(0.05)
    service = world.notifications(finish_seconds=2)
    await service.handle(delivered(*reachable(world, 1)))
    await until(lambda: bool(world.mailer.tried))
    await service.due.stop()
    assert (await world.stored())["confirmation-0"].status is Status.SENT
    assert world.mailer.tried == ["confirmation-0"]


async def test_what_is_only_written_to_the_log_was_not_sent(world: World) -> None:
    world.mailer.hands_to = world.texts.hands_to = HandedTo.LOG
    world.contacts.known = {"order-1": Contact(email="zoe@example.org"), "order-2": Contact(phone="+3161234567")}
    await world.notifications().handle(delivered(paid(reachable=True), paid("order-2", reachable=True)))
    stored = await world.settled()
    assert {each.channel for each in stored.values()} == {Channel.LOG}
    assert {event.channel for event in await world.published()} == {Channel.LOG}


async def test_a_message_refused_for_good_is_not_tried_again(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.refuses(Trouble.REFUSED)
    await world.notifications().handle(delivered(paid(reachable=True)))
    failed = (await world.settled())["confirmation-1"]
    assert (failed.status, failed.detail, failed.channel) == (Status.FAILED, "550 no", Channel.EMAIL)
    assert world.mailer.tried == ["confirmation-1"]


async def test_who_cannot_be_reached_by_e_mail_gets_a_text_message(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org", phone="+3161234567")
    world.mailer.refuses(Trouble.REFUSED)
    await world.notifications().handle(delivered(paid(reachable=True)))
    told = (await world.settled())["confirmation-1"]
    assert (told.status, told.channel, told.attempts) == (Status.SENT, Channel.SMS, 1)
    assert [message.to for message in world.texts.sent] == ["+3161234567"]


async def test_a_mailer_that_never_answers_is_waited_for_only_so_long(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.takes_seconds(60)
    await world.notifications(send_seconds=0.05).handle(delivered(paid(reachable=True)))
    late = (await world.settled())["confirmation-1"]
    assert (late.status, late.detail) == (Status.PENDING, "no answer in time")


async def test_a_mailer_that_breaks_on_one_message_still_sends_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def break_on_the_second(message: Message) -> None:
        if message.id == "confirmation-2":
            raise RuntimeError("cannot say that")

    world.mailer.then = break_on_the_second
    for number in (1, 2, 3):
        world.contacts.known[f"order-{number}"] = Contact(email="zoe@example.org")
    events = [paid(f"order-{number}", reachable=True) for number in (1, 2, 3)]
    await world.notifications().handle(delivered(*events))
    stored = await world.settled()
    assert [stored[f"confirmation-{n}"].status for n in (1, 2, 3)] == [Status.SENT, Status.PENDING, Status.SENT]
    assert "cannot say that" in caplog.text


async def test_while_no_address_can_be_asked_for_messages_wait(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.contacts.away = True
    service = world.notifications()
    await service.handle(delivered(paid(reachable=True)))
    waiting = (await world.settled())["confirmation-1"]
    assert waiting.status is Status.PENDING
    world.contacts.away = False
    world.clock.advance(10)
    await service.due.sweep()
    assert (await world.settled())["confirmation-1"].status is Status.SENT


async def test_many_messages_go_out_a_few_at_once_without_waiting_for_the_sweeper(world: World) -> None:
    world.mailer.takes_seconds(0.001)
    events = [paid(f"order-{number}", reachable=True) for number in range(100)]
    for event in events:
        world.contacts.known[event.data.order_id] = Contact(email="zoe@example.org")
    service = world.notifications(at_once=8)
    assert await service.handle(delivered(*events)) == [DONE] * 100
    stored = await world.settled()
    assert {notification.status for notification in stored.values()} == {Status.SENT}
    assert sorted(world.mailer.tried) == sorted(stored)
    assert world.mailer.most_at_once <= 8
    assert len(await world.published()) == 100


async def test_one_slow_message_does_not_hold_up_the_others(world: World) -> None:
    async def wait_for_the_first(message: Message) -> None:
        if message.id == "confirmation-0":
            await asyncio.sleep(60)

    world.mailer.then = wait_for_the_first
    events = [paid(f"order-{number}", reachable=True) for number in range(40)]
    for event in events:
        world.contacts.known[event.data.order_id] = Contact(email="zoe@example.org")
    service = world.notifications(at_once=4, send_seconds=30)
    await service.handle(delivered(*events))
    await world.mailer.has_sent(39)


async def test_what_a_crash_left_is_sent_after_the_restart_under_the_same_id(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")

    async def send_and_never_return(message: Message) -> None:
        world.mailer.sent.append(message)
        await asyncio.sleep(60)

    world.mailer.then = send_and_never_return
    before = world.notifications(send_seconds=30)
    await before.handle(delivered(paid(reachable=True)))
    await world.mailer.has_sent(1)
    await before.due.stop()
    world.mailer.then = None
    after = world.notifications(send_seconds=30)
    assert await after.due.sweep() == 0  # somebody else may still be at it
    world.clock.advance(68)
    assert await after.due.sweep() == 1
    assert (await world.settled())["confirmation-1"].attempts == 2
    assert [message.id for message in world.mailer.sent] == ["confirmation-1"] * 2
    assert len(await world.published()) == 1


async def test_a_message_that_brings_the_process_down_each_time_is_given_up(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.takes_seconds(60)
    for _ in range(6):
        service = world.notifications()
        await service.handle(delivered(paid(reachable=True)))
        world.clock.advance(3600)
        await service.due.sweep()
        await service.due.stop()
    assert (await world.stored())["confirmation-1"].status is Status.FAILED
    assert len(world.mailer.tried) <= 4


async def test_two_replicas_send_a_message_once(world: World) -> None:
    world.mailer.takes_seconds(0.01)
    one, other = world.notifications(), world.notifications()
    events = [paid(f"order-{number}", reachable=True) for number in range(30)]
    for event in events:
        world.contacts.known[event.data.order_id] = Contact(email="zoe@example.org")
    await asyncio.gather(one.handle(delivered(*events)), other.handle(delivered(*events)))
    await asyncio.gather(*(service.due.sweep() for service in (one, other, one, other)))
    await world.settled()
    assert sorted(world.mailer.tried) == sorted(await world.stored())


class Failing:
    """A store whose commits fail for a while."""

    def __init__(self, records: SqliteStore) -> None:
        self._records = records
        self.away = False
        self.get = records.get
        self.find = records.find

    async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        if self.away:
            raise StoreUnavailable("locked")
        return await self._records.commit(commits)


async def test_while_the_store_is_away_events_are_delivered_later(world: World) -> None:
    records = Failing(world.records)
    service = world.notifications(records=records)
    records.away = True
    with pytest.raises(StoreUnavailable):
        await service.handle(delivered(paid()))
    records.away = False
    assert await service.handle(delivered(paid())) == [DONE]
    assert len(await world.published()) == 1


@pytest.mark.parametrize("events", [(0, 1), (1, 0), (0, 0, 1, 1), (1, 1, 0, 0)])
async def test_a_confirmation_carries_its_receipt_whatever_comes_first(world: World, events: tuple[int, ...]) -> None:
    service = world.notifications(patience=5)
    facts = (taken(), paid())
    for at in events:
        await service.handle(delivered(facts[at]))
    await service.handle(delivered(paid(), attempt=2))
    (told,) = (await world.stored()).values()
    assert (told.payment_id, told.paid, told.paid_at) == ("payment-of-order-1", Money(9000, "EUR"), NOON)
    assert [event.payment_id for event in await world.published()] == ["payment-of-order-1"]


async def test_a_confirmation_waits_for_its_receipt_and_not_for_ever(world: World) -> None:
    service = world.notifications(patience=5)
    for attempt in (1, 2, 3, 4):
        assert await service.handle(delivered(paid(), attempt=attempt)) == [Acknowledgement.RETRY]
    assert await world.stored() == {}
    assert await service.handle(delivered(paid(), attempt=5)) == [DONE]  # its money came before receipts were kept
    assert [event.payment_id for event in await world.published()] == [None]
    await service.handle(delivered(taken(), paid(), attempt=6))
    assert len(await world.published()) == 1


async def test_in_one_batch_a_receipt_counts_for_what_stands_before_it(world: World) -> None:
    service = world.notifications(patience=5)
    assert await service.handle(delivered(paid(), taken(), cancelled(was_paid=True))) == [DONE] * 3
    assert [event.payment_id for event in await world.published()] == ["payment-of-order-1"] * 2


async def test_what_is_free_waits_for_no_receipt(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert await world.notifications(patience=5).handle(delivered(paid(total=0))) == [DONE]
    assert caplog.messages == ["Order order-1 is confirmed. 2 tickets (main), concert-1: free of charge."]


async def test_a_cancellation_without_money_waits_for_no_receipt(world: World) -> None:
    assert await world.notifications(patience=5).handle(delivered(cancelled(reason=CancelReason.EXPIRED))) == [DONE]


async def test_a_cancellation_says_that_money_was_taken_if_it_was(world: World) -> None:
    service = world.notifications(patience=5)
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    await service.handle(delivered(taken(), cancelled(reason=CancelReason.EXPIRED, reachable=True)))
    await world.settled()
    (message,) = world.mailer.sent
    assert "there were no seats left when the money came" in message.text
    assert "The €90.00 that you paid goes back to you." in message.text
    assert "payment-of-order-1" in message.text


async def test_while_nothing_of_the_concert_can_be_asked_messages_wait(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.programme.away = True
    service = world.notifications()
    await service.handle(delivered(paid(reachable=True)))
    assert (await world.settled())["confirmation-1"].status is Status.PENDING
    world.programme.away = False
    world.clock.advance(10)
    await service.due.sweep()
    assert (await world.settled())["confirmation-1"].status is Status.SENT


async def test_a_concert_that_is_gone_holds_no_message_up(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.programme.known = {}
    await world.notifications().handle(delivered(paid(reachable=True)))
    await world.settled()
    (message,) = world.mailer.sent
    assert "concert-1" in message.text


async def test_notifications_are_found_by_order(world: World) -> None:
    service = world.notifications()
    await service.handle(delivered(paid("order-1"), paid("order-2"), cancelled("order-1", was_paid=True)))
    found, next_ = await service.find(Query(equal={"orderId": "order-1"}))
    assert [notification.id for notification in found] == ["confirmation-1", "ticket-cancellation-1"]
    assert next_ is None
