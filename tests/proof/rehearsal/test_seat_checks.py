"""What a rehearsal makes of numbered seats: each promise is broken once, and found."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from cludale.services.concerts.seating import pretix, table
from cludale_proof.rehearsal import seat_checks
from cludale_proof.rehearsal.hall import Hall, has_places_aside, made
from cludale_proof.rehearsal.plan import AuditedEvent, Order, Payload, Seat

NOON = datetime(2027, 5, 1, 12, tzinfo=UTC)


def hall(seats: int) -> Hall:
    return Hall(plan(seats))


def plan(seats: int) -> dict[str, Any]:
    text, _ = made(seats)
    found: dict[str, Any] = msgspec.json.decode(pretix.write(table.read(text.encode())))
    return found


class Log:
    """Orders of a hall of ten seats in a row, and what is told of them."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.events: list[AuditedEvent] = []
        self.named: set[str] = set()

    def tell(self, type: str, order: str, numbers: tuple[int, ...], **more: Any) -> None:
        seats = tuple(Seat(f"Stalls-1-{number}") for number in numbers)
        at = len(self.events)
        payload = Payload(
            section="section-1", reservation_id=f"r-{order}", expires_at=NOON + timedelta(hours=1), numbered_seats=seats
        )
        self.events.append(
            AuditedEvent(at, f"e-{at}", type, order, None, payload, timestamp=NOON + timedelta(seconds=at), **more)
        )

    def sell(self, order: str, *numbers: int) -> None:
        for type in ("SeatsReserved", "SeatsSold", "TicketIssued"):
            self.tell(type, order, numbers)
        seats = [Seat(f"Stalls-1-{number}") for number in numbers]
        self.orders.append(Order(order, "Paid", len(seats), user_id=f"of-{order}", section="section-1", seats=seats))

    def broken(self, *, not_free: set[str] | None = None) -> set[str]:
        taken = {seat.id for order in self.orders for seat in order.seats} if not_free is None else not_free
        sold = seat_checks.Sold(hall(10), taken, {"section-1": "Stalls"}, self.named)
        return {check.name for check in seat_checks.of(sold, self.orders, self.events) if not check.ok}


@pytest.fixture
def log() -> Log:
    """Two orders side by side."""
    log = Log()
    log.sell("one", 5, 6)
    log.sell("two", 3, 4)
    return log


def test_a_hall_that_is_sold_well_holds(log: Log) -> None:
    assert log.broken() == set()


def test_a_seat_of_two_is_found(log: Log) -> None:
    log.sell("three", 4, 7)
    assert log.broken() == {"no seat twice"}


def test_a_seat_that_was_given_back_or_whose_hold_has_ended_is_somebody_elses(log: Log) -> None:
    log.tell("SeatsReserved", "gone", (7, 8))
    log.tell("SeatsReleased", "gone", (7, 8))
    log.tell("SeatsReserved", "late", (7, 8))
    log.events[-1] = replace(log.events[-1], payload=replace(log.events[-1].payload, expires_at=NOON))
    log.sell("three", 7, 8)
    assert log.broken() == set()


def test_a_ticket_for_another_seat_is_found(log: Log) -> None:
    log.events[-1] = replace(log.events[-1], payload=replace(log.events[-1].payload, numbered_seats=(Seat("x"),)))
    assert log.broken() == {"each sold seat on one order and one ticket"}


def test_a_sold_seat_that_can_be_had_is_found_and_one_that_cannot_and_is_nobodys(log: Log) -> None:
    seats = {seat.id for order in log.orders for seat in order.seats}
    assert log.broken(not_free=seats - {"Stalls-1-3"}) == {"each sold seat on one order and one ticket"}
    assert log.broken(not_free=seats | {"Stalls-1-1"}) == {"each sold seat on one order and one ticket"}


def test_a_seat_left_alone_is_found_unless_somebody_wanted_it_so_or_there_was_no_other_way(log: Log) -> None:
    log.sell("best", 8, 9)  # 7 and 10 are alone, and 9 and 10 would have left 7 and 8 together
    assert log.broken() == {"no avoidable single seat left over"}
    log.named.add("of-best")
    assert log.broken() == set()
    no_other_way = Log()
    no_other_way.sell("named", 3, 4, 5, 6, 7, 8, 9, 10)
    no_other_way.sell("single", 1)
    assert no_other_way.broken() == set()


def test_the_hall_that_is_made_has_as_many_seats_with_aisles_and_places_for_wheelchairs() -> None:
    large = hall(500)
    assert {zone: len(ids) for zone, ids in large.ids.items()} == {"Stalls": 350, "Balcony": 150}
    assert [len(stretch.ids) for stretch in large.zones["Stalls"][:3]] == [8, 10, 10], "two are aside, then an aisle"
    assert has_places_aside(plan(500))
    assert not has_places_aside(plan(10))
