"""Compares orders with their payments and seats, and tells again what seems to be lost. Load → ask → decide → commit.

Looked at are Reserved orders of which nothing was heard for a while, by the index of their status, and Cancelled ones
that may have money or seats, when they are due. An order that ends as most do is never asked about.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Refusal
from cludale.kernel.times import rfc3339
from cludale.ports.charges import COMPARED_AT_ONCE, Charges, ChargeStanding, ChargeState, ChargesUnreachable
from cludale.ports.clock import Clock, IdSource
from cludale.ports.records import Query, Records
from cludale.ports.sales import Outlook, SaleQuestion, Sales, SalesUnreachable
from cludale.runtime.aggregates import Stamp, Step, Versioned, apply_steps
from cludale.runtime.backoff import Backoff
from cludale.services.orders import domain
from cludale.services.orders.domain import Compared, Lost, Order, Status
from cludale.services.orders.store import ORDERS

LOOK_PAGES = 10
"""How many pages of Reserved orders one look goes through; the next one goes on from there."""
LONGEST_WAIT_SECONDS = 3_600.0
REMEMBERED = 10_000
_log = logging.getLogger(__name__)


class _Asked(NamedTuple):
    """How often a Reserved order was asked about, and until when it is left alone."""

    times: int
    until: datetime


class Comparison:
    """Orders against payments and concerts."""

    def __init__(
        self,
        records: Records,
        *,
        clock: Clock,
        ids: IdSource,
        charges: Charges,
        sales: Sales,
        every_seconds: float,
        after_seconds: float,
    ) -> None:
        """`every_seconds`: between two looks at Reserved orders. `after_seconds`: how long nothing is heard of one
        before it is asked about, and how long after its end a Cancelled one is.
        """
        self._records = records
        self._clock = clock
        self._ids = ids
        self._charges = charges
        self._sales = sales
        self._every = timedelta(seconds=every_seconds)
        self._after = timedelta(seconds=after_seconds)
        self._backoff = Backoff(after_seconds, max(after_seconds, LONGEST_WAIT_SECONDS))
        self._stamp = Stamp("orders", ids)
        self._next_look: datetime | None = None
        self._cursor: str | None = None
        self._asked: dict[str, _Asked] = {}
        self.compared = 0
        """Orders that were asked about."""
        self.lost: dict[Lost, int] = dict.fromkeys(Lost, 0)
        """How often something was told again, by what seems to have been lost."""

    def watched(self, order: Order, now: datetime) -> Order:
        """The order, to be looked at after a while if it is Cancelled and may have something."""
        return domain.watched(order, look_at=now + self._after)

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {
            "cludale_orders_compared_total": self.compared,
            **{f'cludale_orders_told_again_total{{lost="{lost.name.lower()}"}}': n for lost, n in self.lost.items()},
        }

    async def look(self) -> int:
        """Compare the Reserved orders of which nothing was heard, if it is time to; returns how many there were."""
        now = self._clock.now()
        if self._next_look is not None and now < self._next_look:
            return 0
        self._next_look = now + self._every
        since = now - self._after
        count = 0
        for _ in range(LOOK_PAGES):
            query = Query(equal={"status": Status.RESERVED.value}, after=self._cursor, limit=COMPARED_AT_ONCE)
            found, page = await ORDERS.find(self._records, query)
            silent = [each for each in found if domain.is_silent(each.state, since=since)]
            due = [each for each in silent if self._is_due(each.state.id, now)]
            if due:
                await self._compare(due)
            count += len(due)
            # They come as they were placed: what follows a young one is young.
            self._cursor = None if found and found[-1].state.created_at > since else page.next
            if self._cursor is None:
                break
        return count

    async def look_at(self, cancelled: Sequence[Versioned[Order]]) -> None:
        """Compare these, which are Cancelled and due; COMPARED_AT_ONCE at most."""
        if cancelled:
            await self._compare(cancelled)

    async def _compare(self, orders: Sequence[Versioned[Order]]) -> None:
        now = self._clock.now()
        self.compared += len(orders)
        for each in orders:
            self._leave_alone(each.state, now)
        try:
            standings = await self._charges.compare([domain.question(each.state) for each in orders])
        except ChargesUnreachable as error:
            _log.warning("%d orders can't be compared with their payments, later again: %s", len(orders), error)
            await self._apply([(each, self._in_vain(each.state, now)) for each in orders])
            return
        seats = await asyncio.gather(*(self._has_seats(each.state) for each in orders))
        steps: list[tuple[Versioned[Order], Step[Order]]] = []
        for each, has_seats in zip(orders, seats, strict=True):
            charge = standings.get(each.state.id)
            if charge is None or has_seats is None:
                steps.append((each, self._in_vain(each.state, now)))
                continue
            self._report(each.state, charge, has_seats, now)
            steps.append((each, self._step(each.state, charge, has_seats, now)))
        await self._apply(steps)

    def _step(self, order: Order, charge: ChargeStanding, has_seats: bool, now: datetime) -> Step[Order]:  # noqa: FBT001 - found out by a call
        look_at = self._later(order, now)
        return lambda o: domain.compared(o, charge, has_seats=has_seats, now=now, look_at=look_at).decision

    def _in_vain(self, order: Order, now: datetime) -> Step[Order]:
        look_at = self._later(order, now)
        return lambda o: Decision(domain.looked_in_vain(o, now=now, look_at=look_at))

    async def _apply(self, steps: Sequence[tuple[Versioned[Order], Step[Order]]]) -> None:
        await apply_steps(
            ORDERS, self._records, steps, stamp=self._stamp, clock=self._clock, cause_of=lambda _: Cause()
        )

    async def _has_seats(self, order: Order) -> bool | None:
        """Of an order that somebody wished cancelled: has concerts yet to give its seats back? None: no answer."""
        if order.reason is None or not order.reason.is_wish or not order.reservation_id or not order.section:
            return False
        try:
            outlook = await self._sales.outlook(SaleQuestion(order.concert_id, order.section, order.reservation_id))
        except (SalesUnreachable, Refusal) as error:
            _log.warning("order %s can't be compared with its seats, later again: %s", order.id, error)
            return None
        return outlook.outlook is not Outlook.CANCELLED

    def _report(self, order: Order, charge: ChargeStanding, has_seats: bool, now: datetime) -> None:  # noqa: FBT001 - as above
        found: Compared = domain.compared(order, charge, has_seats=has_seats, now=now, look_at=now)
        if found.lost is None:
            return
        self.lost[found.lost] += 1
        shown = "no payment" if order.payment is None else f"its payment {order.payment.status}"
        since = order.created_at if order.payment is None else order.payment.at
        seats = "; concerts has yet to give its seats back" if has_seats else ""
        _log.warning(
            "order %s is %s and shows %s since %s; payments says: %s%s%s. An event seems to be lost, so it is told "
            "again: %s",
            order.id,
            order.status,
            shown,
            rfc3339(since),
            charge.state,
            f" (round {charge.round})" if charge.state is not ChargeState.UNKNOWN else "",
            seats,
            found.lost,
        )

    def _is_due(self, order_id: str, now: datetime) -> bool:
        asked = self._asked.get(order_id)
        return asked is None or asked.until <= now

    def _leave_alone(self, order: Order, now: datetime) -> None:
        """Ask about a Reserved order again later, each time after a longer while."""
        if order.status is not Status.RESERVED:
            return
        asked = self._asked.pop(order.id, _Asked(0, now))
        times = asked.times + 1
        self._asked[order.id] = _Asked(times, now + self._wait(times))
        while len(self._asked) > REMEMBERED:
            del self._asked[next(iter(self._asked))]

    def _later(self, order: Order, now: datetime) -> datetime:
        return now + self._wait(order.looks + 1)

    def _wait(self, times: int) -> timedelta:
        return timedelta(seconds=self._backoff.seconds(times, self._ids.jitter()))
