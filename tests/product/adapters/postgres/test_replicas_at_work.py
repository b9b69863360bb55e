"""Two whole servers over one database: one is killed, the database too, and every promise holds."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from tests.parts import need
from tests.patience import eventually
from tests.served import Served, serve

from cludale_operations.local.postgres import Postgres
from cludale_proof.checker import Report, check
from cludale_proof.checker.database import Database

SEATS = 60
BUYERS = 120
SETTLES_SECONDS = 120
"""Past a hold's end, for orders whose payment the dead had in hand."""
SETTINGS = {"CLUDALE_HOLD_SECONDS": "30", "CLUDALE_SWEEP_SECONDS": "0.3", "CLUDALE_PENDING_SECONDS": "10"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Postgres]:
    need("postgres")
    async with Postgres(tmp_path / "postgres").running() as running:
        yield running


async def buy(client: httpx.AsyncClient, buyer: int) -> bool | None:
    """True for an order, False for none, None if nobody knows."""
    wanted = {"concertId": "hot", "userId": f"user-{buyer}", "quantity": 1}
    try:
        answer = await client.post("/orders", json=wanted, headers={"idempotency-key": f"key-{buyer}"})
    except httpx.HTTPError:
        return None
    return answer.status_code in (201, 202) if answer.status_code != 503 else None


async def buy_all(urls: list[str], buyers: range) -> list[bool | None]:
    async with (
        httpx.AsyncClient(base_url=urls[0], timeout=20) as one,
        httpx.AsyncClient(base_url=urls[-1], timeout=20) as other,
    ):
        return list(await asyncio.gather(*(buy((one, other)[n % 2], n) for n in buyers)))


def look(url: str) -> Report:
    with Database(url, quiet=True) as snapshot:
        return check(snapshot, quiet=True, grace=timedelta(seconds=3), skew=timedelta(seconds=1))


def settled(url: str) -> Report:
    """What the checker says once everything has come to its end, or there was time enough for that. Holds that no order
    came for are still there then."""
    deadline = time.monotonic() + SETTLES_SECONDS
    while not (report := look(url)).ok and time.monotonic() < deadline:
        time.sleep(0.5)
    return report


def has_no_holds(server: Served) -> bool:
    concert = server.http.get("/concerts/hot").json()
    return bool(concert["soldSeats"] + concert["availableSeats"] == SEATS)


@pytest.mark.slow
async def test_two_replicas_sell_every_seat_once_though_one_and_the_database_are_killed(
    server: Postgres, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "CLUDALE_DATABASE_URL": server.url}
    with serve(tmp_path / "one", settings=settings) as one, serve(tmp_path / "other", settings=settings) as other:
        one.concert("hot", seats=SEATS)
        first = asyncio.create_task(buy_all([one.url, other.url], range(BUYERS // 2)))
        await asyncio.sleep(0.3)
        await server.kill()
        await asyncio.sleep(0.5)
        await server.start()
        answers = await first
        one.stop(signal.SIGKILL)
        answers += await buy_all([other.url], range(BUYERS // 2, BUYERS))
        report = await asyncio.to_thread(settled, server.url)
        assert report.violations == []
        assert await asyncio.to_thread(eventually, lambda: has_no_holds(other), seconds=SETTLES_SECONDS)
        sold = other.http.get("/concerts/hot").json()
        assert sold["soldSeats"] + sold["availableSeats"] == SEATS
        assert sold["soldSeats"] >= min(SEATS, sum(answer is True for answer in answers))
