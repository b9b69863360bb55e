"""The simulated surroundings behave like the real ones at their worst, and no worse."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.product.contracts.samples import CODEC, NOTE, key, noted, of

from cludale.adapters.dapr.inbound import Inbound
from cludale.kernel.backoff import Backoff
from cludale.kernel.money import Money
from cludale.ports.bus import Acknowledgement, Delivery, Handler, Subscription
from cludale.ports.outbox import Outgoing
from cludale.ports.payment_gateway import Declined
from cludale.ports.programme import ProgrammeUnreachable
from cludale.ports.records import Put, StoreUnavailable
from cludale.runtime.dead_letters import KINDS as LETTER_KINDS
from cludale.runtime.dead_letters import DeadLetters
from cludale_proof.simulator.clock import MachineClock, SimulatedIds
from cludale_proof.simulator.delivery import Broker
from cludale_proof.simulator.faults import Chaos, Fault, Situation, Weather
from cludale_proof.simulator.loop import OUTSIDE, SimulatedLoop
from cludale_proof.simulator.memory import Disk, MemoryStore
from cludale_proof.simulator.network import RemoteDetails
from cludale_proof.simulator.provider import Movement, Provider
from cludale_proof.simulator.storage import LEASE_SECONDS, FaultyStore
from cludale_proof.simulator.trace import Trace

PRICE = Money(4500, "EUR")


def chaos(**rates: float) -> Chaos:
    weather = Weather({Fault[name]: rate for name, rate in rates.items()}, lag_seconds=0.01)
    return Chaos(random.Random(1), weather, Trace())


def simulated(work: Callable[[], Awaitable[None]]) -> None:
    loop = SimulatedLoop(random.Random(1))  # type: ignore[abstract] # what is left out is I/O

    async def main() -> None:
        await work()

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


class Nobody:
    """A process that a test kills."""

    name = "nobody"
    failed = False

    async def crash(self) -> None:
        await asyncio.get_running_loop().create_future()

    def lose_store(self) -> None:
        self.failed = True


NOTED = of(Put(NOTE, "a", b"{}", 0), events=(noted("e1"),))


@pytest.mark.parametrize(("fault", "written"), [("COMMIT_AWAY", False), ("COMMIT_UNKNOWN", True)])
def test_a_commit_that_fails_is_written_or_not_and_is_told_to_no_listener(fault: str, written: bool) -> None:
    async def work() -> None:
        disk, told = Disk([NOTE], CODEC), list[Outgoing]()
        store = FaultyStore(disk, Nobody(), chaos(**{fault: 1.0}), is_file=False)
        store.listen(told.extend)
        with pytest.raises(StoreUnavailable):
            await store.commit([NOTED])
        assert (list(disk.get(NOTE, [key("a")])) == ["a"]) is written
        assert bool(disk.outbox) is written
        assert told == []

    simulated(work)


def test_a_file_that_fails_under_a_commit_is_lost_to_its_process() -> None:
    async def work() -> None:
        process = Nobody()
        store = FaultyStore(Disk([NOTE], CODEC), process, chaos(COMMIT_UNKNOWN=1.0), is_file=True)
        with pytest.raises(StoreUnavailable):
            await store.commit([NOTED])
        with pytest.raises(StoreUnavailable):
            await store.get(NOTE, [key("a")])
        assert process.failed

    simulated(work)


def test_when_the_faults_stop_nothing_fails_any_more() -> None:
    async def work() -> None:
        weather = chaos(COMMIT_AWAY=1.0, READ_AWAY=1.0)
        weather.active = False
        store = FaultyStore(Disk([NOTE], CODEC), Nobody(), weather, is_file=False)
        await store.commit([NOTED])
        assert list(await store.get(NOTE, [key("a")])) == ["a"]
        assert not any(weather.fired.values())

    simulated(work)


def test_what_a_dead_replica_committed_is_taken_over_by_another_and_by_nobody_while_it_lives() -> None:
    async def work() -> None:
        disk, told = Disk([NOTE], CODEC), list[Outgoing]()
        first, second = (FaultyStore(disk, Nobody(), chaos(), is_file=False) for _ in range(2))
        first.start()
        second.start()
        second.listen(told.extend)
        await first.commit([NOTED])
        (entry,) = await first.pending(0, 10)
        assert await second.pending(0, 10) == []
        await asyncio.sleep(10 * LEASE_SECONDS)
        assert told == []
        first.die()
        await asyncio.sleep(2 * LEASE_SECONDS)
        assert [taken.body for taken in told] == [entry.body]
        assert list(await second.pending(entry.position, 10)) == told
        first.delivered([entry.position])  # it was only frozen, and comes too late
        await asyncio.sleep(1.0)
        assert list(disk.outbox.values()) == told

    simulated(work)


def test_what_a_replica_leaves_that_says_good_bye_is_the_next_ones_at_once() -> None:
    async def work() -> None:
        disk = Disk([NOTE], CODEC)
        first, second = (FaultyStore(disk, Nobody(), chaos(), is_file=False) for _ in range(2))
        first.start()
        await first.commit([NOTED])
        await first.close()
        second.start()
        assert len(await second.pending(0, 10)) == 1

    simulated(work)


class Ledger:
    """What the provider booked."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Movement, int]] = []

    def __call__(self, key: str, movement: Movement, amount: Money) -> None:
        self.lines.append((key, movement, amount.amount))


def provider() -> tuple[Provider, Ledger]:
    ledger = Ledger()
    return Provider(chaos(), ledger, attempt_seconds=1.0), ledger


def test_one_key_moves_money_once() -> None:
    at_the_bank, ledger = provider()
    for _ in range(3):
        at_the_bank.charge("k", PRICE, declines=False)
    for _ in range(3):
        at_the_bank.refund("k")
    assert ledger.lines == [("k", Movement.CAPTURE, 4500), ("k", Movement.REFUND, 4500)]


def test_after_a_void_nothing_is_taken() -> None:
    at_the_bank, ledger = provider()
    assert at_the_bank.void("k") is False
    with pytest.raises(Declined):
        at_the_bank.charge("k", PRICE, declines=False)
    assert ledger.lines == []


def test_a_void_gives_back_what_was_taken_and_says_so_each_time() -> None:
    at_the_bank, ledger = provider()
    at_the_bank.charge("k", PRICE, declines=False)
    assert at_the_bank.void("k") is True
    assert at_the_bank.void("k") is True
    assert len(ledger.lines) == 2


def test_a_declined_key_stays_declined() -> None:
    at_the_bank, ledger = provider()
    for declines in (True, False):
        with pytest.raises(Declined):
            at_the_bank.charge("k", PRICE, declines=declines)
    assert ledger.lines == []


HEARS = {"s": frozenset({"OrderNoted"})}


def inbound(handle: Handler) -> Inbound:
    """What a process has for its sidecar."""
    clock = MachineClock(asyncio.get_running_loop())
    letters = DeadLetters(MemoryStore(Disk(LETTER_KINDS, CODEC)), clock)
    ids = SimulatedIds(clock, random.Random(1))
    taken = Inbound(CODEC, app_id="s", ids=ids, backoff=Backoff(0.05, 1.0), attempts=20, dead_letters=letters)
    taken.start([Subscription("s", HEARS["s"], handle)])
    return taken


def test_the_broker_delivers_until_it_is_told_of_success() -> None:
    async def work() -> None:
        attempts: list[int] = []

        async def handle(deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
            attempts.extend(delivery.attempt for delivery in deliveries)
            return [
                Acknowledgement.SUCCESS if delivery.attempt > 8 else Acknowledgement.RETRY for delivery in deliveries
            ]

        weather, ours = chaos(), inbound(handle)
        broker = Broker(CODEC, weather, HEARS, lambda _: (OUTSIDE, ours), lambda _: None)
        broker.take(Outgoing(1, "order-events", CODEC.encode(noted("e1"))))
        assert broker.under_way == 1
        await asyncio.sleep(60)
        assert attempts == [1, 2, 3, 4, 5, 6, 7, 8, 9]
        assert broker.under_way == 0
        assert weather.met[Situation.DEAD_LETTERED] == 1

    simulated(work)


def test_the_broker_keeps_what_nobody_is_there_to_hear() -> None:
    async def work() -> None:
        broker = Broker(CODEC, chaos(), HEARS, lambda _: None, lambda _: None)
        broker.take(Outgoing(1, "order-events", CODEC.encode(noted("e1"))))
        await asyncio.sleep(60)
        assert broker.under_way == 1

    simulated(work)


def test_a_service_that_dies_while_it_is_asked_for_details_is_out_of_reach_after_a_while() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()

        async def never(_: Sequence[str]) -> dict[str, str]:
            await loop.create_future()
            return {}

        remote = RemoteDetails(
            chaos(), "notifications", lambda: (OUTSIDE, never), Fault.PROGRAMME_AWAY, ProgrammeUnreachable, 2.0
        )
        with pytest.raises(ProgrammeUnreachable):
            await remote.of(["concert-1"])
        assert loop.time() == pytest.approx(2.0)

    simulated(work)
