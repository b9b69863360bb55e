"""An address that was just made: asked until a service answers there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from cludale_operations.release.driver import Address, PlatformFailed
from cludale_operations.release.reachable import PATH, wait_until_reachable


class Said(NamedTuple):
    status: int
    kind: str


NOBODY = Said(404, "text/plain")
GOOD = Said(200, "application/json")
BAD = Said(500, "application/problem+json")


@contextmanager
def answering(*answers: Said) -> Iterator[tuple[Address, list[str]]]:
    """A server that gives these answers, the last one for good; its address, and the paths that were asked for."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = answers[min(len(asked), len(answers) - 1)]
            asked.append(f"{self.path} {self.headers['x-cludale-label']}")
            self.send_response(said.status)
            self.send_header("content-type", said.kind)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Address(f"http://127.0.0.1:{server.server_port}", {"x-cludale-label": "green"}), asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Time:
    """Passes at once."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def now(self) -> float:
        return self.seconds


def test_an_address_is_asked_until_a_service_answers_there() -> None:
    time = Time()
    with answering(NOBODY, Said(503, "text/html"), GOOD) as (address, asked):
        wait_until_reachable(address, within_seconds=60, sleep=time.sleep, now=time.now)
    assert asked == [f"{PATH} green"] * 3
    assert time.seconds == 4


def test_a_service_that_answers_badly_does_answer() -> None:
    time = Time()
    with answering(BAD) as (address, asked):
        wait_until_reachable(address, within_seconds=60, sleep=time.sleep, now=time.now)
    assert len(asked) == 1


def test_an_address_that_leads_nowhere_is_named_with_how_long_it_was_asked() -> None:
    time = Time()
    with answering(NOBODY) as (address, _):
        wanted = rf"{address.url} does not answer within 60 s \(404, and not from a service\)"
        with pytest.raises(PlatformFailed, match=wanted):
            wait_until_reachable(address, within_seconds=60, sleep=time.sleep, now=time.now)
    assert time.seconds == 60


def test_an_address_that_nobody_knows_yet_is_named_too() -> None:
    time = Time()
    with answering(GOOD) as (address, _):
        pass
    with pytest.raises(PlatformFailed, match="does not answer within 6 s"):
        wait_until_reachable(address, within_seconds=6, sleep=time.sleep, now=time.now)
