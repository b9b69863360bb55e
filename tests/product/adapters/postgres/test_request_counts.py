"""Limits on requests over a real PostgreSQL: two processes together let in what one would, and go on without it."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import pytest
from tests.parts import need
from tests.served import Served, serve

from cludale.adapters.postgres.request_counts import PostgresCounts
from cludale.ports.records import StoreUnavailable
from cludale.ports.request_counts import CountKey, Total
from cludale.web.shared_limits import UNHEARD_LEAST
from cludale_operations.local.postgres import Postgres

SETTINGS = {
    "CLUDALE_ADDRESS_REQUESTS": "20",
    "CLUDALE_LIMIT_SECONDS": "60",
    "CLUDALE_TRUSTED_PROXIES": "127.0.0.0/8",
    "CLUDALE_DEMO": "0",
}
KEYS = [CountKey("address 20/10", 7, bytes([number])) for number in range(200)]
NEARLY_20 = range(20, 20 + UNHEARD_LEAST + 1)
ME, OTHER = (CountKey("process orders", 3, who) for who in (b"me", b"other"))


async def test_what_two_processes_add_at_once_is_all_there(database_url: str) -> None:
    mine, others = PostgresCounts(database_url), PostgresCounts(database_url)
    for _ in range(5):
        await asyncio.gather(
            mine.add([(key, 1) for key in KEYS], ME), others.add([(key, 2) for key in reversed(KEYS)], OTHER)
        )
    totals, processes = await mine.add([(KEYS[0], 1), (KEYS[0]._replace(window=8), 3)], ME)
    assert totals[KEYS[0]] == Total(16, 0)
    assert totals[KEYS[0]._replace(window=8)].here == 3
    assert processes == 2
    totals, _ = await others.add([(KEYS[0]._replace(window=8), 1)], OTHER)
    assert totals[KEYS[0]._replace(window=8)] == Total(4, 16)
    await mine.forget([("address 20/10", 8)])
    totals, _ = await mine.add([(KEYS[0], 1)], ME)
    assert totals[KEYS[0]].here == 1
    await mine.close()
    await others.close()


async def test_a_database_that_can_not_be_used_is_said() -> None:
    with pytest.raises(StoreUnavailable):
        await PostgresCounts("postgresql://127.0.0.1:1/x").add([], ME)


async def let_in(servers: list[Served], address: str, times: int = 200) -> int:
    async with httpx.AsyncClient(timeout=20, headers={"x-forwarded-for": address}) as client:
        asked = (client.get(f"{servers[number % len(servers)].url}/concerts") for number in range(times))
        return times - Counter(answer.status_code for answer in await asyncio.gather(*asked))[429]


async def shared(server: Served, wanted: int) -> None:
    for _ in range(200):
        if f"cludale_request_limits_processes {wanted}" in server.http.get("/metrics").text:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not {wanted} processes")


@pytest.mark.slow
async def test_a_limit_holds_for_two_servers_and_for_each_of_them_while_the_database_is_away(tmp_path: Path) -> None:
    need("postgres")
    async with Postgres(tmp_path / "postgres").running() as database:
        settings = {**SETTINGS, "CLUDALE_DATABASE_URL": database.url}
        with serve(tmp_path / "one", settings=settings) as one, serve(tmp_path / "other", settings=settings) as other:
            both = [one, other]
            for each in both:
                await shared(each, 2)
            assert [await let_in(both, f"198.51.100.{number}") in NEARLY_20 for number in range(3)] == [True] * 3
            await database.kill()
            for each in both:
                await shared(each, 1)
            assert 40 <= await let_in(both, "203.0.113.1", 100) <= 42
            await database.start()
            for each in both:
                await shared(each, 2)
            assert await let_in(both, "203.0.113.2") in NEARLY_20
