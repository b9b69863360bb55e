"""After the sale: part refunds, another name or address, the confirmation again."""

from datetime import timedelta

import msgspec
import pytest
from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal
from cludale.ports.charges import ChargeStanding, ChargeState
from cludale.ports.seats import SeatsHeld
from cludale.services.concerts.events import SeatsReturned
from cludale.services.orders import domain, lost_events
from cludale.services.orders.aftersale import domain as aftersale
from cludale.services.orders.aftersale.domain import Amendment, KeptParticulars, RefundWish
from cludale.services.orders.events import AmendedField, CancelReason, PartRefundRequested, Party
from cludale.services.orders.order import Order, OrderRequest, TooLateToCancel
from cludale.services.orders.privacy.domain import NOTHING, Particulars
from cludale.services.orders.store import Search
from cludale.services.payments.events import PartRefunded

REQUEST = OrderRequest(concert_id="concert-1", user_id="user-1", quantity=2, email="Ann@example.org", name="Ann Bee")
HELD = SeatsHeld(allocation(), Money(4500, "EUR"), NOON + timedelta(seconds=600), "event-1", NOON + timedelta(days=1))
RESERVED = domain.reserve(domain.place(REQUEST, order_id="order-1", now=NOON).state, HELD, now=NOON).state
PAID = domain.pay(RESERVED, allocation()).state
LEFT = Particulars("Ann@example.org", None, "Ann Bee")
ONE = RefundWish(by=Party.BUYER, tickets=1)


def euro(amount: int) -> RefundWish:
    return RefundWish(by=Party.ORGANIZER, amount=Money(amount, "EUR"), reason="a pillar")


def refunded(*wishes: RefundWish) -> Order:
    order = PAID
    for wish in wishes:
        order = aftersale.refund(order, wish, now=NOON).state
    return order


def test_a_ticket_goes_back_at_the_price_that_was_paid_for_it() -> None:
    decision = aftersale.refund(PAID, ONE, now=NOON)
    (event,) = decision.events
    assert isinstance(event, PartRefundRequested)
    part = event.part
    assert (part.refund_id, part.tickets, part.amount, part.left) == (
        "refund-1.1", 1, Money(4500, "EUR"), Money(4500, "EUR"),
    )  # fmt: skip
    assert (part.held, decision.state.held, decision.state.seats.quantity) == (1, 1, 2)
    assert decision.state.refunds[0].by is Party.BUYER


def test_a_ticket_gives_back_no_more_than_is_left() -> None:
    order = refunded(euro(6000), ONE)
    assert [each.part.amount.amount for each in order.refunds] == [6000, 3000]
    assert order.refunds[-1].part.left == Money(0, "EUR")


@pytest.mark.parametrize(
    ("order", "wish", "name"),
    [
        (RESERVED, ONE, "not-paid"),
        (domain.cancel(PAID, CancelReason.BUYER).state, ONE, "not-paid"),
        (PAID, RefundWish(by=Party.BUYER, tickets=2), "too-many-tickets"),
        (refunded(ONE), ONE, "too-many-tickets"),
        (PAID, euro(9001), "refund-too-large"),
        (refunded(euro(5000)), euro(4001), "refund-too-large"),
        (PAID, RefundWish(by=Party.ORGANIZER, amount=Money(1, "USD")), "invalid"),
    ],
)
def test_what_can_not_go_back_is_refused(order: Order, wish: RefundWish, name: str) -> None:
    with pytest.raises(Refusal) as refusal:
        aftersale.refund(order, wish, now=NOON)
    assert refusal.value.name() == name


def test_the_buyer_gives_tickets_back_in_time_and_the_organizer_always() -> None:
    late = NOON + timedelta(days=1)
    with pytest.raises(TooLateToCancel):
        aftersale.refund(PAID, ONE, now=late)
    assert aftersale.refund(PAID, RefundWish(by=Party.ORGANIZER, tickets=1), now=late).events


def test_no_more_part_refunds_than_an_order_keeps() -> None:
    order = refunded(*[euro(1)] * aftersale.MOST_REFUNDS)
    with pytest.raises(aftersale.TooManyChanges):
        aftersale.refund(order, euro(1), now=NOON)


def done(order: Order, number: int = 1) -> PartRefunded:
    part = order.refunds[number - 1].part
    return PartRefunded(payment_id="payment-1", order_id="order-1", part=part, allocation=allocation())


def back(number: int = 1) -> SeatsReturned:
    return SeatsReturned(order_id="order-1", number=number, tickets=1, returned_at=NOON, allocation=allocation())


def test_what_came_of_it_is_learnt_once_and_in_any_order() -> None:
    asked = lost_events.watched(refunded(ONE), look_at=NOON + timedelta(seconds=60))
    assert asked.due_at is not None
    told: list[PartRefunded | SeatsReturned] = [done(asked), back()]
    for events in (told, told[::-1]):
        order = asked
        for event in (*events, *events):
            order = domain.evolve(order, event, at=NOON)
        assert (order.refunds[0].done_at, order.refunds[0].returned_at, order.due_at) == (NOON, NOON, None)
        assert domain.evolve(order, events[0], at=NOON + timedelta(days=1)) is order


def test_what_nothing_is_heard_of_is_asked_for_again_word_for_word() -> None:
    asked = aftersale.refund(PAID, ONE, now=NOON)
    order = lost_events.watched(asked.state, look_at=NOON)
    again = aftersale.asked_again(order, now=NOON, look_at=NOON + timedelta(seconds=60))
    assert (again.events, again.again, again.at) == (asked.events, True, NOON)
    assert aftersale.asked_again(again.state, now=NOON, look_at=NOON).events == ()


def test_a_cancelled_order_asks_again_until_it_knows_that_each_part_is_back() -> None:
    off = domain.cancel(refunded(ONE, euro(5)), CancelReason.BUYER)
    (event,) = off.events
    assert [part.amount.amount for part in event.part_refunds] == [4500, 5]  # type: ignore[attr-defined]
    order = domain.evolve(lost_events.watched(off.state, look_at=NOON), done(off.state), at=NOON)
    charge = ChargeStanding("order-1", ChargeState.REFUNDED, 1, closed=True)
    found = lost_events.compared(order, charge, has_seats=False)
    assert [request.part.number for request in found.decision.events] == [2]  # type: ignore[attr-defined]
    order = domain.evolve(order, done(order, 2), at=NOON)
    assert lost_events.compared(order, charge, has_seats=False).decision.state.due_at is None


def test_an_amendment_tells_what_was_changed_and_not_to_what() -> None:
    wanted = Amendment(email="new@example.org", phone=None, comment="sits in a wheelchair")
    decision, left = aftersale.amend(PAID, KeptParticulars(LEFT), wanted, by=Party.ORGANIZER)
    (event,) = decision.events
    assert event.fields == (AmendedField.EMAIL, AmendedField.COMMENT)  # type: ignore[attr-defined]
    assert left == Particulars("new@example.org", None, "Ann Bee", "sits in a wheelchair")
    for told in (event, decision.state):
        assert b"example" not in msgspec.json.encode(told)
        assert b"wheelchair" not in msgspec.json.encode(told)
    again, _ = aftersale.amend(decision.state, KeptParticulars(left), wanted, by=Party.ORGANIZER)
    assert again.state is decision.state
    with pytest.raises(aftersale.CommentForOrganizers):
        aftersale.amend(PAID, KeptParticulars(LEFT), wanted, by=Party.BUYER)


def test_an_order_is_reachable_as_long_as_an_address_is_left() -> None:
    gone, left = aftersale.amend(PAID, KeptParticulars(LEFT), Amendment(email=None), by=Party.BUYER)
    assert not gone.state.reachable
    back, _ = aftersale.amend(gone.state, KeptParticulars(left), Amendment(phone="+49 30 1234567"), by=Party.BUYER)
    assert back.state.reachable


def test_an_erased_order_gets_nothing_again() -> None:
    for wanted in (Amendment(name="Ann"), Amendment(email="a@example.org"), Amendment(comment="x")):
        with pytest.raises(aftersale.BuyerErased):
            aftersale.amend(PAID, KeptParticulars(NOTHING, is_erased=True), wanted, by=Party.ORGANIZER)
    same, _ = aftersale.amend(PAID, KeptParticulars(NOTHING, is_erased=True), Amendment(name=None), by=Party.BUYER)
    assert same.state is PAID


def test_a_cancellation_is_told_again_as_it_was_whatever_became_of_the_address() -> None:
    off = domain.cancel(PAID, CancelReason.BUYER)
    order = lost_events.watched(off.state, look_at=NOON)
    order = aftersale.amend(order, KeptParticulars(LEFT), Amendment(email=None), by=Party.ORGANIZER).decision.state
    charge = ChargeStanding("order-1", ChargeState.TAKEN, 1)
    assert lost_events.compared(order, charge, has_seats=True).decision.events == off.events


def test_a_confirmation_is_sent_again_once_a_minute_and_so_often() -> None:
    order = aftersale.resend(PAID, now=NOON).state
    with pytest.raises(aftersale.ResentTooSoon):
        aftersale.resend(order, now=NOON + timedelta(seconds=59))
    for minute in range(1, aftersale.MOST_RESENDS):
        order = aftersale.resend(order, now=NOON + timedelta(minutes=minute)).state
    with pytest.raises(aftersale.TooManyChanges):
        aftersale.resend(order, now=NOON + timedelta(days=1))
    with pytest.raises(aftersale.NoAddress):
        aftersale.resend(msgspec.structs.replace(PAID, has_contact=False), now=NOON)
    with pytest.raises(aftersale.NotPaid):
        aftersale.resend(RESERVED, now=NOON)


@pytest.mark.parametrize(
    ("search", "matches"),
    [
        (Search(id_prefix="order-"), True),
        (Search(id_prefix="order-2"), False),
        (Search(since=NOON, until=NOON + timedelta(seconds=1)), True),
        (Search(until=NOON), False),
        (Search(user_id="user-2"), False),
    ],
)
def test_an_order_is_found_by_what_is_known_of_it(search: Search, *, matches: bool) -> None:
    assert search.matches(PAID) is matches
