"""Waiting lists: first come, first served, whole; nobody else gets what comes back; each is told once."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace
from tests.fakes import NOON

from cludale.kernel.events import Event
from cludale.kernel.money import Money
from cludale.ports.seats import CalledOff, ConcertOver, HoldEnded, OverTheLimit, SeatsUnavailable
from cludale.services.concerts import domain
from cludale.services.concerts.domain import Cancel, Expire, Hold, Sell
from cludale.services.concerts.events import (
    ReleaseReason,
    SaleRefused,
    SeatsOffered,
    SeatsReleased,
    SeatsReserved,
    WaitingListLeft,
    WhyLeft,
)
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.numbered import SeatMap, packed
from cludale.services.concerts.stock import Section
from cludale.services.concerts.waiting import domain as waiting
from cludale.services.concerts.waiting.domain import (
    EndList,
    Join,
    Leave,
    ListCommand,
    ListedSection,
    MakeOffers,
    WaitingList,
)

PRICE = Money(4_500, "EUR")
OVER = NOON + timedelta(days=9)
EMPTY = WaitingList(concert_id="concert-1", section="stalls")
OFFERS = MakeOffers(offer_seconds=1_800, over_at=OVER, pricing=None, revision=0)


def sold_out(*orders: tuple[str, int]) -> ListedSection:
    """A section whose seats are all held, and an empty list."""
    section = Section(concert_id="concert-1", id="stalls", price=PRICE, total=sum(quantity for _, quantity in orders))
    seating = Seating(section, {})
    for id, quantity in orders:
        seating = domain.hold(seating, Hold(id, f"order-{id}", quantity, 60.0), NOON).state
    return ListedSection(seating, EMPTY)


def join(line: ListedSection, id: str, quantity: int = 1, at: datetime = NOON) -> ListedSection:
    return did(line, Join(order_id=f"order-{id}", quantity=quantity, wish=None, over_at=OVER), at)[0]


def did(line: ListedSection, command: ListCommand, at: datetime = NOON) -> tuple[ListedSection, tuple[Event, ...]]:
    return waiting.decide(line, command, at)


def freed(line: ListedSection, id: str) -> ListedSection:
    """The seats of this reservation are back."""
    after = domain.cancel(line.seating, Cancel(id, ReleaseReason.CANCELLED, on_purpose=True)).state
    return ListedSection(after, line.waiting)


def offered(events: tuple[Event, ...]) -> list[str]:
    return [each.order_id for each in events if isinstance(each, SeatsOffered)]


def test_who_came_first_is_served_first_and_whoever_is_seated_whole() -> None:
    line = sold_out(("a", 2), ("b", 1), ("z", 3))
    for id, quantity in (("four", 4), ("two", 2), ("one", 1), ("last", 1)):
        line = join(line, id, quantity)
    assert line.waiting.position("order-one") == 3
    line, events = did(freed(line, "a"), OFFERS)
    assert offered(events) == ["order-two"]
    line, events = did(freed(line, "b"), OFFERS)
    assert offered(events) == ["order-one"]
    assert [each.order_id for each in line.waiting.entries] == ["order-four", "order-last"]
    assert did(line, OFFERS)[1] == ()
    assert line.seating.section.waiting == 2


def test_while_anybody_waits_nobody_else_gets_what_comes_back() -> None:
    line = freed(join(sold_out(("a", 2), ("z", 2)), "w", 3), "a")
    with pytest.raises(SeatsUnavailable) as refused:
        domain.hold(line.seating, Hold("c", "order-c", 1, 60.0), NOON)
    assert (refused.value.values["waiting"], refused.value.values["left"]) == (1, 0)
    late = domain.hold(sold_out(("x", 2)).seating, Hold("l", "order-l", 0, 60.0), NOON).state
    waited = ListedSection(Seating(replace(late.section, waiting=1), late.reservations), EMPTY)
    ended = domain.sell(waited.seating, Sell("x", "order-x", 1), NOON + timedelta(minutes=2))
    assert isinstance(ended.events[-1], SaleRefused)


def test_an_offer_is_a_hold_and_not_taken_the_next_has_it() -> None:
    line = join(join(sold_out(("a", 1)), "first"), "second")
    line, events = did(freed(line, "a"), OFFERS)
    held = next(each for each in events if isinstance(each, SeatsReserved))
    assert (held.order_id, held.expires_at) == ("order-first", NOON + timedelta(minutes=30))
    later = held.expires_at + timedelta(seconds=1)
    expired = domain.expire(line.seating, Expire(held.reservation_id), later).state
    assert offered(did(ListedSection(expired, line.waiting), OFFERS, later)[1]) == ["order-second"]
    with pytest.raises(HoldEnded):
        join(ListedSection(expired, line.waiting), "first", at=later)


def test_an_offer_says_what_the_seats_cost() -> None:
    _, events = did(freed(join(sold_out(("a", 2)), "first", 2), "a"), OFFERS)
    (offer,) = (each for each in events if isinstance(each, SeatsOffered))
    assert offer.total == Money(9_000, "EUR")


def test_joined_again_it_keeps_its_place_and_left_it_is_gone() -> None:
    line = join(join(sold_out(("a", 1)), "first"), "second")
    assert join(line, "first") == line
    line, events = did(line, Leave(order_id="order-first", section="stalls"))
    assert isinstance(events[0], WaitingListLeft)
    assert line.waiting.position("order-second") == 1
    assert did(line, Leave(order_id="order-first", section="stalls"))[1] == ()
    line, _ = did(freed(line, "a"), OFFERS)
    line, events = did(line, Leave(order_id="order-second", section="stalls"))
    assert isinstance(events[0], SeatsReleased)
    assert line.seating.section.available(NOON) == 1


def test_who_left_does_not_join_later_whichever_of_the_two_comes_first() -> None:
    leave = Leave(order_id="order-first", section="stalls")
    left_first, events = did(sold_out(("a", 1)), leave)
    assert events == ()
    left_after_joining, _ = did(join(sold_out(("a", 1)), "first"), leave)
    for line in (left_first, left_after_joining):
        with pytest.raises(HoldEnded):
            join(line, "first")
        assert did(line, leave) == (line, ())
        assert join(line, "second").waiting.position("order-second") == 1


def test_only_the_orders_that_left_last_are_kept_in_mind() -> None:
    line = sold_out(("a", 1))
    for number in range(waiting.LEFT_KEPT + 5):
        line, _ = did(line, Leave(order_id=f"order-{number}", section="stalls"))
    assert len(line.waiting.left) == waiting.LEFT_KEPT
    assert line.waiting.left[-1] == f"order-{waiting.LEFT_KEPT + 4}"


def test_nobody_keeps_the_last_seats_from_others_by_waiting_for_more() -> None:
    two_left = freed(sold_out(("a", 2), ("z", 2)), "a")
    with pytest.raises(SeatsUnavailable) as refused:
        join(two_left, "greedy", 3)
    assert refused.value.values["left"] == 2
    with pytest.raises(OverTheLimit):
        join(sold_out(("a", 2)), "greedy", 3)
    assert offered(did(join(two_left, "fits", 2), OFFERS)[1]) == ["order-fits"]


def test_who_waits_for_more_seats_than_there_are_by_now_is_told_so_and_holds_up_nobody() -> None:
    line = sold_out(("a", 2), ("z", 2))
    line = join(join(line, "four", 4), "two", 2)
    smaller = replace(line.seating.section, total=3)
    line, events = did(freed(ListedSection(replace(line.seating, section=smaller), line.waiting), "a"), OFFERS)
    (left,) = (each for each in events if isinstance(each, WaitingListLeft))
    assert (left.order_id, left.reason) == ("order-four", WhyLeft.NOT_SOLD)
    assert [each.order_id for each in line.waiting.entries] == ["order-two"]


def test_places_for_wheelchairs_are_no_seats_to_wait_for() -> None:
    line = sold_out(("a", 2), ("z", 2))
    numbered = SeatMap(plan="plan", zone="stalls", taken=b"\x0f", aside=packed([0, 1]))
    line = ListedSection(replace(line.seating, section=replace(line.seating.section, numbered=numbered)), line.waiting)
    with pytest.raises(OverTheLimit) as refused:
        join(line, "three", 3)
    assert refused.value.values["limit"] == 2
    assert join(line, "two", 2).waiting.position("order-two") == 1


def test_the_list_ends_with_the_sale_and_each_is_told_once() -> None:
    line = join(join(sold_out(("a", 1)), "first"), "second")
    line, events = did(line, EndList(reason=WhyLeft.CONCERT_OVER))
    assert [each.order_id for each in events if isinstance(each, WaitingListLeft)] == ["order-first", "order-second"]
    assert did(line, EndList(reason=WhyLeft.CONCERT_OVER))[1] == ()
    with pytest.raises(ConcertOver):
        join(line, "late", at=OVER)
    closed = ListedSection(Seating(replace(line.seating.section, closed=True), {}), line.waiting)
    with pytest.raises(CalledOff):
        join(closed, "late")
