"""When the payment does not go as it should: the money moves once, or not at all, and the order says which."""

import pytest
from tests.proof.journeys.box_office import BoxOffice, problem, types


@pytest.fixture
def concert(office: BoxOffice) -> str:
    id: str = office.put_on(seats=20)["id"]
    return id


@pytest.fixture
def soon(hasty: BoxOffice) -> str:
    """A concert where holds end soon."""
    id: str = hasty.put_on(seats=20)["id"]
    return id


def kinds(notes: list[dict[str, object]]) -> set[object]:
    return {note["kind"] for note in notes}


def test_a_declined_order_keeps_its_seats_until_its_hold_ends_and_is_then_cancelled(hasty: BoxOffice) -> None:
    concert = hasty.put_on(seats=20)["id"]
    order = hasty.buy(concert, paymentMethod="card-declined", email="buyer@example.org")
    shown = hasty.shows(order, "Declined")
    assert shown["payment"]["attempts"] == 1
    off = hasty.end(order, "Cancelled")
    assert off["reason"] == "payment-declined"
    hasty.until(lambda: hasty.counts(concert), lambda counted: counted == (20, 0, 0))
    payment = hasty.payment(order)
    assert payment["status"] == "Failed"
    assert [(each["outcome"], each["detail"]) for each in payment["attempts"]] == [
        ("declined", "the card was declined")
    ]
    hasty.until(
        lambda: hasty.listed("/notifications", orderId=order["id"]), lambda notes: "cancellation" in kinds(notes)
    )
    story = types(hasty.story(order, "PaymentFailed", "OrderCancelled", "SeatsReleased", "NotificationSent"))
    assert story.index("PaymentFailed") < story.index("OrderCancelled")
    assert "PaymentCompleted" not in story


class TestPayingInAnotherWay:
    def test_a_buyer_whose_card_was_declined_pays_with_another_one(self, office: BoxOffice, concert: str) -> None:
        order = office.buy(concert, paymentMethod="card-declined")
        shown = office.shows(order, "Declined")
        assert shown["status"] == "Reserved"
        assert office.counts(concert) == (18, 2, 0)
        answer = office.pay_again(order, "card-ok")
        assert answer.status_code == 202, answer.text
        assert answer.json()["payment"]["status"] == "Pending"
        paid = office.end(order, "Paid")
        assert paid["payment"]["status"] == "Completed"
        assert office.counts(concert) == (18, 0, 2)
        assert [(each["round"], each["outcome"]) for each in office.payment(order)["attempts"]] == [
            (1, "declined"),
            (2, "charged"),
        ]
        assert office.payment(order)["method"] == "card-ok"
        problem(office.pay_again(order, "card-ok"), 409, "already-paid")

    def test_a_key_makes_it_safe_to_repeat(self, office: BoxOffice, concert: str) -> None:
        order = office.buy(concert, paymentMethod="card-declined")
        office.shows(order, "Declined")
        first = office.pay_again(order, "card-slow", key=f"again-{order['id']}")
        assert first.status_code == 202
        again = office.pay_again(order, "card-slow", key=f"again-{order['id']}")
        assert (again.status_code, again.content) == (202, first.content)
        problem(office.pay_again(order, "card-ok", key=f"again-{order['id']}"), 422, "idempotency-key-reused")
        problem(office.pay_again(order, "card-ok"), 409, "charge-open")
        office.end(order, "Paid")

    def test_nobody_pays_for_another(self, office: BoxOffice, concert: str) -> None:
        order = office.buy(concert, paymentMethod="card-declined")
        office.shows(order, "Declined")
        other = office.buy(concert)
        answer = office.http.post(
            f"/orders/{order['id']}/payment", json={"paymentMethod": "card-ok"}, headers=office.buyer(other)
        )
        problem(answer, 404, "not-found")

    def test_a_cancelled_order_takes_no_other_card(self, office: BoxOffice, concert: str) -> None:
        order = office.buy(concert, paymentMethod="card-declined")
        office.shows(order, "Declined")
        office.cancel(order)
        problem(office.pay_again(order, "card-ok"), 409, "not-reserved")


def test_a_flaky_payment_succeeds_on_a_later_attempt(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert, paymentMethod="card-flaky")
    office.end(order, "Paid")
    payment = office.payment(order)
    assert payment["status"] == "Completed"
    assert [each["outcome"] for each in payment["attempts"]] == ["no answer", "no answer", "charged"]
    assert types(office.story(order, "PaymentCompleted", "NotificationSent")).count("PaymentCompleted") == 1
    assert office.counts(concert) == (18, 0, 2)


def test_money_that_moved_without_an_answer_is_found_again_and_taken_once(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert, paymentMethod="card-timeout-after-charge")
    office.end(order, "Paid")
    payment = office.payment(order)
    assert [each["outcome"] for each in payment["attempts"]] == ["no answer", "charged"]
    assert {each["round"] for each in payment["attempts"]} == {1}
    assert types(office.story(order, "PaymentCompleted", "NotificationSent")).count("PaymentCompleted") == 1
    office.told(order, "confirmation")


def test_a_slow_payment_is_waited_for(office: BoxOffice, concert: str) -> None:
    order = office.buy(concert, paymentMethod="card-slow")
    assert office.look(order)["status"] == "Reserved"
    assert office.look(order, wait=0.2)["status"] == "Reserved"
    (payment,) = office.until(lambda: office.listed("/payments", orderId=order["id"]), bool)
    assert payment["attempts"] == []
    office.end(order, "Paid")
    assert [each["outcome"] for each in office.payment(order)["attempts"]] == ["charged"]


@pytest.mark.parametrize("method", ["cash", "visa", "card-nope"])
def test_a_way_to_pay_that_nobody_knows_is_refused_with_those_that_there_are(
    office: BoxOffice, concert: str, method: str
) -> None:
    refusal = problem(office.order(concert, paymentMethod=method), 422, "unknown-method")
    assert refusal["errors"][0]["field"] == "paymentMethod"
    assert "card-ok" in refusal["methods"]
    order = office.buy(concert, paymentMethod="card-declined")
    office.shows(order, "Declined")
    for answer in (office.pay_again(order, method), office.charge(order, method=method)):
        assert "card-ok" in problem(answer, 422, "unknown-method")["methods"]
    assert len(office.payment(order)["attempts"]) == 1


def test_a_free_order_is_paid_at_once_and_the_provider_is_not_asked(office: BoxOffice) -> None:
    concert = office.put_on(seats=5, price={"amount": 0, "currency": "EUR"})["id"]
    order = office.buy(concert, paymentMethod="card-declined")
    paid = office.end(order, "Paid")
    assert paid["payment"]["status"] == "Completed"
    payment = office.payment(order)
    assert (payment["status"], payment["attempts"]) == ("Completed", [])
    office.cancel(order)
    office.until(lambda: office.payment(order), lambda payment: payment["status"] == "Refunded")
    office.until(lambda: office.counts(concert), lambda counted: counted == (5, 0, 0))


class TestTheOrganizerCharges:
    def test_a_declined_order_with_another_card(self, hasty: BoxOffice, soon: str) -> None:
        order = hasty.buy(soon, paymentMethod="card-declined")
        hasty.end(order, "Cancelled")
        hasty.until(lambda: hasty.counts(soon), lambda counted: counted == (20, 0, 0))
        answer = hasty.charge(order, method="card-ok")
        assert answer.status_code == 200
        assert answer.json()["status"] == "Completed"
        paid = hasty.end(order, "Paid")
        assert paid["reason"] is None
        assert hasty.counts(soon) == (18, 0, 2)
        assert [(each["round"], each["outcome"]) for each in hasty.payment(order)["attempts"]] == [
            (1, "declined"),
            (2, "charged"),
        ]
        hasty.until(
            lambda: hasty.listed("/notifications", orderId=order["id"]),
            lambda notes: {"cancellation", "confirmation"} <= kinds(notes),
        )

    def test_a_declined_order_without_seats_left_is_not_charged(self, hasty: BoxOffice) -> None:
        soon = hasty.put_on(seats=2)["id"]
        order = hasty.buy(soon, paymentMethod="card-declined")
        hasty.end(order, "Cancelled")
        hasty.until(lambda: hasty.counts(soon), lambda counted: counted == (2, 0, 0))
        hasty.end(hasty.buy(soon), "Paid")
        before = hasty.payment(order)
        refusal = problem(hasty.charge(order, method="card-ok"), 409, "seats-gone")
        assert (refusal["section"], refusal["wanted"], refusal["left"]) == ("general", 2, 0)
        assert hasty.payment(order) == before
        assert hasty.look(order)["status"] == "Cancelled"
        assert "PaymentCompleted" not in types(hasty.story(order, "NotificationSent"))
        assert hasty.counts(soon) == (0, 0, 2)

    def test_a_paid_order_is_not_charged_again(self, hasty: BoxOffice, soon: str) -> None:
        order = hasty.buy(soon)
        hasty.end(order, "Paid")
        before = hasty.payment(order)
        for _ in range(2):
            again = hasty.charge(order)
            assert (again.status_code, again.json()) == (200, before)
        assert hasty.payment(order) == before

    def test_a_card_that_is_declined_again_leaves_the_order_cancelled(self, hasty: BoxOffice, soon: str) -> None:
        order = hasty.buy(soon, paymentMethod="card-declined")
        hasty.end(order, "Cancelled")
        assert hasty.charged(order) == "Failed"
        assert hasty.look(order)["status"] == "Cancelled"
        assert hasty.charged(order, method="card-ok") == "Completed"
        hasty.end(order, "Paid")

    def test_an_order_that_its_buyer_cancelled_is_not_charged(self, hasty: BoxOffice, soon: str) -> None:
        order = hasty.buy(soon, paymentMethod="card-declined")
        hasty.end(order, "Cancelled")
        assert hasty.cancel(order)["reason"] == "cancelled-by-buyer"
        answer = hasty.until(lambda: hasty.charge(order), lambda answer: answer.status_code == 409)
        problem(answer, 409, "payment-closed")
        assert hasty.look(order)["status"] == "Cancelled"

    def test_an_order_that_nobody_knows_can_not_be_charged(self, hasty: BoxOffice) -> None:
        problem(hasty.charge({"id": "order-unknown"}), 404, "not-found")
