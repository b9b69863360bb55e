"""Who may see and do what: nothing of an order without its token, nothing of the organizer's without the key."""

import pytest
from tests.proof.journeys.box_office import BoxOffice, Json, problem


@pytest.fixture
def order(office: BoxOffice) -> Json:
    return office.buy(office.put_on()["id"])


def test_an_order_opens_with_its_own_token_and_the_organizers_key_alone(office: BoxOffice, order: Json) -> None:
    path = f"/orders/{order['id']}"
    other = office.buy(order["concertId"])
    assert office.http.get(path, headers=office.buyer(order)).status_code == 200
    assert office.http.get(path, headers=office.organizer).status_code == 200
    wrong = [{}, office.buyer(other), {"authorization": f"Basic {order['accessToken']}"}, {"authorization": "Bearer"}]
    for headers in wrong:
        problem(office.http.get(path, headers=headers), 404, "not-found")
        problem(office.http.post(f"{path}/cancel", headers=headers), 404, "not-found")
    assert office.look(order)["status"] in ("Reserved", "Paid")


def test_what_is_not_there_looks_like_what_may_not_be_seen(office: BoxOffice, order: Json) -> None:
    unseen = office.http.get(f"/orders/{order['id']}").json()
    nothing = office.http.get(f"/orders/{order['id'][:-4]}0000").json()
    for body in (unseen, nothing):
        body["id"] = body["detail"] = ""
    assert unseen == nothing


def test_a_token_opens_nothing_of_the_organizers(office: BoxOffice, order: Json) -> None:
    for path in ("/orders", "/payments", "/notifications", "/audit/events", f"/audit/orders/{order['id']}"):
        problem(office.http.get(path, headers=office.buyer(order)), 401, "unauthorized")
    for path in ("/concerts", f"/concerts/{order['concertId']}/reserve", "/payments", "/audit/replay"):
        problem(office.http.post(path, json={}, headers=office.buyer(order)), 401, "unauthorized")


def test_the_token_is_told_once_and_never_listed(office: BoxOffice, order: Json) -> None:
    assert order["accessToken"] not in repr(office.look(order))
    assert order["accessToken"] not in repr(office.listed("/orders", concertId=order["concertId"]))
    assert order["accessToken"] not in repr(office.cancel(order))
    assert order["accessToken"] not in repr(office.story(order, "OrderCancelled"))


def test_the_organizer_alone_sees_where_the_buyer_wants_to_be_told(office: BoxOffice) -> None:
    contact = {"email": "ann.lee@example.org", "phone": "+491701234567"}
    wanted = {"concertId": office.put_on()["id"], "userId": "ann", "quantity": 1, **contact}
    placed = office.http.post("/orders", json=wanted).json()
    path = f"/orders/{placed['id']}"
    (listed,) = office.listed("/orders", concertId=wanted["concertId"], userId="ann")
    for shown in (office.http.get(path, headers=office.organizer).json(), listed):
        assert {name: shown[name] for name in contact} == contact
    for shown in (
        placed,
        office.http.get(path, headers=office.buyer(placed)).json(),
        office.http.post(f"{path}/cancel", headers=office.buyer(placed)).json(),
    ):
        assert not {"email", "phone"} & shown.keys()
    assert office.listed("/orders", concertId=wanted["concertId"], userId="bob") == []
