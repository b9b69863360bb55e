"""What the desk's forms say, without a server: a concert as fields and back, amounts, parts, the curve of a sale."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cludale.kernel.money import Money
from cludale.pages.bills import Bill, Line
from cludale.pages.desk import concert_form, curve, price_form
from cludale.pages.desk.aftersale import part_of, worth
from cludale.pages.desk.concert_form import Wrong
from cludale.pages.desk.views import Concert, Order, Sales, Section

FLOOR = Section(id="floor", name="Floor", total_seats=100, available_seats=60, held_seats=10, price=Money(4550, "EUR"))
CONCERT = Concert(
    id="c", organizer="default", artist="The Larks", title=None, date="2099-06-05T19:30:00+02:00", zone="Europe/Berlin",
    doors_at=None, ends_at=None, venue="Hall", place=None, status="listed", reason=None, total_seats=100,
    available_seats=60, held_seats=10, sold_seats=30, on_sale_at=datetime(2099, 1, 1, 9, tzinfo=UTC), off_sale_at=None,
    cancel_until=datetime(2099, 6, 5, 17, 30, tzinfo=UTC), max_per_order=8, max_per_buyer=None, sections=(FLOOR,),
)  # fmt: skip
ORDER = Order(
    id="o", concert_id="c", section="floor", user_id="u", quantity=4, held=3, status="Paid", reason=None,
    total=Money(18200, "EUR"), refunded=Money(4550, "EUR"), bill=None, created_at=datetime(2099, 1, 1, tzinfo=UTC),
    expires_at=None, payment=None,
)  # fmt: skip


def test_times_stand_in_the_form_as_the_clock_shows_them_there() -> None:
    fields = concert_form.shown(CONCERT)
    assert (fields["date"], fields["date-time"]) == ("2099-06-05", "19:30")
    assert (fields["onSaleAt"], fields["onSaleAt-time"]) == ("2099-01-01", "10:00")
    assert (fields["cancelUntil"], fields["cancelUntil-time"]) == ("2099-06-05", "19:30")


def test_a_form_that_is_sent_back_as_it_came_changes_nothing() -> None:
    assert concert_form.changes(CONCERT, concert_form.shown(CONCERT)) == {}
    seats = {"section-0-seats": "100", "section-0-price": "45.50"}
    assert concert_form.seat_changes(CONCERT, seats) == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"venue": "Club"}, {"venue": "Club"}),
        ({"venue": ""}, {"venue": None}),
        ({"date-time": "20:00"}, {"date": "2099-06-05T20:00"}),
        ({"date-time": ""}, {"date": "2099-06-05"}),
        ({"onSaleAt": "", "onSaleAt-time": ""}, {"onSaleAt": None}),
        ({"zone": "Europe/Lisbon"}, {"zone": "Europe/Lisbon", "date": "2099-06-05T19:30"}),
        ({"zone": ""}, {"zone": None, "date": "2099-06-05T19:30:00+02:00"}),
        ({"maxPerOrder": "4", "status": "unlisted"}, {"maxPerOrder": 4, "status": "unlisted"}),
        ({"maxPerBuyer": "4"}, {}),
        ({"offerMinutes": "90"}, {"offerMinutes": 90}),
        ({"offerMinutes": ""}, {}),
    ],
)
def test_a_change_says_what_was_typed_otherwise_and_nothing_else(typed: dict[str, str], said: dict[str, Any]) -> None:
    assert concert_form.changes(CONCERT, {**concert_form.shown(CONCERT), **typed}) == said


def test_a_copy_is_a_draft_at_a_time_that_is_not_known_yet() -> None:
    fields = concert_form.copied(CONCERT)
    assert (fields["status"], fields["date"], fields["date-time"], fields["onSaleAt-time"]) == (
        "draft",
        "",
        "19:30",
        "",
    )
    assert concert_form.rows_of(CONCERT) == [("floor", "Floor", "100", "45.50", "")]


def test_a_new_concert_has_the_sections_whose_rows_are_filled_in() -> None:
    rows = {"section-1-name": "Galerie Süd", "section-1-seats": "5", "section-2-seats": "7", "section-2-price": "3,5"}
    fields = {"artist": "X", "date": "2099-01-01", "date-time": "20:00", "currency": "eur", "rows": "3", **rows}
    body, numbers = concert_form.new(fields)
    assert numbers == [1, 2]
    assert body["date"] == "2099-01-01T20:00:00Z"
    assert body["sections"] == [
        {"id": "galerie-sud", "name": "Galerie Süd", "totalSeats": 5, "price": {"amount": 0, "currency": "EUR"}},
        {"id": "section-3", "totalSeats": 7, "price": {"amount": 350, "currency": "EUR"}},
    ]
    errors = [{"field": "sections[1].totalSeats", "message": "no"}, {"field": "date", "message": "past"}]
    assert concert_form.at_fields(errors, numbers) == {"section-2-seats": "no", "date": "past"}


def test_what_is_no_number_is_said_at_its_field() -> None:
    with pytest.raises(Wrong) as wrong:
        concert_form.new({"artist": "X", "rows": "1", "section-0-seats": "many", "section-0-price": "4.505"})
    assert wrong.value.why == {"section-0-seats": "number", "section-0-price": "price"}
    with pytest.raises(Wrong) as wrong:
        concert_form.new({"artist": "X", "rows": "2"})
    assert wrong.value.why == {"section-0-seats": "needed"}


@given(st.integers(0, 10**12 - 1), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_an_amount_is_read_as_it_is_written(amount: int, currency: str) -> None:
    text = concert_form.plain(Money(amount, currency))
    assert concert_form.minor(text, currency) == amount
    assert concert_form.minor(text.replace(".", ","), currency) == amount


@pytest.mark.parametrize("text", ["", "-1", "1e3", "1.234,50", "4.505", "٣", "1.", "€5"])
def test_what_is_no_amount_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        concert_form.minor(text, "EUR")


@pytest.mark.parametrize(
    ("typed", "body", "wrong"),
    [
        ({"quantity": "2"}, {"quantity": 2}, {}),
        ({"quantity": "4"}, {"quantity": 4}, {"quantity": "too-many"}),
        ({"amount": "5", "reason": "late"}, {"amount": {"amount": 500, "currency": "EUR"}, "reason": "late"}, {}),
        ({"amount": "5"}, {"amount": {"amount": 500, "currency": "EUR"}}, {"reason": "needed"}),
        ({"quantity": "1", "amount": "5"}, {"quantity": 1}, {"amount": "either"}),
        ({}, {}, {"quantity": "needed"}),
    ],
)
def test_a_part_is_tickets_or_money(typed: dict[str, str], body: dict[str, Any], wrong: dict[str, str]) -> None:
    assert part_of(ORDER, typed) == (body, wrong)


def test_a_part_of_several_categories_says_which() -> None:
    lines = (Line("adult", "Adult", 2, 100), Line("child", "Child", 2, 100))
    order = replace(ORDER, bill=Bill("EUR", lines))
    body, wrong = part_of(order, {"tickets-child": "1", "tickets-adult": "0"})
    assert (body, wrong) == ({"tickets": [{"category": "child", "quantity": 1}]}, {})
    assert worth(order, body) is None
    assert worth(ORDER, {"quantity": 2}) == Money(9100, "EUR")


def sales(day: str, tickets: int) -> Sales:
    zero = Money(0, "EUR")
    return Sales(
        day=day, orders=1, cancelled=0, tickets=tickets, tickets_back=0, taken=zero, refunded=zero, refunds_open=zero,
        net=zero,
    )  # fmt: skip


def test_a_curve_has_every_day_and_both_begin_with_their_first() -> None:
    own = curve.days([sales("2099-01-03", 2), sales("2099-01-01", 5), sales("2099-01-03", 1)])
    assert [(each.number, each.day[-2:], each.sold, each.all) for each in own] == [
        (1, "01", 5, 5), (2, "02", 0, 5), (3, "03", 3, 8),
    ]  # fmt: skip
    other = curve.days([sales("2090-05-01", 40)])
    made = curve.picture(own, other)
    assert (made.top, made.days) == (50, 3)
    assert made.own.startswith("56,212 ")
    assert made.own.count(" ") == 3
    assert curve.days([]) == []
    assert curve.picture([], []).own == ""


def test_what_the_api_says_of_no_field_of_the_form_is_said_all_the_same() -> None:
    errors = [{"field": "pricing.prices[0].until", "message": "is over"}, {"field": "zone", "message": "unknown"}]
    assert concert_form.at_fields(errors) == {"": "pricing.prices[0].until: is over", "zone": "unknown"}
    assert concert_form.at_fields([{"field": "", "message": "no"}]) == {"": "no"}


PRICING: dict[str, Any] = {
    "categories": [{"id": "adult", "name": "Adult"}, {"id": "member", "name": "Member", "hidden": True}],
    "prices": [
        {
            "section": "floor",
            "category": "adult",
            "amount": 4000,
            "until": "2099-04-30T22:00:00Z",
            "name": "Early bird",
        },
        {"section": "floor", "category": "member", "amount": 3000, "first": 20},
    ],
    "fees": [
        {"id": "booking", "name": "Booking", "percent": 8.875},
        {"id": "post", "name": "Post", "amount": 290, "perOrder": True},
    ],
    "tax": {"name": "VAT", "percent": 19.0, "included": False},
}


def test_a_price_list_stands_in_its_form_and_comes_back_as_it_was() -> None:
    concert = replace(CONCERT, pricing=PRICING)
    told = price_form.told(concert, price_form.shown(concert))
    early, member = told.body["prices"]
    assert early == {**PRICING["prices"][0], "until": "2099-05-01T00:00"}
    assert member == PRICING["prices"][1]
    assert told.body["fees"] == PRICING["fees"]
    assert told.body["tax"] == PRICING["tax"]
    assert [each["hidden"] for each in told.body["categories"]] == [False, True]


def test_rows_of_a_price_list_are_added_put_in_order_and_taken_out() -> None:
    concert = replace(CONCERT, pricing=PRICING)
    fields = price_form.shown(concert) | {"category-1-name": "", "category-rows": "3", "category-2-name": "Ädult"}
    fields |= {"price-0-place": "9", "price-1-category": "adult", "fee-1-name": "", "tax-name": "", "tax-percent": ""}
    told = price_form.told(concert, fields)
    assert [each["id"] for each in told.body["categories"]] == ["adult", "adult-3"]
    assert [each["amount"] for each in told.body["prices"]] == [3000, 4000]
    assert [each["id"] for each in told.body["fees"]] == ["booking"]
    assert told.body["tax"] is None
    why = {"pricing.prices[1].until": "a", "pricing.prices[0]": "b", "pricing.fees[0].percent": "c", "x": "d"}
    found = {"price-0-until": "a", "price-1-amount": "b", "fee-0-percent": "c", "": "x: d"}
    assert price_form.at_fields(why, told.numbers) == found


def test_what_a_price_list_can_not_say_is_named_by_field() -> None:
    wrong = {"price-rows": "1", "price-0-amount": "x", "price-0-first": "-1", "price-0-until-time": "10:00"}
    wrong |= {"fee-rows": "2", "fee-0-name": "A", "fee-1-name": "B", "fee-1-amount": "1", "fee-1-percent": "2"}
    with pytest.raises(Wrong) as refused:
        price_form.told(CONCERT, wrong | {"tax-percent": "1e3"})
    assert refused.value.why == {
        "price-0-section": "needed", "price-0-category": "needed", "price-0-amount": "price", "price-0-first": "number",
        "price-0-until": "needed", "fee-0-amount": "needed", "fee-1-percent": "either", "tax-name": "needed",
        "tax-percent": "percent",
    }  # fmt: skip
