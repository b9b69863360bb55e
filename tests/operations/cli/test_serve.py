"""`cludale serve` says how to buy a ticket, and that buys one."""

import json
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.served import Served, environment, serve

from cludale.wiring.settings import Settings
from cludale_operations.cli.serve import home_of_data

pytestmark = pytest.mark.slow

TODAY = datetime.now(UTC)


def test_the_shops_address_is_said_first(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cludale_operations", "serve"]
    with subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.terminate()
    assert re.fullmatch(r"The shop: http://127\.0\.0\.1:\d+/shop\n", first)


def greeting(served: Served) -> list[str]:
    """What is printed after the server's address, which `serve` has read, up to what to type."""
    assert served.process.stdout is not None
    lines: list[str] = []
    for line in served.process.stdout:
        lines.append(line.rstrip())
        if "curl" in line or "concerts add" in line:
            break
    return lines


def bought(served: Served, folder: Path) -> Any:
    """The answer to what the second start tells to type."""
    served.stop()
    with serve(folder) as again:
        assert again.process.stdout is not None
        line = next(line for line in again.process.stdout if "curl" in line)
        words = shlex.split(line)
        wanted = json.loads(words[-1])
        answer = httpx.post(words[2], json=wanted)
        assert answer.status_code == 201, answer.text
        return wanted


def put_on_what_nobody_can_buy(served: Served) -> None:
    served.concert("over", date="2020-01-01")
    served.concert("over-today", date=(TODAY - timedelta(minutes=1)).isoformat())
    served.concert("later", date="2098-01-01", onSaleAt="2097-01-01T00:00:00Z")
    served.concert("sold-out", date="2098-01-02", seats=2)
    wanted = {"concertId": "sold-out", "userId": "somebody", "quantity": 2}
    assert served.http.post("/orders", json=wanted).status_code == 201


def test_the_line_that_buys_a_ticket_buys_one(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        put_on_what_nobody_can_buy(served)
        served.concert("on-sale", date="2099-01-01", onSaleAt="2020-01-01T00:00:00Z")
        assert bought(served, tmp_path) == {"concertId": "on-sale", "userId": "me", "quantity": 2}


def test_the_line_asks_for_no_more_than_one_may_have(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        served.concert("one-each", date="2099-01-01", maxPerOrder=1)
        assert bought(served, tmp_path)["quantity"] == 1


def test_a_concert_of_today_can_be_bought(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        served.concert("today", date=datetime.now(UTC).date().isoformat(), seats=1)
        assert bought(served, tmp_path) == {"concertId": "today", "userId": "me", "quantity": 1}


def test_where_nothing_can_be_bought_there_is_no_such_line(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        put_on_what_nobody_can_buy(served)
    with serve(tmp_path) as served:
        told = "\n".join(greeting(served))
    assert "curl" not in told
    assert "concerts add" in told


def test_where_the_data_are_is_where_they_are(tmp_path: Path) -> None:
    assert home_of_data(Settings(data_dir=tmp_path)) == str(tmp_path)
    assert "PostgreSQL" in home_of_data(Settings(database_url="postgresql://somewhere/cludale"))
    assert "Cosmos" in home_of_data(Settings(cosmos_endpoint="https://somewhere.example", data_dir=tmp_path))
