"""The server starts once, says where, and ends in order."""

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from tests.served import environment, serve

from cludale.web.server import CannotListen, address_of, listen


def _cannot_start(folder: Path, *services: str, **settings: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "cludale", "serve", *services],
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
        waiting = threading.Thread(target=lambda: answers.append(httpx.get(url, headers=credential, timeout=20)))
        waiting.start()
        time.sleep(0.3)
        assert served.stop() == 0
        waiting.join()
        assert answers[0].status_code == 200


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
    assert "there is no service 'tickets'" in _cannot_start(tmp_path, "tickets")


def test_a_bad_setting_is_one_clear_line(tmp_path: Path) -> None:
    assert "CLUDALE_HOLD_SECONDS='soon'" in _cannot_start(tmp_path, CLUDALE_HOLD_SECONDS="soon")


def test_orders_alone_want_to_know_where_concerts_is(tmp_path: Path) -> None:
    assert "CLUDALE_CONCERTS_URL" in _cannot_start(tmp_path, "orders")


def test_two_services_alone_work_together_over_http(tmp_path: Path) -> None:
    with serve(tmp_path / "concerts", "concerts") as concerts:
        concerts.concert("demo", seats=3)
        wish = {"concertId": "demo", "userId": "me", "quantity": 2}
        assert concerts.http.post("/orders", json=wish).status_code == 404
        with serve(tmp_path / "orders", "orders", settings={"CLUDALE_CONCERTS_URL": concerts.url}) as orders:
            assert orders.http.get("/concerts").status_code == 404
            placed = orders.http.post("/orders", json=wish)
            assert placed.status_code == 201, placed.text
            refused = orders.http.post("/orders", json=wish)
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
