"""Calls within one process: what the service answers, as it is."""

from collections.abc import Mapping, Sequence

from tests.seats import allocation

from cludale.adapters.inprocess.calls import InProcessContacts, InProcessSales
from cludale.ports.contacts import Contact
from cludale.ports.sales import Outlook, SaleOutlook


async def test_what_would_come_of_money_is_asked_of_concerts() -> None:
    async def outlook(*asked: str) -> SaleOutlook:
        assert asked == ("concert-1", "stalls", "reservation-1")
        return SaleOutlook(Outlook.GONE, 1)

    assert await InProcessSales(outlook).outlook(allocation()) == SaleOutlook(Outlook.GONE, 1)


async def test_contacts_are_asked_of_orders() -> None:
    async def of(order_ids: Sequence[str]) -> Mapping[str, Contact]:
        return {id: Contact(f"{id}@example.org") for id in order_ids}

    assert await InProcessContacts(of).of(["a"]) == {"a": Contact("a@example.org")}
