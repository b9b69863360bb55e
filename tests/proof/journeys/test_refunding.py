"""Some of an order goes back: tickets or money only, once, and never more than was paid."""

from typing import Any

import httpx
from tests.proof.journeys.box_office import BoxOffice, Json, problem, types


def refund(
    office: BoxOffice, order: Json, *, by: Json | None = None, key: str | None = None, **body: Any
) -> httpx.Response:
    headers = (by or office.buyer(order)) | ({} if key is None else {"idempotency-key": key})
    return office.http.post(f"/orders/{order['id']}/refunds", json=body, headers=headers)


def settled(office: BoxOffice, order: Json) -> Json:
    return office.until(
        lambda: office.look(order), lambda seen: all(each["status"] == "Completed" for each in seen["refunds"])
    )


def test_parts_go_back_and_then_the_rest(office: BoxOffice) -> None:
    concert = office.put_on(seats=20)["id"]
    order = office.buy(concert, quantity=3, email="a@example.org")
    office.end(order, "Paid")
    first = refund(office, order, key="once", quantity=1)
    assert (first.status_code, first.json()["status"], first.json()["amount"]["amount"]) == (202, "Pending", 4500)
    assert refund(office, order, key="once", quantity=1).content == first.content
    assert "reason" not in first.json()
    problem(refund(office, order, amount={"amount": 1, "currency": "EUR"}), 403, "comment-for-organizers")
    problem(refund(office, order, quantity=2), 409, "too-many-tickets")
    money: Json = {"amount": {"amount": 1000, "currency": "EUR"}, "reason": "a pillar"}
    assert "reason" not in refund(office, order, by=office.organizer, **money).json(), "it is in no kept answer"
    reasons = [each["reason"] for each in office.get(f"/orders/{order['id']}")["refunds"]]
    assert reasons == [None, "a pillar"]
    too_much: Json = {"amount": {"amount": 8001, "currency": "EUR"}, "reason": "a pillar"}
    problem(refund(office, order, by=office.organizer, **too_much), 409, "refund-too-large")
    seen = settled(office, order)
    assert (seen["status"], seen["held"], seen["refunded"]) == ("Paid", 2, {"amount": 5500, "currency": "EUR"})
    office.until(lambda: office.counts(concert), lambda counted: counted == (18, 0, 2))
    office.told(order, "confirmation", "refund", "refund")
    office.cancel(order)
    office.until(lambda: office.counts(concert), lambda counted: counted == (20, 0, 0))
    story = office.story(order, "SeatsReturned", "SeatsReleased", "PaymentRefunded")
    assert types(story).count("SeatsReturned") == types(story).count("SeatsReleased") == 1
    (last,) = [event["payload"] for event in story if event["eventType"] == "PaymentRefunded"]
    assert last["amount"]["amount"] == 3 * 4500 - 5500
    problem(refund(office, order, quantity=1), 409, "not-paid")


def test_while_the_payment_is_under_way_nothing_can_go_back(office: BoxOffice) -> None:
    order = office.buy(office.put_on(seats=20)["id"], paymentMethod="card-slow")
    problem(refund(office, order, quantity=1), 409, "not-paid")


def test_name_and_address_are_changed_and_the_confirmation_comes_again(office: BoxOffice) -> None:
    concert = office.put_on(seats=20)["id"]
    order = office.buy(concert, name="Ann Bee")
    office.end(order, "Paid")
    at = f"/orders/{order['id']}"
    problem(office.http.post(f"{at}/resend", headers=office.organizer), 409, "no-address")
    wanted = {"email": "Ann@Example.org", "comment": "sits in a wheelchair"}
    changed = office.http.patch(at, json=wanted, headers=office.organizer).json()
    assert {name: changed[name] for name in (*wanted, "name")} == wanted | {"name": "Ann Bee"}
    assert "comment" not in office.look(order)
    problem(office.http.patch(at, json={"comment": "x"}, headers=office.buyer(order)), 403, "comment-for-organizers")
    assert office.http.post(f"{at}/resend", headers=office.buyer(order)).status_code == 202
    problem(office.http.post(f"{at}/resend", headers=office.buyer(order)), 429, "resent-too-soon")
    office.told(order, "confirmation", "confirmation-copy")
    for query in (
        {"email": "ann@example.ORG"},
        {"idPrefix": order["id"][:20]},
        {"sort": "-createdAt"},
    ):
        assert order["id"] in [each["id"] for each in office.listed("/orders", concertId=concert, **query)]
    assert office.listed("/orders", concertId=concert, email="someone@example.org") == []
