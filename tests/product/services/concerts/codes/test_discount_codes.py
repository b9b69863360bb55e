"""Discount codes: never used more often than they may be, and given back where nothing is paid."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from tests.events import delivered
from tests.fakes import NOON, CountingIds, ManualClock
from tests.product.services.concerts.larks import PRICE, concert_of, plan_of
from tests.seats import allocation

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.bills import PriceWish, TicketCount
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid, NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.prices import CodeOver, CodeUnknown, CodeUsedUp, UnderTheMinimum
from cludale.ports.sales import Outlook
from cludale.ports.seats import HeldOtherwise, HoldRequest, SeatsHeld, SeatsUnavailable
from cludale.services.concerts.codes.domain import CodeExists, NewLimits
from cludale.services.concerts.events import CodeLimits, Particulars
from cludale.services.concerts.prices.domain import CodeTerms
from cludale.services.concerts.prices.price_list import PriceCategory, PriceRow, Pricing
from cludale.services.concerts.service import Concerts
from cludale.services.payments.events import PaymentCompleted

CONCERT = concert_of(
    plan_of("stalls", 100),
    particulars=Particulars(
        pricing=Pricing(
            categories=(PriceCategory(id="adult", name="Adult"), PriceCategory(id="child", name="Child")),
            prices=(
                PriceRow(section="stalls", category="adult", amount=3_000, first=4),
                PriceRow(section="stalls", category="child", amount=2_000),
            ),
        )
    ),
)


class Service(Concerts):
    def __init__(self, store: SqliteStore, clock: ManualClock, ids: CountingIds) -> None:
        super().__init__(store, clock=clock, ids=ids, hold_seconds=60, max_per_order=8)

    async def make(self, code: str, max_uses: int | None = None, max_tickets: int | None = None) -> None:
        terms = CodeTerms(code=code, percent=10.0)
        await self.codes.create(
            "concert-1", terms, CodeLimits(max_uses=max_uses, max_tickets=max_tickets), by="key-1", cause=Cause()
        )

    async def take(self, order: str, quantity: int = 1, code: str | None = "TEN", **tickets: int) -> SeatsHeld:
        counts = tuple(TicketCount(category=id, quantity=count) for id, count in tickets.items())
        wish = PriceWish(tickets=counts, code=code)
        return await self.holding.hold(HoldRequest("concert-1", quantity, f"order-{order}", wish=wish))

    async def uses(self, code: str = "TEN") -> tuple[int, int]:
        known = await self.codes.show("concert-1", code)
        return known.uses, known.tickets


@pytest.fixture
async def concerts(store: SqliteStore, clock: ManualClock, ids: CountingIds) -> Service:
    service = Service(store, clock, ids)
    await service.directory.schedule(CONCERT, Cause())
    return service


def paid(order: str, quantity: int = 1) -> Delivery:
    money = PaymentCompleted(
        payment_id=f"payment-{order}",
        order_id=f"order-{order}",
        allocation=allocation(f"reservation-{order}", quantity, section="stalls"),
        amount=PRICE.times(quantity),
        round=1,
        attempts=1,
    )
    return delivered(money, f"paid-{order}")


async def test_the_bill_is_made_with_the_hold_and_stays_as_it_was(concerts: Service) -> None:
    await concerts.make("TEN")
    held = await concerts.take("a", 3, adult=2, child=1)
    assert held.bill is not None
    assert [(line.category, line.price, line.discount, line.total) for line in held.bill.lines] == [
        ("adult", 3_000, 600, 5_400),
        ("child", 2_000, 200, 1_800),
    ]
    assert held.price == Money(3_000, "EUR")  # of the dearest, before the discount
    later = await concerts.take("b", 2, code=None)
    assert later.bill is not None
    assert later.bill.total == 9_000  # the first four seats are gone with these
    assert (await concerts.take("a", 3, adult=2, child=1)).bill == held.bill
    with pytest.raises(HeldOtherwise):
        await concerts.take("a", 3, adult=1, child=2)


async def test_however_many_ask_at_once_a_code_is_used_as_often_as_it_may_be(
    concerts: Service, store: SqliteStore, clock: ManualClock, ids: CountingIds
) -> None:
    await concerts.make("TEN", max_uses=5)
    replica = Service(store, clock, ids)
    asked = [(concerts, replica)[i % 2].take(f"{i}") for i in range(40)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    held = [each for each in answers if isinstance(each, SeatsHeld)]
    refused = [each for each in answers if isinstance(each, CodeUsedUp)]
    assert (len(held), len(refused)) == (5, 35)
    assert refused[0].values == {"code": "TEN", "limit": 5, "left": 0, "counts": "uses"}
    assert await concerts.uses() == (5, 5)


async def test_a_code_that_is_over_already_is_not_made(concerts: Service) -> None:
    over = CodeLimits(ends_at=NOON)
    with pytest.raises(Invalid, match="endsAt: must be in the future"):
        await concerts.codes.create("concert-1", CodeTerms(code="TEN", percent=10.0), over, by="key-1", cause=Cause())
    with pytest.raises(NotFound):
        await concerts.codes.show("concert-1", "TEN")


async def test_a_limit_of_tickets_says_how_many_are_left(concerts: Service) -> None:
    await concerts.make("TEN", max_tickets=5)
    await concerts.take("a", 3)
    with pytest.raises(CodeUsedUp) as refused:
        await concerts.take("b", 3)
    assert refused.value.values["left"] == 2
    await concerts.take("c", 2, code="ten")
    assert await concerts.uses() == (2, 5)


async def test_a_use_comes_back_if_it_is_not_paid_and_stays_if_it_is(concerts: Service, clock: ManualClock) -> None:
    await concerts.make("TEN", max_uses=2)
    await concerts.take("a")
    await concerts.take("b")
    assert await concerts.handle([paid("a")]) == [Acknowledgement.SUCCESS]
    with pytest.raises(CodeUsedUp):
        await concerts.take("c")
    clock.advance(61)
    assert await concerts.uses() == (1, 1)
    await concerts.take("c")
    with pytest.raises(CodeUsedUp):
        await concerts.take("d")
    clock.advance(3_600)
    await concerts.take("d")
    assert (await concerts.codes.show("concert-1", "TEN")).paid_uses == 1


async def test_a_use_whose_seats_are_refused_is_given_back(concerts: Service) -> None:
    await concerts.make("TEN", max_uses=1)
    await concerts.directory.schedule(
        msgspec.structs.replace(CONCERT, id="small", sections=(plan_of("stalls", 1),)),
        Cause(),
    )
    terms = CodeTerms(code="TEN", percent=10.0)
    await concerts.codes.create("small", terms, CodeLimits(max_uses=1), by="key-1", cause=Cause())
    with pytest.raises(SeatsUnavailable):
        await concerts.holding.hold(HoldRequest("small", 2, "order-a", wish=PriceWish(code="TEN")))
    await concerts.holding.hold(HoldRequest("small", 1, "order-b", wish=PriceWish(code="TEN")))


@pytest.mark.parametrize("is_taken", [False, True])
async def test_money_that_comes_late_gets_seats_only_if_its_code_has_a_use_left(
    concerts: Service, clock: ManualClock, is_taken: bool
) -> None:
    await concerts.make("TEN", max_uses=1)
    held = await concerts.take("a")
    clock.advance(61)
    if is_taken:
        await concerts.take("b")
    outlook = await concerts.late_money.sale_outlook("concert-1", "stalls", "reservation-a")
    assert outlook.outlook is (Outlook.GONE if is_taken else Outlook.POSSIBLE)
    await concerts.handle([paid("a")])
    again = await concerts.late_money.sale_outlook("concert-1", "stalls", "reservation-a")
    assert again.outlook is (Outlook.GONE if is_taken else Outlook.SOLD)
    assert await concerts.uses() == (1, 1)
    assert held.bill is not None


async def test_what_is_no_code_is_said(concerts: Service, clock: ManualClock) -> None:
    with pytest.raises(CodeUnknown):
        await concerts.take("a", code="nope")
    await concerts.make("TEN")
    with pytest.raises(CodeExists):
        await concerts.make("TEN")
    ends = NewLimits(ends_at=NOON + timedelta(seconds=10))
    await concerts.codes.change("concert-1", "ten", ends, by="key-1", cause=Cause())
    await concerts.take("a")
    clock.advance(10)
    with pytest.raises(CodeOver):
        await concerts.take("b")


async def test_a_quote_is_what_the_order_costs_and_changes_nothing(concerts: Service) -> None:
    await concerts.make("TEN", max_uses=1)
    wish = PriceWish(tickets=(TicketCount(category="adult", quantity=2),), code="TEN")
    for _ in range(2):
        quote = await concerts.quotes.quote("concert-1", None, 2, wish)
    assert (quote.section, quote.left) == ("stalls", 100)
    assert (await concerts.take("a", 2, adult=2)).bill == quote.bill
    with pytest.raises(CodeUsedUp):
        await concerts.quotes.quote("concert-1", None, 2, wish)


async def test_an_order_has_as_many_tickets_as_it_must(concerts: Service) -> None:
    least = msgspec.structs.replace(CONCERT, id="least", particulars=Particulars(min_per_order=2))
    await concerts.directory.schedule(least, Cause())
    with pytest.raises(UnderTheMinimum):
        await concerts.holding.hold(HoldRequest("least", 1, "order-a"))
    held = await concerts.holding.hold(HoldRequest("least", 2, "order-a"))
    assert held.bill is None
