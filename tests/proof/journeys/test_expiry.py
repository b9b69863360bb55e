"""Holds end, by the time and whatever else happens; late money gets seats again or comes back, once."""

from pathlib import Path

import pytest
from tests.proof.journeys.box_office import BoxOffice, types
from tests.proof.journeys.conftest import Start

pytestmark = pytest.mark.slow

GIVES_NO_ANSWER = "card-flaky"


def test_a_hold_that_ends_gives_the_seats_back_cancels_the_order_and_tells_the_buyer(
    start: Start, tmp_path: Path
) -> None:
    """The provider gives no answer until the hold has ended."""
    with start(tmp_path, hold_seconds="1", payment_backoff_seconds="5", payment_backoff_max_seconds="5") as ours:
        office = ours.office
        concert = office.put_on(seats=5)["id"]
        order = office.buy(concert, quantity=5, paymentMethod=GIVES_NO_ANSWER, email="buyer@example.org")
        assert office.counts(concert) == (0, 5, 0)
        off = office.end(order, "Cancelled")
        assert off["reason"] == "hold-expired"
        assert office.counts(concert) == (5, 0, 0)
        assert office.payment(order)["status"] == "Failed"
        office.told(order, "cancellation")
        story = types(office.story(order, ends_with="NotificationSent"))
        assert "PaymentFailed" in story
        assert story.count("SeatsReleased") == 1
        office.end(office.buy(concert, quantity=5), "Paid")


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
        story = types(hasty.story(order, ends_with="NotificationSent"))
        assert story.count("SeatsSold") == 1
        assert "PaymentRefunded" not in story


def test_money_that_comes_late_for_seats_that_others_have_goes_back_once(start: Start, tmp_path: Path) -> None:
    with start(tmp_path, hold_seconds="1", payment_slow_seconds="2.5", payment_attempt_seconds="10") as ours:
        office = ours.office
        concert = office.put_on(seats=2)["id"]
        late = office.buy(concert, paymentMethod="card-slow", email="late@example.org")
        other = office.until(lambda: office.order(concert), lambda answer: answer.status_code == 201).json()
        office.end(other, "Paid")
        off = office.end(late, "Cancelled")
        assert off["reason"] == "hold-expired"
        payment = office.until(lambda: office.payment(late), lambda payment: payment["status"] == "Refunded")
        assert [each["outcome"] for each in payment["attempts"]] == ["charged"]
        office.told(late, "cancellation")
        story = types(office.story(late, ends_with="PaymentRefunded"))
        assert story.count("SaleRefused") == story.count("PaymentRefunded") == 1
        assert "OrderPaid" not in story
        assert office.counts(concert) == (0, 0, 2)


def test_money_that_moved_unheard_of_before_the_hold_ended_goes_back(start: Start, tmp_path: Path) -> None:
    """The provider took it and the connection broke; by the next attempt the hold has ended."""
    with start(tmp_path, hold_seconds="1", payment_backoff_seconds="5", payment_backoff_max_seconds="5") as ours:
        office = ours.office
        concert = office.put_on()["id"]
        order = office.buy(concert, paymentMethod="card-timeout-after-charge")
        assert office.end(order, "Cancelled")["reason"] == "hold-expired"
        (failed,) = [
            event for event in office.story(order, ends_with="PaymentFailed") if event["eventType"] == "PaymentFailed"
        ]
        assert failed["payload"]["returned"] is True
        assert office.payment(order)["status"] == "Failed"
        assert office.counts(concert) == (100, 0, 0)
