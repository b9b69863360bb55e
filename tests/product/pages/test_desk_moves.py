"""An order's seats are moved at the desk and over the API, and tickets, door and messages follow."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from time import sleep
from typing import Any

import pytest
from tests.product.pages.staffed import Staff
from tests.product.pages.test_shop_seats import table
from tests.served import Served, serve

SETTINGS = {"CLUDALE_SWEEP_SECONDS": "0.1", "CLUDALE_PAYMENT_BACKOFF_SECONDS": "0.05"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("moves"), settings=SETTINGS) as served:
        price = {"amount": 4500, "currency": "EUR"}
        body = {
            "id": "hall",
            "artist": "Ada",
            "date": (datetime.now(UTC) + timedelta(hours=2)).isoformat(),
            "seatPlan": f"{table(4, 6)}\n" + table(1, 4, "Balcony").partition("\n")[2],
            "sections": [
                {"id": "stalls", "name": "Stalls", "zone": "Stalls", "price": price},
                {"id": "balcony", "name": "Balcony", "zone": "Balcony", "price": price},
            ],
        }
        answer = served.http.post("/concerts", json=body, headers=served.organizer)
        assert answer.status_code == 201, answer.text
        yield served


def paid(shop: Served, *seats: str, section: str = "stalls") -> str:
    body = {"concertId": "hall", "userId": "eve", "section": section, "seats": seats, "email": "eve@example.com"}
    order = shop.http.post("/orders", json=body, headers={"idempotency-key": f"eve-{seats[0]}"}).json()
    shown = shop.http.get(f"/orders/{order['id']}?wait=20", headers=shop.organizer).json()
    assert shown["status"] == "Paid", shown
    return str(order["id"])


def ids(seats: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in seats]


def until(ask: Callable[[], Any], is_so: Callable[[Any], bool]) -> Any:
    for _ in range(200):
        if is_so(found := ask()):
            return found
        sleep(0.05)
    raise AssertionError(found)


def tickets(shop: Served, order: str, has: str) -> list[dict[str, Any]]:
    """Its tickets, once one is for this seat."""

    def ask() -> list[dict[str, Any]]:
        answer = shop.http.get("/tickets", params={"order": order}, headers=shop.organizer)
        return answer.json()["items"] if answer.status_code == 200 else []

    found: list[dict[str, Any]] = until(ask, lambda items: any(each["seat"]["id"] == has for each in items))
    return found


def scanned(shop: Served, code: str) -> dict[str, Any]:
    body = {"code": code, "door": "north"}
    said: dict[str, Any] = shop.http.post("/tickets/admissions", json=body, headers=shop.organizer).json()
    return said


def test_a_seat_is_moved_at_the_desk_and_all_follow(shop: Served, staff: Staff) -> None:
    order = paid(shop, "Stalls-1-1", "Stalls-1-2")
    at, codes = f"/staff/orders/{order}/move", [each["code"] for each in tickets(shop, order, "Stalls-1-1")]
    assert "The order has the seats 1 1, 2." in staff.get(at).text
    wrong = staff.send(at, at, seats="1 9", to="3 1", reason="")
    assert wrong.status_code == 422
    assert all(each in unescape(wrong.text) for each in ("There is no seat 1 9.", 'id="reason-wrong"', 'value="3 1"'))
    assert "The seat 1 3 is not one of this order" in staff.send(at, at, seats="1 1-3", to="3 1-3", reason="r").text
    asked = staff.send(at, at, seats="1 2", to="3 1", reason="The sound desk")
    assert "Move these seats?" in asked.text
    for _ in range(2):  # by a double click
        done = staff.again(at, asked.text)
        assert done.status_code == 303, done.text
        assert done.headers["location"] == f"/staff/orders/{order}?done=move"
    both = ["Stalls-1-1", "Stalls-3-1"]
    until(
        lambda: shop.http.get(f"/orders/{order}", headers=shop.organizer).json()["seats"], lambda has: ids(has) == both
    )
    first, second = tickets(shop, order, "Stalls-3-1")
    assert (first["code"], second["transferred"]) == (codes[0], False)
    said = scanned(shop, codes[1])
    assert (said["result"], said["movedTo"]["row"], said["movedTo"]["number"]) == ("replaced", "3", "1")
    assert scanned(shop, second["code"])["result"] == "valid"
    page = until(lambda: staff.get(f"/staff/orders/{order}").text, lambda text: "Tickets got new codes" in text)
    assert all(each in page for each in ("Seats were moved to others", "The order has other seats", "1 1; 3 1"))
    sent = shop.http.get("/notifications", params={"orderId": order}, headers=shop.organizer).json()["items"]
    assert [each["kind"] for each in sent].count("reseated") == 1

    refused = staff.send(at, at, seats="3 1", to="4 1", reason="r")
    refused = staff.again(at, refused.text)
    assert (refused.status_code, "evenIfAdmitted" in refused.text) == (422, True)
    asked = staff.send(at, at, seats="3 1", to="4 1", reason="r", admitted="1")
    assert staff.again(at, asked.text).status_code == 303
    moved = tickets(shop, order, "Stalls-4-1")[1]
    assert scanned(shop, moved["code"])["result"] == "used"


def test_two_orders_swap_once_however_often_it_is_asked(shop: Served, staff: Staff) -> None:
    one, two = paid(shop, "Stalls-2-1", "Stalls-2-2"), paid(shop, "Stalls-2-5", "Stalls-2-6")
    body = {"first": {"order": one}, "second": {"order": two}, "reason": "as they asked"}
    headers = shop.organizer | {"idempotency-key": "swap-1"}
    at = "/concerts/hall/seats/swap"
    answers = [shop.http.post(at, json=body, headers=headers) for _ in range(2)]
    assert answers[0].content == answers[1].content
    seats = [[seat["id"] for seat in each["seats"]] for each in answers[0].json()["orders"]]
    assert seats == [["Stalls-2-5", "Stalls-2-6"], ["Stalls-2-1", "Stalls-2-2"]]
    other = shop.http.post(at, json=body | {"reason": "no"}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    desk = f"/staff/orders/{one}/move"
    assert 'id="other-wrong"' in staff.send(desk, desk, other="order-none", theirs="1 1", reason="r").text
    asked = staff.send(desk, desk, seats="2 5", other=two, theirs="2 2", reason="r")
    assert staff.again(desk, asked.text).status_code == 303
    shown = shop.http.get(f"/orders/{two}", headers=shop.organizer).json()["seats"]
    until(
        lambda: shop.http.get(f"/orders/{two}", headers=shop.organizer).json()["seats"], lambda has: has != shown or has
    )
    assert [each["id"] for each in shown] == ["Stalls-2-1", "Stalls-2-5"]


def test_a_swap_with_another_section_is_refused_at_the_desk_with_what_to_do_instead(shop: Served, staff: Staff) -> None:
    """Though both sections cost the same."""
    one, two = paid(shop, "Stalls-4-5"), paid(shop, "Balcony-1-3", section="balcony")
    desk = f"/staff/orders/{one}/move"
    refused = staff.again(desk, staff.send(desk, desk, other=two, reason="as they asked").text)
    assert refused.status_code == 422
    assert "within their section alone" in refused.text
    assert "sell others there and give these back" in refused.text


def test_what_is_refused_says_why(shop: Served) -> None:
    order = paid(shop, "Stalls-3-5", "Stalls-3-6")
    for asked, status, type, said in (
        ({"to": ["Balcony-1-1", "Balcony-1-2"]}, 409, "other-section", "balcony"),
        ({"to": ["Stalls-3-5", "Stalls-1-1"]}, 409, "seats-not-free", "Stalls-1-1"),
        ({"to": ["Stalls-9-9", "Stalls-1-1"]}, 422, "invalid", "to[0]"),
        ({"seats": ["Stalls-1-1"]}, 422, "invalid", "seats[0]"),
        ({"order": "order-none"}, 409, "nothing-to-move", "order-none"),
    ):
        body = {"order": order, "reason": "r"} | asked
        answer = shop.http.post("/concerts/hall/seats/move", json=body, headers=shop.organizer)
        assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{type}"), answer.text
        assert said in answer.text
