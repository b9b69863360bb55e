"""Jobs at work: goes over all orders of a concert that is called off or moved, at a bounded rate, a turn at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Busy
from cludale.ports.calling_off import SaleClosing, SalesNotClosed
from cludale.ports.records import Query
from cludale.runtime.aggregates import Change, ChangeResult, Updates, Versioned
from cludale.runtime.due import Do, DuePolicy, Step
from cludale.services.orders.jobs import domain as jobs
from cludale.services.orders.jobs.domain import Job, JobKind, Page, Phase
from cludale.services.orders.order import Order, Status
from cludale.services.orders.store import ORDERS, listed

PAGE = 200
TURN_SECONDS = 2.0
"""How long a turn goes on before it is written down how far it is."""
LEASE_SECONDS = 30.0
"""How long another process waits for one that died in its turn."""
ATTEMPT_SECONDS = 20.0

_log = logging.getLogger(__name__)


class CallingOff(NamedTuple):
    """How the orders of a concert that is called off or moved are gone over."""

    closing: SaleClosing
    rate: float = 1_000.0
    """The most orders a second that are decided in this process."""
    watch_seconds: float = 30.0
    """How long after the start an order may still come that was on its way."""


class Jobs(DuePolicy[Job]):
    """The due policy of jobs."""

    def __init__(
        self,
        updates: Updates,
        calling_off: CallingOff,
        *,
        watched: Callable[[Order, Decision[Order], datetime], Decision[Order]],
        tell: Callable[[Order], None],
        see_to_carts: Callable[[Iterable[Versioned[Order]]], Awaitable[None]],
    ) -> None:
        """`watched` has a cancelled order compared later. `tell(order)` is called with each that changed, and
        `see_to_carts` with all of them: what becomes of one line of a cart becomes of all.
        """
        self._updates = updates
        self._closing, self._rate = calling_off.closing, calling_off.rate
        self._watch = timedelta(seconds=calling_off.watch_seconds)
        self._watched = watched
        self._tell = tell
        self._see_to_carts = see_to_carts

    def take_up(self, state: Job, now: datetime) -> Decision[Job]:
        """Claim a turn."""
        return Decision(jobs.take_up(state, now=now, until=now + timedelta(seconds=LEASE_SECONDS)))

    async def start(self, _: Sequence[Job]) -> Do[Job]:
        """Each has its own turn."""
        return self._turn

    def no_answer(self, state: Job, why: str) -> Step[Job]:
        """Later again, from where it was written down last."""
        _log.warning("the orders of concert %s wait: %s", state.concert_id, why)
        return lambda job, now: Decision(_later(job, now + timedelta(seconds=1)))

    async def _turn(self, job: Job) -> Step[Job]:
        began = self._updates.clock.now()
        try:
            if job.kind is JobKind.CANCEL:
                await self._closing.close_sales(job.concert_id)
        except SalesNotClosed as error:
            return self.no_answer(job, str(error))
        claimed = job
        job = _later(job, began)
        while job.due_at == began and (self._updates.clock.now() - began).total_seconds() < TURN_SECONDS:
            before, job = job, await self._page(job)
            if job is before:
                break
        return partial(_written, claimed, job)

    async def _page(self, job: Job) -> Job:
        """One page on; the same job where nothing of it could be done now."""
        match job.phase:
            case Phase.COUNT:
                return jobs.counted(job, await self._orders(job, after=job.after))
            case Phase.ORDERS:
                return await self._see_to(job)
            case Phase.CHECK:
                return await self._check(job)

    async def _see_to(self, job: Job) -> Job:
        page = await self._orders(job, after=job.after)
        changed = await self._decide(job, page.orders)
        if job.kind is JobKind.CANCEL and page.orders:
            # Those that were cancelled have left the page; it is looked at again.
            seen = replace(job, seen_to=job.seen_to + changed, total=max(job.total, job.seen_to + changed))
            return seen if changed else _later(job, self._updates.clock.now() + timedelta(seconds=1))
        return jobs.seen_to(job, changed, page.following, now=self._updates.clock.now())

    async def _check(self, job: Job) -> Job:
        now = self._updates.clock.now()
        if job.kind is JobKind.MOVE:
            return jobs.checked(job, Page((), None), now=now, watch=self._watch)
        query = listed(concert_id=job.concert_id, status=Status.CANCELLED, after=job.after, limit=PAGE)
        page = await self._find(query)
        open_ones = [order for order in page.orders if jobs.call_off(order, job.reason).events]
        await self._decide(job, open_ones)
        return jobs.checked(job, page, now=now, watch=self._watch)

    async def _orders(self, job: Job, *, after: str | None) -> Page:
        statuses = jobs.LIVE if job.kind is JobKind.CANCEL else jobs.MOVED
        return await self._find(listed(concert_id=job.concert_id, status=statuses[job.place], after=after, limit=PAGE))

    async def _find(self, query: Query) -> Page:
        found, page = await ORDERS.find(self._updates.records, query)
        return Page([each.state for each in found], page.next)

    async def _decide(self, job: Job, orders: Sequence[Order]) -> int:
        """How many changed. It takes as long as the rate wants."""
        if not orders:
            return 0
        loop = asyncio.get_running_loop()
        ends = loop.time() + len(orders) / self._rate
        decide = partial(self._decided, job)
        updated = await self._updates.update([Change(ORDERS, order.id, decide) for order in orders])
        changed: list[Versioned[Order]] = [
            known for result, known in updated if result is ChangeResult.CHANGED and known is not None
        ]
        for each in changed:
            self._tell(each.state)
        try:
            await self._see_to_carts(changed)
        except Busy as busy:
            _log.warning(
                "what follows from concert %s for carts waits until they are looked at: %s", job.concert_id, busy
            )
        await asyncio.sleep(max(0.0, ends - loop.time()))
        return len(changed)

    def _decided(self, job: Job, order: Order | None, now: datetime) -> Decision[Order] | None:
        if order is None:
            return None
        if job.kind is JobKind.MOVE:
            return jobs.move(order, job)
        return self._watched(order, jobs.call_off(order, job.reason), now)


def _later(job: Job, at: datetime) -> Job:
    return replace(job, due_at=at)


def _written(claimed: Job, after: Job, stored: Job, now: datetime) -> Decision[Job]:
    """How far a turn came, unless another process has had a turn since."""
    if stored != claimed:
        return Decision(stored)
    is_due_now = after.due_at is not None and after.due_at <= now
    return Decision(_later(after, now) if is_due_now else after)
