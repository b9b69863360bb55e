"""A buyer changes their mind, at any moment: the seats go back, and so does the money, once."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tests.proof.journeys.box_office import BoxOffice, Json, problem, types


@pytest.fixture
def concert(office: BoxOffice) -> str:
    id: str = office.put_on(seats=20)["id"]
    return id


def all_back(office: BoxOffice, concert: str) -> None:
    office.until(lambda: office.counts(concert), lambda counted: counted == (20, 0, 0))


def test_before_it_is_paid_the_seats_go_back_and_no_money_stays(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert, paymentMethod="card-slow")
    off = office.cancel(order)
    assert (off["status"], off["reason"]) == ("Cancelled", "cancelled-by-buyer")
    all_back(office, concert)
    office.until(lambda: office.payment(order), lambda payment: payment["status"] == "Failed")
    office.told(order, "cancellation")
    story = types(office.story(order, "SeatsReleased", "PaymentFailed"))
    assert "OrderPaid" not in story
    assert story.count("SeatsReleased") == 1


def test_after_it_is_paid_the_seats_and_the_money_go_back_once(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert)
    office.end(order, "Paid")
    off = office.cancel(order)
    assert (off["status"], off["reason"]) == ("Cancelled", "cancelled-by-buyer")
    all_back(office, concert)
    office.until(lambda: office.payment(order), lambda payment: payment["status"] == "Refunded")
    office.told(order, "confirmation", "cancellation")
    story = types(office.story(order, "OrderCancelled", "SeatsReleased", "PaymentRefunded"))
    assert story.count("PaymentRefunded") == story.count("SeatsReleased") == story.count("OrderCancelled") == 1


def test_cancelled_again_it_is_the_same_answer_and_nothing_happens(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert)
    office.end(order, "Paid")
    first = office.cancel(order)
    for again in (office.cancel(order), office.cancel(order, by=office.organizer)):
        # The money is on its way back meanwhile, and the organizer sees more of an order.
        assert {name: again[name] for name in first} | {"payment": None} == first | {"payment": None}
    story = types(office.story(order, "OrderCancelled", "PaymentRefunded"))
    assert story.count("OrderCancelled") == 1
    all_back(office, concert)


def test_the_organizer_may_cancel_and_the_order_says_who_did(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert)
    assert office.cancel(order, by=office.organizer)["reason"] == "cancelled-by-organizer"
    all_back(office, concert)


@pytest.mark.parametrize("times", range(5))
def test_cancel_against_pay_has_one_winner(office: BoxOffice, concert: str, times: int) -> None:
    """The payment is under way when the cancellation comes, each time at another point of it."""
    order = office.buy(concert)
    for _ in range(times):
        office.look(order)
    assert office.cancel(order)["status"] == "Cancelled"

    def at_rest(payments: list[Json]) -> bool:
        return [payment["status"] for payment in payments] in (["Refunded"], ["Failed"])

    (payment,) = office.until(lambda: office.listed("/payments", orderId=order["id"]), at_rest)
    all_back(office, concert)
    assert office.look(order)["status"] == "Cancelled"
    money = ("PaymentCompleted", "PaymentRefunded") if payment["status"] == "Refunded" else ("PaymentFailed",)
    story = types(office.story(order, "SeatsReserved", "SeatsReleased", *money))
    assert story.count("PaymentCompleted") == story.count("PaymentRefunded")
    assert story.count("SeatsReserved") == story.count("SeatsReleased") == 1


def test_seats_that_were_given_back_are_sold_to_others(office: BoxOffice) -> None:
    concert = office.put_on(seats=2)["id"]
    first = office.buy(concert)
    office.end(first, "Paid")
    problem(office.order(concert), 409, "seats-unavailable")
    office.cancel(first)
    second = office.until(lambda: office.order(concert), lambda answer: answer.status_code == 201).json()
    office.end(second, "Paid")
    assert office.counts(concert) == (0, 0, 2)


def at(hours: float, *, offset: float = 0) -> str:
    """The time so many hours from now, in an offset of so many hours."""
    there = timezone(timedelta(hours=offset))
    return (datetime.now(there) + timedelta(hours=hours)).isoformat(timespec="seconds")


@pytest.mark.parametrize(
    "times",
    [
        {"date": "2020-01-01"},
        {"date": (datetime.now(UTC) - timedelta(days=2)).date().isoformat()},
        {"date": at(-1)},
        {"date": at(-1, offset=-11)},
        {"date": at(-1, offset=14)},
        {"date": at(-3), "endsAt": at(-1)},
    ],
)
def test_what_is_over_is_not_sold(office: BoxOffice, times: dict[str, Any]) -> None:
    concert = office.put_on(**times)["id"]
    assert "overAt" in problem(office.order(concert), 409, "concert-over")
    reserve = office.http.post(f"/concerts/{concert}/reserve", json={"quantity": 1}, headers=office.organizer)
    problem(reserve, 409, "concert-over")


def test_what_is_going_on_is_sold_and_only_the_organizer_can_cancel(office: BoxOffice) -> None:
    concert = office.put_on(date=at(-30, offset=-7), endsAt=at(1, offset=-7))["id"]
    order = office.buy(concert)
    office.end(order, "Paid")
    late = office.http.post(f"/orders/{order['id']}/cancel", headers=office.buyer(order))
    assert problem(late, 409, "too-late-to-cancel")["cancelUntil"][:19] == order["cancelUntil"][:19]
    assert office.look(order)["status"] == "Paid"
    assert office.cancel(order, by=office.organizer)["reason"] == "cancelled-by-organizer"
    assert office.cancel(order)["reason"] == "cancelled-by-organizer"  # again, it stays as it is


def test_a_concert_may_let_buyers_cancel_for_less_or_more_time(office: BoxOffice) -> None:
    early = office.buy(office.put_on(date=at(48), cancelUntil=at(-1))["id"])
    problem(office.http.post(f"/orders/{early['id']}/cancel", headers=office.buyer(early)), 409, "too-late-to-cancel")
    long = office.buy(office.put_on(date=at(-1), endsAt=at(5), cancelUntil=at(2))["id"])
    assert office.cancel(long)["status"] == "Cancelled"
