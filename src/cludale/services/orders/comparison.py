"""Compares orders with their payments and seats, and tells again what seems to be lost. Load → ask → decide → commit.

Looked at are Reserved orders of which nothing was heard for a while, by the index of their status, and Cancelled ones
that may have money or seats, when they are due. An order that ends as most do is never asked about.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale.kernel.backoff import Backoff
from cludale.kernel.decision import Decision
from cludale.kernel.refusals import Refusal
from cludale.kernel.times import rfc3339
from cludale.ports.charges import COMPARED_AT_ONCE, Charges, ChargeStanding, ChargeState, ChargesUnreachable
from cludale.ports.clock import Clock, IdSource
from cludale.ports.records import Records
from cludale.ports.sales import Outlook, Sales, SalesUnreachable
from cludale.runtime.aggregates import Change, Updates, Versioned
from cludale.runtime.due import Step
from cludale.runtime.recent import Recent
from cludale.services.orders import domain, lost_events
from cludale.services.orders.aftersale import domain as aftersale
from cludale.services.orders.lost_events import Compared, Lost
from cludale.services.orders.order import Order
from cludale.services.orders.store import ORDERS, reserved

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
        self._updates = Updates("orders", records, clock=clock, ids=ids)
        self._charges = charges
        self._sales = sales
        self._every = timedelta(seconds=every_seconds)
        self._after = timedelta(seconds=after_seconds)
        self._backoff = Backoff(after_seconds, max(after_seconds, LONGEST_WAIT_SECONDS))
        self._next_look: datetime | None = None
        self._cursor: str | None = None
        self._asked: Recent[str, _Asked] = Recent(REMEMBERED)
        self.compared = 0
        """Orders that were asked about."""
        self.lost: dict[Lost, int] = dict.fromkeys(Lost, 0)
        """How often something was told again, by what seems to have been lost."""

    def watched(self, order: Order, now: datetime) -> Order:
        """The order, to be looked at after a while if it may have something, or has a part refund under way."""
        return lost_events.watched(order, look_at=now + self._after)

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {
            "cludale_orders_compared_total": self.compared,
            **{f'cludale_orders_told_again_total{{lost="{lost.name.lower()}"}}': n for lost, n in self.lost.items()},
        }

    async def look(self) -> int:
        """Compare the Reserved orders of which nothing was heard, if it is time to; returns how many there were."""
        now = self._updates.clock.now()
        if self._next_look is not None and now < self._next_look:
            return 0
        self._next_look = now + self._every
        since = now - self._after
        count = 0
        for _ in range(LOOK_PAGES):
            query = reserved(after=self._cursor, limit=COMPARED_AT_ONCE)
            found, page = await ORDERS.find(self._updates.records, query)
            silent = [each for each in found if lost_events.is_silent(each.state, since=since)]
            due = [each for each in silent if self._is_due(each.state.id, now)]
            if due:
                await self._compare(due, now)
            count += len(due)
            # They come as they were placed: what follows a young one is young.
            self._cursor = None if found and found[-1].state.created_at > since else page.next
            if self._cursor is None:
                break
        return count

    def take_up(self, order: Order, now: datetime) -> Order:
        """A Cancelled order, to be looked at again after a while that grows, whatever comes of the look now."""
        return lost_events.looked_at(order, now=now, look_at=now + self._wait(order.looks + 1))

    def refund_again(self, order: Order, now: datetime) -> Decision[Order]:
        """A Paid order asks for its part refund again, if it has heard nothing of it for a while."""
        decision = aftersale.asked_again(order, now=now, look_at=now + self._wait(order.looks + 1))
        if decision.events:
            self.lost[Lost.PART_REFUND] += 1
            _log.warning("order %s has heard nothing of its part refund, and asks for it again", order.id)
        return decision

    async def ask(self, orders: Sequence[Order]) -> Mapping[str, Step[Order]]:
        """The next step of each of these orders, by its id, after comparing it with payment and seats.

        COMPARED_AT_ONCE orders at most. Orders of which payments or concerts gave no answer are left out.
        """
        self.compared += len(orders)
        try:
            standings = await self._charges.compare([lost_events.question(order) for order in orders])
        except ChargesUnreachable as error:
            _log.warning("%d orders can't be compared with their payments, later again: %s", len(orders), error)
            return {}
        seats = await asyncio.gather(*(self.has_seats(order) for order in orders))
        steps: dict[str, Step[Order]] = {}
        for order, has_seats in zip(orders, seats, strict=True):
            charge = standings.get(order.id)
            if charge is not None and has_seats is not None:
                self._report(order, charge, has_seats)
                steps[order.id] = _step(charge, has_seats)
        return steps

    async def _compare(self, reserved: Sequence[Versioned[Order]], now: datetime) -> None:
        for each in reserved:
            self._leave_alone(each.state.id, now)
        steps = await self.ask([each.state for each in reserved])
        told = [each for each in reserved if each.state.id in steps]
        await self._updates.update([Change(ORDERS, each.state.id, steps[each.state.id], known=each) for each in told])

    async def has_seats(self, order: Order) -> bool | None:
        """Does concerts still hold seats of an order that was cancelled on purpose? None: no answer."""
        if not domain.is_closed(order) or order.allocation is None:
            return False
        try:
            outlook = await self._sales.outlook(order.allocation)
        except (SalesUnreachable, Refusal) as error:
            _log.warning("order %s can't be compared with its seats, later again: %s", order.id, error)
            return None
        return outlook.outlook is not Outlook.CANCELLED

    def _report(self, order: Order, charge: ChargeStanding, has_seats: bool) -> None:  # noqa: FBT001 - found out by a call
        found: Compared = lost_events.compared(order, charge, has_seats=has_seats)
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

    def _leave_alone(self, order_id: str, now: datetime) -> None:
        """Ask about a Reserved order again later, each time after a longer while."""
        times = self._asked.get(order_id, _Asked(0, now)).times + 1
        self._asked.remember({order_id: _Asked(times, now + self._wait(times))})

    def _wait(self, times: int) -> timedelta:
        return timedelta(seconds=self._backoff.seconds(times, self._updates.ids.jitter()))


def _step(charge: ChargeStanding, has_seats: bool) -> Step[Order]:  # noqa: FBT001 - found out by a call
    return lambda order, _: lost_events.compared(order, charge, has_seats=has_seats).decision
