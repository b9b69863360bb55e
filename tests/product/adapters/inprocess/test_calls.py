"""Calls within one process: what the service answers, and what it refuses, as it is."""

from collections.abc import Mapping, Sequence

import pytest
from tests.fakes import NOON
from tests.seats import allocation

from cludale.adapters.inprocess.calls import InProcessContacts, InProcessSales, InProcessSeats
from cludale.kernel.money import Money
from cludale.ports.contacts import Contact
from cludale.ports.sales import Outlook, SaleOutlook
from cludale.ports.seats import HoldRequest, SeatsHeld, SeatsUnavailable

HELD = SeatsHeld(allocation(), Money(4500, "EUR"), NOON, None)


async def test_the_answer_is_the_services_own() -> None:
    async def hold(wanted: HoldRequest) -> SeatsHeld:
        assert wanted.order_id == "order-1"
        return HELD

    async def hold_all(wanted: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        return [await hold(each) for each in wanted]

    seats = InProcessSeats(hold, hold_all)
    assert await seats.hold_all([HoldRequest("concert-1", 2, "order-1")]) == [HELD]
    assert await seats.hold(HoldRequest("concert-1", 2, "order-1")) is HELD


async def test_a_refusal_is_the_services_own() -> None:
    refusal = SeatsUnavailable("concert-1", wanted=2, left=1)

    async def hold(_: HoldRequest) -> SeatsHeld:
        raise refusal

    async def hold_all(_: Sequence[HoldRequest]) -> Sequence[SeatsHeld]:
        raise refusal

    with pytest.raises(SeatsUnavailable) as came:
        await InProcessSeats(hold, hold_all).hold(HoldRequest("concert-1", 2, "order-1"))
    assert came.value is refusal


async def test_what_would_come_of_money_is_asked_of_concerts() -> None:
    async def outlook(*asked: str) -> SaleOutlook:
        assert asked == ("concert-1", "stalls", "reservation-1")
        return SaleOutlook(Outlook.GONE, 1)

    assert await InProcessSales(outlook).outlook(allocation()) == SaleOutlook(Outlook.GONE, 1)


async def test_contacts_are_asked_of_orders() -> None:
    async def of(order_ids: Sequence[str]) -> Mapping[str, Contact]:
        return {id: Contact(f"{id}@example.org") for id in order_ids}

    assert await InProcessContacts(of).of(["a"]) == {"a": Contact("a@example.org")}
