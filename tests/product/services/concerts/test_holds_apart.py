"""Holds of orders that have nothing to do with each other, asked for in one call: each has an answer of its own."""

import msgspec
import pytest
from tests.fakes import CountingIds, ManualClock
from tests.product.services.concerts.test_service import CONCERT, seats

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.events import Cause
from cludale.ports.records import StoreUnavailable
from cludale.ports.seats import HoldRequest, SeatsHeld, SeatsUnavailable
from cludale.services.concerts.api import PROBLEMS
from cludale.services.concerts.holds_api import HoldApart, HoldsApi
from cludale.services.concerts.service import Concerts
from cludale.web.routing import Request


@pytest.fixture
async def concerts(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Concerts:
    concerts = Concerts(store, clock=clock, ids=ids, hold_seconds=600, max_per_order=8)
    await concerts.directory.schedule(CONCERT, Cause())
    return concerts


def wanted(number: int, quantity: int = 2, section: str = "stalls", concert: str = "concert-1") -> HoldRequest:
    return HoldRequest(concert, quantity, f"order-{number}", section)


async def test_one_that_is_refused_takes_nothing_from_the_others(concerts: Concerts) -> None:
    results = await concerts.holding.reserve_apart([wanted(1), wanted(2, 5, "balcony"), wanted(3, 4, "balcony")])
    assert isinstance(results[1], SeatsUnavailable)
    assert [each.allocation.section for each in results if isinstance(each, SeatsHeld)] == ["stalls", "balcony"]
    assert await seats(concerts) == (8, 2, 0)


async def test_asked_again_each_order_has_the_same_hold(concerts: Concerts) -> None:
    first = await concerts.holding.reserve_apart([wanted(1), wanted(2)])
    again = await concerts.holding.reserve_apart([wanted(2), wanted(1)])
    held = [each.allocation for each in first if isinstance(each, SeatsHeld)]
    assert [each.allocation for each in reversed(again) if isinstance(each, SeatsHeld)] == held
    assert await seats(concerts) == (6, 4, 0)


async def test_an_answer_is_what_is_held_or_the_problem_it_would_have_been_alone(
    concerts: Concerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = HoldApart([wanted(1), wanted(2, 5, "balcony"), wanted(3, 1, concert="nowhere"), wanted(4), wanted(5)])
    hold = concerts.holding.hold

    async def failing(request: HoldRequest, **named: str | None) -> SeatsHeld:
        if request.order_id == "order-4":
            raise StoreUnavailable
        if request.order_id == "order-5":
            raise ZeroDivisionError
        return await hold(request, **named)

    monkeypatch.setattr(concerts.holding, "hold", failing)
    response = await HoldsApi(concerts, PROBLEMS).hold_apart(Request("", {}), body)
    answers = msgspec.json.decode(response.body)["answers"]
    assert response.status == 200
    assert answers[0]["held"]["allocation"]["section"] == "stalls"
    assert [(each["problem"]["type"], each["problem"]["status"]) for each in answers[1:]] == [
        ("/problems/seats-unavailable", 409),
        ("/problems/concert-not-found", 404),
        ("/problems/store-unavailable", 503),
        ("/problems/internal-error", 500),
    ]
