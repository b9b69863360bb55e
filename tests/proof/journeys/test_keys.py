"""Idempotency keys: however often a request is sent, it is one request."""

import time
from datetime import UTC, datetime

import httpx
import pytest
from tests.proof.journeys.box_office import BoxOffice, fresh, problem


@pytest.fixture
def concert(office: BoxOffice) -> str:
    id: str = office.put_on(seats=20)["id"]
    return id


def same(answers: list[httpx.Response]) -> bool:
    return len({(answer.status_code, answer.content, answer.headers["content-type"]) for answer in answers}) == 1


def test_the_same_key_and_body_get_the_same_bytes_and_one_order(office: BoxOffice, concert: str) -> None:
    key = fresh("key")
    answers = [office.order(concert, quantity=2, key=key) for _ in range(3)]
    assert same(answers)
    assert answers[0].status_code == 201
    office.end(answers[0].json(), "Paid")
    assert same([answers[0], office.order(concert, quantity=2, key=key)]), "also once it is paid"
    assert office.counts(concert) == (18, 0, 2)
    assert len(office.listed("/orders", concertId=concert)) == 1


def test_without_a_key_every_request_is_an_order(office: BoxOffice, concert: str) -> None:
    one, other = office.buy(concert), office.buy(concert)
    assert one["id"] != other["id"]
    assert one["accessToken"] != other["accessToken"]


def test_another_body_under_the_same_key_is_refused(office: BoxOffice, concert: str) -> None:
    key = fresh("key")
    office.order(concert, quantity=2, key=key)
    refusal = problem(office.order(concert, quantity=3, key=key), 422, "idempotency-key-reused")
    assert refusal["errors"][0]["field"] == "Idempotency-Key"
    assert len(office.listed("/orders", concertId=concert)) == 1


def test_seats_that_come_back_are_had_with_the_key_that_was_refused(office: BoxOffice) -> None:
    concert = office.put_on(seats=1)["id"]
    taken = office.buy(concert, quantity=1)
    key = fresh("key")
    for _ in range(2):
        problem(office.order(concert, key=key, quantity=1), 409, "seats-unavailable")
    office.cancel(taken)
    office.until(lambda: office.counts(concert), lambda counts: counts == (1, 0, 0))
    answers = [office.order(concert, key=key, quantity=1) for _ in range(2)]
    assert answers[0].status_code == 201
    assert same(answers)


def test_a_key_that_came_before_the_on_sale_is_served_once_it_has_begun(office: BoxOffice) -> None:
    def ask(concert: str) -> tuple[str, dict[str, str], list[httpx.Response]]:
        key, reserve = fresh("key"), office.organizer | {"idempotency-key": fresh("key")}
        return key, reserve, [office.order(concert, key=key), _reserved(office, concert, reserve)]

    concert, opening, (key, reserve, early) = office.before_the_on_sale(ask)
    for refused in early:
        problem(refused, 409, "not-on-sale")
    time.sleep(max(0.0, (opening - datetime.now(UTC)).total_seconds() + 0.2))
    orders = [office.order(concert, key=key) for _ in range(2)]
    holds = [_reserved(office, concert, reserve) for _ in range(2)]
    assert orders[0].status_code == holds[0].status_code == 201
    assert same(orders)
    assert same(holds)


def test_a_refusal_for_good_stays_the_answer_to_its_key(office: BoxOffice, concert: str) -> None:
    wanted = {"id": concert, "artist": "Another", "date": "2099-06-05", "totalSeats": 5}
    wanted |= {"price": {"amount": 1, "currency": "EUR"}}
    keyed = office.organizer | {"idempotency-key": fresh("key")}
    answers = [office.http.post("/concerts", json=wanted, headers=keyed) for _ in range(2)]
    problem(answers[0], 409, "concert-exists")
    assert same(answers)


def _reserved(office: BoxOffice, concert: str, headers: dict[str, str]) -> httpx.Response:
    return office.http.post(f"/concerts/{concert}/reserve", json={"quantity": 1}, headers=headers)


@pytest.mark.parametrize("is_named", [False, True])
def test_a_concert_is_put_on_once_for_a_key(office: BoxOffice, is_named: bool) -> None:
    headers = office.organizer | {"idempotency-key": fresh("key")}
    price = {"amount": 4500, "currency": "EUR"}
    wanted = {"artist": fresh("Once"), "date": "2099-06-05", "totalSeats": 5, "price": price}
    wanted |= {"id": fresh("named")} if is_named else {}
    answers = [office.http.post("/concerts", json=wanted, headers=headers) for _ in range(3)]
    assert same(answers)
    assert answers[0].status_code == 201
    assert len(office.get("/concerts", artist=wanted["artist"])["items"]) == 1
    other = office.http.post("/concerts", json=wanted | {"totalSeats": 6}, headers=headers)
    problem(other, 422, "idempotency-key-reused")


def test_a_key_whose_answer_was_lost_is_answered_by_the_concert_that_is_there(office: BoxOffice) -> None:
    price = {"amount": 4500, "currency": "EUR"}
    wanted = {"id": fresh("there"), "artist": "There", "date": "2099-06-05", "totalSeats": 5, "price": price}
    made = office.http.post("/concerts", json=wanted, headers=office.organizer)
    again = office.http.post("/concerts", json=wanted, headers=office.organizer | {"idempotency-key": fresh("key")})
    assert same([made, again])
    other = wanted | {"totalSeats": 6}
    refused = office.http.post("/concerts", json=other, headers=office.organizer | {"idempotency-key": fresh("key")})
    problem(refused, 409, "concert-exists")


def test_seats_are_held_once_for_a_key(office: BoxOffice, concert: str) -> None:
    headers = office.organizer | {"idempotency-key": fresh("key")}
    answers = [
        office.http.post(f"/concerts/{concert}/reserve", json={"quantity": 2}, headers=headers) for _ in range(3)
    ]
    assert same(answers)
    assert answers[0].status_code == 201
    assert office.counts(concert) == (18, 2, 0)
    other = office.http.post(f"/concerts/{concert}/reserve", json={"quantity": 3}, headers=headers)
    problem(other, 422, "idempotency-key-reused")
    elsewhere = office.put_on()["id"]
    there = office.http.post(f"/concerts/{elsewhere}/reserve", json={"quantity": 2}, headers=headers)
    assert there.json()["concertId"] == elsewhere


def test_seats_that_an_order_holds_already_are_its_answer_to_a_key(office: BoxOffice) -> None:
    concert = office.put_on(seats=2)["id"]
    body = {"quantity": 2, "orderId": "sale-1"}
    first = office.http.post(f"/concerts/{concert}/reserve", json=body, headers=office.organizer)
    keyed = office.organizer | {"idempotency-key": fresh("key")}
    again = [office.http.post(f"/concerts/{concert}/reserve", json=body, headers=keyed) for _ in range(2)]
    assert same(again)
    assert again[0].status_code == 201
    assert again[0].json()["id"] == first.json()["id"]
    assert office.counts(concert) == (0, 2, 0)


def test_an_order_is_charged_once_for_a_key(hasty: BoxOffice) -> None:
    concert = hasty.put_on()["id"]
    order = hasty.buy(concert, paymentMethod="card-declined")
    hasty.end(order, "Cancelled")
    headers = hasty.organizer | {"idempotency-key": fresh("key")}
    body = {"orderId": order["id"], "method": "card-declined"}
    answers = [hasty.http.post("/payments", json=body, headers=headers) for _ in range(3)]
    assert same(answers)
    assert [each["round"] for each in hasty.payment(order)["attempts"]] == [1, 2]


@pytest.mark.parametrize("key", ["x" * 256, "a\tb"])
def test_a_key_that_can_not_be_one_is_named(office: BoxOffice, concert: str, key: str) -> None:
    refusal = problem(office.order(concert, key=key), 422, "invalid")
    assert refusal["errors"][0]["field"] == "Idempotency-Key"
    assert office.counts(concert) == (20, 0, 0)
