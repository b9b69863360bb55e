"""The gateway's driver: which process takes how many events, and what their handlers made of them."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast

import pytest

from cludale_operations.gateway.control import BackendStatus, Control, ServiceStatus
from cludale_operations.gateway.routes import BackendRoute, ServiceRoutes
from cludale_operations.release.driver import PlatformFailed
from cludale_operations.release.handlers import Tries
from cludale_operations.release.local import LocalDriver, NoLauncher


class Process:
    """A service's process, as far as its switch and its metrics."""

    def __init__(self) -> None:
        self.switched: dict[str, Any] = {"consume": False}
        self.counts: dict[tuple[str, str], int] = {}
        process = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(process.metrics() if self.path == "/metrics" else json.dumps(process.switched))

            def do_PUT(self) -> None:
                process.switched = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self._answer(json.dumps(process.switched))

            def _answer(self, text: str) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def metrics(self) -> str:
        lines = [
            f'cludale_handler_outcomes_total{{service="orders",type="{type_}",outcome="{outcome}",revision=""}} {count}'
            for (type_, outcome), count in self.counts.items()
        ]
        return "\n".join(["# TYPE cludale_handler_outcomes_total counter", *lines, ""])

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Gateway:
    """What the driver asks of it here: orders, with the processes of one revision."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls

    def service(self, _: str) -> ServiceRoutes:
        return ServiceRoutes(tuple(BackendRoute(url, "green") for url in self._urls), ())

    def status(self) -> dict[str, ServiceStatus]:
        stand = [BackendStatus(url, "green", ready=True, in_flight=0, requests=0, failures=0) for url in self._urls]
        return {"orders": ServiceStatus(stand, [])}

    def counts(self) -> dict[tuple[str, str], Any]:
        return {}


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    there = [Process(), Process()]
    yield there
    for each in there:
        each.stop()


@pytest.fixture
def driver(processes: list[Process]) -> Iterator[LocalDriver]:
    control = cast("Control", Gateway([each.url for each in processes]))
    made = LocalDriver(control, "http://127.0.0.1:1", "key", NoLauncher())
    yield made
    made.close()


def test_of_a_revision_one_process_takes_a_few_events_and_later_all_take_any(
    processes: list[Process], driver: LocalDriver
) -> None:
    driver.consume_few("orders", "green", 50)
    assert [each.switched for each in processes] == [{"consume": True, "most": 50}, {"consume": False}]
    assert not driver.consumes_all("orders", "green")
    driver.consume("orders", "green")
    assert [each.switched for each in processes] == [{"consume": True}] * 2
    assert driver.consumes_all("orders", "green")


def test_a_process_that_is_gone_takes_nothing_any_more_and_can_be_told_to_take_nothing(
    processes: list[Process], driver: LocalDriver
) -> None:
    processes[0].stop()
    driver.stop_consuming("orders", "green")
    with pytest.raises(PlatformFailed):
        driver.consume("orders", "green")


def test_what_handlers_made_of_events_since_a_moment_is_that_of_all_processes(
    processes: list[Process], driver: LocalDriver
) -> None:
    processes[0].counts = {("OrderPaid", "handled"): 10, ("OrderPaid", "failed"): 1}
    since = driver.mark()
    processes[0].counts = {("OrderPaid", "handled"): 17, ("OrderPaid", "failed"): 3, ("OrderPaid", "buried"): 9}
    processes[1].counts = {("OrderPaid", "retried"): 4, ("SeatsSold", "refused"): 2}
    assert driver.handled(since) == {
        ("orders", "green"): {
            "OrderPaid": Tries(handled=7, failed=2, retried=4),
            "SeatsSold": Tries(refused=2),
        }
    }


def test_a_process_that_was_started_again_counts_from_its_start(processes: list[Process], driver: LocalDriver) -> None:
    processes[0].counts = {("OrderPaid", "handled"): 10}
    since = driver.mark()
    processes[0].counts = {("OrderPaid", "failed"): 3}
    assert driver.handled(since) == {("orders", "green"): {"OrderPaid": Tries(failed=3)}}
