"""Part refunds and the tickets that they make void."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cludale_proof.checker import ticket_rules
from cludale_proof.checker.documents import Money, OrderTickets, Part, Seats, Ticket
from cludale_proof.checker.events import Event, EventData, Fact
from cludale_proof.checker.lifecycle import fold

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
NOTHING = Money(amount=0, currency="EUR")


def fact(number: int, type: str, **data: Any) -> Fact:
    told = EventData(order_id="order-1", **data)
    return Fact(event=Event(id=f"e{number}", type=type, source="test", subject="s", time=NOON, data=told))


PART = Part(number=1, refund_id="refund-1.1", tickets=2, amount=NOTHING, left=NOTHING, held=1)
PAID = fact(1, "OrderPaid", quantity=3)
ISSUED = fact(2, "TicketIssued", quantity=3, step=1)
ASKED = fact(3, "PartRefundRequested", part=PART)


def void(*numbers: int, step: int = 2, part: int = 1) -> Fact:
    return fact(10 + step, "TicketRevoked", numbers=numbers, reason="given-back", step=step, part_number=part)


def broken(*facts: Fact, version: int = 0) -> set[str]:
    told = fold(facts)
    revoked = [each.event.data for each in told.tickets if each.event.type == "TicketRevoked"]
    record = OrderTickets(
        order_id="order-1",
        concert_id="c1",
        step=len(told.tickets),
        allocation=Seats(concert_id="c1", section="s1", quantity=3),
        changed={n: Ticket(revoked="given-back") for each in revoked for n in each.numbers or ()},
        parts=tuple(each.part_number or 0 for each in revoked),
        version=version,
    )
    wrong = [
        *ticket_rules.always(record, told, whole=True),
        *ticket_rules.once_quiet(record, told, since=NOON - timedelta(days=1)),
    ]
    return {each.rule for each in wrong}


def test_as_many_tickets_are_valid_as_seats_are_left() -> None:
    assert broken(PAID, ISSUED) == set()
    assert broken(PAID, ISSUED, ASKED, void(2, 3)) == set()


def test_tickets_are_written_once_more_for_each_erasure_and_for_nothing_else() -> None:
    erased = fact(4, "ContactErased", reason="asked")
    assert broken(PAID, ISSUED, erased, version=1) == set()
    assert broken(PAID, ISSUED, erased, version=2) == set()
    assert broken(PAID, ISSUED, erased, version=3) == {"tickets-untold"}
    assert broken(PAID, ISSUED, version=2) == {"tickets-untold"}


@pytest.mark.parametrize(
    ("facts", "rules"),
    [
        ((ASKED,), {"tickets-and-seats"}),
        ((ASKED, void(3)), {"given-back-otherwise", "tickets-and-seats"}),
        ((void(2, 3),), {"given-back-unasked", "tickets-and-seats"}),
        ((ASKED, void(2, 3), void(1, step=3)), {"given-back-otherwise", "given-back-twice", "tickets-and-seats"}),
    ],
)
def test_other_tickets_than_were_given_back_are_found(facts: tuple[Fact, ...], rules: set[str]) -> None:
    assert broken(PAID, ISSUED, *facts) == rules
