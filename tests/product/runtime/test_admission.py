"""Admission control: so many inside, so many waiting and not for long, and nobody while too much work is left over."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.patience import until
from tests.virtual_time import in_virtual_time

from cludale.kernel.refusals import Busy
from cludale.runtime.admission import LEAST_PACE_SECONDS, LEAST_WAITING, PATROL_SECONDS, AdmissionControl
from cludale.wiring.settings import Settings


class Queue:
    """Buyers who ask to be admitted, and leave when the test lets them."""

    def __init__(self, admission: AdmissionControl) -> None:
        self.admission = admission
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.leave: dict[str, asyncio.Event] = {}

    async def come(self, *names: str) -> None:
        for name in names:
            self.leave[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._visit(name))
        await asyncio.sleep(0.005)

    async def go(self, *names: str) -> None:
        for name in names:
            self.leave[name].set()
        await asyncio.sleep(0.005)

    async def _visit(self, name: str) -> None:
        await self.admission.enter()
        self.inside.append(name)
        try:
            await self.leave[name].wait()
        finally:
            self.inside.remove(name)
            self.admission.leave()


@pytest.fixture
async def left() -> AsyncIterator[list[Queue]]:
    queues: list[Queue] = []
    yield queues
    tasks = [task for queue in queues for task in queue.tasks.values()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def queue(left: list[Queue], admission: AdmissionControl) -> Queue:
    left.append(Queue(admission))
    return left[-1]


async def test_so_many_are_inside_and_the_others_follow_in_order(left: list[Queue]) -> None:
    people = queue(left, AdmissionControl(inside_limit=2))
    await people.come("a", "b", "c", "d")
    assert people.inside == ["a", "b"]
    assert people.admission.waiting == 2
    await people.go("b")
    assert people.inside == ["a", "c"]
    await people.come("e")
    await people.go("a", "c")
    assert people.inside == ["d", "e"]
    assert (people.admission.inside, people.admission.waiting) == (2, 0)


async def test_when_too_many_wait_the_next_is_turned_away_at_once(left: list[Queue]) -> None:
    people = queue(left, AdmissionControl(inside_limit=1, waiting_limit=1))
    await people.come("a", "b")
    with pytest.raises(Busy):
        await people.admission.enter()
    assert people.admission.turned_away == 1


async def test_when_more_wait_than_the_pace_lets_in_in_time_the_next_is_turned_away_at_once(left: list[Queue]) -> None:
    admission = AdmissionControl(inside_limit=1, waiting_limit=1_000, waiting_seconds=1.0)
    people = queue(left, admission)
    await people.come("inside", *(f"waiting {n}" for n in range(LEAST_WAITING)))
    assert not admission.turns_away()
    await asyncio.sleep(LEAST_PACE_SECONDS + 2 * PATROL_SECONDS)  # in which nobody left
    assert admission.waiting == LEAST_WAITING
    assert admission.turns_away()
    with pytest.raises(Busy):
        await admission.enter()
    assert admission.turned_away == 2


@in_virtual_time
async def test_the_faster_it_goes_the_more_may_wait() -> None:
    admission = AdmissionControl(inside_limit=10, waiting_limit=1_000, waiting_seconds=1.0)

    async def visit() -> None:
        await admission.enter()
        await asyncio.sleep(0.01)
        admission.leave()

    async with asyncio.timeout(5), asyncio.TaskGroup() as visitors:
        for _ in range(60):
            for _ in range(5):
                visitors.create_task(visit())
            await asyncio.sleep(0.005)
    assert admission.turned_away == 0


@in_virtual_time
async def test_of_twice_as_many_as_can_be_served_nobody_waits_in_vain() -> None:
    admission = AdmissionControl(inside_limit=8, waiting_limit=1_000, waiting_seconds=0.4)
    loop = asyncio.get_running_loop()
    began = loop.time()
    let_in: list[float] = []
    in_vain: list[float] = []
    at_once: list[float] = []

    async def visit() -> None:
        came = loop.time()
        try:
            await admission.enter()
        except Busy:
            (in_vain if loop.time() - came > PATROL_SECONDS else at_once).append(came - began)
            return
        let_in.append(came - began)
        await asyncio.sleep(0.01)
        admission.leave()

    async with asyncio.timeout(10), asyncio.TaskGroup() as visitors:
        while loop.time() - began < 2.5:
            for _ in range(8):
                visitors.create_task(visit())
            await asyncio.sleep(0.005)
    assert [came for came in in_vain if came > 1.0] == []  # by then it is known how fast it goes
    assert len(let_in) > 0.3 * (len(let_in) + len(at_once))


@in_virtual_time
async def test_of_256_who_ask_again_as_soon_as_they_are_answered_none_is_refused() -> None:
    # 300 orders a second of ten events each: what is answered at once takes longer to deliver, in bursts
    defaults, backlog, loop = Settings(), 0, asyncio.get_running_loop()
    admission = AdmissionControl(
        inside_limit=defaults.admission_inside,
        waiting_limit=defaults.admission_waiting,
        waiting_seconds=defaults.admission_seconds,
        backlog=lambda: backlog,
        backlog_limit=defaults.admission_backlog_events,
    )
    ends, longest = loop.time() + 2.0, 0.0

    async def buy_over_and_over() -> None:
        nonlocal backlog, longest
        while (came := loop.time()) < ends:
            await admission.enter()
            longest = max(longest, loop.time() - came)
            await asyncio.sleep(0.01)
            backlog += 10
            admission.leave()

    async with asyncio.timeout(10), asyncio.TaskGroup() as buyers:
        for _ in range(256):
            buyers.create_task(buy_over_and_over())
        while admission.inside or admission.waiting or loop.time() < ends:
            await asyncio.sleep(0.4)
            backlog = max(0, backlog - 1_200)
            admission.let_in()
    assert admission.turned_away == 0
    assert 0.5 < longest < defaults.admission_seconds / 2


async def test_nobody_waits_longer_than_promised(left: list[Queue]) -> None:
    people = queue(left, AdmissionControl(inside_limit=1, waiting_seconds=0.05))
    await people.come("a", "b")
    with pytest.raises(Busy):
        await people.tasks["b"]
    assert (people.admission.waiting, people.admission.turned_away) == (0, 1)
    await people.go("a")
    await people.come("c")
    assert people.inside == ["c"]


async def test_while_too_much_is_left_over_nobody_is_let_in(left: list[Queue]) -> None:
    backlog = 10
    admission = AdmissionControl(backlog=lambda: backlog, backlog_limit=10)
    people = queue(left, admission)
    await people.come("a")
    assert people.inside == []
    backlog = 9
    admission.let_in()
    await asyncio.sleep(0.005)
    assert people.inside == ["a"]


async def test_work_that_was_done_unheard_is_noticed_all_the_same(left: list[Queue]) -> None:
    backlog = 10
    people = queue(left, AdmissionControl(backlog=lambda: backlog, backlog_limit=10))
    await people.come("a")
    backlog = 0
    await until(lambda: people.inside == ["a"])


async def test_at_the_end_who_waits_is_served_whatever_is_left_over(left: list[Queue]) -> None:
    people = queue(left, AdmissionControl(inside_limit=2, backlog=lambda: 10, backlog_limit=10))
    await people.come("a", "b", "c")
    assert people.inside == []
    people.admission.close()
    await asyncio.sleep(0.005)
    assert people.inside == ["a", "b"]
    await people.go("a")
    assert people.inside == ["b", "c"]


async def test_whoever_gives_up_waiting_takes_no_room(left: list[Queue]) -> None:
    people = queue(left, AdmissionControl(inside_limit=1))
    await people.come("a", "b", "c")
    people.tasks["b"].cancel()
    await people.go("a")
    assert people.inside == ["c"]
    await people.go("c")
    assert (people.admission.inside, people.admission.waiting) == (0, 0)


async def test_whoever_gives_up_in_the_moment_that_lets_them_in_takes_no_room(left: list[Queue]) -> None:
    people = queue(left, AdmissionControl(inside_limit=1))
    await people.come("a", "b")
    people.leave["a"].set()
    while people.admission.waiting:  # noqa: ASYNC110 - this very turn of the loop is what the test is about
        await asyncio.sleep(0)
    people.tasks["b"].cancel()
    await asyncio.sleep(0.005)
    assert people.admission.inside == 0
    await people.come("c")
    assert people.inside == ["c"]
