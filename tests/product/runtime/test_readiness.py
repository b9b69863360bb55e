"""Readiness: what is said of a part by the probes of it, and when it is probed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from tests.fakes import ManualClock
from tests.patience import until

from cludale.ports.records import StoreUnavailable
from cludale.runtime.readiness import WHY_LIMIT, Dependency, Pace, Pulse, Readiness, Trouble

QUICK = Pace(look=0.01, again=0.02, patience=0.1)
FOR_A_WHILE = 0.3


class Store:
    """A part that does what the test says."""

    def __init__(self, *, idle_seconds: float = 0.02) -> None:
        self.pulse = Pulse()
        self.probes = 0
        self.at_once = 0
        self.most_at_once = 0
        self.work: Callable[[], Awaitable[None]] = self.fine
        self.part = Dependency(
            "store", "The store takes no writes", "Nothing can be sold.", self.pulse, self._probe, idle_seconds
        )

    async def fine(self) -> None:
        pass

    async def full(self) -> None:
        raise StoreUnavailable("the disk is full")

    async def _probe(self) -> None:
        self.probes += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.work()
        finally:
            self.at_once -= 1


@asynccontextmanager
async def watching(store: Store) -> AsyncIterator[Readiness]:
    readiness = Readiness(ManualClock(), QUICK)
    readiness.watch(store.part)
    try:
        yield readiness
    finally:
        await readiness.stop()


def details(readiness: Readiness) -> Sequence[str]:
    return [each.detail for each in readiness.troubles]


async def test_a_part_that_does_not_work_is_said_with_the_reason_until_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store()
    async with watching(store) as readiness:
        await until(lambda: store.probes > 2)
        assert readiness.troubles == []
        store.work = store.full
        await until(lambda: bool(readiness.troubles))
        assert readiness.troubles == [
            Trouble(
                "store",
                "The store takes no writes: the disk is full. Nothing can be sold.",
                ManualClock().now(),
                is_shared=True,
            )
        ]
        assert readiness.gauges() == {'cludale_part_ready{part="store"}': 0}
        probes = store.probes
        await until(lambda: store.probes > probes + 5)
        store.work = store.fine
        await until(lambda: not readiness.troubles)
        assert readiness.gauges() == {'cludale_part_ready{part="store"}': 1}
        probes = store.probes
        await until(lambda: store.probes > probes + 5)
    said = [record.message for record in caplog.records if "readiness" in record.name]
    assert [line.split(",")[0] for line in said] == [
        "not ready. The store takes no writes: the disk is full. Nothing can be sold.",
        "store works again",
    ]


async def test_nothing_is_probed_while_real_work_goes_well() -> None:
    store = Store(idle_seconds=0.1)
    async with watching(store):
        for _ in range(30):
            store.pulse.worked()
            await asyncio.sleep(0.01)
        assert store.probes == 0
        await until(lambda: store.probes > 0)


async def test_work_that_fails_has_the_part_probed_at_once_and_makes_nothing_unready_by_itself() -> None:
    store = Store(idle_seconds=60)
    async with watching(store) as readiness:
        store.pulse.failed()
        await until(lambda: store.probes == 1)
        await asyncio.sleep(FOR_A_WHILE)
        assert (readiness.troubles, store.probes) == ([], 1)
        store.work = store.full
        store.pulse.failed()
        await until(lambda: bool(readiness.troubles))


async def test_work_that_goes_well_meanwhile_does_not_end_what_a_probe_has_found() -> None:
    store = Store()
    store.work = store.full
    async with watching(store) as readiness:
        await until(lambda: bool(readiness.troubles))
        for _ in range(30):
            store.pulse.worked()
            await asyncio.sleep(0.01)
            assert readiness.troubles


async def test_a_probe_that_hangs_is_trouble_and_is_not_followed_by_others() -> None:
    store = Store()
    over = asyncio.Event()
    store.work = lambda: hang(over)
    async with watching(store) as readiness:
        await until(lambda: bool(readiness.troubles))
        assert "no answer in 0.1 s" in details(readiness)[0]
        await asyncio.sleep(FOR_A_WHILE)
        assert store.most_at_once == 1
        over.set()
        await until(lambda: not readiness.troubles)


async def hang(over: asyncio.Event) -> None:
    await over.wait()


async def test_the_reason_that_a_slow_probe_gives_in_the_end_takes_the_place_of_its_silence() -> None:
    store = Store()
    over = asyncio.Event()

    async def slowly() -> None:
        await over.wait()
        await store.full()

    store.work = slowly
    async with watching(store) as readiness:
        await until(lambda: bool(readiness.troubles))
        over.set()
        await until(lambda: "the disk is full" in details(readiness)[0])


async def test_a_busy_part_is_not_in_trouble_because_a_probe_waits_its_turn() -> None:
    store = Store()
    over = asyncio.Event()
    store.work = lambda: hang(over)
    async with watching(store) as readiness:
        await until(lambda: store.probes == 1)
        for _ in range(40):
            store.pulse.worked()
            await asyncio.sleep(0.01)
            assert readiness.troubles == []


async def test_a_long_reason_is_cut() -> None:
    store = Store()

    async def endless() -> None:
        raise StoreUnavailable("x" * 10_000)

    store.work = endless
    async with watching(store) as readiness:
        await until(lambda: bool(readiness.troubles))
        assert details(readiness)[0].count("x") == WHY_LIMIT
