"""Prices from outside: a price list, codes, quotes and orders, over HTTP and by the command line."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.patience import eventually
from tests.served import KEY, Served, serve

PRICING = {
    "categories": [
        {"id": "adult", "name": "Adult"},
        {"id": "child", "name": "Child"},
        {"id": "member", "name": "Member", "hidden": True},
    ],
    "prices": [
        {"section": "floor", "category": "adult", "amount": 3_000, "name": "Early bird", "first": 4},
        {"section": "floor", "category": "child", "amount": 2_000},
        {"section": "floor", "category": "member", "amount": 1_000},
    ],
    "fees": [{"id": "booking", "name": "Booking fee", "amount": 150}],
    "tax": {"name": "VAT", "percent": 19},
}
FLOOR = {"id": "floor", "totalSeats": 100, "price": {"amount": 4_500, "currency": "EUR"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("prices")) as served:
        yield served


@pytest.fixture
def concert(server: Served, request: pytest.FixtureRequest) -> str:
    id = f"c-{abs(hash(request.node.name)) % 10**8}"
    server.concert(id, totalSeats=None, price=None, sections=[FLOOR], pricing=PRICING)
    return id


def order(server: Served, concert: str, quantity: int, *, status: int = 201, **more: Any) -> dict[str, Any]:
    body = {"concertId": concert, "userId": "user-1", "quantity": quantity, "email": "a@example.org", **more}
    answer = server.http.post("/orders", json=body)
    assert answer.status_code == status, answer.text
    said: dict[str, Any] = answer.json()
    return said


@pytest.mark.parametrize(
    ("at", "body"),
    [
        ("/orders", {"userId": "user-1"}),
        ("/orders/carts", {"userId": "user-1"}),
        ("/orders/box-office", {"method": "cash"}),
    ],
)
def test_who_says_how_many_of_which_category_need_not_add_them_up(
    server: Served, concert: str, at: str, body: dict[str, Any]
) -> None:
    def asked(adults: int) -> httpx.Response:
        tickets = [{"category": "adult", "quantity": adults}, {"category": "child", "quantity": 1}]
        wanted = {"concertId": concert, "section": "floor", "tickets": tickets}
        said = {**body, "lines": [wanted]} if at.endswith("carts") else {**body, **wanted}
        return server.http.post(at, json=said, headers=server.organizer)

    placed = asked(2)
    assert placed.status_code == 201, placed.text
    assert placed.json().get("lines", [placed.json()])[0]["quantity"] == 3
    assert asked(600).status_code == 422


def settled(server: Served, placed: dict[str, Any]) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {placed['accessToken']}"}
    said: dict[str, Any] = server.http.get(f"/orders/{placed['id']}?wait=10", headers=headers).json()
    return said


def cludale(server: Served, *words: str) -> Any:
    command = [sys.executable, "-m", "cludale_operations", *words, "--url", server.url, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"CLUDALE_ORGANIZER_KEY": KEY})
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def test_a_quote_says_what_the_order_then_costs(server: Served, concert: str) -> None:
    tickets = [{"category": "adult", "quantity": 2}, {"category": "child", "quantity": 1}]
    quote = server.http.post(f"/concerts/{concert}/quote", json={"tickets": tickets}).json()
    assert quote["total"] == {"amount": 8_450, "currency": "EUR"}
    (adult, child) = quote["bill"]["lines"]
    assert adult == {
        "category": "adult", "name": "Adult", "quantity": 2, "price": 3_000, "tier": "Early bird",
        "fee": 300, "tax": 1_006, "net": 5_294, "total": 6_300,
    }  # fmt: skip
    assert child["total"] == 2_150
    placed = order(server, concert, 3, tickets=tickets, maxTotal=quote["total"])
    paid = settled(server, placed)
    assert (paid["status"], paid["total"], paid["bill"]) == ("Paid", quote["total"], quote["bill"])
    # the first four seats are gone with these
    later = order(server, concert, 2, maxTotal={"amount": 6_300, "currency": "EUR"}, status=409)
    assert later["type"].endswith("total-too-high")
    assert later["total"] == {"amount": 9_300, "currency": "EUR"}


def test_a_ticket_that_is_given_back_is_worth_what_was_paid_for_it(server: Served, concert: str) -> None:
    tickets = [{"category": "adult", "quantity": 2}, {"category": "child", "quantity": 2}]
    paid = settled(server, order(server, concert, 4, tickets=tickets))
    at = f"/orders/{paid['id']}/refunds"
    refused = server.http.post(at, json={"quantity": 1}, headers=server.organizer)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"field": "tickets", "message": "say which are given back: the order has 2 adult, 2 child"}
    ]
    back = server.http.post(at, json={"tickets": [{"category": "child", "quantity": 1}]}, headers=server.organizer)
    assert (back.status_code, back.json()["amount"]["amount"]) == (202, 2_150)
    more = {"tickets": [{"category": "child", "quantity": 2}]}
    assert server.http.post(at, json=more, headers=server.organizer).status_code == 422
    cancelled = server.http.post(f"/orders/{paid['id']}/cancel", headers=server.organizer).json()
    assert cancelled["status"] == "Cancelled"


def test_a_code_unlocks_what_is_hidden_and_is_used_once(server: Served, concert: str) -> None:
    shown = server.http.get(f"/concerts/{concert}").json()
    assert [each["id"] for each in shown["pricing"]["categories"]] == ["adult", "child"]
    assert [each["category"] for each in shown["sections"][0]["prices"]] == ["adult", "child"]
    whole = server.http.get(f"/concerts/{concert}", headers=server.organizer).json()
    assert [each["id"] for each in whole["pricing"]["categories"]] == ["adult", "child", "member"]
    at = f"/concerts/{concert}/codes"
    for nothing in ({}, {"percent": 0}, {"amount": {"amount": 0, "currency": "EUR"}}):
        assert server.http.post(at, json={"code": "club", **nothing}, headers=server.organizer).status_code == 422
    made = server.http.post(at, json={"code": "club", "unlocks": "member", "maxUses": 1}, headers=server.organizer)
    assert (made.status_code, made.json()["code"]) == (201, "CLUB")
    member = [{"category": "member", "quantity": 1}]
    assert order(server, concert, 1, tickets=member, status=422)["type"].endswith("category-not-found")
    bought = order(server, concert, 1, tickets=member, code="Club")
    assert bought["bill"]["code"] == "CLUB"
    assert order(server, concert, 1, tickets=member, code="Club", status=409)["type"].endswith("code-used-up")
    (listed,) = server.http.get(at, headers=server.organizer).json()["items"]
    assert (listed["uses"], listed["maxUses"]) == (1, 1)


def test_who_waits_with_a_code_that_ends_meanwhile_is_told_that_it_is_the_code(server: Served) -> None:
    server.concert("code-ends", totalSeats=None, price=None, sections=[{**FLOOR, "totalSeats": 2}])
    codes = "/concerts/code-ends/codes"
    made = server.http.post(codes, json={"code": "CLUB", "percent": 10}, headers=server.organizer)
    assert made.status_code == 201, made.text
    first = settled(server, order(server, "code-ends", 2))
    waits = order(server, "code-ends", 1, code="CLUB", waitingList=True, status=202)
    ended = server.http.patch(codes, json={"code": "CLUB", "endsAt": "2026-01-01T00:00:00Z"}, headers=server.organizer)
    assert ended.status_code == 200, ended.text
    assert server.http.post(f"/orders/{first['id']}/cancel", headers=server.organizer).status_code == 200
    assert eventually(lambda: settled(server, waits)["status"] == "Cancelled")
    assert settled(server, waits)["reason"] == "code-used-up"


def test_a_code_that_makes_it_free_asks_no_provider(server: Served, concert: str) -> None:
    body = {"code": "GIFT", "percent": 100}
    server.http.post(f"/concerts/{concert}/codes", json=body, headers=server.organizer)
    paid = settled(server, order(server, concert, 2, code="GIFT"))
    assert (paid["status"], paid["total"]["amount"], paid["bill"]["discount"]) == ("Paid", 0, 6_000)
    (payment,) = server.http.get(f"/payments?orderId={paid['id']}", headers=server.organizer).json()["items"]
    assert payment["attempts"] == []


def test_prices_are_changed_by_the_command_line_too(server: Served, concert: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({**PRICING, "fees": [], "tax": None}))
    changed = cludale(server, "concerts", "change", concert, "--pricing", str(file), "--min-per-order", "2")
    assert (changed["pricing"].get("fees"), changed["minPerOrder"]) == (None, 2)
    made = cludale(server, "codes", "add", concert, "TEN", "--percent", "10", "--max-tickets", "5")
    assert made["maxTickets"] == 5
    assert cludale(server, "codes", "change", concert, "TEN", "--max-uses", "3")["maxUses"] == 3
    assert [each["code"] for each in cludale(server, "codes", "list", concert)] == ["TEN"]
    quote = cludale(server, "concerts", "quote", concert, "--tickets", "adult=1,child=1", "--code", "TEN")
    assert quote["total"]["amount"] == 4_500
