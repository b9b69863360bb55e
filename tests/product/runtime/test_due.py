"""What is due: claimed under a lease, done, settled; put off, taken up after a crash, and bounded."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.fakes import NOON, CountingIds, ManualClock
from tests.patience import until
from tests.product.runtime.ledgers import CODEC, Meddled

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.backoff import Backoff
from cludale.kernel.decision import Decision
from cludale.kernel.times import rfc3339
from cludale.ports.records import Commit, Kind, StoreUnavailable
from cludale.runtime.aggregates import AggregateStore, Updates
from cludale.runtime.due import Do, DuePolicy, DueWork, PutOff, Step

LEASE_SECONDS = 30


class Errand(msgspec.Struct, frozen=True, rename="camel"):
    """Something that has to be done outside."""

    id: str
    due_at: datetime | None = NOON
    tries: int = 0
    done: bool = False


ERRANDS = AggregateStore(
    Kind("errands", "errand", ("dueAt",), ("dueAt",)),
    Errand,
    identity=lambda errand: errand.id,
    index=lambda errand: (rfc3339(errand.due_at) if errand.due_at else None,),
)

Way = Callable[[str], Awaitable[bool]]
"""Does the errand; was it any good?"""


class Runner(DuePolicy[Errand]):
    """Runs errands as the test says."""

    def __init__(self, ids: CountingIds, way: Way) -> None:
        self.put_off = PutOff(Backoff(10, 60), ids)
        self.way = way
        self.most = 1_000
        self.told: list[Errand] = []

    def at_once(self, limit: int) -> int:
        return min(limit, self.most)

    def take_up(self, state: Errand, now: datetime) -> Decision[Errand]:
        if state.due_at is None or state.due_at > now:
            return Decision(state)
        return Decision(msgspec.structs.replace(state, due_at=now + timedelta(seconds=LEASE_SECONDS)))

    async def start(self, states: Sequence[Errand]) -> Do[Errand]:
        async def do(errand: Errand) -> Step[Errand]:
            return self._done if await self.way(errand.id) else self.no_answer(errand, "in vain")

        return do

    @staticmethod
    def _done(errand: Errand, _: datetime) -> Decision[Errand]:
        return Decision(msgspec.structs.replace(errand, due_at=None, done=True))

    def no_answer(self, state: Errand, why: str) -> Step[Errand]:
        return lambda errand, now: Decision(
            msgspec.structs.replace(errand, due_at=self.put_off(errand.tries + 1, now), tries=errand.tries + 1)
        )

    def settled(self, states: Sequence[Errand]) -> None:
        self.told += states


class Street:
    """Where errands are run: at most so many at once, and as long as the test says."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.now = self.most = 0
        self.open = asyncio.Event()
        self.is_good = True

    async def run(self, id: str) -> bool:
        self.ran.append(id)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.open.wait()
        finally:
            self.now -= 1
        return self.is_good


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "errands.db", [ERRANDS.kind], CODEC)
    yield opened
    await opened.close()


@pytest.fixture
async def street() -> Street:
    return Street()


@pytest.fixture
def runner(ids: CountingIds, street: Street) -> Runner:
    return Runner(ids, street.run)


Build = Callable[..., DueWork[Errand]]


@pytest.fixture
async def build(store: SqliteStore, clock: ManualClock, ids: CountingIds, runner: Runner) -> AsyncIterator[Build]:
    built: list[DueWork[Errand]] = []

    def made(**changed: object) -> DueWork[Errand]:
        updates = Updates("errands", changed.pop("records", store), clock=clock, ids=ids)  # type: ignore[arg-type]
        built.append(DueWork(updates, ERRANDS, runner, **{"at_once": 4, "attempt_seconds": 9, **changed}))  # type: ignore[arg-type]
        return built[-1]

    yield made
    for each in built:
        await each.stop()


async def errands(store: SqliteStore, count: int) -> None:
    await store.commit([Commit(id, (ERRANDS.put(Errand(id), 0),)) for id in (f"e{i:02}" for i in range(count))])


async def stored(store: SqliteStore, id: str = "e00") -> Errand:
    return (await ERRANDS.one(store, id)).state


async def idle(work: DueWork[Errand]) -> None:
    await until(lambda: not work.busy)


async def test_what_is_due_is_claimed_for_a_lease_done_and_settled(
    build: Build, store: SqliteStore, street: Street, runner: Runner, clock: ManualClock
) -> None:
    await errands(store, 1)
    work = build()
    assert await work.sweep() == 1
    await until(lambda: bool(street.ran))
    assert (await stored(store)).due_at == clock.now() + timedelta(seconds=LEASE_SECONDS)
    assert work.under_way == 1
    street.open.set()
    await idle(work)
    assert await stored(store) == Errand("e00", due_at=None, done=True)
    assert [each.id for each in runner.told] == ["e00"]
    assert (work.under_way, await work.sweep()) == (0, 0)


async def test_how_long_what_is_due_has_waited_is_known(build: Build, store: SqliteStore, clock: ManualClock) -> None:
    works = True
    work = build(takes_work=lambda: works)
    await work.sweep()
    assert work.late_seconds == 0
    clock.advance(50)
    await errands(store, 1)
    assert await work.sweep() == 1
    assert work.late_seconds == (clock.now() - NOON).total_seconds()
    works = False
    assert work.late_seconds == 0, "it is for others to do"
    works = True
    await work.sweep()
    assert work.late_seconds == 0


async def test_no_more_than_so_many_are_done_at_once_and_all_without_another_sweep(
    build: Build, store: SqliteStore, street: Street
) -> None:
    await errands(store, 11)
    work = build()
    street.open.set()
    assert await work.sweep() == 4
    await idle(work)
    assert len(set(street.ran)) == len(street.ran) == 11
    assert street.most <= 4


async def test_what_came_to_nothing_is_put_off_ever_longer(
    build: Build, store: SqliteStore, street: Street, clock: ManualClock
) -> None:
    await errands(store, 1)
    work = build()
    street.is_good = False
    street.open.set()
    for seconds in (10, 20, 40):
        assert await work.sweep() == 1
        await idle(work)
        assert (await stored(store)).due_at == clock.now() + timedelta(seconds=seconds)
        assert await work.sweep() == 0
        clock.advance(seconds)
    assert len(street.ran) == 3


async def test_what_one_release_failed_at_is_left_to_the_one_that_takes_work(
    build: Build, store: SqliteStore, street: Street, clock: ManualClock
) -> None:
    await errands(store, 1)
    takes_work = True
    left, taken = build(takes_work=lambda: takes_work), build()
    street.is_good = False
    street.open.set()
    await left.sweep()
    await idle(left)
    takes_work = False
    clock.advance(10)
    left.wake()
    assert (left.busy, await left.sweep()) == (False, 0)
    assert await taken.sweep() == 1


async def test_what_takes_too_long_is_given_up_for_now(build: Build, store: SqliteStore, street: Street) -> None:
    await errands(store, 1)
    work = build(attempt_seconds=0.02)
    await work.sweep()
    await idle(work)
    assert (await stored(store)).tries == 1
    assert street.now == 0


async def test_an_answer_that_came_while_this_process_was_held_up_counts(
    build: Build, store: SqliteStore, runner: Runner
) -> None:
    async def answered_in_time(_id: str) -> bool:
        await asyncio.sleep(0.05)
        for _ in range(10):  # as it goes through the layers of a client
            await asyncio.sleep(0)
        return True

    runner.way = answered_in_time
    await errands(store, 1)
    work = build(attempt_seconds=0.2)
    await work.sweep()
    await asyncio.sleep(0.01)
    time.sleep(0.4)  # noqa: ASYNC251 - what is tested: nothing runs meanwhile
    await idle(work)
    assert (await stored(store)).done


async def test_what_a_dead_process_had_claimed_is_done_by_another_after_the_lease(
    build: Build, store: SqliteStore, street: Street, clock: ManualClock
) -> None:
    await errands(store, 1)
    dead, other = build(), build()
    await dead.sweep()
    await until(lambda: bool(street.ran))
    await dead.stop()
    street.open.set()
    assert await other.sweep() == 0
    clock.advance(LEASE_SECONDS)
    assert await other.sweep() == 1
    await idle(other)
    assert (await stored(store)).done


async def test_two_processes_do_not_do_the_same(build: Build, store: SqliteStore, street: Street) -> None:
    await errands(store, 4)
    street.open.set()
    one, other = build(), build()
    assert sum(await asyncio.gather(one.sweep(), other.sweep())) == 4
    await idle(one)
    await idle(other)
    assert sorted(street.ran) == ["e00", "e01", "e02", "e03"]


async def test_one_that_breaks_stops_none_beside_it(
    build: Build, store: SqliteStore, runner: Runner, clock: ManualClock
) -> None:
    async def way(id: str) -> bool:
        if id == "e00":
            raise ZeroDivisionError("a bug")
        return True

    runner.way = way
    await errands(store, 3)
    work = build()
    await work.sweep()
    await idle(work)
    assert [(await stored(store, id)).done for id in ("e00", "e01", "e02")] == [False, True, True]
    assert (await stored(store)).due_at == clock.now() + timedelta(seconds=LEASE_SECONDS)


async def test_a_stop_lets_finish_what_is_nearly_done_and_begins_nothing(
    build: Build, store: SqliteStore, street: Street
) -> None:
    await errands(store, 6)
    work = build(finish_seconds=5)
    await work.sweep()
    await until(lambda: len(street.ran) == 4)
    stopping = asyncio.ensure_future(work.stop())
    await asyncio.sleep(0)
    street.open.set()
    await stopping
    assert len(street.ran) == 4
    assert (await stored(store, "e03")).done
    assert await work.sweep() == 0


async def test_nothing_is_begun_while_the_policy_says_so(build: Build, store: SqliteStore, runner: Runner) -> None:
    await errands(store, 1)
    work = build()
    runner.most = 0
    assert await work.sweep() == 0
    work.wake()
    assert not work.busy
    runner.most = 1
    assert await work.sweep() == 1


async def test_woken_it_looks_without_a_sweep(build: Build, store: SqliteStore, street: Street) -> None:
    await errands(store, 1)
    work = build()
    street.open.set()
    work.wake()
    await idle(work)
    assert street.ran == ["e00"]


async def test_a_store_that_is_away_when_it_is_settled_leaves_it_to_the_lease(
    build: Build, store: SqliteStore, street: Street, clock: ManualClock
) -> None:
    await errands(store, 1)
    meddled = Meddled(store)
    work = build(records=meddled)
    await work.sweep()
    await until(lambda: bool(street.ran))

    async def away() -> None:
        raise StoreUnavailable("locked")

    meddled.always = away
    street.open.set()
    await idle(work)
    assert not (await stored(store)).done
    meddled.always = None
    clock.advance(LEASE_SECONDS)
    assert await work.sweep() == 1
    await idle(work)
    assert (await stored(store)).done
