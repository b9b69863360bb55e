"""What tickets cost: pure decisions of categories, tiers, discounts, fees and taxes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cludale.kernel.bills import Bill, PriceWish, TicketCount
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid
from cludale.ports.prices import CategoryNotFound, CategoryNotSold, TotalTooHigh
from cludale.services.concerts.prices.domain import CodeTerms, PricedPlace, Terms, bill
from cludale.services.concerts.prices.price_list import Fee, PriceCategory, PriceRow, Pricing, Tax, check_pricing

NOW = datetime(2027, 1, 8, 12, tzinfo=UTC)
CATEGORIES = (
    PriceCategory(id="adult", name="Adult"),
    PriceCategory(id="child", name="Child"),
    PriceCategory(id="member", name="Member", hidden=True),
)
PRICES = (
    PriceRow(section="floor", category="adult", amount=3_000, name="Early bird", until=NOW, first=10),
    PriceRow(section="floor", category="adult", amount=4_000, name="Advance", first=20),
    PriceRow(section="floor", category="child", amount=2_000),
    PriceRow(section="floor", category="member", amount=1_000),
)
LIST = Pricing(categories=CATEGORIES, prices=PRICES)


def counts(**tickets: int) -> PriceWish:
    return PriceWish(tickets=tuple(TicketCount(category=id, quantity=count) for id, count in tickets.items()))


def priced(
    pricing: Pricing,
    wish: PriceWish | None = None,
    quantity: int = 1,
    *,
    code: CodeTerms | None = None,
    taken: int = 100,
    now: datetime = NOW,
    currency: str = "EUR",
) -> Bill:
    wish = wish or PriceWish()
    quantity = sum(each.quantity for each in wish.tickets) or quantity
    place = PricedPlace("concert-1", "floor", Money(4_500, currency), taken, now)
    return bill(Terms(pricing, wish, code), place, quantity)


class TestCategoriesAndTiers:
    def test_who_names_none_gets_the_first_category_at_the_sections_price(self) -> None:
        made = priced(LIST, quantity=2)
        assert [(line.category, line.quantity, line.price, line.tier) for line in made.lines] == [
            ("adult", 2, 4_500, None)
        ]
        assert made.money == Money(9_000, "EUR")

    def test_each_category_has_its_price(self) -> None:
        made = priced(LIST, counts(adult=2, child=1))
        assert [(line.category, line.total) for line in made.lines] == [("adult", 9_000), ("child", 2_000)]

    @pytest.mark.parametrize(
        ("taken", "now", "price"),
        [
            (10, NOW - timedelta(seconds=1), 3_000),
            (11, NOW - timedelta(seconds=1), 4_000),
            (10, NOW, 4_000),
            (20, NOW, 4_000),
            (21, NOW, 4_500),
        ],
    )
    def test_the_first_tier_that_applies_counts(self, taken: int, now: datetime, price: int) -> None:
        assert priced(LIST, taken=taken, now=now).lines[0].price == price

    def test_a_hidden_category_is_had_with_its_code_only(self) -> None:
        with pytest.raises(CategoryNotFound):
            priced(LIST, counts(member=1))
        with pytest.raises(CategoryNotFound):
            priced(LIST, counts(member=1), code=CodeTerms(code="OTHER", percent=10.0))
        assert priced(LIST, counts(member=1), code=CodeTerms(code="CLUB", unlocks="member")).total == 1_000

    def test_what_is_not_sold_here_is_named(self) -> None:
        with pytest.raises(CategoryNotSold):
            priced(Pricing(categories=CATEGORIES), counts(child=1))
        with pytest.raises(CategoryNotFound):
            priced(LIST, counts(dog=1))
        with pytest.raises(Invalid, match="quantity: is 3, and `tickets` are 2"):
            bill(Terms(LIST, counts(adult=2)), PricedPlace("c", "floor", Money(1, "EUR"), 3, NOW), 3)


class TestMoney:
    def test_discount_fees_and_added_tax_are_rounded_for_each_ticket(self) -> None:
        pricing = Pricing(
            prices=(PriceRow(section="floor", category="standard", amount=1_999),),
            fees=(
                Fee(id="booking", name="Booking", percent=3.5),
                Fee(id="seat", name="Seat", amount=50),
                Fee(id="post", name="Post", amount=299, per_order=True),
            ),
            tax=Tax(name="VAT", percent=8.875, included=False),
        )
        made = priced(pricing, quantity=3, code=CodeTerms(code="X", percent=33.333))
        # 1999 - 666 (666.33) = 1333; fees 47 (46.66) + 50; 1430 + 127 (126.9) tax
        (line,) = made.lines
        assert (line.discount, line.fee, line.tax, line.net, line.total) == (1_998, 291, 381, 4_290, 4_671)
        assert line.each == 1_557
        # 299 + 27 (26.5) tax for the order
        assert (made.fee, made.tax, made.total) == (291 + 299, 381 + 27, 4_671 + 326)
        assert [(fee.id, fee.amount) for fee in made.fees] == [("booking", 141), ("seat", 150), ("post", 299)]

    def test_an_included_tax_is_taken_out_of_what_is_paid(self) -> None:
        made = priced(Pricing(tax=Tax(name="MwSt.", percent=19.0)), quantity=2)
        assert (made.total, made.tax, made.net) == (9_000, 2 * 718, 9_000 - 2 * 718)

    def test_yen_have_no_smaller_unit(self) -> None:
        made = priced(Pricing(tax=Tax(name="Tax", percent=10.0)), currency="JPY")
        assert (made.total, made.tax) == (4_500, 409)

    def test_what_costs_nothing_has_no_fees(self) -> None:
        fees = (Fee(id="a", name="A", amount=100), Fee(id="b", name="B", amount=100, per_order=True))
        made = priced(Pricing(fees=fees), quantity=2, code=CodeTerms(code="FREE", amount=99_999))
        assert (made.total, made.fee, made.discount) == (0, 0, 9_000)

    def test_no_more_than_was_said(self) -> None:
        wish = PriceWish(max_total=Money(4_499, "EUR"))
        with pytest.raises(TotalTooHigh) as refused:
            priced(Pricing(), wish)
        assert refused.value.values["total"] == Money(4_500, "EUR")

    @given(
        price=st.integers(0, 100_000),
        quantity=st.integers(1, 50),
        percent=st.integers(0, 100_000),
        fee=st.integers(0, 100_000),
        rate=st.integers(0, 30_000),
        included=st.booleans(),
    )
    def test_the_parts_add_up(
        self, price: int, quantity: int, percent: int, fee: int, rate: int, included: bool
    ) -> None:
        pricing = Pricing(
            prices=(PriceRow(section="floor", category="standard", amount=price),),
            fees=(Fee(id="f", name="F", percent=fee / 1_000), Fee(id="o", name="O", amount=7, per_order=True)),
            tax=Tax(name="T", percent=rate / 1_000, included=included),
        )
        made = priced(pricing, quantity=quantity, code=CodeTerms(code="X", percent=percent / 1_000))
        (line,) = made.lines
        added = 0 if included else made.tax
        assert made.net + made.tax == made.total == price * quantity - made.discount + made.fee + added
        assert line.each * quantity == line.total
        assert line.net + line.tax == line.total
        assert 0 <= made.discount <= price * quantity


def test_a_price_list_that_does_not_go_together_is_refused_by_field() -> None:
    wrong = Pricing(
        categories=(PriceCategory(id="a", name="A", hidden=True), PriceCategory(id="a", name="B")),
        prices=(
            PriceRow(section="roof", category="b", amount=1),
            PriceRow(section="floor", category="a", amount=1),
            PriceRow(section="floor", category="a", amount=1),
        ),
        fees=(Fee(id="x", name="X"), Fee(id="x", name="X", percent=0.0001)),
        tax=Tax(name="T", percent=101.0),
    )
    with pytest.raises(Invalid) as refused:
        check_pricing(wrong, ["floor"])
    assert [each["field"] for each in refused.value.values["errors"]] == [
        "pricing.categories[1].id",
        "pricing.categories[0].hidden",
        "pricing.prices[0].section",
        "pricing.prices[0].category",
        "pricing.prices[2]",
        "pricing.fees[0]",
        "pricing.fees[1].id",
        "pricing.fees[1].percent",
        "pricing.tax.percent",
    ]
