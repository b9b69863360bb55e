"""Holds end, by the time and whatever else happens; late money gets seats again or comes back, once."""

import pytest
from tests.proof.journeys.box_office import BoxOffice, types

pytestmark = pytest.mark.slow

GIVES_NO_ANSWER = "card-flaky"


def test_a_hold_that_ends_gives_the_seats_back_cancels_the_order_and_tells_the_buyer(hasty: BoxOffice) -> None:
    """The provider gives no answer until the hold has ended."""
    concert = hasty.put_on(seats=5)["id"]
    order = hasty.buy(concert, quantity=5, paymentMethod=GIVES_NO_ANSWER, email="buyer@example.org")
    assert hasty.counts(concert) == (0, 5, 0)
    off = hasty.end(order, "Cancelled")
    assert off["reason"] == "hold-expired"
    assert hasty.counts(concert) == (5, 0, 0)
    assert hasty.payment(order)["status"] == "Failed"
    hasty.told(order, "cancellation")
    story = types(hasty.story(order, "PaymentFailed", "SeatsReleased", "NotificationSent"))
    assert story.count("SeatsReleased") == 1
    hasty.end(hasty.buy(concert, quantity=5), "Paid")


def test_a_hold_that_nobody_pays_for_ends_by_itself(hasty: BoxOffice) -> None:
    concert = hasty.put_on(seats=3)["id"]
    answer = hasty.http.post(f"/concerts/{concert}/reserve", json={"quantity": 3}, headers=hasty.organizer)
    assert answer.status_code == 201
    assert hasty.counts(concert) == (0, 3, 0)
    hasty.until(lambda: hasty.counts(concert), lambda counted: counted == (3, 0, 0))
    released = hasty.until(lambda: hasty.listed("/audit/events", type="SeatsReleased", concertId=concert), bool)
    assert [event["payload"]["reason"] for event in released] == ["hold-expired"]


def test_money_that_comes_late_gets_seats_again_while_there_are_any(hasty: BoxOffice) -> None:
    concert = hasty.put_on(seats=5)["id"]
    orders = [hasty.buy(concert, paymentMethod="card-slow") for _ in range(2)]
    for order in orders:
        hasty.end(order, "Paid")
        hasty.told(order, "confirmation")
    assert hasty.counts(concert) == (1, 0, 4)
    for order in orders:
        story = types(hasty.story(order, "SeatsSold", "NotificationSent"))
        assert story.count("SeatsSold") == 1
        assert "PaymentRefunded" not in story


def test_money_that_comes_late_for_seats_that_others_have_goes_back_once(hasty: BoxOffice) -> None:
    concert = hasty.put_on(seats=2)["id"]
    late = hasty.buy(concert, paymentMethod="card-slow", email="late@example.org")
    other = hasty.until(lambda: hasty.order(concert), lambda answer: answer.status_code == 201).json()
    hasty.end(other, "Paid")
    off = hasty.end(late, "Cancelled")
    assert off["reason"] == "hold-expired"
    payment = hasty.until(lambda: hasty.payment(late), lambda payment: payment["status"] == "Refunded")
    assert [each["outcome"] for each in payment["attempts"]] == ["charged"]
    hasty.told(late, "cancellation")
    story = types(hasty.story(late, "SaleRefused", "PaymentRefunded"))
    assert story.count("SaleRefused") == story.count("PaymentRefunded") == 1
    assert "OrderPaid" not in story
    assert hasty.counts(concert) == (0, 0, 2)


def test_money_that_moved_unheard_of_before_the_hold_ended_goes_back(hasty: BoxOffice) -> None:
    """The provider took it and the connection broke; by the next attempt the hold has ended."""
    concert = hasty.put_on()["id"]
    order = hasty.buy(concert, paymentMethod="card-timeout-after-charge")
    assert hasty.end(order, "Cancelled")["reason"] == "hold-expired"
    (failed,) = [event for event in hasty.story(order, "PaymentFailed") if event["eventType"] == "PaymentFailed"]
    assert failed["payload"]["returned"] is True
    assert hasty.payment(order)["status"] == "Failed"
    assert hasty.counts(concert) == (100, 0, 0)
