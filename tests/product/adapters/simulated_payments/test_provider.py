"""The simulated provider moves money once for each key, however it is asked and whatever it says."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes import NOON, ManualClock

from cludale.adapters.simulated_payments import METHODS, LedgerRow, SimulatedProvider, read_ledger
from cludale.adapters.simulated_payments import provider as provider_module
from cludale.adapters.simulated_payments.ledger import LedgerBroken
from cludale.kernel.money import Money
from cludale.ports.payment_gateway import Charge, ChargeResult, Declined, GatewayTrouble, PaymentGateway

AT = int(NOON.timestamp() * 1000)
PRICE = Money(9000, "EUR")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "provider.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def provider(path: Path, clock: ManualClock) -> AsyncIterator[SimulatedProvider]:
    provider = SimulatedProvider(path, clock=clock, slow_seconds=2)
    yield provider
    await provider.close()


def row(path: Path, key: str = "key-1") -> LedgerRow:
    return {each.key: each for each in read_ledger(path)}[key]


async def test_the_ledger_is_its_owners_only(provider: PaymentGateway, path: Path) -> None:
    await provider.charge(Charge("key-1", PRICE), "card-ok")
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert path.name in modes
    assert set(modes.values()) == {0o600}


async def test_a_charge_stands_in_the_ledger_when_it_is_answered(provider: PaymentGateway, path: Path) -> None:
    await provider.charge(Charge("key-1", PRICE), "card-ok")
    assert row(path) == LedgerRow("key-1", 9000, "EUR", "card-ok", captured=9000, charges=1, asked=1, at=AT)


@pytest.mark.parametrize("method", ["card-ok", "card-slow", "card-timeout-after-charge"])
async def test_asking_again_takes_the_money_once(provider: PaymentGateway, path: Path, method: str) -> None:
    for _ in range(3):
        try:
            await provider.charge(Charge("key-1", PRICE), method)
        except GatewayTrouble:
            assert method == "card-timeout-after-charge"
    await provider.charge(Charge("key-1", PRICE), "card-ok")
    assert (row(path).captured, row(path).charges, row(path).asked) == (9000, 1, 4)


async def test_asking_twice_at_once_takes_the_money_once(provider: PaymentGateway, path: Path) -> None:
    await asyncio.gather(*(provider.charge(Charge("key-1", PRICE), "card-ok") for _ in range(5)))
    assert (row(path).charges, row(path).asked) == (1, 5)


async def test_a_declined_card_stays_declined_under_its_key(provider: PaymentGateway, path: Path) -> None:
    for method in ("card-declined", "card-ok"):
        with pytest.raises(Declined):
            await provider.charge(Charge("key-1", PRICE), method)
    assert (row(path).captured, row(path).declined) == (0, True)
    await provider.charge(Charge("key-2", PRICE), "card-ok")


async def test_a_flaky_card_fails_twice_and_then_works(provider: PaymentGateway, path: Path) -> None:
    for _ in range(2):
        with pytest.raises(GatewayTrouble):
            await provider.charge(Charge("key-1", PRICE), "card-flaky")
        assert row(path).captured == 0
    await provider.charge(Charge("key-1", PRICE), "card-flaky")
    assert (row(path).captured, row(path).charges) == (9000, 1)


async def test_a_flaky_card_counts_its_failures_over_a_restart(path: Path, clock: ManualClock) -> None:
    for _ in range(2):
        provider = SimulatedProvider(path, clock=clock)
        with pytest.raises(GatewayTrouble):
            await provider.charge(Charge("key-1", PRICE), "card-flaky")
        await provider.close()
    provider = SimulatedProvider(path, clock=clock)
    await provider.charge(Charge("key-1", PRICE), "card-flaky")
    await provider.close()


async def test_a_slow_card_takes_its_time(provider: PaymentGateway, clock: ManualClock) -> None:
    await provider.charge(Charge("key-1", PRICE), "card-slow")
    assert (clock.now() - NOON).total_seconds() == 2


class StandingClock(ManualClock):
    """A clock under which whoever sleeps never wakes."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


async def test_money_that_moved_is_found_again_when_the_reply_was_lost(path: Path) -> None:
    provider = SimulatedProvider(path, clock=StandingClock())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await provider.charge(Charge("key-1", PRICE), "card-timeout-after-charge")
    assert row(path).captured == 9000
    await provider.charge(Charge("key-1", PRICE), "card-timeout-after-charge")
    assert row(path).charges == 1
    await provider.close()


async def test_a_caller_that_is_gone_leaves_the_others_their_answers(provider: SimulatedProvider, path: Path) -> None:
    charges = [asyncio.ensure_future(provider.charge(Charge(f"key-{n}", PRICE), "card-ok")) for n in range(3)]
    asyncio.get_running_loop().call_soon(charges[1].cancel)
    results = await asyncio.gather(*charges, return_exceptions=True)
    assert [type(result) for result in results] == [ChargeResult, asyncio.CancelledError, ChargeResult]
    assert row(path, "key-2").captured == 9000


async def test_a_key_is_good_for_one_amount(provider: PaymentGateway, path: Path) -> None:
    await provider.charge(Charge("key-1", PRICE), "card-ok")
    with pytest.raises(Declined, match="another amount"):
        await provider.charge(Charge("key-1", Money(1, "EUR")), "card-ok")
    assert row(path).captured == 9000


async def test_money_goes_back_once(provider: PaymentGateway, path: Path) -> None:
    await provider.charge(Charge("key-1", PRICE), "card-ok")
    await provider.refund(Charge("key-1", PRICE))
    await provider.refund(Charge("key-1", PRICE))
    assert (row(path).captured, row(path).refunded) == (9000, 9000)
    await provider.charge(Charge("key-1", PRICE), "card-ok")
    assert row(path).charges == 1


async def test_what_was_not_taken_can_not_go_back(provider: PaymentGateway) -> None:
    with pytest.raises(GatewayTrouble):
        await provider.refund(Charge("key-1", PRICE))


async def test_a_voided_key_gives_back_what_was_taken_and_says_so_each_time(
    provider: PaymentGateway, path: Path
) -> None:
    await provider.charge(Charge("key-1", PRICE), "card-ok")
    assert await provider.void(Charge("key-1", PRICE))
    assert await provider.void(Charge("key-1", PRICE))
    assert (row(path).captured, row(path).refunded, row(path).voided) == (9000, 9000, True)


async def test_a_voided_key_is_never_charged(provider: PaymentGateway, path: Path) -> None:
    assert not await provider.void(Charge("key-1", PRICE))
    with pytest.raises(Declined, match="voided"):
        await provider.charge(Charge("key-1", PRICE), "card-ok")
    assert not await provider.void(Charge("key-1", PRICE))
    assert (row(path).captured, row(path).charges) == (0, 0)


async def test_void_and_charge_at_once_leave_nothing_taken(provider: PaymentGateway, path: Path) -> None:
    await asyncio.gather(
        provider.charge(Charge("key-1", PRICE), "card-ok"),
        provider.void(Charge("key-1", PRICE)),
        provider.void(Charge("key-2", PRICE)),
        provider.charge(Charge("key-2", PRICE), "card-ok"),
        return_exceptions=True,
    )
    assert {each.key: each.captured - each.refunded for each in read_ledger(path)} == {"key-1": 0, "key-2": 0}


async def test_an_unknown_method_is_declined(provider: PaymentGateway) -> None:
    with pytest.raises(Declined, match="card-lost"):
        await provider.charge(Charge("key-1", PRICE), "card-lost")
    assert len(METHODS) == 5


async def test_too_many_at_once_get_no_answer(path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_module, "WAITING_LIMIT", 3)
    provider = SimulatedProvider(path, clock=clock)
    charges = (provider.charge(Charge(f"key-{n}", PRICE), "card-ok") for n in range(5))
    results = await asyncio.gather(*charges, return_exceptions=True)
    assert [type(result) for result in results] == [ChargeResult] * 3 + [GatewayTrouble] * 2
    assert len(list(read_ledger(path))) == 3
    await provider.close()


async def test_a_ledger_that_can_not_be_written_is_trouble_and_no_more(path: Path, clock: ManualClock) -> None:
    provider = SimulatedProvider(path, clock=clock)
    await provider.close()
    with pytest.raises(GatewayTrouble):
        await provider.charge(Charge("key-1", PRICE), "card-ok")


def test_a_ledger_that_is_not_there_can_not_be_read(path: Path) -> None:
    with pytest.raises(LedgerBroken):
        list(read_ledger(path))


_CHARGES_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from cludale.adapters.simulated_payments import SimulatedProvider
from cludale.adapters.system.clock import SystemClock
from cludale.kernel.money import Money
from cludale.ports.payment_gateway import Charge

async def main():
    provider = SimulatedProvider(Path(sys.argv[1]), clock=SystemClock())
    number = 0
    while True:
        charges = (Charge(f"key-{number + n}", Money(9000, "EUR")) for n in range(50))
        await asyncio.gather(*(provider.charge(charge, "card-ok") for charge in charges))
        number += 50
        print(number, flush=True)

asyncio.run(main())
"""


def test_what_was_answered_survives_a_killed_process(path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", _CHARGES_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        answered = 0
        while answered < 1_000:
            answered = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
    answered = int(rest[-1]) if rest else answered
    rows = list(read_ledger(path))
    assert len(rows) >= answered
    assert {each.charges for each in rows} == {1}
