"""A concert's sale as it stood, from its events: to the second, told twice or late, read on as the log grows."""

from datetime import datetime, timedelta
from itertools import count

import msgspec
import pytest
from tests.fakes import NOON
from tests.product.services.audit.samples import CODEC, delivered, enveloped, placed
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Event
from cludale.kernel.money import Money
from cludale.kernel.refusals import NotFound
from cludale.services.audit import sale, sales
from cludale.services.audit.sale import Happened, Sale, SaleThen
from cludale.services.audit.sales import Sales
from cludale.services.audit.service import Audit
from cludale.services.concerts.events import (
    ConcertScheduled,
    ReleaseReason,
    SeatsAdded,
    SeatsReleased,
    SeatsReserved,
    SeatsReturned,
    SeatsSold,
    SectionPlan,
)
from cludale.services.orders.events import OrderPaid, OrderPlaced, PartRefund, TicketReserved
from cludale.services.payments.events import PartRefunded, PaymentCompleted, PaymentRefunded

EUR = Money(9000, "EUR")
HALF = Money(4500, "EUR")
SEATS = allocation("r1", 2, section="main")


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


class Told:
    """A sale that is told event by event."""

    def __init__(self) -> None:
        self.sale = Sale()
        self._ids = count()

    def tell(self, second: float, event: Event, *, repeated: bool = False) -> None:
        envelope = enveloped(event, f"e{next(self._ids)}", None, at(second))
        envelope = msgspec.structs.replace(envelope, repeated=repeated)
        self.sale.tell(msgspec.json.decode(CODEC.encode(envelope), type=Happened))

    def then(self, second: float) -> SaleThen:
        return self.sale.at("concert-1", at(second), complete=True)

    def seats(self, second: float) -> tuple[int, int, int]:
        """Left, held, sold."""
        (main,) = self.then(second).sections
        return main.available_seats, main.held_seats, main.sold_seats


@pytest.fixture
def told() -> Told:
    told = Told()
    plan = SectionPlan(id="main", name="Main", total_seats=10, price=HALF)
    told.tell(
        0,
        ConcertScheduled(
            concert_id="concert-1",
            artist="A",
            date="2027-06-05",
            venue=None,
            sections=(plan,),
            on_sale_at=None,
            max_per_order=8,
        ),
    )
    return told


def ordered(told: Told) -> None:
    told.tell(10, OrderPlaced(order_id="o1", concert_id="concert-1", user_id="u", quantity=2, section=None))
    told.tell(11, SeatsReserved(order_id="o1", expires_at=at(600), allocation=SEATS))
    told.tell(
        12,
        TicketReserved(
            order_id="o1", user_id="u", total=EUR, payment_method="card-ok", expires_at=at(600), allocation=SEATS
        ),
    )


def bought(told: Told) -> None:
    ordered(told)
    told.tell(20, PaymentCompleted(payment_id="p1", order_id="o1", amount=EUR, round=1, attempts=1, allocation=SEATS))
    told.tell(21, SeatsSold(order_id="o1", allocation=SEATS))
    told.tell(22, OrderPaid(order_id="o1", total=EUR, reachable=False, allocation=SEATS))


def test_seats_orders_and_money_are_as_they_stood_at_each_moment(told: Told) -> None:
    bought(told)
    assert [told.seats(second) for second in (0, 10, 11, 20, 21)] == [
        (10, 0, 0), (10, 0, 0), (8, 2, 0), (8, 2, 0), (8, 0, 2),
    ]  # fmt: skip
    assert [told.then(second).orders for second in (9, 10, 12, 22)] == [
        {"Pending": 0, "Reserved": 0, "Paid": 0, "Cancelled": 0},
        {"Pending": 1, "Reserved": 0, "Paid": 0, "Cancelled": 0},
        {"Pending": 0, "Reserved": 1, "Paid": 0, "Cancelled": 0},
        {"Pending": 0, "Reserved": 0, "Paid": 1, "Cancelled": 0},
    ]
    assert (told.then(19).taken, told.then(20).taken) == ([], [EUR])
    assert told.then(20).at == at(21)
    assert (told.then(0).first, told.then(0).last) == (at(0), at(22))


def test_a_hold_that_ends_gives_its_seats_back_and_may_come_again(told: Told) -> None:
    ordered(told)
    told.tell(30, SeatsReleased(order_id="o1", reason=ReleaseReason.EXPIRED, allocation=SEATS))
    assert (told.seats(29), told.seats(30)) == ((8, 2, 0), (10, 0, 0))
    told.tell(40, SeatsReserved(order_id="o1", expires_at=at(600), allocation=SEATS))
    told.tell(41, SeatsSold(order_id="o1", allocation=SEATS))
    assert (told.seats(40), told.seats(41)) == ((8, 2, 0), (8, 0, 2))


def test_a_part_and_then_the_rest_come_back_once(told: Told) -> None:
    bought(told)
    part = PartRefund(number=1, refund_id="f1", tickets=1, amount=HALF, left=HALF, held=1)
    told.tell(30, SeatsReturned(order_id="o1", number=1, tickets=1, returned_at=at(30), allocation=SEATS))
    told.tell(31, PartRefunded(payment_id="p1", order_id="o1", part=part, allocation=SEATS))
    assert told.seats(31) == (9, 0, 1)
    told.tell(40, SeatsReleased(order_id="o1", reason=ReleaseReason.CANCELLED, allocation=SEATS))
    told.tell(41, PaymentRefunded(payment_id="p1", order_id="o1", concert_id="concert-1", amount=HALF, round=1))
    assert told.seats(40) == (10, 0, 0)
    assert (told.then(31).refunded, told.then(41).refunded) == ([HALF], [EUR])


def test_seats_that_are_held_without_an_order_count(told: Told) -> None:
    told.tell(5, SeatsReserved(order_id=None, expires_at=at(600), allocation=SEATS))
    assert told.seats(5) == (8, 2, 0)


def test_what_is_told_again_changes_nothing(told: Told) -> None:
    bought(told)
    before = told.then(60)
    for repeated in (
        SeatsReserved(order_id="o1", expires_at=at(600), allocation=SEATS),
        SeatsSold(order_id="o1", allocation=SEATS),
        PaymentCompleted(payment_id="p1", order_id="o1", amount=EUR, round=1, attempts=1, allocation=SEATS),
        OrderPaid(order_id="o1", total=EUR, reachable=False, allocation=SEATS),
    ):
        told.tell(50, repeated, repeated=True)
    after = told.then(60)
    assert (after.sections, after.orders, after.taken) == (before.sections, before.orders, before.taken)


def test_a_section_grows_and_the_curve_goes_from_the_first_event_to_the_last(told: Told) -> None:
    told.tell(5, SeatsAdded(concert_id="concert-1", section="main", change=1, changed_by="k", seats=5, total_seats=15))
    bought(told)
    assert (told.seats(4), told.seats(5)) == ((10, 0, 0), (15, 0, 0))
    curve = told.then(0).curve
    assert len(curve) == 23
    assert [(each.sold, each.held) for each in curve[-3:]] == [(0, 2), (2, 0), (2, 0)]


def test_a_long_sale_keeps_so_many_moments_and_its_sums(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sale, "MOST_MOMENTS", 8)
    for number in range(40):
        seats = allocation(f"s{number}", 1, section="main")
        told.tell(10 + 7 * number, SeatsReserved(order_id=f"s{number}", expires_at=at(900), allocation=seats))
    (main,) = told.then(3_600).sections
    assert main.held_seats == 40
    assert told.then(0).at > at(1)  # several seconds are one by now


async def test_the_log_is_read_once_and_then_on(
    audit: Audit, records: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sales, "PAGE", 3)
    ticks = count(0, 0)
    looked = Sales(records, clock=lambda: float(next(ticks)))
    with pytest.raises(NotFound):
        await looked.at("concert-1", at(60))
    await audit.handle(delivered(*(placed(f"e{number}", f"o{number}", at(number)) for number in range(7))))
    first = await looked.at("concert-1", at(3))
    assert (first.events, first.orders["Pending"], first.complete) == (7, 4, True)
    await audit.handle(delivered(placed("e7", "o7", at(7))))
    assert (await looked.at("concert-1", at(60))).orders["Pending"] == 8


async def test_a_large_log_is_read_in_parts(
    audit: Audit, records: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sales, "PAGE", 3)
    await audit.handle(delivered(*(placed(f"e{number}", f"o{number}", at(number)) for number in range(7))))
    ticks = count(0, 10)
    looked = Sales(records, clock=lambda: float(next(ticks)))
    found = [await looked.at("concert-1", at(60)) for _ in range(3)]
    assert [(each.events, each.complete) for each in found] == [(3, False), (6, False), (7, True)]
