"""Every route, what it refuses, and how."""

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.served import Served

ORGANIZERS = [
    ("POST", "/concerts"),
    ("POST", "/concerts/the-concert/reserve"),
    ("GET", "/orders"),
    ("POST", "/payments"),
    ("GET", "/payments"),
    ("GET", "/notifications"),
    ("GET", "/audit/events"),
    ("GET", "/audit/orders/x"),
    ("GET", "/audit/verify"),
    ("GET", "/audit/chain"),
    ("GET", "/orders/-/figures"),
    ("POST", "/audit/replay"),
]


@pytest.mark.parametrize(("method", "path"), ORGANIZERS)
@pytest.mark.parametrize("credential", [None, "Bearer wrong", "Basic dGhlLW9yZ2FuaXplcnMta2V5", "Bearer \xe9"])
def test_the_organizers_routes_want_the_key_first(
    served: Served, method: str, path: str, credential: str | None
) -> None:
    headers = [] if credential is None else [(b"authorization", credential.encode("latin-1"))]
    answer = served.http.request(method, path, headers=headers, content=b"{" if method == "POST" else None)
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/unauthorized"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_order_is_seen_with_its_token_and_the_organizers_key_only(served: Served) -> None:
    order, other = (_order(served) for _ in range(2))
    path = f"/orders/{order['id']}"
    for credential, status in (
        (None, 404),
        (other["accessToken"], 404),
        (order["accessToken"], 200),
        ("the-organizers-key", 200),
    ):
        headers = {} if credential is None else {"authorization": f"Bearer {credential}"}
        assert served.http.get(path, headers=headers).status_code == status
        assert served.http.post(f"{path}/cancel", headers=headers).status_code == status
    unknown = served.http.get("/orders/order-none", headers={"authorization": "Bearer x"})
    hidden = served.http.get(path, headers={"authorization": "Bearer x"})
    assert unknown.json()["type"] == hidden.json()["type"] == "/problems/not-found"


def test_the_token_is_in_the_answer_to_the_post_only(served: Served) -> None:
    order = _order(served)
    seen = served.http.get(f"/orders/{order['id']}", headers={"authorization": f"Bearer {order['accessToken']}"})
    assert "accessToken" not in seen.json()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("after=nonsense", "after"),
        ("sort=price", "sort"),
        ("from=yesterday", "from"),
        ("to=2027-06-05T19:30:00", "to"),
        ("colour=red", "colour"),
        ("artist=" + "x" * 201, "artist"),
    ],
)
def test_a_bad_parameter_is_named(served: Served, query: str, field: str) -> None:
    answer = served.http.get(f"/concerts?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/orders?concert_id=x", "concert_id"),
        ("/orders?status=Lost", "status"),
        ("/audit/events?since=now", "since"),
        ("/audit/events?since=2027-06-05T19:30:00", "since"),
        ("/audit/events?order_id=x", "order_id"),
        ("/payments?limit=1e3", "limit"),
        ("/notifications?x=1", "x"),
    ],
)
def test_a_bad_parameter_of_the_organizer_is_named(served: Served, path: str, field: str) -> None:
    answer = served.http.get(path, headers=served.organizer)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/concerts?sort=price", "must be one of date, -date, artist"),
        ("/orders?status=paid", "must be one of Pending, Reserved, Paid, Cancelled"),
        ("/orders/-/dead-letters?state=none", "must be one of Waiting, Delivered"),
    ],
)
def test_a_parameter_of_a_few_values_names_them(served: Served, path: str, message: str) -> None:
    answer = served.http.get(path, headers=served.organizer)
    assert [error["message"] for error in answer.json()["errors"]] == [message]


def test_no_message_has_a_pattern_in_it(served: Served) -> None:
    wrong = {"concertId": "../x", "userId": "a\nb", "section": "/", "paymentMethod": "-", "email": "x", "phone": "x"}
    errors = served.http.post("/orders", json={"quantity": 1, **wrong}).json()["errors"]
    assert {error["field"] for error in errors} == set(wrong)
    assert all(error["message"].startswith("must be ") for error in errors), errors


GOOD: dict[str, Any] = {
    "artist": "A",
    "date": "2099-01-01",
    "totalSeats": 1,
    "price": {"amount": 1, "currency": "EUR"},
}
SECTION: dict[str, Any] = {"id": "a", "totalSeats": 1, "price": {"amount": 1, "currency": "EUR"}}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"artist": ""}, "artist"),
        ({"artist": "a\nb"}, "artist"),
        ({"artist": None}, "artist"),
        ({"date": "soon"}, "date"),
        ({"date": "2027-02-30"}, "date"),
        ({"date": "2027-06-05T19:30:00"}, "date"),
        ({"date": "0001-01-01T00:00:00+10:00"}, "date"),
        ({"totalSeats": 0}, "totalSeats"),
        ({"totalSeats": 10**9}, "totalSeats"),
        ({"totalSeats": None}, "totalSeats"),
        ({"price": {"amount": -1, "currency": "EUR"}}, "price.amount"),
        ({"price": {"amount": 1, "currency": "euro"}}, "price.currency"),
        ({"price": {"amount": 10**15, "currency": "EUR"}}, "price.amount"),
        ({"price": 45}, "price"),
        ({"id": "../x"}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"id": "x\n"}, "id"),
        ({"maxPerOrder": 0}, "maxPerOrder"),
        ({"onSaleAt": "2027-01-01T00:00:00"}, "onSaleAt"),
        ({"onSaleAt": "tomorrow"}, "onSaleAt"),
        ({"colour": "red"}, "colour"),
        ({"sections": [SECTION], "totalSeats": 2}, "totalSeats"),
        ({"sections": [SECTION], "price": {"amount": 2, "currency": "EUR"}}, "price"),
        ({"totalSeats": None, "price": None, "sections": []}, "sections"),
        ({"totalSeats": None, "price": None, "sections": [SECTION, SECTION]}, "sections[1].id"),
        ({"totalSeats": None, "price": None, "sections": [{**SECTION, "id": "a/b"}]}, "sections[0].id"),
        (
            {
                "totalSeats": None,
                "price": None,
                "sections": [SECTION, {**SECTION, "id": "b", "price": {"amount": 1, "currency": "USD"}}],
            },
            "sections[1].price.currency",
        ),
    ],
)
def test_a_bad_concert_is_refused_by_field(served: Served, change: dict[str, Any], field: str) -> None:
    answer = served.http.post("/concerts", json={**GOOD, **change}, headers=served.organizer)
    assert answer.status_code == 422, answer.text
    assert field in [error["field"] for error in answer.json()["errors"]]


def test_unicode_goes_in_and_comes_out(served: Served) -> None:
    artist = "Björk \N{GUITAR} \N{RIGHT-TO-LEFT MARK} \N{ZERO WIDTH JOINER} 李"
    made = served.http.post("/concerts", json={**GOOD, "id": "unicode", "artist": artist}, headers=served.organizer)
    assert made.status_code == 201, made.text
    assert served.http.get("/concerts/unicode").json()["artist"] == artist
    assert [each["id"] for each in served.http.get("/concerts", params={"artist": "björk"}).json()["items"]] == [
        "unicode"
    ]


def test_a_concert_twice_is_refused(served: Served) -> None:
    answer = served.http.post("/concerts", json={**GOOD, "id": "the-concert"}, headers=served.organizer)
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/concert-exists"


def test_an_order_that_holds_seats_gets_no_others(served: Served) -> None:
    def reserve(**wanted: Any) -> httpx.Response:
        body = {"orderId": "sale", "quantity": 2, **wanted}
        return served.http.post("/concerts/the-concert/reserve", json=body, headers=served.organizer)

    first, again, other = reserve(), reserve(section="general"), reserve(quantity=3)
    assert (first.status_code, again.status_code, again.json()["id"]) == (201, 201, first.json()["id"])
    assert (other.status_code, other.json()["type"]) == (409, "/problems/held-otherwise")
    assert (other.json()["held"], other.json()["wanted"]) == (2, 3)


def test_a_concert_that_is_not_listed_is_shown_to_who_knows_its_id(served: Served) -> None:
    body = {**GOOD, "id": "unlisted", "artist": "Nobody Asked", "listed": False}
    made = served.http.post("/concerts", json=body, headers=served.organizer)
    assert (made.status_code, made.json()["listed"]) == (201, False)
    assert served.http.get("/concerts/unlisted").json()["listed"] is False
    assert served.http.get("/concerts", params={"artist": "nobody asked"}).json()["items"] == []


def test_a_time_keeps_the_offset_that_it_was_written_with(served: Served) -> None:
    body = {
        **GOOD,
        "date": "2099-06-05T20:30:00+02:00",
        "onSaleAt": "2027-01-01T10:00:00+01:00",
        "endsAt": "2099-06-06T02:00:00+02:00",
        "cancelUntil": "2099-06-01T00:00:00-04:00",
    }
    concert = served.http.post("/concerts", json=body, headers=served.organizer).json()
    assert {name: concert[name] for name in ("date", "onSaleAt", "endsAt", "cancelUntil")} == {
        "date": "2099-06-05T20:30:00+02:00",
        "onSaleAt": "2027-01-01T10:00:00+01:00",
        "endsAt": "2099-06-06T02:00:00+02:00",
        "cancelUntil": "2099-06-01T00:00:00-04:00",
    }
    assert served.http.get(f"/concerts/{concert['id']}").json() == concert


@pytest.mark.parametrize(
    ("times", "field"),
    [
        ({"onSaleAt": "2099-01-02T12:00:00Z"}, "onSaleAt"),
        ({"date": "2099-01-01T20:00:00+02:00", "onSaleAt": "2099-01-01T18:00:00Z"}, "onSaleAt"),
        ({"endsAt": "2098-12-31"}, "endsAt"),
        ({"endsAt": "2099-02-03"}, "endsAt"),
        ({"date": "2099-01-01T20:00:00Z", "endsAt": "2099-01-01T19:00:00Z"}, "endsAt"),
        ({"endsAt": "late"}, "endsAt"),
        ({"cancelUntil": "2099-01-02T12:00:01Z"}, "cancelUntil"),
        ({"date": "2020-01-01", "onSaleAt": "2026-01-01T00:00:00Z"}, "onSaleAt"),
    ],
)
def test_times_that_do_not_go_together_are_refused(served: Served, times: dict[str, str], field: str) -> None:
    answer = served.http.post("/concerts", json={**GOOD, **times}, headers=served.organizer)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_concert_of_the_past_can_be_put_on(served: Served) -> None:
    for date in ("2020-01-01", "2020-01-01T20:00:00+02:00"):
        assert served.http.post("/concerts", json={**GOOD, "date": date}, headers=served.organizer).status_code == 201


@pytest.mark.parametrize(
    "path", ["/none", "/orders/a/b", "/concerts/the-concert/reserve/x", "/../../etc/passwd", "/%00"]
)
def test_an_unknown_path_is_a_problem(served: Served, path: str) -> None:
    answer = served.http.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] in ("/problems/no-such-route", "/problems/not-found")


def test_a_wrong_method_names_the_right_ones(served: Served) -> None:
    answer = served.http.delete("/concerts")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))
    assert answer.json()["type"] == "/problems/method-not-allowed"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/concerts", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/orders", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("/orders/x", {"GET", "HEAD", "OPTIONS", "PATCH"}),
        ("/orders/x/cancel", {"OPTIONS", "POST"}),
        ("/docs", {"GET", "HEAD", "OPTIONS"}),
        ("/livez", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_the_methods_of_a_path_are_told(served: Served, path: str, methods: set[str]) -> None:
    asked, wrong = served.http.options(path), served.http.delete(path)
    assert (asked.status_code, wrong.status_code) == (204, 405)
    assert set(asked.headers["allow"].split(", ")) == set(wrong.headers["allow"].split(", ")) == methods


@pytest.mark.parametrize(
    "path",
    [
        "/concerts/the-concert",
        "/concerts?sort=price",
        "/concerts/none",
        "/orders",
        "/livez",
        "/readyz",
        "/readyz/replica",
        "/docs",
        "/docs/start.js",
        "/docs/swagger-ui.css",
        "/openapi.json",
        "/problems",
        "/none",
    ],
)
def test_a_head_is_what_a_get_begins_with(served: Served, path: str) -> None:
    whole, head = served.http.get(path), served.http.head(path)
    assert head.status_code == whole.status_code
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(whole.content) > 0
    assert _lasting(head) == _lasting(whole)


def _lasting(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "date"}


def test_a_connection_goes_on_after_a_head(served: Served) -> None:
    asked = [f"{method} /concerts/the-concert HTTP/1.1\r\nhost: x\r\n" for method in ("HEAD", "GET", "HEAD")]
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(
            "\r\n".join([*asked, "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"]).encode()
        )
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answers.count(b"HTTP/1.1 200 OK") == 4
    assert answers.count(b'"id":"the-concert"') == 1
    assert answers.endswith(b'{"status":"ok"}')


def test_blanks_around_a_key_are_no_part_of_it(served: Served) -> None:
    order = '{"concertId":"the-concert","userId":"me","quantity":1}'
    keys = [each.format("blank") for each in ("{}", "{} ", "  {}", "\t{}\t \t")]
    answers = [_raw(served, "/orders", order, f"idempotency-key:{key}") for key in keys]
    assert answers[0].startswith(b"HTTP/1.1 201 ")
    assert len({each.partition(b"\r\n\r\n")[2] for each in answers}) == 1


def _raw(served: Served, path: str, body: str, *headers: str) -> bytes:
    """The answer to a POST whose headers no client library has touched."""
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode() + body.encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_head_is_counted_under_its_route(served: Served) -> None:
    served.http.head("/concerts/the-concert")
    counted = 'cludale_http_requests_total{method="HEAD",route="/concerts/{concert_id}",status="200"}'
    assert counted in served.http.get("/metrics").text


def test_pages_follow_one_another_to_the_end(served: Served) -> None:
    seen: list[str] = []
    after: str | None = None
    while True:
        parameters = {"limit": "2"} | ({} if after is None else {"after": after})
        page = served.http.get("/concerts", params=parameters).json()
        seen += [each["id"] for each in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen))
    assert {"the-concert", "sold-out", "later"} <= set(seen)


def test_events_can_be_delivered_again(served: Served) -> None:
    order = _order(served)
    seen = served.http.get(f"/orders/{order['id']}?wait=5", headers=served.organizer).json()
    assert seen["status"] == "Paid"
    body = {"orderId": order["id"], "type": "PaymentCompleted", "to": ["concerts"]}
    answer = served.http.post("/audit/replay", json=body, headers=served.organizer)
    assert answer.status_code == 202, answer.text
    assert [each["answer"] for each in answer.json()["items"]] == ["SUCCESS"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "eventIds"),
        ({"eventIds": ["x"], "type": "OrderPaid"}, "eventIds"),
        ({"type": "OrderPaid", "to": ["nobody"]}, "to"),
        ({"since": "2027-06-05T19:30:00"}, "since"),
        ({"eventIds": []}, "eventIds"),
    ],
)
def test_a_replay_of_nothing_in_particular_is_refused(served: Served, body: dict[str, Any], field: str) -> None:
    answer = served.http.post("/audit/replay", json=body, headers=served.organizer)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def _order(served: Served) -> dict[str, Any]:
    answer = served.http.post("/orders", json={"concertId": "the-concert", "userId": "me", "quantity": 1})
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()
    return order


def test_one_key_used_by_many_at_once_makes_one_order(served: Served) -> None:
    wanted = {"concertId": "the-concert", "userId": "the-impatient", "quantity": 1}

    def place(_: int) -> tuple[int, bytes]:
        answer = httpx.post(f"{served.url}/orders", json=wanted, headers={"idempotency-key": "impatient"}, timeout=20)
        return answer.status_code, answer.content

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(place, range(48)))
    assert len({body for status, body in answers if status == 201}) == 1
    assert {status for status, _ in answers} <= {201, 409}
    orders = served.http.get("/orders", params={"concertId": "the-concert", "limit": 200}, headers=served.organizer)
    assert len([each for each in orders.json()["items"] if each["userId"] == "the-impatient"]) == 1


def test_a_refusal_is_kept_with_its_key(served: Served) -> None:
    wanted = {"concertId": "sold-out", "userId": "me", "quantity": 1}
    first, second = (served.http.post("/orders", json=wanted, headers={"idempotency-key": "refused"}) for _ in range(2))
    assert first.status_code == second.status_code == 409
    assert first.content == second.content
    assert second.headers["content-type"] == "application/problem+json"


def test_a_payment_under_a_key_is_answered_alike(served: Served) -> None:
    order = _order(served)
    served.http.get(f"/orders/{order['id']}?wait=5", headers=served.organizer)
    headers = {**served.organizer, "idempotency-key": "telephone"}
    first, second = (served.http.post("/payments", json={"orderId": order["id"]}, headers=headers) for _ in range(2))
    assert first.status_code == second.status_code == 200, first.text
    assert first.content == second.content
    assert first.json()["status"] == "Completed"
    other = served.http.post("/payments", json={"orderId": order["id"], "method": "card-ok"}, headers=headers)
    assert other.status_code == 422
