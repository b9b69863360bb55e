"""What becomes of a concert: changed, moved, called off; its seats and prices; local times in its zone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.fakes import NOON
from tests.product.services.concerts.larks import PRICE, concert_of, plan_of

from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid
from cludale.ports.seats import CalledOff, ConcertNotFound, PriceTooHigh, SaleEnded, SalePaused
from cludale.services.concerts import domain, zones
from cludale.services.concerts.changes import domain as changes
from cludale.services.concerts.changes.domain import ChangedMeanwhile, SeatsInUse, StatusRefused
from cludale.services.concerts.concert import Concert, check_on_sale
from cludale.services.concerts.domain import ChangeSection, Hold, Sell
from cludale.services.concerts.events import (
    ConcertChanged,
    ConcertFields,
    ConcertPostponed,
    ConcertStatus,
    PriceChanged,
    SaleRefused,
    SeatsAdded,
    SeatsReleased,
    SeatsTaken,
)
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.stock import Section

CONCERT = concert_of(plan_of("stalls", 10), date="2027-06-05T19:30:00+02:00", venue="The Barn")
SECTION = Section(concert_id="concert-1", id="stalls", price=PRICE, total=10)


def changed(concert: Concert = CONCERT, expected: int | None = None, **fields: object) -> Concert:
    return changes.change(concert, ConcertFields(**fields), expected=expected, by="key-1").state  # type: ignore[arg-type]


def hold(seating: Seating, id: str, quantity: int = 2, most: int | None = None) -> Seating:
    return domain.hold(seating, Hold(id, id, quantity, 600.0, max_amount=most), NOON).state


def test_what_is_said_anew_is_told_with_who_said_it() -> None:
    decision = changes.change(CONCERT, ConcertFields(artist="The Larks", title="Live"), expected=0, by="key-1")
    assert decision.events == (
        ConcertChanged(concert_id="concert-1", revision=1, changed_by="key-1", fields=ConcertFields(title="Live")),
    )
    assert (decision.state.more.title, decision.state.revision) == ("Live", 1)


def test_what_is_so_already_is_no_change() -> None:
    assert changed(artist="The Larks") is CONCERT


def test_no_concert_wants_more_tickets_in_an_order_than_one_buyer_may_have() -> None:
    few = replace(CONCERT, max_per_buyer=2)
    with pytest.raises(Invalid, match="maxPerBuyer"):
        changed(few, min_per_order=3)
    assert changed(few, min_per_order=2).more.min_per_order == 2


def test_a_change_of_what_was_changed_meanwhile_is_refused() -> None:
    with pytest.raises(ChangedMeanwhile):
        changed(changed(title="Live"), expected=0, title="Dead")


@pytest.mark.parametrize("wanted", [ConcertStatus.DRAFT, ConcertStatus.POSTPONED, ConcertStatus.CANCELLED])
def test_a_listed_concert_does_not_become_this_by_a_plain_change(wanted: ConcertStatus) -> None:
    with pytest.raises(StatusRefused):
        changed(status=wanted)


def test_of_a_draft_nothing_is_sold_and_nobody_hears() -> None:
    with pytest.raises(ConcertNotFound):
        check_on_sale(replace(CONCERT, said=ConcertStatus.DRAFT), quantity=1, now=NOON)


def test_after_its_end_a_sale_is_over_though_the_concert_is_not() -> None:
    ended = changed(off_sale_at=NOON)
    with pytest.raises(SaleEnded):
        check_on_sale(ended, quantity=1, now=NOON)
    check_on_sale(ended, quantity=1, now=NOON - timedelta(seconds=1))


def test_a_concert_without_a_new_time_is_not_sold_and_one_with_it_is() -> None:
    until = NOON + timedelta(days=3)
    nothing = ConcertFields()
    paused = changes.postpone(CONCERT, nothing, reason="storm", cancel_until=until, expected=None, by="key-1").state
    with pytest.raises(SalePaused):
        check_on_sale(paused, quantity=1, now=NOON)
    new = ConcertFields(date="2027-07-01T19:30:00+02:00")
    moved = changes.postpone(paused, new, reason="storm", cancel_until=None, expected=None, by="key-1")
    (told,) = moved.events
    assert isinstance(told, ConcertPostponed)
    assert (told.revision, told.cancel_until) == (2, datetime(2027, 7, 1, 17, 30, tzinfo=UTC))
    assert (moved.state.status, moved.state.listed) == (ConcertStatus.LISTED, True)
    check_on_sale(moved.state, quantity=1, now=NOON)


def postponed(
    concert: Concert, date: str | None = None, *, reason: str = "storm", until: datetime | None = None
) -> Any:
    fields = ConcertFields() if date is None else ConcertFields(date=date)
    return changes.postpone(concert, fields, reason=reason, cancel_until=until, expected=None, by="key-1")


def test_a_concert_that_takes_place_on_its_old_date_after_all_is_told_with_that_date() -> None:
    paused = postponed(CONCERT, until=NOON + timedelta(days=3)).state
    (told,) = postponed(paused, CONCERT.date).events
    assert told.fields.date == CONCERT.date


@pytest.mark.parametrize("date", [None, "2027-07-01T19:30:00+02:00"])
def test_a_concert_that_is_moved_twice_with_the_same_words_is_moved_once(date: str | None) -> None:
    until = NOON + timedelta(days=3)
    moved = postponed(CONCERT, date, until=until).state
    assert postponed(moved, date, until=until).events == ()
    for again in (
        postponed(moved, date, until=until, reason="flood"),
        postponed(moved, date, until=until + timedelta(days=1)),
        postponed(moved, "2027-08-01T19:30:00+02:00", until=until),
        postponed(changed(moved, title="Live"), date, until=until),
    ):
        assert len(again.events) == 1


def test_a_concert_without_a_new_time_shows_until_when_buyers_may_cancel() -> None:
    until = NOON + timedelta(days=300)
    paused = postponed(CONCERT, until=until).state
    assert paused.cancellable_until == until
    assert postponed(paused, "2027-08-01T19:30:00+02:00").state.cancellable_until == datetime(
        2027, 8, 1, 17, 30, tzinfo=UTC
    )


def test_until_when_buyers_may_cancel_can_be_sent_back_as_it_is_shown() -> None:
    later = changed(date="2027-06-06T19:30:00+02:00", cancel_until=CONCERT.cancellable_until)
    assert (later.cancel_until, later.cancellable_until) == (None, datetime(2027, 6, 6, 17, 30, tzinfo=UTC))
    paused = postponed(CONCERT, until=NOON + timedelta(days=300)).state
    assert changed(paused, cancel_until=paused.cancellable_until) is paused
    until = NOON + timedelta(days=1)
    assert changed(cancel_until=until).cancellable_until == until


def test_a_concert_moved_to_no_time_has_to_say_until_when_buyers_may_cancel() -> None:
    with pytest.raises(Invalid, match="cancelUntil"):
        changes.postpone(CONCERT, ConcertFields(), reason="storm", cancel_until=None, expected=None, by="key-1")


def test_a_concert_is_called_off_once_and_is_no_other_afterwards() -> None:
    off = changes.cancel(CONCERT, reason="no power", expected=None, by="key-1").state
    assert changes.cancel(off, reason="again", expected=None, by="key-1").events == ()
    assert (off.status, off.reason, off.listed) == (ConcertStatus.CANCELLED, "no power", False)
    with pytest.raises(CalledOff):
        changed(off, title="Live")
    with pytest.raises(CalledOff):
        check_on_sale(off, quantity=1, now=NOON)


def test_events_alone_give_the_same_concert() -> None:
    first = changes.change(CONCERT, ConcertFields(zone="Europe/Berlin", venue=None), expected=None, by="key-1")
    second = changes.cancel(first.state, reason="no power", expected=None, by="key-1")
    concert = CONCERT
    for event in (*first.events, *second.events):
        concert = changes.evolve_concert(concert, event)
    assert concert == second.state


def test_seats_are_added_and_taken_but_never_those_sold_or_held() -> None:
    held = hold(Seating(SECTION, {}), "order-1", 4)
    more = changes.change_section(held, ChangeSection("key-1", 0, total=12), NOON)
    (added,) = more.events
    assert added == SeatsAdded(
        concert_id="concert-1", section="stalls", seats=2, total_seats=12, change=1, changed_by="key-1"
    )
    fewer = changes.change_section(more.state, ChangeSection("key-1", 1, total=4), NOON)
    assert isinstance(fewer.events[0], SeatsTaken)
    assert fewer.state.section.available(NOON) == 0
    with pytest.raises(SeatsInUse) as refused:
        changes.change_section(fewer.state, ChangeSection("key-1", 2, total=3), NOON)
    assert refused.value.values["least"] == 4


def test_two_who_saw_the_same_section_change_it_once() -> None:
    once = changes.change_section(Seating(SECTION, {}), ChangeSection("key-1", 0, total=12), NOON).state
    with pytest.raises(ChangedMeanwhile):
        changes.change_section(once, ChangeSection("key-2", 0, total=14), NOON)


def test_a_price_is_for_those_who_come_later() -> None:
    before = hold(Seating(SECTION, {}), "order-1")
    dearer = changes.change_section(before, ChangeSection("key-1", None, price=Money(6000, "EUR")), NOON)
    assert isinstance(dearer.events[0], PriceChanged)
    after = hold(dearer.state, "order-2")
    assert after.reservations["order-1"] == before.reservations["order-1"]
    assert after.reservations["order-2"].price == Money(6000, "EUR")
    with pytest.raises(PriceTooHigh):
        hold(after, "order-3", most=4500)


def test_a_section_that_is_called_off_gives_nothing_away_and_money_goes_back() -> None:
    closed = changes.close(hold(Seating(SECTION, {}), "order-1")).state
    for order in ("order-1", "order-2"):
        with pytest.raises(CalledOff):
            hold(closed, order)
    late = domain.sell(closed, Sell("order-1", "order-1", 1), NOON)
    assert [type(event) for event in late.events] == [SeatsReleased, SaleRefused]
    again = domain.sell(late.state, Sell("order-1", "order-1", 1, again=True), NOON)
    assert list(again.events) == list(late.events[1:])


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2027-06-05T19:30", "2027-06-05T19:30:00+02:00"),
        ("2027-01-05T19:30", "2027-01-05T19:30:00+01:00"),
        ("2027-10-31T02:30:00+01:00", "2027-10-31T02:30:00+01:00"),
        ("2027-06-05", "2027-06-05"),
    ],
)
def test_a_local_time_gets_the_offset_that_it_has_there(text: str, written: str) -> None:
    assert zones.written(text, "Europe/Berlin") == written


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2027-03-28T02:30", "does not exist"),
        ("2027-10-31T02:30", r"exists twice.*\+02:00 or .*\+01:00"),
        ("2027-06-05T19:30:00+01:00", r"where that moment is 2027-06-05T20:30:00\+02:00"),
        ("2027-06-05T24:30", "hour above 23"),
    ],
)
def test_a_local_time_that_is_none_or_two_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        zones.written(text, "Europe/Berlin")


def test_a_day_is_over_there_not_at_midnight_in_utc() -> None:
    there = changed(replace(CONCERT, date="2027-06-05"), zone="America/New_York")
    assert there.over_at == datetime(2027, 6, 6, 4, tzinfo=UTC)
    assert zones.moment("2027-06-04", "America/New_York", is_end=True) == datetime(2027, 6, 5, 4, tzinfo=UTC)
