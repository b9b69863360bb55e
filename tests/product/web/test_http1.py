"""Requests to bytes, bytes to answers."""

import pytest

from cludale.web.http1 import ClientResponse, Malformed, Reader, Target, plain, url_of

PLAIN = b"HTTP/1.1 201 Created\r\nserver: x\r\ncontent-length: 2\r\n\r\n{}"
SOME_WAYS_TO_ANSWER = {
    "with another case": (b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", ClientResponse(201, b"{}")),
    "in chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\ntrailer: 1\r\n\r\n",
        ClientResponse(200, b"abcd"),
    ),
    "after a hint": (b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, ClientResponse(201, b"{}")),
    "with nothing to say": (b"HTTP/1.1 204 No Content\r\n\r\n", ClientResponse(204, b"")),
    "and closes": (
        b"HTTP/1.1 503 Busy\r\ncontent-length: 1\r\nconnection: close\r\n\r\n!",
        ClientResponse(503, b"!", reusable=False),
    ),
    "with a limit of requests": (
        b'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nratelimit: "key";r=1;t=2\r\nratelimit-policy: "key";q=3;w=4\r\n\r\n!',
        ClientResponse(200, b"!", quota=('"key";r=1;t=2', '"key";q=3;w=4')),
    ),
    "with a tag": (b'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nETag: "7"\r\n\r\n!', ClientResponse(200, b"!", tag='"7"')),
    "in an old version": (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n!", ClientResponse(200, b"!", reusable=False)),
}


def test_a_plain_answer_is_read_at_once() -> None:
    assert plain(PLAIN) == ClientResponse(201, b"{}")


@pytest.mark.parametrize("end", range(len(PLAIN)))
def test_a_part_of_an_answer_is_never_taken_for_the_whole(end: int) -> None:
    assert plain(PLAIN[:end]) is None
    reader = Reader()
    assert reader.feed(PLAIN[:end]) is None
    assert reader.feed(PLAIN[end:]) == ClientResponse(201, b"{}")


@pytest.mark.parametrize("way", SOME_WAYS_TO_ANSWER)
def test_what_is_not_plain_is_left_to_the_reader(way: str) -> None:
    data, answer = SOME_WAYS_TO_ANSWER[way]
    assert plain(data) is None
    assert Reader().feed(data) == answer


@pytest.mark.parametrize("way", SOME_WAYS_TO_ANSWER)
def test_an_answer_that_trickles_in_is_the_same_answer(way: str) -> None:
    data, answer = SOME_WAYS_TO_ANSWER[way]
    reader = Reader()
    found = [reader.feed(data[at : at + 1]) for at in range(len(data))]
    assert found == [None] * (len(data) - 1) + [answer]


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    reader = Reader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\nabc") is None
    assert reader.feed(b"def") is None
    assert reader.end() == ClientResponse(200, b"abcdef", reusable=False)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200", PLAIN[:-1], SOME_WAYS_TO_ANSWER["in chunks"][0][:-1]])
def test_an_answer_that_breaks_off_is_none(data: bytes) -> None:
    reader = Reader()
    reader.feed(data)
    assert reader.end() is None


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
        PLAIN + b"more than was asked for",
        b"x" * 70_000,
    ],
)
def test_nonsense_is_malformed(data: bytes) -> None:
    assert plain(data) is None
    with pytest.raises(Malformed):
        Reader().feed(data)


def test_a_request_is_what_it_says() -> None:
    target = Target.of("http://localhost:8080/tickets/")
    assert target.request("POST", "/orders", b"{}", {"x-a": "b"}) == (
        b"POST /tickets/orders HTTP/1.1\r\nhost: localhost:8080\r\naccept: application/json\r\nx-a: b\r\n"
        b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert b"content-length" not in target.request("GET", "/livez")


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("http://127.0.0.1:8080", Target("127.0.0.1", 8080), "127.0.0.1:8080"),
        ("https://tickets.example", Target("tickets.example", 443, tls=True), "tickets.example"),
        ("http://[::1]:81/x", Target("::1", 81, base_path="/x"), "[::1]:81"),
    ],
)
def test_an_address_names_its_target(url: str, target: Target, authority: str) -> None:
    assert Target.of(url) == target
    assert target.authority == authority


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://", "http://x:y"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|Port"):
        Target.of(url)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("::1", "http://[::1]:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://127.0.0.1:8080"),
        ("tickets.example", "http://tickets.example:8080"),
    ],
)
def test_what_listens_somewhere_has_a_url(host: str, url: str) -> None:
    assert url_of(host, 8080) == url


@pytest.mark.parametrize("url", ["http://x:y", "http://x:99999", "http://[::1", "ftp://x", "x", ""])
def test_what_is_no_url_is_no_target(url: str) -> None:
    with pytest.raises(ValueError, match="is not an http:// or https:// address"):
        Target.of(url)
