"""An answer is sent again only to who says exactly the same, while it holds, and is nobody's own."""

from collections import Counter

import pytest

from cludale.web.kept_answers import MOST, MOST_ANSWER_BYTES, MOST_HEAD_BYTES, KeptAnswers
from cludale.web.responses import Response, Source

HEAD = b"GET /shop HTTP/1.1\r\nhost: x\r\n\r\n"
COUNTED = ("GET", "/shop", 200)


class Kept:
    """The answers, their clock, and what is counted."""

    def __init__(self) -> None:
        self.now = 10.0
        self.again: Counter[tuple[str, str, int]] = Counter()
        self.answers = KeptAnswers(self.again, clock=lambda: self.now)

    def keep(
        self,
        head: bytes = HEAD,
        *,
        headers: dict[bytes, bytes] | None = None,
        sent: bytes = b"page",
        method: str = "GET",
    ) -> None:
        response = Response(200, b"page", same_until=11.0)
        self.answers.keep(head, headers or {}, sent, response, (method, "/shop", 200))


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_it_is_found_until_it_holds_no_more_and_counted(kept: Kept) -> None:
    kept.keep()
    assert [kept.answers.find(HEAD) for _ in range(2)] == [b"page"] * 2
    assert kept.again == {COUNTED: 2}
    assert kept.answers.find(HEAD.replace(b"x", b"y")) is None
    assert kept.answers.find(HEAD[:-1]) is None
    kept.now = 11.0
    assert kept.answers.find(HEAD) is None
    kept.answers.sweep()
    assert len(kept.answers) == 0
    assert kept.again == {COUNTED: 2}


@pytest.mark.parametrize(
    "name", [b"cookie", b"authorization", b"content-length", b"transfer-encoding", b"expect", b"upgrade"]
)
def test_what_is_somebodys_own_or_more_than_a_head_is_not_kept(kept: Kept, name: bytes) -> None:
    kept.keep(headers={b"host": b"x", name: b"1"})
    assert kept.answers.find(HEAD) is None


def test_it_does_not_outlive_what_it_was_made_of(kept: Kept) -> None:
    source = Source()
    kept.answers.keep(HEAD, {}, b"page", Response(200, b"page", same_until=11.0, source=source), COUNTED)
    assert kept.answers.find(HEAD) == b"page"
    source.is_over = True
    assert kept.answers.find(HEAD) is None


def test_only_one_whole_head_is_kept(kept: Kept) -> None:
    for head in (HEAD + HEAD, HEAD[:-2], HEAD + b"x", b""):
        kept.keep(head)
    kept.keep(method="HEAD")
    assert len(kept.answers) == 0


def test_there_is_a_bound_on_each_and_on_all(kept: Kept) -> None:
    kept.keep(HEAD[:-4] + b"\r\nx: " + b"x" * MOST_HEAD_BYTES + b"\r\n\r\n")
    kept.keep(sent=b"x" * (MOST_ANSWER_BYTES + 1))
    assert len(kept.answers) == 0
    for number in range(MOST + 10):
        kept.keep(HEAD.replace(b"shop", b"shop?%d" % number))
    assert len(kept.answers) == MOST
