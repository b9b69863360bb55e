"""What is kept of the shop's pages: the same for all who ask the same, nobody's own, and never older than a second."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import httpx
import pytest
from tests.served import Served, serve

FRESH_SECONDS = 5.0
"""A second, and what a request takes on a machine that others use."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("shop"), settings={"CLUDALE_MAX_STREAMS": "3"}) as served:
        served.concert("club", artist="The Larks", seats=50)
        yield served


def raw(shop: Served, path: str, *headers: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what exactly these bytes are answered with."""
    head = "\r\n".join([f"{method} {path} HTTP/1.1", "host: tickets.example", *headers, "", ""]).encode()
    with socket.create_connection(("127.0.0.1", shop.port), timeout=10) as connection:
        connection.sendall(head)
        answer = connection.makefile("rb")
        status = int(answer.readline().split()[1])
        fields = {}
        while line := answer.readline().decode().strip():
            name, _, value = line.partition(": ")
            fields[name] = value
        has_body = method != "HEAD" and status != 304
        return status, fields, answer.read(int(fields["content-length"])) if has_body else b""


def counted(shop: Served, route: str, status: int = 200) -> float:
    name = f'cludale_http_requests_total{{method="GET",route="{route}",status="{status}"}} '
    return sum(
        float(line[len(name) :]) for line in shop.http.get("/metrics").text.splitlines() if line.startswith(name)
    )


def soon(condition: Callable[[], bool], *, seconds: float = FRESH_SECONDS) -> bool:
    """Does it become so within that time?"""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True


def test_what_is_sent_again_is_the_same_with_all_headers_and_each_is_counted(shop: Served) -> None:
    route = "/shop/concerts/{concert_id}"
    before, of_browsers = counted(shop, route), counted(shop, route, 304)
    answers = [raw(shop, "/shop/concerts/club", "accept-encoding: gzip") for _ in range(20)]
    assert {body for _, _, body in answers} == {answers[0][2]}
    for status, headers, _ in answers:
        assert status == 200
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["vary"] == "Accept-Language, Cookie, Accept-Encoding"
        assert headers["cache-control"] == "no-cache"
        assert headers["content-encoding"] == "gzip"
        assert "set-cookie" not in headers
    tag = answers[0][1]["etag"]
    for _ in range(5):
        known = raw(shop, "/shop/concerts/club", "accept-encoding: gzip", f"if-none-match: {tag}")
        assert (known[0], known[2]) == (304, b"")
    assert raw(shop, "/shop/concerts/club", "accept-encoding: gzip", 'if-none-match: "another"')[0] == 200
    assert (counted(shop, route) - before, counted(shop, route, 304) - of_browsers) == (21, 5)
    status, headers, body = raw(shop, "/shop/concerts/club", "accept-encoding: gzip", method="HEAD")
    assert (status, headers["etag"], body) == (200, tag, b"")


def test_language_encoding_host_and_scheme_are_each_their_own(shop: Served) -> None:
    for _ in range(3):
        for language in ("de", "fr", "es", "en"):
            for path in ("/shop", "/shop/concerts/club"):
                body = raw(shop, path, f"accept-language: {language}")[2].decode()
                assert f'<html lang="{language}">' in body
        plain = raw(shop, "/shop/concerts/club")[2]
        assert plain.startswith(b"<!doctype html>")
        assert raw(shop, "/shop/concerts/club", "accept-encoding: gzip")[2] != plain
        assert b"http://tickets.example/shop" in plain
        assert b"https://tickets.example/shop" in raw(shop, "/shop/concerts/club", "x-forwarded-proto: https")[2]


@pytest.mark.parametrize("path", ["/shop", "/shop/concerts/club"])
def test_who_has_chosen_a_language_gets_it_and_nobody_else_does(shop: Served, path: str) -> None:
    for _ in range(3):
        status, headers, body = raw(shop, f"{path}?lang=de")
        assert (status, headers["set-cookie"].startswith("language=de")) == (200, True)
        assert b'<html lang="de">' in body
        assert b'<html lang="de">' in raw(shop, path, "cookie: language=de")[2]
        assert b'<html lang="fr">' in raw(shop, path, "cookie: language=fr; orders=x")[2]
        status, headers, body = raw(shop, path)
        assert b'<html lang="en">' in body
        assert "set-cookie" not in headers


def test_what_stands_in_ones_address_is_in_nobody_elses_page(shop: Served) -> None:
    for path in ("/shop", "/shop/concerts/club"):
        for _ in range(2):
            assert b"ada%40example.com" in raw(shop, f"{path}?from-friend=ada%40example.com")[2]
            assert b"ada%40example.com" not in raw(shop, path)[2]


def test_no_token_and_no_cookie_is_in_what_all_get(shop: Served) -> None:
    with httpx.Client(base_url=shop.url, timeout=10) as buyer:
        form = buyer.get("/shop/concerts/club/checkout?section=general&quantity=1", follow_redirects=True).text
        token = re.search(r'name="csrf" value="(\w+)"', form)
        assert token
        for path in ("/shop", "/shop/concerts/club"):
            for _ in range(2):
                assert token[1] not in buyer.get(path).text
                assert b"csrf" not in raw(shop, path)[2]


def test_a_change_and_the_last_seat_show_within_a_second(shop: Served) -> None:
    made = shop.concert("small", artist="The Robins", seats=1)
    assert made["id"] == "small"

    def page() -> bytes:
        return raw(shop, "/shop/concerts/small")[2]

    assert soon(lambda: b"The Robins" in page())
    shop.http.post("/orders", json={"concertId": "small", "userId": "me", "quantity": 1}).raise_for_status()
    assert soon(lambda: b'data-sale="open"' not in page())
    tag = shop.http.get("/concerts/small").headers["etag"]
    changed = {"artist": "The Wrens"}
    answer = shop.http.patch("/concerts/small", json=changed, headers={**shop.organizer, "if-match": tag})
    assert answer.status_code == 200, answer.text
    assert soon(lambda: b"The Wrens" in page() and b"The Robins" not in page())
    assert soon(lambda: b"The Wrens" in raw(shop, "/shop")[2])


def test_a_sale_that_begins_is_open_on_the_page_at_that_second(shop: Served) -> None:
    at = datetime.now(UTC) + timedelta(seconds=1.5)
    shop.concert("soon", seats=5, onSaleAt=at.isoformat())
    while datetime.now(UTC) < at:
        page = raw(shop, "/shop/concerts/soon")[2]
        if datetime.now(UTC) < at:
            assert b'data-sale="before"' in page
        time.sleep(0.02)
    assert soon(lambda: b'data-sale="open"' in raw(shop, "/shop/concerts/soon")[2], seconds=0.2)


def test_a_page_is_never_older_than_what_those_who_watch_were_told(shop: Served) -> None:
    shop.concert("going", seats=1)
    with socket.create_connection(("127.0.0.1", shop.port), timeout=5) as watcher, watcher.makefile("rb") as stream:
        watcher.sendall(b"GET /shop/concerts/going/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b'"sale":"open"' in told(stream)
        for _ in range(3):
            assert b'data-sale="open"' in raw(shop, "/shop/concerts/going")[2]
        shop.http.post("/orders", json={"concertId": "going", "userId": "me", "quantity": 1}).raise_for_status()
        assert b'"sale":"open"' not in told(stream)  # a script loads the page again now
        for _ in range(3):
            assert b'data-sale="open"' not in raw(shop, "/shop/concerts/going")[2]


def told(stream: BinaryIO) -> bytes:
    """The next frame."""
    while b"data: " not in (line := stream.readline()):
        assert line
    return line


def test_who_watches_shares_a_frame_is_told_within_a_second_and_one_too_many_asks_instead(shop: Served) -> None:
    shop.concert("watched", seats=3)
    asked = b"GET /shop/concerts/watched/live HTTP/1.1\r\nhost: x\r\n\r\n"
    watchers = [socket.create_connection(("127.0.0.1", shop.port), timeout=5) for _ in range(3)]
    files = [each.makefile("rb") for each in watchers]
    try:
        for each in watchers:
            each.sendall(asked)
        for file in files:
            assert b'["few",3]' in told(file)
        assert raw(shop, "/shop/concerts/watched/live")[0] == 503
        shop.http.post("/orders", json={"concertId": "watched", "userId": "me", "quantity": 1}).raise_for_status()
        began = time.monotonic()
        for file in files:
            assert b'["few",2]' in told(file)
        assert time.monotonic() - began < FRESH_SECONDS
        assert b'["few",2]' in raw(shop, "/shop/concerts/watched/seats", "cookie: form=x")[2]
        assert "cludale_streams 3.0" in shop.http.get("/metrics").text
    finally:
        for file in files:
            file.close()
        for each in watchers:
            each.close()
    assert soon(lambda: "cludale_streams 0.0" in shop.http.get("/metrics").text)
