"""Rules of tickets, and what the door says."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace
from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.allocation import Allocation, NumberedSeat
from cludale.kernel.refusals import NotFound
from cludale.ports.programme import ConcertDetails
from cludale.services.orders.events import ErasureReason
from cludale.services.tickets import domain, door
from cludale.services.tickets.domain import NotInside, OrderTickets, TicketUsed, TicketVoid
from cludale.services.tickets.door import Open, Result
from cludale.services.tickets.events import Direction, RevokeReason, TicketReseated, TicketRevoked, UndoReason

ORDER = "order-1"
HOURS = Open(NOON - timedelta(hours=1), NOON + timedelta(hours=9))


def issued(quantity: int = 3) -> OrderTickets:
    seats = allocation(quantity=quantity)
    return domain.issue(None, order_id=ORDER, allocation=seats, key_id="aa00", now=NOON).state


def entered(tickets: OrderTickets, number: int, scan_id: str = "s1") -> OrderTickets:
    return domain.admit(tickets, number, generation=1, door="north", scan_id=scan_id, now=NOON).state


def said(
    tickets: OrderTickets,
    number: int,
    *,
    generation: int = 1,
    way: Direction = Direction.IN,
    scan: str = "s2",
    reentry: bool = False,
    now: datetime = NOON,
) -> door.Scanned:
    return door.judged(
        tickets.ticket(number),
        generation=generation,
        direction=way,
        scan_id=scan,
        reentry=reentry,
        hours=HOURS,
        now=now,
    )


def test_an_order_gets_one_ticket_a_seat_once() -> None:
    tickets = issued(3)
    assert tickets.valid == [1, 2, 3]
    again = domain.issue(tickets, order_id=ORDER, allocation=allocation(quantity=3), key_id="bb11", now=NOON)
    assert again.state is tickets
    assert not again.events


def test_an_order_that_was_cancelled_before_gets_none() -> None:
    off = domain.cancel(None, order_id=ORDER, concert_id="concert-1", now=NOON)
    assert [type(event) for event in off.events] == [TicketRevoked]
    late = domain.issue(off.state, order_id=ORDER, allocation=allocation(), key_id="aa00", now=NOON)
    assert late.state is off.state
    assert not late.state.valid


def test_a_cancelled_order_has_no_valid_ticket_and_is_cancelled_once() -> None:
    off = domain.cancel(issued(2), order_id=ORDER, concert_id="concert-1", now=NOON)
    assert not off.state.valid
    assert off.events[0].numbers == (1, 2)  # type: ignore[attr-defined]
    assert not domain.cancel(off.state, order_id=ORDER, concert_id="concert-1", now=NOON).events


def test_seats_that_go_back_take_the_last_tickets_that_nobody_used_or_gave_on() -> None:
    tickets = domain.transfer(entered(issued(4), 4), 3, holder="Zoë", now=NOON).state
    after = domain.give_back(tickets, 2, part=1, now=NOON).state
    assert after.valid == [3, 4]
    assert after.ticket(1).revoked is RevokeReason.GIVEN_BACK
    assert not domain.give_back(after, 9, part=2, now=NOON).state.valid


def test_a_part_refund_takes_its_tickets_once() -> None:
    first = domain.give_back(issued(4), 1, part=1, now=NOON)
    assert first.events[0].part_number == 1  # type: ignore[attr-defined]
    assert domain.give_back(first.state, 1, part=1, now=NOON).state is first.state
    second = domain.give_back(first.state, 2, part=3, now=NOON).state
    assert (second.valid, second.parts) == ([1], (1, 3))
    assert not domain.give_back(second, 2, part=3, now=NOON).events


def test_a_transferred_ticket_has_a_new_generation_and_its_holder_is_in_no_event() -> None:
    decision = domain.transfer(issued(), 2, holder="Zoë", now=NOON)
    assert decision.state.ticket(2).holder == "Zoë"
    assert decision.state.ticket(2).generation == 2
    assert "Zoë" not in repr(decision.events)


def test_a_ticket_that_is_void_or_used_is_not_transferred() -> None:
    with pytest.raises(TicketUsed):
        domain.transfer(entered(issued(), 1), 1, holder=None, now=NOON)
    with pytest.raises(TicketVoid):
        domain.transfer(domain.give_back(issued(), 3, part=1, now=NOON).state, 1, holder=None, now=NOON)
    with pytest.raises(NotFound):
        domain.transfer(issued(), 4, holder=None, now=NOON)


def test_the_door_lets_each_in_once_and_says_where_before() -> None:
    tickets = issued()
    assert said(tickets, 1) == (Result.VALID, None, None, None)
    assert said(entered(tickets, 1), 1) == (Result.USED, NOON, "north", None)


def test_the_same_scan_told_again_gets_the_same_answer() -> None:
    assert said(entered(issued(), 1, "s2"), 1, scan="s2") == (Result.VALID, NOON, "north", None)


def test_void_replaced_early_and_late_tickets_stay_out() -> None:
    assert said(domain.give_back(issued(1), 1, part=1, now=NOON).state, 1).result is Result.REVOKED
    assert said(domain.transfer(issued(), 1, holder=None, now=NOON).state, 1).result is Result.REPLACED
    assert said(issued(), 1, now=HOURS.since - timedelta(seconds=1)) == (Result.NOT_YET, HOURS.since, None, None)
    assert said(issued(), 1, now=HOURS.until).result is Result.OVER


def test_who_went_out_comes_back_only_where_that_is_wanted() -> None:
    tickets = entered(issued(), 1)
    assert said(tickets, 1, way=Direction.OUT).result is Result.VALID
    out = domain.let_out(tickets, 1, door="south", scan_id="s9", now=NOON).state
    assert said(out, 1).result is Result.USED
    assert said(out, 1, reentry=True).result is Result.VALID
    assert said(out, 1, way=Direction.OUT).result is Result.NOT_INSIDE


def test_who_is_inside_goes_out_though_the_ticket_is_void_or_its_seat_another_one() -> None:
    inside = entered(issued(1), 1)
    void = domain.cancel(inside, order_id=ORDER, concert_id="concert-1", now=NOON).state
    assert said(void, 1).result is Result.REVOKED
    assert said(void, 1, way=Direction.OUT).result is Result.VALID
    out = domain.let_out(void, 1, door="south", scan_id="s9", now=NOON).state
    assert not out.ticket(1).inside
    assert [said(out, 1, way=way, reentry=True).result for way in Direction] == [Result.REVOKED] * 2
    given_on = msgspec.structs.replace(inside.ticket(1), generation=2)
    former = msgspec.structs.replace(inside, changed={1: given_on})
    assert said(former, 1, way=Direction.OUT).result is Result.REPLACED
    reseated = msgspec.structs.replace(inside.ticket(1), generation=2, reseated=1, had_since=1)
    moved = msgspec.structs.replace(inside, changed={1: reseated})
    assert said(moved, 1).result is Result.REPLACED
    assert said(moved, 1, way=Direction.OUT).result is Result.VALID


def test_an_admission_is_undone_once() -> None:
    undone = domain.undo(entered(issued(), 1), 1, reason=UndoReason.MISTAKE, now=NOON).state
    assert said(undone, 1).result is Result.VALID
    with pytest.raises(NotInside):
        domain.undo(undone, 1, reason=UndoReason.MISTAKE, now=NOON)


def test_counts_are_by_door_and_minute() -> None:
    tickets = entered(entered(issued(3), 1), 2, "s3")
    tickets = domain.let_out(tickets, 2, door="south", scan_id="s4", now=NOON + timedelta(seconds=61)).state
    counted = door.counts([tickets, issued(1)])
    assert (counted.tickets, counted.admitted, counted.inside) == (4, 2, 1)
    assert [(each.door, each.came, each.left) for each in counted.minutes] == [("north", 2, 0), ("south", 0, 1)]


def test_doors_of_a_day_without_a_place_open_where_it_begins_first() -> None:
    hours = door.open_hours(ConcertDetails("A", "2099-06-05"), before=timedelta(hours=1))
    assert hours.since == datetime(2099, 6, 4, 9, tzinfo=UTC)
    assert hours.until >= datetime(2099, 6, 6, 12, tzinfo=UTC)


def test_doors_of_a_day_open_and_close_by_the_clocks_of_its_place() -> None:
    there = ConcertDetails("A", "2099-06-05", zone="Australia/Sydney")
    hours = door.open_hours(there, before=timedelta(hours=1))
    assert hours.since == datetime(2099, 6, 4, 13, tzinfo=UTC)
    assert hours.until == datetime(2099, 6, 6, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("doors_at", "since"), [("2099-06-05T18:00:00+02:00", 16), ("2099-06-05T19:45:00+02:00", 17)], ids=["wide", "close"]
)
def test_who_comes_when_the_doors_open_is_let_in(doors_at: str, since: int) -> None:
    concert = ConcertDetails("A", "2099-06-05T20:00:00+02:00", doors_at=doors_at)
    hours = door.open_hours(concert, before=timedelta(hours=1))
    assert hours.since == datetime(2099, 6, 5, since, tzinfo=UTC)


@pytest.mark.parametrize("id", ["ticket-1", "ticket-1.0", "ticket-1.x", "order-1.1", "ticket-1.01", "ticket-.²"])
def test_what_is_no_ticket_id_is_found_nowhere(id: str) -> None:
    with pytest.raises(NotFound):
        domain.parsed_id(id)


def test_an_id_names_order_and_number() -> None:
    assert domain.parsed_id(domain.ticket_id("order-1.ab", 12)) == ("order-1.ab", 12)
    assert replace(issued()).quantity == 3


def seated(*numbers: int, moves: int = 0) -> Allocation:
    named = tuple(NumberedSeat(f"A-{number}", "A", str(number), number) for number in numbers)
    return replace(allocation(quantity=len(numbers)), numbered_seats=named, moves=moves or UNSET)


def with_seats() -> OrderTickets:
    return domain.issue(None, order_id=ORDER, allocation=seated(1, 2, 3), key_id="aa00", now=NOON).state


class TestSeatsThatWereMoved:
    def test_their_tickets_have_new_codes_and_the_others_their_old_ones(self) -> None:
        decision = domain.reseat(with_seats(), seated(7, 2, 3, moves=1), now=NOON)
        (event,) = decision.events
        assert isinstance(event, TicketReseated)
        assert event.numbers == (1,)
        tickets = decision.state
        assert [tickets.ticket(number).generation for number in (1, 2, 3)] == [2, 1, 1]
        assert said(tickets, 1).result is Result.REPLACED
        assert said(tickets, 1, generation=2).result is Result.VALID
        assert tickets.ticket(1).is_of_holder(1)
        assert domain.reseat(tickets, seated(7, 2, 3, moves=1), now=NOON).state is tickets

    def test_a_void_ticket_gets_none(self) -> None:
        back = domain.give_back(with_seats(), 1, part=1, numbers=(1,), now=NOON).state
        decision = domain.reseat(back, seated(7, 8, 3, moves=1), now=NOON)
        assert decision.events[0].numbers == (2,)  # type: ignore[attr-defined]
        assert decision.state.ticket(1).generation == 1

    def test_who_was_let_in_stays_in_and_nobody_comes_in_after_them(self) -> None:
        tickets = domain.reseat(entered(with_seats(), 1), seated(7, 2, 3, moves=1), now=NOON).state
        assert tickets.ticket(1).is_inside
        assert said(tickets, 1, generation=2).result is Result.USED

    def test_it_is_the_holder_s_as_before_and_their_name_goes_when_it_did(self) -> None:
        given = domain.transfer(with_seats(), 1, holder="Zoë", now=NOON).state
        moved = domain.reseat(given, seated(7, 2, 3, moves=1), now=NOON).state
        ticket = moved.ticket(1)
        assert (ticket.generation, ticket.is_transferred, ticket.holder) == (3, True, "Zoë")
        assert (ticket.is_of_holder(1), ticket.is_of_holder(2)) == (False, True)
        assert not domain.reseat(with_seats(), seated(7, 2, 3, moves=1), now=NOON).state.ticket(1).is_transferred
        assert domain.forget_holders(moved, ErasureReason.ASKED, at=NOON, now=NOON).state.ticket(1).holder is None
        again = domain.transfer(moved, 1, holder="Ann", now=NOON).state
        assert [again.ticket(1).is_of_holder(number) for number in (2, 3)] == [False, False]

    def test_an_older_move_changes_nothing_also_where_the_later_one_led_back(self) -> None:
        tickets = domain.reseat(with_seats(), seated(1, 2, 3, moves=2), now=NOON).state
        assert tickets.ticket(1).generation == 1
        assert domain.reseat(tickets, seated(7, 2, 3, moves=1), now=NOON).state is tickets
