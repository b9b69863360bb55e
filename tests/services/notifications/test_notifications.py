"""A buyer is told once, of what is true, by the way they left us."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from tests.fakes import NOON
from tests.services.notifications.conftest import CODEC, World

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Cause, Envelope, envelop
from cludale.kernel.money import Money
from cludale.ports.bus import Answer, Delivery
from cludale.ports.contacts import Contact
from cludale.ports.messengers import Message
from cludale.ports.records import Commit, Outcome, Query, StoreUnavailable
from cludale.services.notifications.domain import Status
from cludale.services.notifications.events import Channel, NotificationKind, NotificationSent
from cludale.services.notifications.store import NOTIFICATIONS
from cludale.services.orders.events import CancelReason, OrderCancelled, OrderPaid

DONE = Answer.SUCCESS


def paid(order: str = "order-1", *, reachable: bool = False) -> Envelope:
    event = OrderPaid(
        order_id=order,
        concert_id="concert-1",
        reservation_id=f"reservation-of-{order}",
        section="main",
        quantity=2,
        total=Money(9000, "EUR"),
        reachable=reachable,
    )
    return envelop(event, id=f"paid-{order}", source="orders", time=NOON, cause=Cause(None, "00-trace-01"))


def cancelled(
    order: str = "order-1",
    *,
    reason: CancelReason = CancelReason.BUYER,
    was_paid: bool = False,
    reachable: bool = False,
) -> Envelope:
    event = OrderCancelled(
        order_id=order,
        concert_id="concert-1",
        reservation_id=None,
        section=None,
        quantity=2,
        total=Money(9000, "EUR"),
        reason=reason,
        was_paid=was_paid,
        reachable=reachable,
    )
    return envelop(event, id=f"{reason}-{order}", source="orders", time=NOON, cause=Cause())


def delivered(*events: Envelope) -> Sequence[Delivery]:
    return [Delivery(event, CODEC.encode(event)) for event in events]


async def test_a_buyer_without_an_address_is_told_in_the_log_and_the_store(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert await world.notifications().handle(delivered(paid())) == [DONE]
    assert caplog.messages == [
        "Order order-1 is confirmed: 2 tickets in section main for concert concert-1, 90.00 EUR paid."
    ]
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
    assert message.subject == "Your tickets: order order-1 is confirmed"
    assert "2 tickets in section main for concert concert-1, 90.00 EUR paid" in message.text
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
    world.mailer.refuses(permanent=False)
    await world.notifications(attempts=1).handle(delivered(paid(reachable=True)))
    await world.settled()
    page = await world.records.find(NOTIFICATIONS.kind, Query())
    assert page.items
    assert all(b"zoe" not in stored.body and b"316" not in stored.body for stored in page.items)
    assert all(b"zoe" not in entry.body for entry in await world.records.pending(0, 10))


async def test_a_message_that_does_not_go_out_is_tried_again_later_and_later(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.refuses(permanent=False)
    service = world.notifications()
    await service.handle(delivered(paid(reachable=True)))
    first = (await world.settled())["confirmation-1"]
    assert (first.status, first.attempts, first.detail) == (Status.PENDING, 1, "451 not now")
    assert first.due_at is not None
    assert (first.due_at - NOON).total_seconds() == 10
    world.clock.advance(9)
    assert await service.sweep() == 0
    world.clock.advance(1)
    assert await service.sweep() == 1
    second = (await world.settled())["confirmation-1"]
    assert second.due_at is not None
    assert (second.due_at - world.clock.now()).total_seconds() == 20
    world.mailer.then = None
    world.clock.advance(20)
    assert await service.sweep() == 1
    assert (await world.settled())["confirmation-1"].status is Status.SENT
    assert world.mailer.tried == ["confirmation-1"] * 3
    assert len(await world.published()) == 1


async def test_a_message_is_given_up_after_its_last_try(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.refuses(permanent=False)
    service = world.notifications(attempts=2)
    await service.handle(delivered(paid(reachable=True)))
    await world.settled()
    world.clock.advance(60)
    await service.sweep()
    failed = (await world.settled())["confirmation-1"]
    assert (failed.status, failed.attempts, failed.due_at) == (Status.FAILED, 2, None)
    assert "confirmation-1 was given up after 2 tries: 451 not now" in caplog.messages
    world.clock.advance(3600)
    assert await service.sweep() == 0
    assert await world.published() == []


async def test_a_message_refused_for_good_is_not_tried_again(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.refuses(permanent=True)
    await world.notifications().handle(delivered(paid(reachable=True)))
    failed = (await world.settled())["confirmation-1"]
    assert (failed.status, failed.detail, failed.channel) == (Status.FAILED, "550 no", Channel.EMAIL)
    assert world.mailer.tried == ["confirmation-1"]


async def test_who_cannot_be_reached_by_e_mail_gets_a_text_message(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org", phone="+3161234567")
    world.mailer.refuses(permanent=True)
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
    await service.sweep()
    assert (await world.settled())["confirmation-1"].status is Status.SENT


async def test_many_messages_go_out_a_few_at_once_without_waiting_for_the_sweeper(world: World) -> None:
    world.mailer.takes_seconds(0.001)
    events = [paid(f"order-{number}", reachable=True) for number in range(100)]
    for event in events:
        world.contacts.known[event.data.order_id] = Contact(email="zoe@example.org")
    service = world.notifications(concurrency=8)
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
    service = world.notifications(concurrency=4, send_seconds=30)
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
    await before.stop()
    world.mailer.then = None
    after = world.notifications(send_seconds=30)
    assert await after.sweep() == 0  # somebody else may still be at it
    world.clock.advance(96)
    assert await after.sweep() == 1
    assert (await world.settled())["confirmation-1"].attempts == 2
    assert [message.id for message in world.mailer.sent] == ["confirmation-1"] * 2
    assert len(await world.published()) == 1


async def test_a_message_that_brings_the_process_down_each_time_is_given_up(world: World) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    world.mailer.takes_seconds(60)
    for _ in range(2):
        service = world.notifications(attempts=2)
        await service.handle(delivered(paid(reachable=True)))
        world.clock.advance(3600)
        await service.sweep()
        await service.stop()
    world.clock.advance(3600)
    after = world.notifications(attempts=2)
    await after.sweep()
    assert (await world.settled())["confirmation-1"].status is Status.FAILED
    assert len(world.mailer.tried) <= 2


async def test_two_replicas_send_a_message_once(world: World) -> None:
    world.mailer.takes_seconds(0.01)
    one, other = world.notifications(), world.notifications()
    events = [paid(f"order-{number}", reachable=True) for number in range(30)]
    for event in events:
        world.contacts.known[event.data.order_id] = Contact(email="zoe@example.org")
    await asyncio.gather(one.handle(delivered(*events)), other.handle(delivered(*events)))
    await asyncio.gather(*(service.sweep() for service in (one, other, one, other)))
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


@pytest.mark.parametrize(
    ("reason", "was_paid", "says"),
    [
        (CancelReason.BUYER, True, "as you wished: 2 tickets for concert concert-1. The 90.00 EUR that you paid"),
        (CancelReason.BUYER, False, "as you wished: 2 tickets for concert concert-1. If money was taken for it"),
        (CancelReason.ORGANIZER, True, "by the organizer"),
        (CancelReason.DECLINED, False, "because the payment was declined"),
        (CancelReason.EXPIRED, False, "because it was not paid in time"),
        (CancelReason.SOLD_OUT, False, "because there are not enough seats left: 2 tickets for concert concert-1.\n"),
        (CancelReason.NOT_ON_SALE, False, "because its tickets are not on sale yet: 2 tickets for concert"),
        (CancelReason.PAYMENT_FAILED, False, "because the payment did not go through"),
    ],
)
async def test_a_cancellation_says_why_and_what_becomes_of_the_money(
    world: World, reason: CancelReason, was_paid: bool, says: str
) -> None:
    world.contacts.known["order-1"] = Contact(email="zoe@example.org")
    await world.notifications().handle(delivered(cancelled(reason=reason, was_paid=was_paid, reachable=True)))
    await world.settled()
    (message,) = world.mailer.sent
    assert message.subject == "Order order-1 is cancelled"
    assert says in message.text
    assert ("refunded" in message.text) == was_paid


async def test_notifications_are_found_by_order(world: World) -> None:
    service = world.notifications()
    await service.handle(delivered(paid("order-1"), paid("order-2"), cancelled("order-1", was_paid=True)))
    found, next_ = await service.find(Query(equal={"orderId": "order-1"}))
    assert [notification.id for notification in found] == ["confirmation-1", "ticket-cancellation-1"]
    assert next_ is None
