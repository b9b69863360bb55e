"""Carts from outside: several concerts and sections in one order, all or none, over HTTP and by the command line."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.patience import eventually
from tests.served import Served, serve

ONE_CHARGE = 9_000 + 4_500 + 3_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("carts")) as served:
        served.concert("club", seats=50)
        sections = [
            {"id": "floor", "totalSeats": 20, "price": {"amount": 3_000, "currency": "EUR"}},
            {"id": "tiny", "totalSeats": 2, "price": {"amount": 1_000, "currency": "EUR"}},
        ]
        served.concert("hall", totalSeats=None, price=None, sections=sections)
        plan = "section,row,seat,x,y,category,flags\n" + "".join(f"S,1,{n},{n},0,S,\n" for n in range(1, 9))
        stalls = {"id": "stalls", "zone": "S", "price": {"amount": 5_000, "currency": "EUR"}}
        served.concert("seated", totalSeats=None, price=None, sections=[stalls], seatPlan=plan)
        served.concert("dollars", price={"amount": 100, "currency": "USD"})
        yield served


def line(concert: str = "club", quantity: int = 1, section: str | None = None, **more: Any) -> dict[str, Any]:
    return {"concertId": concert, "quantity": quantity, "section": section, **more}


def placed(server: Served, *lines: dict[str, Any], status: int = 201, key: str = "", **more: Any) -> dict[str, Any]:
    headers = {"idempotency-key": key} if key else {}
    body = {"userId": "user-1", "lines": list(lines), "email": "a@example.org", **more}
    answer = server.http.post("/orders/carts", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    said: dict[str, Any] = answer.json()
    return said


def bearer(thing: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {thing['accessToken']}"}


def settled(server: Served, cart: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = server.http.get(f"/orders/carts/{cart['id']}?wait=10", headers=bearer(cart)).json()
    return said


def left(server: Served, concert: str, section: str) -> int:
    shown = server.http.get(f"/concerts/{concert}").json()
    (found,) = [each["availableSeats"] for each in shown["sections"] if each["id"] == section]
    return int(found)


def test_a_cart_is_charged_once_and_each_line_is_an_order(server: Served) -> None:
    cart = placed(server, line("club", 2), line("club", 1), line("hall", 1, "floor"))
    assert (cart["status"], cart["total"]) == ("Reserved", {"amount": ONE_CHARGE, "currency": "EUR"})
    assert len({each["expiresAt"] for each in cart["lines"]} | {cart["expiresAt"]}) == 1
    paid = settled(server, cart)
    assert paid["status"] == "Paid", paid
    assert [each["status"] for each in paid["lines"]] == ["Paid"] * 3
    own = server.http.get(f"/orders/{cart['lines'][2]['id']}", headers=bearer(cart["lines"][2])).json()
    assert (own["concertId"], own["section"], own["total"]["amount"]) == ("hall", "floor", 3_000)
    assert server.http.get(f"/orders/{own['id']}", headers=bearer(cart)).json() == own
    assert server.http.get(f"/orders/carts/{cart['id']}", headers=bearer(cart["lines"][2])).status_code == 404
    shares = server.http.get(f"/payments?orderId={own['id']}", headers=server.organizer).json()["items"]
    assert [(each["orderId"], each["amount"]["amount"]) for each in shares] == [(own["id"], 3_000)]
    (whole,) = server.http.get(f"/payments?orderId={cart['id']}", headers=server.organizer).json()["items"]
    assert (whole["amount"]["amount"], len(whole["attempts"])) == (ONE_CHARGE, 1)
    assert server.http.get(f"/orders/carts/{cart['id']}").status_code == 404


def test_the_same_key_is_the_same_cart(server: Served) -> None:
    first = placed(server, line(), line("hall", 1, "floor"), key="once")
    assert placed(server, line(), line("hall", 1, "floor"), key="once") == first
    assert placed(server, line(), key="once", status=422)["type"].endswith("idempotency-key-reused")


def test_a_line_that_is_refused_leaves_nothing_held(server: Served) -> None:
    before = left(server, "hall", "floor"), left(server, "hall", "tiny")
    wanted = (line("hall", 2, "floor"), line("hall", 3, "tiny"), line("club", 1))
    refused = placed(server, *wanted, status=409, key="full")
    assert (refused["type"], refused["line"], refused["section"]) == ("/problems/seats-unavailable", 1, "tiny")
    assert refused["detail"].startswith("lines[1]: ")
    assert (left(server, "hall", "floor"), left(server, "hall", "tiny")) == before
    assert placed(server, *wanted, status=409, key="full")["line"] == 1  # nothing of the first attempt is in its way


@pytest.mark.parametrize(
    ("lines", "status", "field"),
    [
        ([line(), line("nowhere")], 404, None),
        ([line(), line("hall", 1, "roof")], 422, "lines[1].section"),
        ([line(), line("dollars")], 422, "lines[1].concertId"),
        ([line("club", 999)], 422, "lines[0].quantity"),
        ([], 422, "lines"),
        ([line()] * 11, 422, "lines"),
    ],
)
def test_a_refusal_names_the_line(server: Served, lines: list[Any], status: int, field: str | None) -> None:
    refused = placed(server, *lines, status=status)
    if field is not None:
        assert field in [each["field"] for each in refused["errors"]], refused


def test_a_declined_cart_is_paid_in_another_way_as_a_whole(server: Served) -> None:
    cart = placed(server, line(), line("hall", 1, "floor"), paymentMethod="card-declined")
    declined = settled(server, cart)
    assert [each["payment"]["status"] for each in declined["lines"]] == ["Declined"] * 2
    alone = cart["lines"][0]
    again = {"paymentMethod": "card-ok"}
    refused = server.http.post(f"/orders/{alone['id']}/payment", json=again, headers=bearer(alone))
    assert (refused.status_code, refused.json()["cartId"]) == (409, cart["id"])
    assert server.http.post(f"/orders/{alone['id']}/cancel", headers=bearer(alone)).status_code == 409
    paying = server.http.post(f"/orders/carts/{cart['id']}/payment", json=again, headers=bearer(cart))
    assert paying.status_code == 202, paying.text
    assert settled(server, cart)["status"] == "Paid"


def test_a_cancelled_cart_gives_everything_back(server: Served) -> None:
    before = left(server, "hall", "floor")
    cart = placed(server, line(), line("hall", 2, "floor"))
    assert settled(server, cart)["status"] == "Paid"
    off = server.http.post(f"/orders/carts/{cart['id']}/cancel", headers=bearer(cart)).json()
    assert [each["status"] for each in off["lines"]] == ["Cancelled"] * 2

    def back() -> bool:
        shown = settled(server, cart)["lines"]
        return (
            all(each["payment"]["status"] == "Refunded" for each in shown) and left(server, "hall", "floor") == before
        )

    assert eventually(back)


def test_a_cart_of_whose_concerts_one_is_called_off_gives_the_others_seats_back_at_once(server: Served) -> None:
    server.concert("stormy", seats=10)
    before = left(server, "hall", "floor")
    cart = placed(server, line("stormy"), line("hall", 2, "floor"), paymentMethod="card-declined")
    settled(server, cart)
    off = server.http.post("/concerts/stormy/cancel", json={"reason": "A storm"}, headers=server.organizer)
    assert off.status_code == 200, off.text
    assert eventually(lambda: left(server, "hall", "floor") == before)
    shown = settled(server, cart)
    assert [each["reason"] for each in shown["lines"]] == ["concert-called-off", "cart-incomplete"]


def test_one_line_is_given_back_alone_and_in_part(server: Served) -> None:
    cart = placed(server, line("club", 2), line("hall", 2, "floor"), line("hall", 1, "floor"))
    assert settled(server, cart)["status"] == "Paid"
    first, second, third = cart["lines"]
    assert server.http.post(f"/orders/{third['id']}/cancel", headers=bearer(third)).json()["status"] == "Cancelled"
    part = server.http.post(f"/orders/{second['id']}/refunds", json={"quantity": 1}, headers=bearer(second))
    assert (part.status_code, part.json()["amount"]["amount"]) == (202, 3_000)

    def back() -> bool:
        lines = settled(server, cart)["lines"]
        return str(lines[2]["payment"]["status"]) == "Refunded" and lines[1]["refunds"][0]["status"] == "Completed"

    assert eventually(back)
    assert [each["status"] for each in settled(server, cart)["lines"]] == ["Paid", "Paid", "Cancelled"]
    assert settled(server, cart)["status"] == "Paid"
    assert first["quantity"] == 2


def test_the_buyer_of_a_cart_is_told_once(server: Served) -> None:
    cart = placed(server, line(), line("hall", 1, "floor"))
    settled(server, cart)

    def told() -> bool:
        found = [
            each
            for own in cart["lines"]
            for each in server.http.get(f"/notifications?orderId={own['id']}", headers=server.organizer).json()["items"]
        ]
        return [each["kind"] for each in found] == ["confirmation"]

    assert eventually(told)


def test_seats_are_named_in_a_line_or_the_best_are_had(server: Served) -> None:
    named = {"concertId": "seated", "seats": ["S-1-3", "S-1-4"]}
    cart = placed(server, named, line("seated", 2), line("club"))
    seats = [[each["id"] for each in one.get("seats", [])] for one in cart["lines"]]
    assert (seats[0], len(seats[1]), seats[2]) == (["S-1-3", "S-1-4"], 2, [])
    assert settled(server, cart)["status"] == "Paid"
    free = left(server, "seated", "stalls")
    taken = placed(server, line("club"), {**named, "seats": ["S-1-3"]}, status=409)
    assert (taken["type"], taken["line"], taken["notFree"]) == ("/problems/seats-not-free", 1, ["S-1-3"])
    twice = placed(
        server, {"concertId": "seated", "seats": ["S-1-7"]}, {"concertId": "seated", "seats": ["S-1-7"]}, status=409
    )
    assert twice["type"] == "/problems/seats-not-free"
    wrong = placed(server, line("club"), {"concertId": "seated", "seats": ["S-1-1"], "quantity": 2}, status=422)
    assert wrong["errors"][0]["field"].startswith("lines[1].")
    none = placed(server, {"concertId": "seated"}, status=422)
    assert none["errors"][0]["field"] == "lines[0].quantity"
    assert eventually(lambda: left(server, "seated", "stalls") == free)
