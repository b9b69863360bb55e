"""Concert rules: who gets seats, who loses them, and what money that came late buys."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.fakes import NOON
from tests.product.services.concerts.larks import PRICE, concert_of, plan_of
from tests.seats import allocation

from cludale.kernel.decision import Decision
from cludale.kernel.money import Money
from cludale.ports.sales import Outlook, SaleOutlook
from cludale.ports.seats import ConcertOver, HoldEnded, NotOnSale, OverTheLimit, SeatsUnavailable, SectionNotFound
from cludale.services.concerts import domain
from cludale.services.concerts.concert import Concert, check_on_sale, schedule
from cludale.services.concerts.domain import Cancel, Command, Expire, Hold, Sell, UnknownReservation, decide
from cludale.services.concerts.events import (
    ConcertScheduled,
    ReleaseReason,
    SaleRefused,
    SeatsReleased,
    SeatsReserved,
    SeatsSold,
)
from cludale.services.concerts.evolution import NEXT, Seating, evolve
from cludale.services.concerts.stock import Answered, Reservation, Section, Status, empty_section
from cludale.services.concerts.store import CONCERTS, RESERVATIONS

STALLS = plan_of("stalls", 10)
BALCONY = plan_of("balcony", 5, Money(2500, "EUR"))
CONCERT = concert_of(STALLS, BALCONY, venue="The Barn")
EMPTY = Seating(empty_section(CONCERT, "stalls"), {})
HOLD_SECONDS = 600


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def hold(name: str, quantity: int = 2) -> Hold:
    return Hold(f"reservation-{name}", f"order-{name}", quantity, HOLD_SECONDS)


def sell(name: str, payment_round: int = 1) -> Sell:
    return Sell(f"reservation-{name}", f"order-{name}", payment_round)


def sell_again(name: str) -> Sell:
    """The same money, told of once more."""
    return msgspec.structs.replace(sell(name), again=True)


def cancel(name: str, *, on_purpose: bool) -> Cancel:
    reason = ReleaseReason.CANCELLED if on_purpose else ReleaseReason.UNPAID
    return Cancel(f"reservation-{name}", reason, on_purpose)


def expire(name: str) -> Expire:
    return Expire(f"reservation-{name}")


def after(*steps: tuple[Command, float]) -> Seating:
    """The empty section after these commands, each at so many seconds past noon."""
    seating = EMPTY
    for command, seconds in steps:
        seating = decide(seating, command, at(seconds)).state
    return seating


def counts(section: Section, seconds: float) -> tuple[int, int, int]:
    return section.available(at(seconds)), section.held_seats(at(seconds)), section.sold


class TestScheduling:
    def test_a_scheduled_concert_is_told_of_whole(self) -> None:
        decision = schedule(CONCERT)
        assert decision.state == CONCERT
        assert decision.events == (
            ConcertScheduled(
                concert_id="concert-1",
                artist="The Larks",
                date="2027-06-05",
                venue="The Barn",
                sections=(STALLS, BALCONY),
                on_sale_at=None,
                max_per_order=8,
                listed=True,
            ),
        )

    def test_a_section_begins_empty(self) -> None:
        assert counts(empty_section(CONCERT, "balcony"), 0) == (5, 0, 0)

    def test_a_section_that_is_not_there_is_named(self) -> None:
        with pytest.raises(SectionNotFound, match="'concert-1' has no section 'pit'"):
            CONCERT.plan("pit")


class TestTheOnSale:
    CONCERT = Concert(
        id="concert-2",
        artist="The Larks",
        date="2027-06-05",
        venue=None,
        sections=(STALLS,),
        on_sale_at=at(60),
        max_per_order=4,
    )

    def test_before_it_nothing_is_sold(self) -> None:
        with pytest.raises(NotOnSale) as refusal:
            check_on_sale(self.CONCERT, quantity=1, now=at(59.999))
        assert refusal.value.values == {"onSaleAt": "2026-11-22T12:01:00.000000Z"}

    def test_it_begins_on_the_second(self) -> None:
        check_on_sale(self.CONCERT, quantity=4, now=at(60))

    def test_one_order_may_not_have_more_than_the_limit(self) -> None:
        with pytest.raises(OverTheLimit) as refusal:
            check_on_sale(self.CONCERT, quantity=5, now=at(60))
        assert refusal.value.values["limit"] == 4
        assert refusal.value.values["errors"][0]["field"] == "quantity"


class TestHolding:
    def test_held_seats_can_not_be_had_by_others(self) -> None:
        decision = decide(EMPTY, hold("a", 4), NOON)
        assert decision.events == (
            SeatsReserved(
                allocation=allocation("reservation-a", 4),
                order_id="order-a",
                expires_at=at(600),
            ),
        )
        assert counts(decision.state.section, 0) == (6, 4, 0)

    def test_a_hold_is_all_or_nothing(self) -> None:
        seating = after((hold("a", 8), 0))
        with pytest.raises(SeatsUnavailable) as refusal:
            decide(seating, hold("b", 3), NOON)
        until = "2026-11-22T12:10:00.000000Z"
        assert refusal.value.values == {"wanted": 3, "left": 2, "section": "stalls", "held": 8, "heldUntil": until}
        assert decide(seating, hold("b", 2), NOON).state.section.available(NOON) == 0

    def test_the_last_seat_is_held_once(self) -> None:
        seating = after((hold("a", 10), 0))
        with pytest.raises(SeatsUnavailable) as refusal:
            decide(seating, hold("b", 1), NOON)
        assert refusal.value.values["left"] == 0

    def test_the_same_hold_again_is_the_same_hold(self) -> None:
        seating = after((hold("a"), 0))
        assert decide(seating, hold("a"), at(1)) == Decision(seating)

    def test_the_same_hold_is_found_again_when_nothing_is_left(self) -> None:
        seating = after((hold("a", 10), 0))
        assert decide(seating, hold("a", 10), at(1)) == Decision(seating)

    def test_a_sold_hold_is_still_there_when_asked_for_again(self) -> None:
        seating = after((hold("a"), 0), (sell("a"), 1))
        assert decide(seating, hold("a"), at(9999)) == Decision(seating)

    @pytest.mark.parametrize("swept", [True, False])
    def test_a_hold_that_ended_is_not_held_a_second_time(self, swept: bool) -> None:
        seating = after((hold("a"), 0), (expire("a"), 600)) if swept else after((hold("a"), 0))
        with pytest.raises(HoldEnded) as refusal:
            decide(seating, hold("a"), at(600))
        assert refusal.value.values == {"reservationId": "reservation-a"}

    def test_a_hold_without_an_order_belongs_to_nobody(self) -> None:
        (reserved,) = decide(EMPTY, Hold("reservation-x", None, 1, 600), NOON).events
        assert isinstance(reserved, SeatsReserved)
        assert reserved.order_id is None
        assert reserved.correlation is None


class TestExpiry:
    def test_a_hold_ends_with_its_last_second_swept_or_not(self) -> None:
        section = after((hold("a", 4), 0)).section
        assert counts(section, 599.999) == (6, 4, 0)
        assert counts(section, 600) == (10, 0, 0)

    def test_seats_of_a_hold_that_ended_can_be_had_before_anyone_swept(self) -> None:
        seating = after((hold("a", 10), 0), (hold("b", 10), 600))
        assert counts(seating.section, 600) == (0, 10, 0)

    def test_the_sweeper_says_what_is_true_already(self) -> None:
        seating = after((hold("a", 4), 0))
        decision = decide(seating, expire("a"), at(600))
        assert decision.events == (
            SeatsReleased(
                allocation=allocation("reservation-a", 4),
                order_id="order-a",
                reason=ReleaseReason.EXPIRED,
            ),
        )
        assert counts(decision.state.section, 600) == counts(seating.section, 600) == (10, 0, 0)
        assert decision.state.section.held == {}

    def test_a_hold_that_goes_on_does_not_expire(self) -> None:
        seating = after((hold("a"), 0))
        assert decide(seating, expire("a"), at(599.999)) == Decision(seating)

    @pytest.mark.parametrize("end", [sell("a"), cancel("a", on_purpose=True)])
    def test_what_was_sold_or_given_back_does_not_expire(self, end: Command) -> None:
        seating = after((hold("a"), 0), (end, 1))
        assert decide(seating, expire("a"), at(9999)) == Decision(seating)

    def test_expiring_twice_is_expiring_once(self) -> None:
        seating = after((hold("a"), 0), (expire("a"), 600))
        assert decide(seating, expire("a"), at(601)) == Decision(seating)

    def test_holds_that_end_in_the_same_second_end_one_by_one(self) -> None:
        seating = after((hold("a", 3), 0), (hold("b", 4), 0), (sell("a"), 1))
        assert counts(seating.section, 1) == (3, 4, 3)
        assert counts(decide(seating, expire("b"), at(600)).state.section, 600) == (7, 0, 3)


class TestSelling:
    def test_held_seats_are_sold(self) -> None:
        money = Sell("reservation-a", "order-a", 1, payment_attempts=3, paid_at=at(599))
        decision = decide(after((hold("a", 4), 0)), money, at(599.9))
        assert decision.events == (
            SeatsSold(
                allocation=allocation("reservation-a", 4),
                order_id="order-a",
                payment_round=1,
                payment_attempts=3,
                paid_at=at(599),
            ),
        )
        assert counts(decision.state.section, 9999) == (6, 0, 4)

    def test_money_that_comes_twice_sells_once(self) -> None:
        seating = after((hold("a"), 0), (sell("a"), 1))
        assert decide(seating, sell("a"), at(2)) == Decision(seating)

    def test_money_that_is_told_again_is_answered_again_and_sells_once(self) -> None:
        first = decide(after((hold("a"), 0)), sell("a"), at(1))
        again = decide(first.state, sell_again("a"), at(700))
        assert again == Decision(first.state, first.events, again=True)

    def test_money_that_nobody_heard_of_before_is_sold_when_it_is_told_again(self) -> None:
        held = after((hold("a"), 0))
        assert decide(held, sell_again("a"), at(1)) == decide(held, sell("a"), at(1))

    def test_money_for_no_reservation_waits_for_it(self) -> None:
        with pytest.raises(UnknownReservation):
            decide(EMPTY, sell("a"), NOON)


def outlook(seating: Seating, seconds: float, over_at: datetime | None = None) -> SaleOutlook:
    return domain.sale_outlook(seating, "reservation-a", over_at=over_at or at(9_999), now=at(seconds))


class TestWhatWouldComeOfMoney:
    def test_seats_that_are_held_or_left_can_be_had(self) -> None:
        held = after((hold("a", 4), 0))
        assert outlook(held, 60) == SaleOutlook(Outlook.POSSIBLE, 6)
        assert outlook(held, 600) == SaleOutlook(Outlook.POSSIBLE, 10)
        assert outlook(held, 60, over_at=at(30)).outlook is Outlook.POSSIBLE

    def test_seats_that_others_have_can_not(self) -> None:
        assert outlook(after((hold("a", 4), 0), (hold("b", 7), 600)), 601) == SaleOutlook(Outlook.GONE, 3)
        assert outlook(EMPTY, 0).outlook is Outlook.GONE

    def test_seats_that_were_sold_are_so_for_late_money_too(self) -> None:
        assert outlook(after((hold("a", 4), 0), (sell("a"), 1)), 700).outlook is Outlook.SOLD
        assert outlook(after((hold("a", 4), 0), (sell("a"), 601)), 700).outlook is Outlook.SOLD

    def test_after_the_concert_and_after_a_cancellation_on_purpose_there_are_none(self) -> None:
        assert outlook(after((hold("a", 4), 0)), 700, over_at=at(650)) == SaleOutlook(Outlook.OVER, 10, at(650))
        assert outlook(after((hold("a", 4), 0), (cancel("a", on_purpose=True), 1)), 2).outlook is Outlook.CANCELLED


class TestLateMoney:
    """The hold has ended, and the money comes all the same."""

    @pytest.mark.parametrize("swept", [True, False])
    def test_it_gets_seats_again_while_there_are_any(self, swept: bool) -> None:
        seating = after((hold("a", 4), 0), (expire("a"), 600)) if swept else after((hold("a", 4), 0))
        decision = decide(seating, sell("a"), at(601.5))
        kinds = [type(event) for event in decision.events]
        assert kinds == [SeatsReserved, SeatsSold] if swept else [SeatsReleased, SeatsReserved, SeatsSold]
        assert counts(decision.state.section, 601.5) == (6, 0, 4)
        old, new = (decision.state.reservations[id] for id in ("reservation-a", "reservation-a.1"))
        assert old.status is Status.RELEASED
        assert old.successor == "reservation-a.1"
        assert new.status is Status.SOLD
        assert new.order_id == "order-a"

    def test_it_is_refused_when_others_have_the_seats(self) -> None:
        seating = after((hold("a", 4), 0), (hold("b", 7), 600))
        decision = decide(seating, sell("a", payment_round=3), at(600))
        assert [type(event) for event in decision.events] == [SeatsReleased, SaleRefused]
        assert decision.events[1] == SaleRefused(
            allocation=allocation("reservation-a", 4),
            order_id="order-a",
            payment_round=3,
        )
        assert counts(decision.state.section, 600) == (3, 7, 0)

    def test_its_own_seats_count_among_those_left(self) -> None:
        seating = after((hold("a", 10), 0))
        assert counts(decide(seating, sell("a"), at(600)).state.section, 600) == (0, 0, 10)

    def test_it_gets_seats_once_however_often_it_comes(self) -> None:
        seating = after((hold("a", 4), 0), (sell("a"), 601))
        assert decide(seating, sell("a"), at(602)) == Decision(seating)

    def test_told_of_again_the_seats_that_it_got_are_told_again(self) -> None:
        seating = after((hold("a", 4), 0), (sell("a"), 601))
        again = decide(seating, sell_again("a"), at(900))
        (sold,) = again.events
        assert isinstance(sold, SeatsSold)
        assert (sold.allocation.reservation_id, again.again) == ("reservation-a.1", True)
        assert again.state is seating

    def test_once_refused_it_gets_no_seats_though_there_are_some_by_then(self) -> None:
        refused = after((hold("a", 4), 0), (hold("b", 7), 600), (sell("a"), 601))
        room = decide(refused, cancel("b", on_purpose=True), at(602)).state
        assert decide(room, sell("a"), at(603)) == Decision(room)
        again = decide(room, sell_again("a"), at(604))
        assert [type(event) for event in again.events] == [SaleRefused]
        assert again.again
        assert again.state is room
        assert outlook(room, 605).outlook is Outlook.GONE

    @pytest.mark.parametrize("late", [1, 601])
    def test_seats_taken_back_on_purpose_are_not_told_of_again_nor_is_the_money_refused(self, late: float) -> None:
        off = after((hold("a", 4), 0), (sell("a"), late), (cancel("a", on_purpose=True), 700))
        for command in (sell("a"), sell_again("a")):
            assert decide(off, command, at(800)) == Decision(off)
        assert outlook(off, 801).outlook is Outlook.CANCELLED

    def test_what_became_of_the_money_is_stored_where_it_is_needed_and_nowhere_else(self) -> None:
        sold = after((hold("a", 4), 0), (sell("a"), 1))
        assert b"answered" not in RESERVATIONS.put(sold.reservations["reservation-a"], 1).body
        off = decide(sold, cancel("a", on_purpose=True), at(2)).state.reservations["reservation-a"]
        body = RESERVATIONS.put(off, 2).body
        assert RESERVATIONS.decode(body) == off
        assert off.answered is Answered.SOLD

    def test_after_a_decline_a_new_round_of_payment_gets_seats_again(self) -> None:
        seating = after((hold("a", 4), 0), (cancel("a", on_purpose=False), 1))
        decision = decide(seating, sell("a", payment_round=2), at(60))
        assert [type(event) for event in decision.events] == [SeatsReserved, SeatsSold]
        assert decision.state.reservations["reservation-a.2"].status is Status.SOLD

    def test_it_gets_nothing_once_the_order_was_cancelled_on_purpose(self) -> None:
        seating = after((hold("a", 4), 0), (cancel("a", on_purpose=True), 1))
        decision = decide(seating, sell("a"), at(2))
        assert [type(event) for event in decision.events] == [SaleRefused]
        assert decision.state.section is seating.section


class TestCancelling:
    @pytest.mark.parametrize("on_purpose", [True, False])
    def test_held_seats_go_back(self, on_purpose: bool) -> None:
        decision = decide(after((hold("a", 4), 0)), cancel("a", on_purpose=on_purpose), at(1))
        (released,) = decision.events
        assert isinstance(released, SeatsReleased)
        assert released.reason is (ReleaseReason.CANCELLED if on_purpose else ReleaseReason.UNPAID)
        assert counts(decision.state.section, 1) == (10, 0, 0)
        assert decision.state.reservations["reservation-a"].released_for is released.reason

    def test_sold_seats_go_back_on_purpose(self) -> None:
        seating = after((hold("a", 4), 0), (sell("a"), 1), (cancel("a", on_purpose=True), 2))
        assert counts(seating.section, 2) == (10, 0, 0)

    def test_sold_seats_stay_sold_when_only_an_earlier_payment_had_failed(self) -> None:
        seating = after((hold("a", 4), 0), (sell("a"), 1))
        assert decide(seating, cancel("a", on_purpose=False), at(2)).events == []
        assert counts(decide(seating, cancel("a", on_purpose=False), at(2)).state.section, 2) == (6, 0, 4)

    def test_the_seats_that_late_money_got_go_back_on_purpose(self) -> None:
        seating = after((hold("a", 4), 0), (sell("a"), 601))
        decision = decide(seating, cancel("a", on_purpose=True), at(602))
        assert [event.subject for event in decision.events] == ["reservation-a.1"]
        assert counts(decision.state.section, 602) == (10, 0, 0)

    def test_cancelling_twice_is_cancelling_once(self) -> None:
        seating = after((hold("a"), 0), (cancel("a", on_purpose=True), 1))
        again = decide(seating, cancel("a", on_purpose=True), at(2))
        assert again.events == []
        assert again.state == seating

    def test_a_cancellation_on_purpose_after_a_decline_refuses_late_money(self) -> None:
        seating = after((hold("a"), 0), (cancel("a", on_purpose=False), 1), (cancel("a", on_purpose=True), 2))
        assert [type(event) for event in decide(seating, sell("a", 2), at(3)).events] == [SaleRefused]

    def test_a_cancellation_of_no_reservation_waits_for_it(self) -> None:
        with pytest.raises(UnknownReservation):
            decide(EMPTY, cancel("a", on_purpose=True), NOON)


class TestTheTable:
    """Every pair of states: taken if and only if the table has it."""

    @pytest.mark.parametrize("wanted", [Status.SOLD, Status.RELEASED])
    @pytest.mark.parametrize("status", list(Status))
    def test_a_reservation_moves_only_as_the_table_says(self, status: Status, wanted: Status) -> None:
        reservation = Reservation(
            id="reservation-a",
            concert_id="concert-1",
            section="stalls",
            quantity=2,
            order_id="order-a",
            expires_at=at(600),
            status=status,
        )
        held = {int(at(600).timestamp()): 2} if status is Status.HELD else {}
        section = Section(
            concert_id="concert-1",
            id="stalls",
            price=PRICE,
            total=10,
            sold=2 if status is Status.SOLD else 0,
            held=held,
        )
        seats = allocation("reservation-a")
        fact = (
            SeatsSold(allocation=seats, order_id="order-a")
            if wanted is Status.SOLD
            else SeatsReleased(allocation=seats, order_id="order-a", reason=ReleaseReason.CANCELLED)
        )
        seating = Seating(section, {reservation.id: reservation})
        if wanted in NEXT[status]:
            moved = evolve(seating, fact)
            assert moved.reservations[reservation.id].status is wanted
            assert counts(moved.section, 0) == ((8, 0, 2) if wanted is Status.SOLD else (10, 0, 0))
        else:
            with pytest.raises(ValueError, match=f"can't go from {status} to {wanted}"):
                evolve(seating, fact)

    def test_what_is_given_back_stays_so(self) -> None:
        assert NEXT[Status.RELEASED] == frozenset()


class TestTheEnd:
    """When a concert is over, and from when on buyers can't cancel."""

    @pytest.mark.parametrize(
        ("date", "ends_at", "over_at", "begins"),
        [
            ("2027-06-05", None, "2027-06-06T12:00:00Z", "2027-06-05T00:00:00Z"),
            ("2027-06-05T22:30:00-04:00", None, "2027-06-06T02:30:00Z", "2027-06-06T02:30:00Z"),
            ("2027-06-05T00:30:00+02:00", None, "2027-06-04T22:30:00Z", "2027-06-04T22:30:00Z"),
            ("2027-06-04", "2027-06-06", "2027-06-07T12:00:00Z", "2027-06-04T00:00:00Z"),
            ("2027-06-04T12:00:00-07:00", "2027-06-06", "2027-06-07T07:00:00Z", "2027-06-04T19:00:00Z"),
            ("2027-06-04T12:00:00Z", "2027-06-06T02:00:00+02:00", "2027-06-06T00:00:00Z", "2027-06-04T12:00:00Z"),
            ("9999-12-31", None, "9999-12-31T23:59:59.999999Z", "9999-12-31T00:00:00Z"),
        ],
    )
    def test_it_follows_from_its_dates(self, date: str, ends_at: str | None, over_at: str, begins: str) -> None:
        concert = msgspec.structs.replace(CONCERT, date=date, ends_at=ends_at)
        assert concert.over_at == datetime.fromisoformat(over_at)
        assert concert.cancellable_until == datetime.fromisoformat(begins)
        last = concert.over_at - timedelta(microseconds=1)
        check_on_sale(concert, quantity=1, now=last)
        with pytest.raises(ConcertOver):
            check_on_sale(concert, quantity=1, now=concert.over_at)

    def test_a_turn_that_comes_after_the_end_holds_nothing(self) -> None:
        wanted = msgspec.structs.replace(hold("a"), over_at=at(60))
        assert decide(EMPTY, wanted, at(59)).events
        with pytest.raises(ConcertOver):
            decide(EMPTY, wanted, at(60))

    def test_who_has_seats_already_is_told_so_after_the_end(self) -> None:
        wanted = msgspec.structs.replace(hold("a"), over_at=at(60))
        seating = decide(EMPTY, wanted, NOON).state
        assert decide(seating, wanted, at(61)).state is seating

    def test_money_that_comes_after_hold_and_concert_have_ended_goes_back(self) -> None:
        late = msgspec.structs.replace(sell("a"), over_at=at(HOLD_SECONDS + 5))
        seating = after((hold("a"), 0))
        in_time = decide(seating, late, at(HOLD_SECONDS + 4)).events
        assert [type(event) for event in in_time] == [SeatsReleased, SeatsReserved, SeatsSold]
        too_late = decide(seating, late, at(HOLD_SECONDS + 5)).events
        assert [type(event) for event in too_late] == [SeatsReleased, SaleRefused]

    def test_seats_that_are_held_at_the_end_can_still_be_paid(self) -> None:
        paid_in_time = msgspec.structs.replace(sell("a"), over_at=at(1))
        assert [type(e) for e in decide(after((hold("a"), 0)), paid_in_time, at(2)).events] == [SeatsSold]

    def test_a_concert_that_an_older_version_stored_is_read(self) -> None:
        body = b'{"id":"c","artist":"A","date":"2027-06-05T19:30:00Z","venue":null,"sections":[],"onSaleAt":null,'
        old = CONCERTS.decode(body + b'"maxPerOrder":8}')
        assert (old.listed, old.over_at, old.cancellable_until) == (
            True,
            *[datetime(2027, 6, 5, 19, 30, tzinfo=UTC)] * 2,
        )
