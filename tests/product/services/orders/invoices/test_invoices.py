"""Invoices and credit notes, asked for over HTTP of a platform with two organizers."""

import asyncio
import csv
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.product.wiring.organizers import Office, office

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "on": True,
    "name": "Acme Concerts",
    "address": "1 Main Street\nSpringfield",
    "taxId": "DE 123",
    "taxName": "VAT",
    "taxPercent": 7.0,
    "invoiceNumbers": "=A {year}/{number:4}".replace("=", ""),
}
PRICING = {
    "categories": [{"id": "adult", "name": "Adult"}, {"id": "child", "name": "=Child"}],
    "prices": [
        {"section": "stalls", "category": "adult", "amount": 4500},
        {"section": "stalls", "category": "child", "amount": 2000},
    ],
    "fees": [
        {"id": "seat", "name": "Seat", "amount": 25},
        {"id": "order", "name": "Order", "amount": 199, "perOrder": True},
    ],
    "tax": {"name": "VAT", "percent": 19.0, "included": False},
}  # fmt: skip


class Desk:
    """An organizer with invoices, whose concerts are one with a price list and one without."""

    def __init__(self, here: Office, acme: str, other: str) -> None:
        self.here, self.acme, self.other = here, acme, other

    async def ask(self, method: str, path: str, key: str | None = None, **more: Any) -> httpx.Response:
        return await self.here.ask(method, path, key or self.acme, **more)

    async def bought(self, **body: Any) -> dict[str, Any]:
        made = await self.here.ask("POST", "/orders", None, json={"concertId": "plain", "userId": "u", **body})
        assert made.status_code == 201, made.text
        order: dict[str, Any] = made.json()
        shown = await self.here.ask("GET", f"/orders/{order['id']}?wait=5", order["accessToken"])
        assert shown.json()["status"] == "Paid", shown.text
        return order

    async def papers(self, order: dict[str, Any], count: int) -> list[dict[str, Any]]:
        """The documents of an order, once there are so many."""
        for _ in range(400):
            shown = await self.here.ask("GET", f"/orders/{order['id']}/invoices", order["accessToken"])
            assert shown.status_code == 200, shown.text
            items: list[dict[str, Any]] = shown.json()["items"]
            if len(items) >= count:
                return items
            await asyncio.sleep(0.02)
        raise AssertionError(items)


CONCERT = {"artist": "A", "date": "2099-06-05", "totalSeats": 5, "price": {"amount": 1000, "currency": "EUR"}}
OFFERED = {"plain": (200, True), "without": (200, False), "nowhere": (404, None)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("invoices")
    async with office(folder) as here:
        acme = await here.new_key("catalogue", "sell", "read", "refund", "privacy", organizer="acme")
        other = await here.new_key("read", "catalogue", organizer="other")
        section = {"id": "stalls", "name": "Stalls", "totalSeats": 90, "price": {"amount": 1070, "currency": "EUR"}}
        for id, more in (("plain", {}), ("priced", {"pricing": PRICING})):
            body = {
                "id": id,
                "artist": "A",
                "date": "2099-06-05",
                "zone": "Europe/Berlin",
                "sections": [section],
                **more,
            }
            made = await here.ask("POST", "/concerts", acme, json=body)
            assert made.status_code == 201, made.text
        said = await here.ask("PUT", "/orders/invoices/settings", acme, json=SETTINGS)
        assert said.status_code == 200, said.text
        yield Desk(here, acme, other)


def seen(paper: dict[str, Any]) -> tuple[Any, ...]:
    return (paper["kind"], *[paper[name]["amount"] for name in ("net", "tax", "total")])


async def test_a_paid_order_gets_the_next_number_and_keeps_it(desk: Desk) -> None:
    first = await desk.bought(quantity=2, email="zoe@example.org", name="Zoe Ng")
    (paper,) = await desk.papers(first, 1)
    assert seen(paper) == ("invoice", 2000, 140, 2140)
    assert paper["taxes"] == [{"name": "VAT", "percent": 7.0, "net": 2000, "tax": 140, "total": 2140}]
    assert paper["number"] == f"A {paper['year']}/{paper['sequence']:04}"
    assert paper["buyer"] == {"name": "Zoe Ng", "email": "zoe@example.org", "address": None}
    assert paper["issuer"]["name"] == "Acme Concerts"
    second = await desk.bought(quantity=1)
    (next_one,) = await desk.papers(second, 1)
    assert next_one["sequence"] == paper["sequence"] + 1
    assert next_one["buyer"] is None
    amended = await desk.ask("PATCH", f"/orders/{first['id']}", json={"name": "Somebody Else"})
    assert amended.status_code == 200, amended.text
    assert await desk.papers(first, 1) == [paper]
    erased = await desk.ask("POST", "/orders/-/buyers/erase", json={"email": "zoe@example.org"})
    assert erased.status_code == 200, erased.text
    assert await desk.papers(first, 1) == [{**paper, "buyer": None, "buyerErased": True}]


async def test_credit_notes_come_to_what_was_refunded(desk: Desk) -> None:
    tickets = [{"category": "adult", "quantity": 2}, {"category": "child", "quantity": 1}]
    order = await desk.bought(concertId="priced", quantity=3, tickets=tickets)
    (invoice,) = await desk.papers(order, 1)
    total = invoice["total"]["amount"]
    assert total == (await desk.ask("GET", f"/orders/{order['id']}")).json()["total"]["amount"]
    refunds = (
        {"tickets": [{"category": "adult", "quantity": 1}]},
        {"amount": {"amount": 333, "currency": "EUR"}, "reason": "x"},
    )
    for count, refund in enumerate(refunds, 2):
        asked = await desk.ask("POST", f"/orders/{order['id']}/refunds", json=refund)
        assert asked.status_code == 202, asked.text
        papers = await desk.papers(order, count)
        assert papers[-1]["total"] == asked.json()["amount"]
        assert (papers[-1]["invoiceNumber"], papers[-1]["refund"]) == (invoice["number"], count - 1)
    assert papers[1]["lines"][0]["name"] == "Adult"
    await desk.ask("POST", f"/orders/{order['id']}/cancel")
    papers = await desk.papers(order, 4)
    for part in ("net", "tax", "total"):
        assert sum(each[part]["amount"] for each in papers[1:]) == invoice[part]["amount"]


async def test_they_are_listed_filtered_and_exported(desk: Desk) -> None:
    listed = (await desk.ask("GET", "/orders/invoices", params={"limit": 2})).json()
    assert len(listed["items"]) == 2
    assert listed["next"]
    notes = (await desk.ask("GET", "/orders/invoices", params={"kind": "credit-note", "limit": 200})).json()["items"]
    assert [each["sequence"] for each in notes] == list(range(1, len(notes) + 1))
    latest = (await desk.ask("GET", "/orders/invoices", params={"kind": "credit-note", "sort": "-issuedAt"})).json()[
        "items"
    ]
    assert latest == notes[::-1]
    of_order = (await desk.ask("GET", "/orders/invoices", params={"orderId": notes[0]["orderId"]})).json()["items"]
    assert notes[0] in of_order
    assert not (await desk.ask("GET", "/orders/invoices", params={"year": 2001})).json()["items"]
    one = await desk.ask("GET", f"/orders/invoices/{notes[0]['id']}")
    assert one.json() == notes[0]
    file = await desk.ask("GET", "/orders/invoices/export")
    rows = list(csv.DictReader(StringIO(file.content.decode("utf-8-sig"), newline="")))
    assert {row["kind"] for row in rows} == {"invoice", "credit-note"}
    assert all(row["total"].startswith("-") for row in rows if row["kind"] == "credit-note")


async def test_nobody_else_sees_them(desk: Desk) -> None:
    assert not (await desk.ask("GET", "/orders/invoices", desk.other)).json()["items"]
    id = (await desk.ask("GET", "/orders/invoices")).json()["items"][0]["id"]
    assert (await desk.ask("GET", f"/orders/invoices/{id}", desk.other)).status_code == 404
    assert (await desk.here.ask("GET", f"/orders/invoices/{id}", None)).status_code in (401, 404)
    for missing in ("nothing", "order-1.invoice", f"{id}x"):
        assert (await desk.ask("GET", f"/orders/invoices/{missing}")).status_code == 404


async def test_who_says_nothing_of_invoices_has_none(desk: Desk) -> None:
    await desk.here.concert("silent", price={"amount": 1000, "currency": "EUR"})
    order = await desk.bought(concertId="silent", quantity=1)
    await desk.bought(quantity=1)
    await asyncio.sleep(0.2)
    assert await desk.papers(order, 0) == []


async def test_anybody_may_ask_whether_a_concerts_orders_are_invoiced(desk: Desk) -> None:
    made = await desk.here.ask("POST", "/concerts", desk.other, json={**CONCERT, "id": "without"})
    assert made.status_code == 201, made.text
    answers = {id: await desk.here.ask("GET", f"/orders/invoices/offered?concertId={id}") for id in OFFERED}
    assert {id: (each.status_code, each.json().get("invoices")) for id, each in answers.items()} == OFFERED


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": None}, "name"),
        ({"creditNoteNumbers": "{year}{number}"}, "creditNoteNumbers"),
        ({"creditNoteNumbers": "A {year}/{number}"}, "creditNoteNumbers"),
        ({"invoiceNumbers": "CN-{year}-{number}", "creditNoteNumbers": "X-{year}-{number}"}, "invoiceNumbers"),
        ({"invoiceNumbers": "1-{year}-{number}"}, "invoiceNumbers"),
        ({"taxPercent": 101}, "taxPercent"),
        ({"zone": "Nowhere/Land"}, "zone"),
    ],
)
async def test_settings_that_can_not_be_are_refused(desk: Desk, more: dict[str, Any], field: str) -> None:
    answer = await desk.ask("PUT", "/orders/invoices/settings", json={**SETTINGS, **more})
    assert answer.status_code == 422, answer.text
    assert field in answer.text


async def test_settings_that_were_changed_meanwhile_are_not_written_over(desk: Desk) -> None:
    known = (await desk.ask("GET", "/orders/invoices/settings")).json()
    assert known["changedBy"]
    answer = await desk.ask(
        "PUT", "/orders/invoices/settings", json={**SETTINGS, "note": "x", "revision": known["revision"] + 1}
    )
    assert answer.status_code == 409
    assert (await desk.ask("GET", "/orders/invoices/settings")).json() == known


async def test_an_invoice_is_printed_the_same_each_time(desk: Desk) -> None:
    order = await desk.bought(quantity=1, email="jo@example.org", name="Jo \U0001f3b8", language="de")
    (paper,) = await desk.papers(order, 1)
    path = f"/orders/invoices/{paper['id']}.pdf"
    # the first has the process that prints begun, with typst and all fonts
    first, second = [await desk.here.ask("GET", path, order["accessToken"], timeout=30) for _ in range(2)]
    assert first.status_code == 200, first.text
    assert first.headers["content-type"] == "application/pdf"
    assert first.content.startswith(b"%PDF-")
    assert first.content == second.content


ADDRESS = {"name": "Ng & Söhne GmbH", "street": "Hauptstr. 1", "more": None, "postcode": "10115", "place": "Berlin"}
ADDRESS |= {"country": "DE", "vatId": "DE 123456789"}


async def test_an_address_that_is_given_with_the_order_or_later_stands_on_the_invoice(desk: Desk) -> None:
    given = {key: value for key, value in ADDRESS.items() if value}
    first = await desk.bought(quantity=1, email="ng@example.org", billingAddress=given)
    (paper,) = await desk.papers(first, 1)
    assert paper["buyer"] == {"name": None, "email": "ng@example.org", "address": given}
    order = f"/orders/{first['id']}"
    other = {"billingAddress": {**given, "place": "Bonn"}}
    assert "Hauptstr" not in (await desk.here.ask("GET", order, first["accessToken"])).text
    refused = await desk.here.ask("PATCH", order, first["accessToken"], json=other)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/address-on-invoice")
    corrected = await desk.ask("PATCH", order, json=other)
    assert corrected.json()["billingAddress"]["place"] == "Bonn"
    assert (await desk.papers(first, 1))[0]["buyer"]["address"]["place"] == "Bonn"
    await desk.ask("POST", f"{order}/cancel")
    assert (await desk.papers(first, 2))[1]["buyer"]["address"]["place"] == "Bonn"
    second = await desk.bought(quantity=1)  # who had left nothing
    (bare,) = await desk.papers(second, 1)
    changed = await desk.here.ask(
        "PATCH", f"/orders/{second['id']}", second["accessToken"], json={"billingAddress": given}
    )
    assert changed.status_code == 200, changed.text
    assert await desk.papers(second, 1) == [{**bare, "buyer": {"name": None, "email": None, "address": given}}]
    kept = await desk.ask("POST", "/orders/-/buyers/export", json={"orderIds": [second["id"]]})
    (left,) = kept.json()["items"]
    assert left["billingAddress"]["vatId"] == left["invoicedAddress"]["vatId"] == "DE 123456789"
    pdf = await desk.ask("GET", f"/orders/invoices/{bare['id']}.pdf", timeout=30)
    assert pdf.content.startswith(b"%PDF-")
    await desk.ask("POST", "/orders/-/buyers/erase", json={"orderIds": [second["id"]]})
    assert await desk.papers(second, 1) == [{**bare, "buyer": None, "buyerErased": True}]
    log = await desk.here.ask("GET", f"/audit/orders/{second['id']}", desk.acme)
    assert "Hauptstr" not in log.text
    gone = await desk.ask("PATCH", f"/orders/{second['id']}", json={"billingAddress": given})
    assert gone.status_code == 409


@pytest.mark.parametrize(
    ("more", "field"),
    [({"country": "XX"}, "country"), ({"country": "de"}, "country"), ({"vatId": "!"}, "vatId"),
     ({"street": " "}, "street"), ({"postcode": "a" * 20}, "postcode"), ({"place": None}, "place")],
)  # fmt: skip
async def test_an_address_that_can_not_be_is_named_by_its_field(desk: Desk, more: dict[str, Any], field: str) -> None:
    given = {key: value for key, value in {**ADDRESS, **more}.items() if value}
    body = {"concertId": "plain", "userId": "u", "quantity": 1, "billingAddress": given}
    answer = await desk.here.ask("POST", "/orders", None, json=body)
    assert (answer.status_code, f"billingAddress.{field}" in answer.text) == (422, True), answer.text


async def test_what_was_paid_before_there_were_invoices_gets_the_next_number_once_it_is_asked_for(desk: Desk) -> None:
    def said(on: bool) -> dict[str, Any]:
        return {**SETTINGS, "on": on}

    late = await desk.ask("PUT", "/orders/invoices/settings", json=said(on=False))
    assert late.status_code == 200, late.text
    order = await desk.bought(quantity=3)
    part = {"quantity": 1}
    await desk.ask("POST", f"/orders/{order['id']}/refunds", json=part)
    off = await desk.ask("POST", f"/orders/{order['id']}/invoices")
    assert (off.status_code, off.json()["type"]) == (409, "/problems/invoices-off")
    await desk.ask("PUT", "/orders/invoices/settings", json=said(on=True))
    before = await desk.bought(quantity=1)
    (last,) = await desk.papers(before, 1)
    assert await desk.papers(order, 0) == []
    assert (await desk.ask("POST", f"/orders/{order['id']}/invoices", desk.other)).status_code in (403, 404)
    asked = await desk.ask("POST", f"/orders/{order['id']}/invoices")
    assert (asked.status_code, asked.json()["items"]) == (202, [])
    papers = await desk.papers(order, 2)
    assert [each["total"]["amount"] for each in papers] == [3210, 1070]
    assert papers[0]["sequence"] == last["sequence"] + 1
    again = await desk.ask("POST", f"/orders/{order['id']}/invoices")
    assert again.json()["items"] == papers
    await desk.ask("POST", f"/orders/{order['id']}/cancel")
    assert [each["total"]["amount"] for each in await desk.papers(order, 3)] == [3210, 1070, 2140]
