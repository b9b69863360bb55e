"""Both ends of an outbox: who is told of what was committed, and what was delivered and can go."""

import asyncio
from typing import Any

import pytest
from tests.patience import until

from cludale.ports.outbox import Outgoing
from cludale.ports.records import StoreUnavailable
from cludale.runtime.outgoing import Delivered, Listeners, Undelivered

COMMITTED = [Outgoing(1, "orders", b"{}")]


class Store:
    """Takes what was delivered along with an empty commit, if it is not away."""

    def __init__(self, *, seconds: float, limit: int = 100) -> None:
        self.delivered = Delivered(self.write, seconds=seconds, limit=limit)
        self.written: list[list[int]] = []
        self.tries = 0
        self.is_away = False
        self.disk_seconds = 0.0
        """How long a write takes."""

    async def write(self) -> None:
        self.tries += 1
        taken = self.delivered.take()
        await asyncio.sleep(self.disk_seconds)
        if self.is_away:
            self.delivered.add(taken)
            raise StoreUnavailable("away")
        self.written.append(taken)


async def test_everyone_who_listens_is_told_though_one_fails_at_it() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    told: list[object] = []
    listeners = Listeners()
    failure = RuntimeError("no")

    def failing(_: object) -> None:
        raise failure

    for each in (failing, told.append):
        listeners.add(each)
    listeners.tell(COMMITTED)
    assert told == [COMMITTED]
    assert [context["exception"] for context in reported] == [failure]


async def test_what_was_delivered_waits_for_a_commit_to_ride_along_with() -> None:
    store = Store(seconds=60)
    store.delivered.add([1, 2])
    store.delivered.add([3])
    assert store.delivered.take() == [1, 2, 3]
    assert store.delivered.take() == []
    await store.delivered.close()
    assert store.tries == 0


async def test_when_no_commit_comes_it_gets_one_of_its_own() -> None:
    store = Store(seconds=0.01)
    store.delivered.add([1])
    store.delivered.add([2])
    await until(lambda: store.written == [[1, 2]])


async def test_too_many_wait_no_longer() -> None:
    store = Store(seconds=60, limit=2)
    store.delivered.add([1, 2, 3])
    await until(lambda: store.written == [[1, 2, 3]])


async def test_while_the_store_is_away_it_is_tried_again() -> None:
    store = Store(seconds=0.01)
    store.is_away = True
    store.delivered.add([1])
    await until(lambda: store.tries > 2)
    store.is_away = False
    await until(lambda: store.written == [[1]])


async def test_what_comes_during_a_write_that_is_slow_is_written_after_it() -> None:
    store = Store(seconds=0.01)
    store.disk_seconds = 0.1
    store.delivered.add([1])
    await until(lambda: store.tries == 1)
    store.delivered.add([2])
    await until(lambda: store.written == [[1], [2]])


@pytest.mark.parametrize("is_away", [False, True])
async def test_in_the_end_what_waits_is_written_once_more_and_then_nothing(*, is_away: bool) -> None:
    store = Store(seconds=60)
    store.is_away = is_away
    store.delivered.add([1])
    await store.delivered.close()
    assert (store.tries, store.written) == (1, [] if is_away else [[1]])
    store.delivered.add([2])
    await asyncio.sleep(0.02)
    assert store.tries == 1


async def test_after_the_end_nothing_is_written() -> None:
    store = Store(seconds=0.01)
    store.delivered.add([1])
    store.delivered.end()
    await asyncio.sleep(0.05)
    assert store.tries == 0


@pytest.fixture
def undelivered() -> Undelivered:
    """Three rows: 1 to 3, 4, and 8 to 9."""
    found = Undelivered()
    for last, events in ((3, 3), (9, 2), (4, 1)):
        found.add(last, events)
    return found


def test_a_row_goes_with_the_last_of_its_events(undelivered: Undelivered) -> None:
    assert undelivered.take([3, 1]) == []
    assert undelivered.take([2]) == [3]


def test_events_of_several_rows_are_taken_at_once_in_any_order(undelivered: Undelivered) -> None:
    assert undelivered.take([9, 4, 2, 8]) == [4, 9]
    assert undelivered.take([3, 1]) == [3]


def test_what_is_taken_twice_counts_once(undelivered: Undelivered) -> None:
    assert undelivered.take([1, 1, 1, 2]) == []
    assert undelivered.take([2]) == []
    assert undelivered.take([3]) == [3]
    assert undelivered.take([3]) == []


def test_positions_that_no_row_has_are_passed_over(undelivered: Undelivered) -> None:
    assert undelivered.take([0, 5, 6, 10, 99]) == []


def test_what_nobody_took_waits(undelivered: Undelivered) -> None:
    undelivered.take([2, 8, 9])
    assert [position for position in range(12) if undelivered.waits(position)] == [1, 3, 4]
    undelivered.add(11, 2)
    assert [position for position in range(12) if undelivered.waits(position)] == [1, 3, 4, 10, 11]
