"""When the payment does not go as it should: the money moves once, or not at all, and the order says which."""

import pytest
from tests.journeys.box_office import BoxOffice, problem, types


@pytest.fixture
def concert(office: BoxOffice) -> str:
    id: str = office.put_on(seats=20)["id"]
    return id


def test_a_declined_order_is_cancelled_its_seats_go_back_and_the_buyer_is_told(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert, paymentMethod="card-declined", email="buyer@example.org")
    off = office.end(order, "Cancelled")
    assert off["reason"] == "payment-declined"
    office.until(lambda: office.counts(concert), lambda counted: counted == (20, 0, 0))
    payment = office.payment(order)
    assert payment["status"] == "Failed"
    assert [(each["outcome"], each["detail"]) for each in payment["attempts"]] == [
        ("declined", "the card was declined")
    ]
    office.told(order, "cancellation")
    story = types(office.story(order, ends_with="NotificationSent"))
    assert story.index("PaymentFailed") < story.index("OrderCancelled") < story.index("SeatsReleased")
    assert "PaymentCompleted" not in story


def test_a_flaky_payment_succeeds_on_a_later_attempt(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert, paymentMethod="card-flaky")
    office.end(order, "Paid")
    payment = office.payment(order)
    assert payment["status"] == "Completed"
    assert [each["outcome"] for each in payment["attempts"]] == ["no answer", "no answer", "charged"]
    assert types(office.story(order, ends_with="NotificationSent")).count("PaymentCompleted") == 1
    assert office.counts(concert) == (18, 0, 2)


def test_money_that_moved_without_an_answer_is_found_again_and_taken_once(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert, paymentMethod="card-timeout-after-charge")
    office.end(order, "Paid")
    payment = office.payment(order)
    assert [each["outcome"] for each in payment["attempts"]] == ["no answer", "charged"]
    assert {each["round"] for each in payment["attempts"]} == {1}
    assert types(office.story(order, ends_with="NotificationSent")).count("PaymentCompleted") == 1
    office.told(order, "confirmation")


def test_a_slow_payment_is_waited_for(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert, paymentMethod="card-slow")
    assert office.look(order)["status"] == "Reserved"
    assert office.look(order, wait=0.2)["status"] == "Reserved"
    assert len(office.payment(order)["attempts"]) == 0
    office.end(order, "Paid")
    assert [each["outcome"] for each in office.payment(order)["attempts"]] == ["charged"]


def test_a_method_that_nobody_knows_is_a_decline(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert, paymentMethod="pebbles")
    assert office.end(order, "Cancelled")["reason"] == "payment-declined"
    assert "pebbles" in office.payment(order)["attempts"][0]["detail"]


class TestTheOrganizerCharges:
    def test_a_declined_order_with_another_card(self, office: BoxOffice, concert: str) -> None:
        order = office.buy(concert, paymentMethod="card-declined")
        office.end(order, "Cancelled")
        office.until(lambda: office.counts(concert), lambda counted: counted == (20, 0, 0))
        answer = office.charge(order, method="card-ok")
        assert answer.status_code == 200
        assert answer.json()["status"] == "Completed"
        paid = office.end(order, "Paid")
        assert paid["reason"] is None
        assert office.counts(concert) == (18, 0, 2)
        assert [(each["round"], each["outcome"]) for each in office.payment(order)["attempts"]] == [
            (1, "declined"),
            (2, "charged"),
        ]
        office.told(order, "cancellation", "confirmation")

    def test_a_declined_order_without_seats_left_gets_its_money_back(self, office: BoxOffice) -> None:
        concert = office.put_on(seats=2)["id"]
        order = office.buy(concert, paymentMethod="card-declined")
        office.end(order, "Cancelled")
        office.until(lambda: office.counts(concert), lambda counted: counted == (2, 0, 0))
        office.end(office.buy(concert), "Paid")
        assert office.charge(order, method="card-ok").json()["status"] == "Completed"
        office.until(lambda: office.payment(order), lambda payment: payment["status"] == "Refunded")
        assert office.look(order)["status"] == "Cancelled"
        assert types(office.story(order, ends_with="PaymentRefunded")).count("PaymentRefunded") == 1
        assert office.counts(concert) == (0, 0, 2)

    def test_a_paid_order_is_not_charged_again(self, office: BoxOffice, concert: str) -> None:
        order = office.buy(concert)
        office.end(order, "Paid")
        before = office.payment(order)
        for _ in range(2):
            again = office.charge(order)
            assert (again.status_code, again.json()) == (200, before)
        assert office.payment(order) == before

    def test_a_card_that_is_declined_again_leaves_the_order_cancelled(self, office: BoxOffice, concert: str) -> None:
        order = office.buy(concert, paymentMethod="card-declined")
        office.end(order, "Cancelled")
        assert office.charge(order).json()["status"] == "Failed"
        assert office.look(order)["status"] == "Cancelled"
        assert office.charge(order, method="card-ok").json()["status"] == "Completed"
        office.end(order, "Paid")

    def test_an_order_that_its_buyer_cancelled_is_not_charged(self, office: BoxOffice, concert: str) -> None:
        order = office.buy(concert, paymentMethod="card-declined")
        office.end(order, "Cancelled")
        assert office.cancel(order)["reason"] == "cancelled-by-buyer"
        answer = office.until(lambda: office.charge(order), lambda answer: answer.status_code == 409)
        problem(answer, 409, "payment-closed")
        assert office.look(order)["status"] == "Cancelled"

    def test_an_order_that_nobody_knows_can_not_be_charged(self, office: BoxOffice) -> None:
        problem(office.charge({"id": "order-unknown"}), 404, "not-found")
