"""Reports and exports, asked for over HTTP of a platform with two organizers."""

import asyncio
import csv
from collections.abc import AsyncIterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from openpyxl import load_workbook
from tests.product.wiring.organizers import Office, office

from cludale.services.orders.reports.columns import PERSONAL, PLAIN

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECTIONS = [
    {"id": "stalls", "name": "=Stalls", "totalSeats": 40, "price": {"amount": 4500, "currency": "EUR"}},
    {"id": "balcony", "totalSeats": 10, "price": {"amount": 1250, "currency": "EUR"}},
]


class Box:
    """A concert in Auckland with a paid order, a part refund, a cancelled and a declined order."""

    def __init__(self, here: Office, acme: str, reader: str, privacy: str) -> None:
        self.here, self.acme, self.reader, self.privacy = here, acme, reader, privacy

    async def get(self, path: str, key: str | None = None, **query: Any) -> httpx.Response:
        return await self.here.ask("GET", path, key or self.reader, params=query)

    async def rows(self, path: str, key: str | None = None, **query: Any) -> list[dict[str, str]]:
        answer = await self.get(path, key, **query)
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig"), newline="")))


async def _bought(here: Office, section: str, quantity: int, **more: Any) -> dict[str, Any]:
    body = {"concertId": "ours", "userId": "u", "section": section, "quantity": quantity, **more}
    made = await here.ask("POST", "/orders", None, json=body)
    assert made.status_code == 201, made.text
    order: dict[str, Any] = made.json()
    return order


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Box]:
    folder: Path = tmp_path_factory.mktemp("reports")
    async with office(folder) as here:
        acme = await here.new_key("catalogue", "sell", "read", "refund", organizer="acme")
        reader, privacy = [await here.new_key(scope, organizer="acme") for scope in ("read", "privacy")]
        body = {"id": "ours", "artist": "A", "title": "@night", "date": "2099-06-05", "zone": "Pacific/Auckland"}
        assert (await here.ask("POST", "/concerts", acme, json={**body, "sections": SECTIONS})).status_code == 201
        await here.concert("theirs")
        await here.order("theirs")
        kept = await _bought(here, "stalls", 2, email="b@example.org", name="=cmd|' /C calc'!A0")
        part = await _bought(here, "stalls", 3)
        off = await _bought(here, "balcony", 4)
        await _bought(here, "balcony", 1, paymentMethod="card-declined")
        for order in (kept, part, off):
            shown = await here.ask("GET", f"/orders/{order['id']}?wait=5", order["accessToken"])
            assert shown.json()["status"] == "Paid"
        asked = await here.ask("POST", f"/orders/{part['id']}/refunds", acme, json={"quantity": 1})
        assert asked.status_code in (200, 201, 202), asked.text
        await here.ask("POST", f"/orders/{off['id']}/cancel", acme)
        found = Box(here, acme, reader, privacy)
        for _ in range(200):
            report = (await found.get("/orders/reports/sales", by="section")).json()
            if not any(row["refundsOpen"]["amount"] for row in report["totals"]):
                break
            await asyncio.sleep(0.05)
        yield found


async def test_sales_are_summed_by_section_net_of_refunds(box: Box) -> None:
    report = (await box.get("/orders/reports/sales", by="section")).json()

    def seen(row: dict[str, Any]) -> tuple[Any, ...]:
        counts = [row[name] for name in ("orders", "cancelled", "tickets", "ticketsBack")]
        return (*counts, *[row[name]["amount"] for name in ("taken", "refunded", "refundsOpen", "net")])

    assert {row["section"]: seen(row) for row in report["items"]} == {
        "balcony": (1, 1, 4, 4, 5000, 5000, 0, 0),
        "stalls": (2, 0, 5, 1, 22500, 4500, 0, 18000),
    }
    assert [seen(row) for row in report["totals"]] == [(3, 1, 9, 5, 27500, 9500, 0, 18000)]


async def test_an_order_without_a_price_list_is_of_the_standard_category_and_has_no_code(box: Box) -> None:
    report = (await box.get("/orders/reports/sales", by="category,code")).json()
    assert [(row["category"], row["code"], row["tickets"]) for row in report["items"]] == [("standard", None, 9)]


async def test_the_sums_are_what_payments_took_and_gave_back(box: Box) -> None:
    payments = (await box.get("/payments")).json()["items"]
    taken = sum(each["amount"]["amount"] for each in payments if each["status"] in ("Completed", "Refunded"))
    total = (await box.get("/orders/reports/sales", by="concert")).json()["totals"][0]
    assert (taken, total["taken"]["amount"]) == (27500, 27500)


async def test_a_day_is_the_day_where_the_concert_is(box: Box) -> None:
    rows = await box.rows("/orders/export", columns="placedAt,placedDay")
    report = (await box.get("/orders/reports/sales", by="day")).json()
    days = {row["placedDay"] for row in rows}
    assert {row["day"] for row in report["items"]} <= days
    day = min(days)
    assert not await box.rows("/orders/export", since="2098-01-01")
    assert len(await box.rows("/orders/export", since=day)) == 4
    assert not await box.rows("/orders/export", until=day)
    assert not await box.rows("/orders/export", until="2020-01-01T00:00:00Z")


async def test_an_export_has_the_organizers_own_orders_and_no_personal_data(box: Box) -> None:
    rows = await box.rows("/orders/export")
    assert list(rows[0]) == list(PLAIN)
    assert {row["concertId"] for row in rows} == {"ours"}
    assert [(row["section"], row["sectionName"], row["net"]) for row in rows] == [
        ("stalls", "'=Stalls", "90.00"),
        ("stalls", "'=Stalls", "90.00"),
        ("balcony", "balcony", "0.00"),
        ("balcony", "balcony", "0.00"),
    ]
    assert {row["concert"] for row in rows} == {"'@night"}


async def test_personal_columns_want_the_scope_privacy(box: Box) -> None:
    refused = await box.get("/orders/export", columns="id,email")
    assert refused.status_code == 422
    assert "/orders/export/personal" in refused.text
    assert (await box.get("/orders/export/personal")).status_code == 403
    rows = await box.rows("/orders/export/personal", box.privacy, columns="name,email")
    assert rows[0] == {"name": "'=cmd|' /C calc'!A0", "email": "b@example.org"}
    assert list((await box.rows("/orders/export/personal", box.privacy))[0]) == [*PLAIN, *PERSONAL]


async def test_filters_and_chosen_columns(box: Box) -> None:
    rows = await box.rows("/orders/export", status="Paid", section="stalls", columns="quantity,held,refunded")
    assert rows == [
        {"quantity": "2", "held": "2", "refunded": "0.00"},
        {"quantity": "3", "held": "2", "refunded": "45.00"},
    ]
    assert not await box.rows("/orders/export", concertId="theirs")


async def test_a_cancelled_order_has_no_tickets(box: Box) -> None:
    rows = await box.rows("/orders/export", status="Cancelled", columns="quantity,held")
    assert {row["held"] for row in rows} == {"0"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"columns": "id,nothing"}, "columns"),
        ({"columns": "id,id"}, "columns"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2027-02-30"}, "until"),
        ({"format": "pdf"}, "format"),
        ({"status": "paid"}, "status"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_its_field(box: Box, query: dict[str, str], field: str) -> None:
    answer = await box.get("/orders/export", **query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_by_what_is_not_known_is_refused(box: Box) -> None:
    answer = await box.get("/orders/reports/sales", by="day,colour")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "by")


async def test_workbooks(box: Box) -> None:
    for path in ("/orders/export", "/orders/reports/sales"):
        answer = await box.get(path, format="xlsx")
        assert 'filename="' in answer.headers["content-disposition"]
        sheet = load_workbook(BytesIO(answer.content)).active
        assert sheet is not None
        assert sheet.max_row > 1
