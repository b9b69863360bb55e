"""The express lane and the framework answer alike. `/orders?` is no path of the express lane: it goes the long way."""

from typing import Any

import httpx
import pytest
from tests.served import Served

ORDER = {"concertId": "the-concert", "userId": "me", "quantity": 2}
RESERVE = {"quantity": 1}

REQUESTS: list[tuple[str, str, bytes | dict[str, Any], dict[str, str]]] = [
    ("a good order", "/orders", ORDER, {}),
    ("too many", "/orders", {**ORDER, "quantity": 9}, {}),
    ("a huge quantity", "/orders", {**ORDER, "quantity": 10**30}, {}),
    ("a negative quantity", "/orders", {**ORDER, "quantity": -1}, {}),
    ("a text for a number", "/orders", {**ORDER, "quantity": "2"}, {}),
    ("everything wrong", "/orders", {"quantity": 1.5, "colour": "red"}, {}),
    ("no such concert", "/orders", {**ORDER, "concertId": "none"}, {}),
    ("no such section", "/orders", {**ORDER, "section": "none"}, {}),
    ("sold out", "/orders", {**ORDER, "concertId": "sold-out"}, {}),
    ("not on sale", "/orders", {**ORDER, "concertId": "later"}, {}),
    ("nothing", "/orders", b"", {}),
    ("half a body", "/orders", b'{"concertId":', {}),
    ("a list", "/orders", b"[]", {}),
    ("too deep", "/orders", b"[" * 20_000, {}),
    ("not UTF-8", "/orders", b'{"concertId": "\xff"}', {}),
    ("a path for an id", "/orders", {**ORDER, "concertId": "../../etc/passwd"}, {}),
    ("a name twice", "/orders", b'{"concertId": "the-concert", "userId": "me", "quantity": 2, "quantity": 3}', {}),
    ("too large", "/orders", b" " * 70_000, {}),
    ("another media type", "/orders", b"<order/>", {"content-type": "application/xml"}),
    ("a form's media type", "/orders", ORDER, {"content-type": "application/x-www-form-urlencoded"}),
    ("JSON in other letters", "/orders", ORDER, {"content-type": "APPLICATION/JSON; charset=UTF-8"}),
    ("a useless key", "/orders", ORDER, {"idempotency-key": "x" * 300}),
    ("an empty key", "/orders", ORDER, {"idempotency-key": ""}),
    ("a useless trace", "/orders", ORDER, {"traceparent": "not-a-trace"}),
    ("a reservation", "/concerts/the-concert/reserve", RESERVE, {"authorization": "Bearer the-organizers-key"}),
    ("a stranger's reservation", "/concerts/the-concert/reserve", RESERVE, {}),
    ("a wrong key", "/concerts/the-concert/reserve", RESERVE, {"authorization": "Bearer guess"}),
    ("a bad one of a stranger", "/concerts/the-concert/reserve", b"{", {}),
    ("a bad one", "/concerts/the-concert/reserve", b"{", {"authorization": "Bearer the-organizers-key"}),
    ("one of nothing", "/concerts/none/reserve", RESERVE, {"authorization": "Bearer the-organizers-key"}),
    ("one of a path", "/concerts/..%2fx/reserve", RESERVE, {"authorization": "Bearer the-organizers-key"}),
]

FRESH = {"id", "createdAt", "expiresAt", "accessToken", "eventId"}
"""What differs between two orders that are alike."""


@pytest.mark.parametrize(("path", "body", "headers"), [each[1:] for each in REQUESTS], ids=[r[0] for r in REQUESTS])
def test_both_lanes_answer_alike(
    served: Served, path: str, body: bytes | dict[str, Any], headers: dict[str, str]
) -> None:
    express, framework = (_post(served, path + suffix, body, headers) for suffix in ("", "?"))
    assert _told(express) == _told(framework)


def test_a_get_of_livez_is_alike(served: Served) -> None:
    express, framework = served.http.get("/livez"), served.http.get("/livez?")
    assert _told(express) == _told(framework) == (200, "application/json", None, {"status": "ok"})


def test_a_key_used_in_one_lane_answers_in_the_other_byte_for_byte(served: Served) -> None:
    key = {"idempotency-key": "both-lanes"}
    express = _post(served, "/orders", ORDER, key)
    framework = _post(served, "/orders?", ORDER, key)
    assert express.status_code == framework.status_code == 201
    assert express.content == framework.content


def _post(served: Served, path: str, body: bytes | dict[str, Any], headers: dict[str, str]) -> httpx.Response:
    if isinstance(body, bytes):
        return served.http.post(path, content=body, headers=headers)
    return served.http.post(path, json=body, headers=headers)


def _told(answer: httpx.Response) -> tuple[int, str | None, str | None, dict[str, Any]]:
    told = {field: value for field, value in answer.json().items() if field not in FRESH}
    if "payment" in told:
        told["payment"].pop("at")
    headers = answer.headers
    return answer.status_code, headers.get("content-type"), headers.get("retry-after"), told
