"""A ledger that several processes share: money moves once for each key, whoever asks where."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.fakes import NOON, ManualClock

from cludale.adapters.simulated_payments import LedgerRow, SimulatedProvider
from cludale.adapters.simulated_payments.shared_ledger import SharedLedger
from cludale.kernel.money import Money
from cludale.ports.payment_gateway import Charge, Declined, GatewayTrouble

AT = int(NOON.timestamp() * 1000)
PRICE = Money(9000, "EUR")


@pytest.fixture
async def providers(database_url: str) -> AsyncIterator[list[SimulatedProvider]]:
    clock = ManualClock()
    opened = [SimulatedProvider(SharedLedger(database_url), clock=clock) for _ in range(3)]
    yield opened
    for provider in opened:
        await provider.close()


async def rows(url: str) -> dict[str, LedgerRow]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        found = await connection.fetch("SELECT * FROM provider.charge")
        return {row["key"]: LedgerRow(*row) for row in found}
    finally:
        await connection.close()


async def test_a_charge_stands_in_the_ledger_when_it_is_answered(
    providers: list[SimulatedProvider], database_url: str
) -> None:
    await providers[0].charge(Charge("key-1", PRICE), "card-ok")
    expected = LedgerRow("key-1", 9000, "EUR", "card-ok", captured=9000, charges=1, asked=1, at=AT)
    assert await rows(database_url) == {"key-1": expected}


async def test_asked_by_all_at_once_the_money_is_taken_once(
    providers: list[SimulatedProvider], database_url: str
) -> None:
    async def ask(provider: SimulatedProvider, key: str, method: str) -> None:
        for _ in range(4):
            try:
                await provider.charge(Charge(key, PRICE), method)
            except GatewayTrouble:
                continue

    methods = ("card-ok", "card-timeout-after-charge", "card-flaky")
    await asyncio.gather(
        *(ask(provider, f"key-{n}", methods[n % 3]) for n in range(30) for provider in providers),
    )
    found = await rows(database_url)
    assert len(found) == 30
    assert {(row.captured, row.charges, row.asked) for row in found.values()} == {(9000, 1, 12)}


async def test_void_here_and_charge_there_leave_nothing_taken(
    providers: list[SimulatedProvider], database_url: str
) -> None:
    one, other, _ = providers
    works = [
        work
        for n in range(20)
        for work in (one.charge(Charge(f"key-{n}", PRICE), "card-ok"), other.void(Charge(f"key-{n}", PRICE)))
    ]
    await asyncio.gather(*works, return_exceptions=True)
    assert {row.captured - row.refunded for row in (await rows(database_url)).values()} == {0}
    with pytest.raises(Declined, match="voided"):
        await one.charge(Charge("key-1", PRICE), "card-ok")


async def test_a_broken_connection_is_trouble_once(providers: list[SimulatedProvider], database_url: str) -> None:
    provider = providers[0]
    await provider.charge(Charge("key-1", PRICE), "card-ok")
    connection = await asyncpg.connect(database_url)
    await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cludale simulated provider'"
    )
    await connection.close()
    try:
        await provider.charge(Charge("key-2", PRICE), "card-ok")
    except GatewayTrouble:
        await provider.charge(Charge("key-2", PRICE), "card-ok")
    assert (await rows(database_url))["key-2"].charges == 1


async def test_a_server_that_is_not_there_is_trouble() -> None:
    provider = SimulatedProvider(SharedLedger("postgresql://nobody@127.0.0.1:1/nowhere"), clock=ManualClock())
    with pytest.raises(GatewayTrouble):
        await provider.charge(Charge("key-1", PRICE), "card-ok")
    await provider.close()
