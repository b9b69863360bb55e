"""Clocks that go back, or that differ between replicas: seats that were given on cannot be had by two."""

from datetime import timedelta

import pytest
from tests.fakes import NOON

from cludale.kernel.money import Money
from cludale.ports.seats import SeatsUnavailable
from cludale.services.concerts.domain import Hold, Sell, decide
from cludale.services.concerts.events import SaleRefused, SeatsReleased, SeatsReserved, SeatsSold
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.stock import Section

EMPTY = Seating(Section(concert_id="c1", id="stalls", price=Money(4500, "EUR"), total=2), {})
AHEAD = NOON + timedelta(seconds=30)


def hold(name: str) -> Hold:
    return Hold(f"reservation-{name}", f"order-{name}", 2, hold_seconds=10)


def sale(name: str) -> Sell:
    return Sell(f"reservation-{name}", f"order-{name}", 1)


def test_seats_of_an_ended_hold_that_others_have_are_not_sold_when_the_clock_goes_back() -> None:
    held = decide(EMPTY, hold("1"), NOON).state
    held_by_another = decide(held, hold("2"), AHEAD).state
    late = decide(held_by_another, sale("1"), NOON)
    assert [type(event) for event in late.events] == [SeatsReleased, SaleRefused]
    sold = decide(late.state, sale("2"), NOON)
    assert [type(event) for event in sold.events] == [SeatsSold]
    assert sold.state.section.sold == 2


def test_no_seats_are_missing_when_the_clock_goes_back() -> None:
    held = decide(decide(EMPTY, hold("1"), NOON).state, hold("2"), AHEAD).state
    assert held.section.available(NOON) == 0
    with pytest.raises(SeatsUnavailable) as refused:
        decide(held, hold("3"), NOON)
    assert refused.value.values["left"] == 0


def test_a_hold_lasts_its_whole_time_when_the_clock_goes_back() -> None:
    first = decide(EMPTY, hold("1"), NOON).state
    (reserved,) = decide(first, hold("2"), AHEAD).events
    assert isinstance(reserved, SeatsReserved)
    assert reserved.expires_at == AHEAD + timedelta(seconds=10)
