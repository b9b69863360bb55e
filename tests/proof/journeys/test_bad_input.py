"""Whatever is sent: a problem that names the field, never a 5xx, and nothing has changed."""

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from tests.proof.journeys.box_office import BoxOffice

from cludale.services.concerts.seat_plans.api import PLAN_BODY_BYTES

HUGE = 10**30
MAX_BODY = 2 * 1024 * 1024


@pytest.fixture(scope="module")
def concert(office: BoxOffice) -> str:
    id: str = office.put_on(seats=20)["id"]
    return id


@pytest.fixture(scope="module", autouse=True)
def unchanged(office: BoxOffice, concert: str) -> Iterator[None]:
    """After all of it, nothing has happened: no event, no order, no seat."""
    office.quiet()
    before = office.get("/audit/verify")
    yield
    office.quiet()
    assert office.get("/audit/verify") == before
    assert office.counts(concert) == (20, 0, 0)
    assert office.listed("/orders", concertId=concert) == []


def refused(answer: httpx.Response, status: int = 422) -> list[str]:
    """The fields that a refusal names."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["detail"]
    return [error["field"] for error in body.get("errors", [])]


NO_QUANTITIES: list[Any] = [0, -1, -HUGE, HUGE, 1.5, 2**63, "2", "", None, True, [], [2], {}]

WRONG_ORDERS: list[tuple[dict[str, Any], str]] = [
    *[({"quantity": wrong}, "quantity") for wrong in NO_QUANTITIES],
    *[
        ({"userId": wrong}, "userId")
        for wrong in ("", " ", "\t", 7, None, "x" * 201, "a\x00b", "a\x1b", "a\nb", "a\n", ["a"])
    ],
    *[
        ({"concertId": wrong}, "concertId")
        for wrong in ("../concert", "a/b", "..", "", "a b", "concert\n", "é", "x" * 65, 5, None, {"id": "a"}, "%2e%2e")
    ],
    *[({"section": wrong}, "section") for wrong in ("../x", "", 1, "a\x00", ["stalls"], "x" * 65)],
    *[({"paymentMethod": wrong}, "paymentMethod") for wrong in ("", "CARD OK", "x" * 65, None, 1, "card-ok\n", "-")],
    *[
        ({"email": wrong}, "email")
        for wrong in ("", "nobody", "a@b\n", "a@b\r\nBcc: c@d", "@", "a@", ["a@b"], "a" * 250 + "@b.org", "a b@c")
    ],
    *[
        ({"email": wrong}, "email")
        for wrong in (
            "a@b..c",
            ".a@b.c",
            "a@b.c.",
            "a@" + "b" * 64,
            "a@" + "\u00fc" * 60,
            "a@\u2003",
            "a@b\uff0fc",
        )
    ],
    *[({"phone": wrong}, "phone") for wrong in ("", "call me", 49301234, "+", "1", "+49 30 1234\n", "0" * 40)],
    *[({wrong: 1}, wrong) for wrong in ("quantitty", "price", "totals", "ID", "accesstoken", "__proto__", "userid")],
]


@pytest.mark.parametrize(("change", "field"), WRONG_ORDERS, ids=lambda each: repr(each)[:40])
def test_a_wrong_field_of_an_order_is_named(
    office: BoxOffice, concert: str, change: dict[str, Any], field: str
) -> None:
    body = {"concertId": concert, "userId": "user-1", "quantity": 2} | change
    assert field in refused(office.http.post("/orders", json=body))


@pytest.mark.parametrize("missing", ["concertId", "userId", "quantity"])
def test_a_missing_field_of_an_order_is_named(office: BoxOffice, concert: str, missing: str) -> None:
    body = {"concertId": concert, "userId": "user-1", "quantity": 2}
    del body[missing]
    assert refused(office.http.post("/orders", json=body)) == [missing]


def test_everything_that_is_wrong_is_named_at_once(office: BoxOffice) -> None:
    body = {"userId": 7, "quantity": "two", "colour": "red"}
    assert sorted(refused(office.http.post("/orders", json=body))) == ["colour", "concertId", "quantity", "userId"]


UNREADABLE = [
    b"",
    b" ",
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"order"',
    b"\xff\xfe{}",
    b"quantity=2&userId=1",
    b"{'quantity': 2}",
    b'{"quantity": NaN}',
    b'{"quantity": 2,}',
    b"[" * 60_000,
    b'{"a":' * 12_000,
    b'{"userId": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    b'{"userId": "\xed\xa0\x80"}',
    b'{"userId": "a\x00b"}',
    b'{"quantity": 1e400}',
    b'{"quantity": ' + b"9" * 60_000 + b"}",
]


@pytest.mark.parametrize("content", UNREADABLE, ids=lambda content: repr(content[:24]))
@pytest.mark.parametrize("path", ["/orders", "/concerts", "/concerts/{}/reserve", "/payments", "/audit/replay"])
def test_a_body_that_can_not_be_read_is_refused(office: BoxOffice, concert: str, path: str, content: bytes) -> None:
    headers = office.organizer | {"content-type": "application/json"}
    answer = office.http.post(path.format(concert), content=content, headers=headers)
    assert refused(answer)


@pytest.mark.parametrize("path", ["/orders", "/concerts", "/concerts/{}/reserve", "/payments", "/audit/replay"])
def test_a_body_that_is_too_large_is_refused(office: BoxOffice, concert: str, path: str) -> None:
    content = json.dumps({"userId": "x" * (PLAN_BODY_BYTES if path == "/concerts" else MAX_BODY)})
    try:
        answer = office.http.post(path.format(concert), content=content, headers=office.organizer)
    except httpx.WriteError:
        return  # refused before all of it was sent
    refused(answer, 413)


@pytest.mark.parametrize(
    "media_type", ["text/xml", "multipart/form-data; boundary=x", "application/msgpack", "image/png"]
)
def test_a_body_that_is_something_else_is_refused(office: BoxOffice, concert: str, media_type: str) -> None:
    body = json.dumps({"concertId": concert, "userId": "user-1", "quantity": 2})
    refused(office.http.post("/orders", content=body, headers={"content-type": media_type}), 415)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": -5}, "quantity"),
        ({"quantity": HUGE}, "quantity"),
        ({"quantity": 9}, "quantity"),
        ({}, "quantity"),
        ({"quantity": 1, "orderId": "../order"}, "orderId"),
        ({"quantity": 1, "orderId": ""}, "orderId"),
        ({"quantity": 1, "section": "a/b"}, "section"),
        ({"quantity": 1, "section": "pit"}, "section"),
        ({"quantity": 1, "hold": 60}, "hold"),
    ],
)
def test_a_wrong_field_of_a_reservation_is_named(
    office: BoxOffice, concert: str, body: dict[str, Any], field: str
) -> None:
    answer = office.http.post(f"/concerts/{concert}/reserve", json=body, headers=office.organizer)
    assert field in refused(answer)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "orderId"),
        ({"orderId": "../x"}, "orderId"),
        ({"orderId": 7}, "orderId"),
        ({"orderId": "order-1", "method": "CARD"}, "method"),
        ({"orderId": "order-1", "amount": 1}, "amount"),
    ],
)
def test_a_wrong_field_of_a_charge_is_named(office: BoxOffice, body: dict[str, Any], field: str) -> None:
    assert field in refused(office.http.post("/payments", json=body, headers=office.organizer))


NO_TIMES: list[str | float] = [
    "soon",
    "2027-06-05",
    "2027-06-05T19:30:00",
    "2027-02-30T19:30:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    1e300,
]
"""No time at all, one without its offset, and times whose year in UTC is 0 or 10,000."""


@pytest.mark.parametrize("wrong", NO_TIMES, ids=str)
def test_a_wrong_time_is_named(office: BoxOffice, wrong: str | float) -> None:
    concert = {"artist": "A", "date": "2027-06-05", "totalSeats": 1, "price": {"amount": 1, "currency": "EUR"}}
    answer = office.http.post("/concerts", json=concert | {"onSaleAt": wrong}, headers=office.organizer)
    assert refused(answer) == ["onSaleAt"]
    for field in ("since", "until"):
        answer = office.http.post("/audit/replay", json={field: wrong}, headers=office.organizer)
        assert refused(answer) == [field]


STRANGE = [
    "..",
    "../concerts",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "%00",
    "%0a",
    "%ff%fe",
    "a%20b",
    "%F0%9F%8E%AB",
    "'%20OR%201=1",
    "x" * 300,
    "order-1/../../concerts",
    ";",
    "*",
]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda strange: strange[:24])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/concerts/{}"),
        ("POST", "/concerts/{}/reserve"),
        ("GET", "/orders/{}"),
        ("POST", "/orders/{}/cancel"),
        ("GET", "/audit/orders/{}"),
        ("GET", "/problems/{}"),
    ],
)
def test_a_strange_id_in_a_path_is_not_found(office: BoxOffice, method: str, path: str, strange: str) -> None:
    """The path goes out as it stands: httpx would straighten it first."""
    body = b'{"quantity": 1}' if method == "POST" else None
    connection = HTTPConnection(office.http.base_url.host, office.http.base_url.port or 80, timeout=10)
    with closing(connection):
        connection.request(method, path.format(strange), body, office.organizer)
        answer = connection.getresponse()
        assert answer.status in (400, 404, 405, 422), answer.read()
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "1e9", "31", "soon", ""])
def test_a_wait_that_can_not_be_is_named(office: BoxOffice, wait: str) -> None:
    answer = office.http.get(f"/orders/order-1?wait={wait}", headers=office.organizer)
    assert refused(answer) == ["wait"]


@pytest.mark.parametrize("path", ["/orders", "/payments", "/notifications", "/audit/events", "/concerts"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=two", "limit"),
        ("after=nonsense", "after"),
        ("after=%00", "after"),
        ("after=" + "x" * 5000, "after"),
        ("colour=red", "colour"),
    ],
    ids=lambda each: each[:24],
)
def test_a_wrong_parameter_of_a_collection_is_named(office: BoxOffice, path: str, query: str, field: str) -> None:
    assert refused(office.http.get(f"{path}?{query}", headers=office.organizer)) == [field]
