"""What nobody reads is refused on every route of every service, and what a GET answers can be posted back."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from tests.product.wiring.platforms import running
from tests.served import KEY, Served
from tests.served_here import served_here

from cludale.services import NAMES
from cludale.web.app import WebApp
from cludale.web.routing import Credential
from cludale.wiring.platform import Platform

STRANGE = "nobodyReadsThis"
ORGANIZER = {"authorization": f"Bearer {KEY}"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Platform]:
    """All services in this process."""
    async with running(tmp_path, organizer_key=KEY) as platform:
        yield platform


@pytest.fixture
def app(here: Platform) -> WebApp:
    """Its app, so that the routes can be counted."""
    return WebApp(here.services, is_ready=lambda: True, gauges=dict, version="0")


SIGNED = ("/payments/webhook", "/concerts/-/sign-out")
"""What comes there is a payment provider's or an issuer's, with fields of its own: it is judged by its signature."""


class Asked(NamedTuple):
    """A route, and what whoever may call it shows."""

    method: str
    path: str
    headers: dict[str, str]


async def routes_of(app: WebApp, here: Platform, http: httpx.AsyncClient) -> list[Asked]:
    key = ORGANIZER["authorization"].partition(" ")[2]
    began = await http.post("/concerts/-/sessions", json={"key": key})
    session = {"authorization": f"Bearer {began.json()['token']}"}
    between_services = {
        each.path for service in here.services for each in service.routes if each.credential is Credential.SERVICE
    }
    service = {"authorization": f"Bearer {here.access.services.token('concerts')}"}
    return [
        Asked(
            endpoint.method,
            endpoint.path.replace("{", "").replace("}", ""),
            service
            if endpoint.path in between_services
            else session
            if endpoint.path.startswith("/concerts/-/session/") or endpoint.path == "/concerts/-/session"
            else ORGANIZER,
        )
        for endpoint in app.router.endpoints()
        if endpoint.method != "HEAD"  # as a GET, but its response can't be read
    ]


async def test_a_field_that_nobody_reads_is_refused_and_named_on_every_route(app: WebApp, here: Platform) -> None:
    async with served_here(app) as http:
        routes = await routes_of(app, here, http)
        assert {each.path.split("/")[1] for each in routes} >= {*NAMES, "livez", "readyz"}
        assert len(routes) > 60
        for method, path, headers in routes:
            if path in SIGNED:
                continue
            answer = await http.request(method, path, json={STRANGE: 1}, headers=headers)
            assert answer.status_code == 422, (method, path, answer.text)
            assert STRANGE in {each["field"] for each in answer.json()["errors"]}, (method, path, answer.text)


async def test_a_parameter_that_nobody_reads_or_that_comes_twice_is_refused_on_every_route_of_a_service(
    app: WebApp, here: Platform
) -> None:
    async with served_here(app) as http:
        for method, path, headers in await routes_of(app, here, http):
            if path.split("/")[1] not in NAMES:
                continue
            answer = await http.request(method, f"{path}?{STRANGE}=1", headers=headers)
            assert answer.status_code == 422, (method, path, answer.text)
            assert [each["field"] for each in answer.json()["errors"]] == [STRANGE], (method, path)
            for parameter in ("limit", "wait", "after", "since", "from", "orderId"):
                twice = await http.request(method, f"{path}?{parameter}=1&{parameter}=1", headers=headers)
                assert twice.status_code == 422, (method, path, parameter, twice.text)


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b" { } ", b"null"])
def test_an_empty_body_is_fine_where_none_is_read(served: Served, body: bytes) -> None:
    id = _order(served)["id"]
    answer = served.http.post(f"/orders/{id}/cancel", content=body, headers=served.organizer)
    assert (answer.status_code, answer.json()["status"]) == (200, "Cancelled")


@pytest.mark.parametrize("body", [b'{"quantity": 1}', b"[]", b"[1]", b"7", b"{", b"quantity=1", b"\xff", b"[" * 60_000])
def test_a_part_of_an_order_can_not_be_cancelled_and_so_none_of_it_is(served: Served, body: bytes) -> None:
    id = _order(served, quantity=3)["id"]
    refused = served.http.post(f"/orders/{id}/cancel", content=body, headers=served.organizer)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == ("quantity" if b'"' in body else "body")
    assert served.http.get(f"/orders/{id}", headers=served.organizer).json()["status"] != "Cancelled"


def test_a_concert_as_the_design_writes_it_is_put_on_and_is_free_of_charge(served: Served) -> None:
    written = {
        "id": "concert-123",
        "artist": "Coldplay",
        "date": "2026-05-20",
        "totalSeats": 1000,
        "availableSeats": 245,
    }
    answer = served.http.post("/concerts", json=written, headers=served.organizer)
    assert answer.status_code == 201, answer.text
    concert = answer.json()
    assert concert["id"] == "concert-123"
    assert concert["totalSeats"] == concert["availableSeats"] == 1000
    assert concert["free"] is True
    assert concert["sections"][0]["price"]["amount"] == 0


def test_an_order_as_the_design_writes_it_is_taken(served: Served) -> None:
    served.concert("concert-of-the-design")
    written = {
        "id": "order-789",
        "concertId": "concert-of-the-design",
        "userId": "user-1",
        "quantity": 2,
        "status": "Pending",
    }
    answer = served.http.post("/orders", json=written)
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert order["id"] != "order-789"  # an order's id is not the buyer's to choose
    assert (order["status"], order["quantity"], order["userId"]) == ("Reserved", 2, "user-1")


SECTIONS = [
    {"id": "floor", "name": "Floor", "totalSeats": 40, "price": {"amount": 6500, "currency": "EUR"}},
    {"id": "circle", "totalSeats": 60, "price": {"amount": 3900, "currency": "EUR"}},
]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"sections": SECTIONS, "totalSeats": None, "price": None},
        {"zone": "Europe/Berlin", "date": "2099-06-05T20:00", "onSaleAt": "2026-01-01", "offSaleAt": "2099-06-05"},
    ],
    ids=["one kind of seat", "sections", "days of a zone"],
)
def test_a_concert_as_it_is_shown_can_be_put_on_again(served: Served, more: dict[str, Any]) -> None:
    one = f"shown-{len(str(more))}"
    served.concert(one, **{"venue": "The Hall", "onSaleAt": "2026-01-01T09:00:00+01:00", "maxPerOrder": 4, **more})
    shown = served.http.get(f"/concerts/{one}").json()
    again = served.http.post("/concerts", json=shown | {"id": f"{one}-again"}, headers=served.organizer)
    assert again.status_code == 201, again.text
    assert again.json() == shown | {"id": f"{one}-again"}
    tagged = served.organizer | {"if-match": again.headers["etag"]}
    changed = served.http.patch(f"/concerts/{one}-again", json=again.json() | {"title": "Live"}, headers=tagged)
    assert changed.status_code == 200, changed.text
    assert changed.json() == again.json() | {"title": "Live"}


@pytest.mark.parametrize(
    ("said", "works"),
    [
        ({"totalSeats": 50, "price": {"amount": 4500, "currency": "EUR"}, "maxPerBuyer": 4, "listed": True}, True),
        ({"totalSeats": 60, "sections": [{"id": "general", "totalSeats": 60}]}, True),
        ({"totalSeats": 60}, False),
        ({"price": {"amount": 1, "currency": "EUR"}}, False),
        ({"maxPerBuyer": 2}, False),
        ({"maxPerBuyer": None}, False),
        ({"listed": False}, False),
    ],
)
def test_what_a_change_can_not_say_stands_there_as_it_is_shown(
    served: Served, said: dict[str, Any], *, works: bool
) -> None:
    one = f"fixed-{uuid4().hex}"
    served.concert(one, seats=50, maxPerBuyer=4)
    tagged = served.organizer | {"if-match": served.http.get(f"/concerts/{one}").headers["etag"]}
    changed = served.http.patch(f"/concerts/{one}", json=said, headers=tagged)
    assert changed.status_code == (200 if works else 422), changed.text
    if not works:
        assert [error["field"] for error in changed.json()["errors"]] == list(said)
    stale = served.http.patch(f"/concerts/{one}", json={"totalSeats": 1}, headers=tagged | {"if-match": '"another"'})
    assert stale.status_code == 412, stale.text


@pytest.mark.parametrize(
    ("tags", "status"),
    [('"another", {tag}', 200), ('{tag}, "another"', 200), ('"another", "third"', 412), ('W/{tag}, "another"', 412)],
)
def test_of_several_tags_one_has_to_be_that_of_the_concert(served: Served, tags: str, status: int) -> None:
    one = f"tags-{uuid4().hex}"
    served.concert(one, seats=50)
    said = tags.format(tag=served.http.get(f"/concerts/{one}").headers["etag"])
    changed = served.http.patch(f"/concerts/{one}", json={"venue": "B"}, headers=served.organizer | {"if-match": said})
    assert changed.status_code == status, changed.text


@pytest.mark.parametrize(
    ("said", "works"),
    [
        ({}, True),
        ({"quantity": 3}, False),
        ({"section": "circle"}, False),
        ({"concertId": "another", "userId": "another"}, False),
        ({"seats": [{"id": "A-1", "row": "A", "number": "1"}]}, False),
        ({"status": "Cancelled"}, False),
    ],
)
def test_what_a_change_of_an_order_can_not_say_stands_there_as_it_is_shown(
    served: Served, said: dict[str, Any], *, works: bool
) -> None:
    one = f"ordered-{uuid4().hex}"
    served.concert(one)
    placed = served.http.post("/orders", json={"concertId": one, "userId": "u", "quantity": 2}).json()
    shown = served.http.get(f"/orders/{placed['id']}", headers=served.organizer).json()
    changed = served.http.patch(
        f"/orders/{placed['id']}", json=shown | {"comment": "sits at the front"} | said, headers=served.organizer
    )
    assert changed.status_code == (200 if works else 422), changed.text
    if not works:
        assert [error["field"] for error in changed.json()["errors"]] == list(said)


@pytest.mark.parametrize("of", ["admissions", "admissions/conflicts", "inside", "snapshot"])
def test_what_the_door_says_of_a_concert_that_there_is_not_is_404_and_not_that_nobody_came(
    served: Served, of: str
) -> None:
    answer = served.http.get(f"/tickets/{of}?concertId=mistyped", headers=served.organizer)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


def test_what_the_sections_say_can_not_be_said_otherwise(served: Served) -> None:
    said = {"artist": "A", "date": "2099-06-05", "sections": SECTIONS, "totalSeats": 101}
    answer = served.http.post("/concerts", json=said, headers=served.organizer)
    assert [each["field"] for each in answer.json()["errors"]] == ["totalSeats"]


def test_an_order_as_it_is_shown_can_be_placed_again(served: Served) -> None:
    placed = _order(served)
    shown = served.http.get(f"/orders/{placed['id']}", headers=served.organizer).json()
    for body in (placed, shown):
        again = served.http.post("/orders", json=body | {"id": "another"})
        assert again.status_code == 201, again.text
        own = {"id", "createdAt", "expiresAt", "accessToken", "status", "payment"}
        assert {k: v for k, v in again.json().items() if k not in own} == {
            k: v for k, v in placed.items() if k not in own
        }


@pytest.mark.parametrize("value", [None, 1, "Paid", [], {"a": [1]}, 10**30])
def test_a_read_only_field_may_say_anything_and_says_nothing(served: Served, value: Any) -> None:
    body = {"concertId": "the-concert", "userId": "me", "quantity": 2}
    key = {"idempotency-key": f"read-only-{value}"[:60]}
    plain = served.http.post("/orders", json=body, headers=key)
    for field in ("id", "status", "total", "expiresAt", "accessToken"):
        answer = served.http.post("/orders", json=body | {field: value}, headers=key)
        assert answer.content == plain.content


def test_what_is_wrong_beside_read_only_fields_is_named_alone(served: Served) -> None:
    concert = {"id": "x", "artist": "A", "date": "2099-06-05", "availableSeats": "many", "heldSeats": 1, "free": 7}
    sections = [{**SECTIONS[0], "availableSeats": 1, "colour": "red"}]
    answer = served.http.post("/concerts", json=concert | {"sections": sections}, headers=served.organizer)
    assert [each["field"] for each in answer.json()["errors"]] == ["sections[0].colour"]


def test_the_description_says_what_is_read_only(served: Served) -> None:
    schemas = served.http.get("/openapi.json").json()["components"]["schemas"]
    assert _read_only(schemas["PlaceOrder"]) >= {"id", "status", "reason", "total", "createdAt", "expiresAt"}
    assert _read_only(schemas["ScheduleConcert"]) >= {"availableSeats", "heldSeats", "soldSeats", "free"}
    assert _read_only(schemas["SectionRequest"]) == {
        "availableSeats",
        "heldSeats",
        "heldUntil",
        "heldBackSeats",
        "waiting",
        "prices",
        "accessibleSeats",
    }
    assert not _read_only(schemas["OrderView"]) | _read_only(schemas["Money"])
    assert "id" not in _read_only(schemas["ScheduleConcert"])


def _read_only(schema: dict[str, Any]) -> set[str]:
    return {name for name, field in schema["properties"].items() if field.get("readOnly")}


def _order(served: Served, quantity: int = 2) -> dict[str, Any]:
    answer = served.http.post("/orders", json={"concertId": "the-concert", "userId": "me", "quantity": quantity})
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()
    return order


UNSEEN = ["\u200b", "\u2800", "\u3164", "\u00a0", "\ufe0f"]
CONFUSING = ["a\ufeffb", "\u202etxt", "a\u2028b", "a\u2029b", "a\x85b", "a\x9b31mb", "a\u2066b", "a\x1b[31mb"]


@pytest.mark.parametrize("text", [*UNSEEN, *CONFUSING], ids=ascii)
def test_text_that_can_not_be_seen_or_confuses_is_refused_in_every_field(served: Served, text: str) -> None:
    section = {**SECTIONS[0], "name": text}
    concert = {"artist": text, "venue": text, "date": "2099-06-05", "sections": [section]}
    answer = served.http.post("/concerts", json=concert, headers=served.organizer)
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == ["artist", "venue", "sections[0].name"]
    order = {"concertId": "the-concert", "userId": text, "quantity": 1, "email": f"{text}@example.org", "phone": text}
    answer = served.http.post("/orders", json=order)
    assert [each["field"] for each in answer.json()["errors"]] == ["userId", "email", "phone"], answer.text


TIMES = [
    ("2027-01-01T10:00:00Z", True),
    ("2027-01-01t10:00:00.1234567z", True),
    ("2027-01-01T10:00:00.999999999999999999999+14:00", True),
    ("9999-12-31T23:59:59.9999999Z", True),
    ("2026-12-31T23:59:60Z", True),
    ("2027-01-01 10:00:00Z", False),
    ("2027-01-01T10:00:00", False),
    ("2027-01-01T10:00Z", False),
    ("2027-01-01T10:00:60Z", False),
    ("2027-02-29T10:00:00Z", False),
    ("2027-01-01T10:00:00+0100", False),
    ("0001-01-01T00:00:00+01:00", False),
    ("1798790400", False),
]


@pytest.mark.parametrize(("time", "is_one"), TIMES)
def test_one_rule_for_times_in_every_body_and_query(served: Served, time: str, is_one: bool) -> None:
    concert = {"artist": "A", "date": "2099-06-05", "totalSeats": 1, "listed": False}
    # events of this type there are none: nothing is delivered again
    replay = {"type": "NoSuchEvent"}
    asked = [
        served.http.post("/concerts", json=concert | {"date": time}, headers=served.organizer),
        served.http.get("/concerts", params={"from": time}),
        served.http.get("/concerts", params={"to": time}),
        served.http.post("/audit/replay", json=replay | {"since": time}, headers=served.organizer),
        served.http.post("/audit/replay", json=replay | {"until": time}, headers=served.organizer),
        *(
            served.http.get(path, params={field: time}, headers=served.organizer)
            for path in ("/audit/events", "/orders/-/dead-letters", "/audit/-/dead-letters")
            for field in ("since", "until")
        ),
    ]
    assert [each.status_code < 400 for each in asked] == [is_one] * len(asked), [each.text for each in asked]
    for field in ("onSaleAt", "cancelUntil", "endsAt"):
        answer = served.http.post("/concerts", json=concert | {field: time}, headers=served.organizer)
        wrong = [each["message"] for each in answer.json().get("errors", [])]
        # a time that is one may still not go together with the concert's date
        assert is_one == all(
            message.startswith("must not be ") or " over" in message or "days after" in message for message in wrong
        ), (field, wrong)


@pytest.mark.parametrize(
    ("time", "zone"), [("9999-12-31T23:59:59Z", "Asia/Tokyo"), ("0001-01-01T00:00:00Z", "America/New_York")]
)
def test_a_time_that_a_zone_can_not_tell_is_refused(served: Served, time: str, zone: str) -> None:
    concert = {"artist": "A", "date": time, "zone": zone, "totalSeats": 1}
    refused = served.http.post("/concerts", json=concert, headers=served.organizer)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["field"] == "date"


def test_a_time_is_cut_to_its_year_and_never_rounded_into_the_next(served: Served) -> None:
    time = "2026-12-31T23:59:59.9999999Z"
    concert = {"artist": "A", "totalSeats": 1, "listed": False}
    timed = concert | {"date": time}
    answer = served.http.post("/concerts", json=timed, headers=served.organizer).json()
    assert answer["date"] == "2026-12-31T23:59:59Z"
    timed = concert | {"date": "2027-06-05", "onSaleAt": time}
    answer = served.http.post("/concerts", json=timed, headers=served.organizer).json()
    assert answer["onSaleAt"].startswith("2026-12-31T23:59:59")


@pytest.mark.parametrize(
    "path", ["/concerts?from", "/concerts?to", "/audit/events?since", "/orders/-/dead-letters?until"]
)
def test_a_plus_that_came_as_a_blank_is_told_how_to_be_written(served: Served, path: str) -> None:
    refused = served.http.get(f"{path}=2027-01-01T00:00:00+01:00", headers=served.organizer)
    assert refused.status_code == 422
    assert "`%2B`" in refused.json()["errors"][0]["message"]
    assert served.http.get(f"{path}=2027-01-01T00:00:00%2B01:00", headers=served.organizer).status_code == 200


COLLECTIONS = ["/concerts", "/orders", "/payments", "/notifications", "/audit/events", "/orders/-/dead-letters"]


@pytest.mark.parametrize("path", COLLECTIONS)
@pytest.mark.parametrize(
    "number", ["1e1", "1.0", "01", "+1", "%2B1", "%201", "1%20", "1_0", "0x1", "%D9%A1", "", "ten"]
)
def test_one_rule_for_whole_numbers_in_every_query(served: Served, path: str, number: str) -> None:
    answer = served.http.get(f"{path}?limit={number}", headers=served.organizer)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "limit", "message": "must be a whole number in digits: 50"}]
    assert served.http.get(f"{path}?limit=10", headers=served.organizer).status_code == 200


@pytest.mark.parametrize("number", ["1e-3", "01", "+1", "%201", ".5", "1.", "1,5", "inf", "nan", "0x1", ""])
def test_seconds_to_wait_are_digits_with_at_most_one_point(served: Served, number: str) -> None:
    id = _order(served)["id"]
    answer = served.http.get(f"/orders/{id}?wait={number}", headers=served.organizer)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "wait")
    for good in ("0", "0.001", "1.0"):
        assert served.http.get(f"/orders/{id}?wait={good}", headers=served.organizer).status_code == 200


@pytest.mark.parametrize("currency", ["EUE", "XXX", "BTC", "XTS", "XAU", "BGN", "HRK", "CLF"])
def test_a_price_is_in_a_currency_of_today(served: Served, currency: str) -> None:
    price = {"amount": 100, "currency": currency}
    concert = {"artist": "A", "date": "2099-06-05", "totalSeats": 1, "price": price}
    answer = served.http.post("/concerts", json=concert, headers=served.organizer)
    assert [each["field"] for each in answer.json()["errors"]] == ["price.currency"]


WRONG: list[Any] = [None, True, 1, 1.5, -1, "", "x", [], [1], {}, {"a": 1}, 2**63, [[1]], [{}], {"amount": "x"}]
PYTHON = re.compile(r"\b(int|str|float|bool|dict|list|tuple)\b|None|True\b|False\b|[Ee]xpected|Object|regex")


@pytest.fixture(scope="module")
def called_off(served: Served) -> str:
    """A concert that is asked anything: among that, to be called off."""
    return str(served.concert("asked-anything")["id"])


@pytest.mark.parametrize(
    "value", [WRONG[0], *(pytest.param(each, marks=pytest.mark.slow) for each in WRONG[1:])], ids=repr
)
def test_no_problem_speaks_of_the_types_of_a_programming_language(served: Served, called_off: str, value: Any) -> None:
    document = served.http.get("/openapi.json").json()
    seen = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "requestBody" not in operation:
                continue
            (schema,) = (each["schema"] for each in operation["requestBody"]["content"].values())
            fields = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
            url = re.sub(r"\{\w+\}", called_off, path)
            bodies = [value, {}, {"x": value}, *({name: value} for name in fields), dict.fromkeys(fields, value)]
            for body in bodies:
                answer = served.http.request(method, url, json=body, headers=served.organizer)
                for each in answer.json().get("errors", []):
                    seen += 1
                    assert not PYTHON.search(each["message"]), (method, path, body, each)
    assert seen > 50
