"""The server starts once, says where, and ends in order."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.patience import eventually
from tests.product.adapters.dapr.double import Reply, SidecarDouble
from tests.served import environment, serve

from cludale.web.server import CannotListen, address_of, listen

pytestmark = pytest.mark.slow

APP_TOKEN = "shown-to-the-app"


def _cannot_start(folder: Path, *services: str, **settings: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "cludale_operations", "serve", *services],
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_when_told_to(tmp_path: Path, how: signal.Signals) -> None:
    with serve(tmp_path) as served:
        assert served.http.get("/livez").status_code == 200
        assert served.stop(how) == 0


def test_a_request_in_flight_is_answered_before_the_end(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        served.concert("demo")
        order = {"concertId": "demo", "userId": "me", "quantity": 1, "paymentMethod": "card-slow"}
        placed = served.http.post("/orders", json=order).json()
        answers: list[httpx.Response] = []
        credential = {"authorization": f"Bearer {placed['accessToken']}"}
        url = f"{served.url}/orders/{placed['id']}?wait=10"
        client = httpx.Client(headers=credential, timeout=20)
        waiting = threading.Thread(target=lambda: answers.append(client.get(url)))
        waiting.start()
        time.sleep(1)
        assert served.stop() == 0
        waiting.join()
        client.close()
        assert answers[0].status_code == 200


async def test_who_waits_because_the_broker_takes_no_events_is_served_before_the_end(tmp_path: Path) -> None:
    def answer(path: str, _: bytes) -> Reply:
        return (200, b"") if path.endswith("/healthz/outbound") else (500, b"")

    async with SidecarDouble(answer).listening() as sidecar:
        settings = {
            "CLUDALE_DAPR": "1",
            "DAPR_HTTP_PORT": str(sidecar.port),
            "APP_API_TOKEN": APP_TOKEN,
            "CLUDALE_ADMISSION_BACKLOG_EVENTS": "1",
            "CLUDALE_ADMISSION_SECONDS": "30",
            "CLUDALE_SHUTDOWN_SECONDS": "4",
        }
        assert await asyncio.to_thread(_order_twice_and_stop, tmp_path, settings) == [202, 202]


def _order_twice_and_stop(folder: Path, settings: dict[str, str]) -> list[int]:
    """Order, order again so that the second one has to wait, and stop the server: what the two were answered."""
    order = {"concertId": "demo", "userId": "me", "quantity": 1}
    with serve(folder, "orders", settings=settings) as served, ThreadPoolExecutor() as threads:
        served.http.headers["dapr-api-token"] = APP_TOKEN
        assert eventually(lambda: served.http.get("/readyz").status_code == 200, seconds=20)
        first = served.http.post("/orders", json=order)
        second = threads.submit(served.http.post, "/orders", json=order)
        assert eventually(lambda: "cludale_admission_waiting 1" in served.http.get("/metrics").text)
        served.process.send_signal(signal.SIGTERM)
        return [first.status_code, second.result().status_code]


def test_a_second_start_goes_on_where_the_first_stopped(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        served.concert("demo")
    with serve(tmp_path) as served:
        assert served.http.get("/concerts/demo").status_code == 200


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = _cannot_start(tmp_path, CLUDALE_PORT=str(port))
    assert f"port {port} is in use" in said
    assert "CLUDALE_PORT" in said


def test_a_folder_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        said = _cannot_start(tmp_path)
        assert "CLUDALE_DATA_DIR" in said
        assert str(served.process.pid) in said


def test_a_folder_that_cannot_be_written_is_one_clear_line() -> None:
    assert "CLUDALE_DATA_DIR" in _cannot_start(Path("/proc/none"))


def test_an_unknown_service_is_one_clear_line(tmp_path: Path) -> None:
    assert "there is no service 'nothing'" in _cannot_start(tmp_path, "nothing")


def test_a_bad_setting_is_one_clear_line(tmp_path: Path) -> None:
    assert "CLUDALE_HOLD_SECONDS='soon'" in _cannot_start(tmp_path, CLUDALE_HOLD_SECONDS="soon")


def test_orders_alone_want_to_know_where_concerts_is(tmp_path: Path) -> None:
    assert "CLUDALE_CONCERTS_URL" in _cannot_start(tmp_path, "orders")


def test_two_services_alone_work_together_over_http(tmp_path: Path) -> None:
    with serve(tmp_path / "concerts", "concerts") as concerts:
        concerts.concert("demo", seats=3)
        wanted = {"concertId": "demo", "userId": "me", "quantity": 2}
        assert concerts.http.post("/orders", json=wanted).status_code == 404
        with serve(tmp_path / "orders", "orders", settings={"CLUDALE_CONCERTS_URL": concerts.url}) as orders:
            assert orders.http.get("/concerts").status_code == 404
            placed = orders.http.post("/orders", json=wanted)
            assert placed.status_code == 201, placed.text
            refused = orders.http.post("/orders", json=wanted)
            assert (refused.status_code, refused.json()["left"]) == (409, 1)
        assert concerts.http.get("/concerts/demo").json()["heldSeats"] == 2


def test_an_order_is_pending_while_concerts_is_away(tmp_path: Path) -> None:
    away = {"CLUDALE_CONCERTS_URL": "http://127.0.0.1:9"}
    with serve(tmp_path, "orders", settings=away) as orders:
        placed = orders.http.post("/orders", json={"concertId": "demo", "userId": "me", "quantity": 2})
        assert (placed.status_code, placed.json()["status"]) == (202, "Pending")


def test_an_address_that_is_not_ours_cannot_be_had() -> None:
    with pytest.raises(CannotListen):
        listen("192.0.2.1", 0)
    with pytest.raises(CannotListen):
        listen("no such host", 0)


def test_the_address_is_one_that_can_be_called() -> None:
    with listen("0.0.0.0", 0) as everywhere:
        assert address_of(everywhere).startswith("http://127.0.0.1:")


def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_error_of_the_servers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    head = b"POST /orders HTTP/1.1\r\nhost: x\r\n"
    left = head + b"content-length: 100\r\n\r\nabc"
    refused = head + b"transfer-encoding: chunked\r\n\r\n11170\r\n" + b"x" * 70_000
    with serve(tmp_path) as served:
        for sent in (left, refused):
            with socket.create_connection(("127.0.0.1", served.port)) as connection:
                connection.sendall(sent)
        counted = "cludale_refused_at_the_door_total 1.0"  # the body that is too large
        assert eventually(lambda: counted in served.http.get("/metrics").text)
        assert eventually(lambda: "cludale_connections 1.0" in served.http.get("/metrics").text)
        assert 'status="5' not in served.http.get("/metrics").text
        assert 'method="POST"' not in served.http.get("/metrics").text, "neither of them was whole"
    assert "ERROR" not in capfd.readouterr().err
