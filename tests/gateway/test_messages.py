"""What passes as it came, and what is read first."""

import pytest

from cludale.gateway.messages import AnswerReader, Malformed, plain

PLAIN = b"HTTP/1.1 201 Created\r\ndate: now\r\nContent-Length: 2\r\n\r\n{}"


def test_a_whole_answer_passes_with_its_revision_added() -> None:
    passed = plain(PLAIN)
    assert passed is not None
    assert passed.status == 201
    assert passed.to_client(b"green", close=False) == (
        b"HTTP/1.1 201 Created\r\ndate: now\r\nContent-Length: 2\r\nx-cludale-revision: green\r\n\r\n{}"
    )
    assert b"\r\nconnection: close\r\n\r\n{}" in passed.to_client(b"green", close=True)


@pytest.mark.parametrize(
    "data",
    [
        PLAIN[:-1],
        PLAIN + b"x",
        PLAIN.replace(b"Content-Length: 2", b"Content-Length: 2\r\ncontent-length: 2"),
        PLAIN.replace(b"Content-Length: 2", b"Content-Length: 2\r\nconnection: close"),
        PLAIN.replace(b"date: now", b"Transfer-Encoding: chunked"),
        PLAIN.replace(b"date: now", b"date: now\rx: y"),
        PLAIN.replace(b"date: now", b"date now"),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN.replace(b"201", b"100"),
        PLAIN.replace(b"Content-Length: 2\r\n", b""),
        b"",
    ],
)
def test_whatever_else_it_is_does_not_pass_unread(data: bytes) -> None:
    assert plain(data) is None


def test_bytes_after_the_answer_end_the_connection() -> None:
    reader = AnswerReader(to_head=False)
    whole = reader.feed(PLAIN + b"HTTP/1.1 200 OK\r\n")
    assert whole is not None
    passed, is_reusable = whole
    assert passed.body == b"{}"
    assert not is_reusable


def test_nonsense_is_malformed() -> None:
    with pytest.raises(Malformed):
        AnswerReader(to_head=False).feed(b"nonsense\r\n\r\n")
