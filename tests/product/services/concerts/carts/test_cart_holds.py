"""Holds of several lines: all of them or none, whoever else wants the same seats."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.fakes import CountingIds, ManualClock
from tests.product.services.concerts.test_service import CONCERT, seats

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.ports.seats import (
    ConcertNotFound,
    HoldRequest,
    LineRefused,
    OtherCurrency,
    OtherOrganizer,
    SeatsUnavailable,
)
from cludale.services.concerts.events import SectionPlan
from cludale.services.concerts.service import Concerts


@pytest.fixture
async def concerts(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Concerts:
    concerts = Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=8)
    await concerts.directory.schedule(CONCERT, Cause())
    dollars = SectionPlan(id="main", name="Main", total_seats=10, price=Money(100, "USD"))
    await concerts.directory.schedule(replace(CONCERT, id="dollars", sections=(dollars,)), Cause())
    await concerts.directory.schedule(replace(CONCERT, id="others", organizer_id="others"), Cause())
    return concerts


def line(number: int, quantity: int = 2, section: str = "stalls", concert: str = "concert-1") -> HoldRequest:
    return HoldRequest(concert, quantity, f"order-1.ca0{number}", section)


async def test_all_lines_are_held(concerts: Concerts) -> None:
    held = await concerts.holding.hold_all([line(1), line(2, 4, "balcony"), line(3)])
    assert [each.allocation.section for each in held] == ["stalls", "balcony", "stalls"]
    assert await seats(concerts) == (6, 4, 0)


async def test_where_one_is_refused_what_was_held_is_given_back_at_once(concerts: Concerts) -> None:
    with pytest.raises(LineRefused) as came:
        await concerts.holding.hold_all([line(1), line(2, 5, "balcony"), line(3)])
    assert came.value.line == 1
    assert isinstance(came.value.refusal, SeatsUnavailable)
    assert came.value.also == {}
    assert await seats(concerts) == (10, 0, 0)
    with pytest.raises(LineRefused) as more:
        await concerts.holding.hold_all([line(4, 5, "balcony"), line(5), line(6, 5, "balcony")])
    assert (more.value.line, list(more.value.also)) == (0, [2])
    assert "4 seats left" in more.value.also[2]


async def test_what_an_earlier_request_held_is_not_given_back(concerts: Concerts) -> None:
    await concerts.holding.hold_all([line(1), line(3)])
    with pytest.raises(LineRefused):
        await concerts.holding.hold_all([line(1), line(2, 5, "balcony"), line(3)])
    assert await seats(concerts) == (6, 4, 0)


async def test_two_that_want_the_same_in_another_order_do_not_block_each_other(concerts: Concerts) -> None:
    one = [line(1, 8), line(2, 4, "balcony")]
    other = [replace(line(1, 4, "balcony"), order_id="order-2.ca01"), replace(line(2, 8), order_id="order-2.ca02")]
    results = await asyncio.gather(
        concerts.holding.hold_all(one), concerts.holding.hold_all(other), return_exceptions=True
    )
    assert sum(isinstance(each, list) for each in results) <= 1
    held = 8 if any(isinstance(each, list) for each in results) else 0
    assert await seats(concerts) == (10 - held, held, 0)


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        (line(2, 1, "main", "dollars"), OtherCurrency),
        (line(2, 1, "stalls", "others"), OtherOrganizer),
        (line(2, 1, "stalls", "nowhere"), ConcertNotFound),
    ],
)
async def test_lines_are_of_one_organizer_and_in_one_currency(
    concerts: Concerts, wanted: HoldRequest, kind: type[Exception]
) -> None:
    with pytest.raises(LineRefused) as came:
        await concerts.holding.hold_all([line(1), wanted])
    assert came.value.line == 1
    assert isinstance(came.value.refusal, kind)
    assert await seats(concerts) == (10, 0, 0)


async def test_a_line_in_another_currency_is_told_which_its_prices_are_in(concerts: Concerts) -> None:
    with pytest.raises(LineRefused) as came:
        await concerts.holding.hold_all([line(1), line(2, 1, "main", "dollars")])
    (error,) = came.value.refusal.values["errors"]
    assert error == {"field": "concertId", "message": "the prices of concert 'dollars' are in USD"}
