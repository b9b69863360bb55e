"""What is due for an order: seats for a Pending one, the end of a Reserved one that nobody paid in time, a part refund
of a Paid one that nothing was heard of, and the comparison of a Cancelled one with its payment and its seats.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from cludale.kernel.backoff import Backoff
from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy, Invalid, Refusal
from cludale.ports.prices import (
    CategoryNotFound,
    CategoryNotSold,
    CodeOver,
    CodeUnknown,
    CodeUsedUp,
    TotalTooHigh,
    UnderTheMinimum,
)
from cludale.ports.seats import (
    BlockNotFound,
    BlockTooSmall,
    BuyerLimitReached,
    CalledOff,
    ConcertNotFound,
    ConcertOver,
    HoldEnded,
    HoldsLapsed,
    InLine,
    NotOnSale,
    OtherCurrency,
    OverTheLimit,
    PriceTooHigh,
    SaleEnded,
    SalePaused,
    Seats,
    SeatsNotFree,
    SeatsUnavailable,
    SeatsUnreachable,
    SectionNotFound,
    TooManyHolds,
    WaitingListFull,
)
from cludale.runtime.due import Do, DuePolicy, PutOff, Step
from cludale.services.orders import domain, queueing
from cludale.services.orders.comparison import Comparison
from cludale.services.orders.events import CancelReason
from cludale.services.orders.order import Order, Status

_log = logging.getLogger(__name__)

_NO_SEATS: Mapping[type[Refusal], CancelReason] = {
    SeatsUnavailable: CancelReason.SOLD_OUT,
    SeatsNotFree: CancelReason.SOLD_OUT,
    NotOnSale: CancelReason.NOT_ON_SALE,
    WaitingListFull: CancelReason.SOLD_OUT,
    ConcertOver: CancelReason.CONCERT_OVER,
    SaleEnded: CancelReason.SALE_ENDED,
    SalePaused: CancelReason.NOT_ON_SALE,
    CalledOff: CancelReason.CALLED_OFF,
    ConcertNotFound: CancelReason.NO_SUCH_CONCERT,
    SectionNotFound: CancelReason.NO_SUCH_SECTION,
    BlockNotFound: CancelReason.SOLD_OUT,
    BlockTooSmall: CancelReason.SOLD_OUT,
    OverTheLimit: CancelReason.OVER_THE_LIMIT,
    BuyerLimitReached: CancelReason.OVER_THE_LIMIT,
    TooManyHolds: CancelReason.OVER_THE_LIMIT,
    HoldsLapsed: CancelReason.OVER_THE_LIMIT,
    PriceTooHigh: CancelReason.PRICE_TOO_HIGH,
    TotalTooHigh: CancelReason.PRICE_TOO_HIGH,
    UnderTheMinimum: CancelReason.OVER_THE_LIMIT,
    CategoryNotFound: CancelReason.NO_SUCH_TICKETS,
    CategoryNotSold: CancelReason.NO_SUCH_TICKETS,
    CodeUnknown: CancelReason.NO_SUCH_TICKETS,
    Invalid: CancelReason.NO_SUCH_TICKETS,
    CodeOver: CancelReason.CODE_USED_UP,
    CodeUsedUp: CancelReason.CODE_USED_UP,
    OtherCurrency: CancelReason.OTHER_CURRENCY,
    HoldEnded: CancelReason.EXPIRED,
}
"""What a Pending order is told; whatever else is refused, its key has seats already that it did not ask for."""


class PendingLimits(NamedTuple):
    """How a Pending order asks for its seats."""

    backoff: Backoff
    seconds: float
    """For how long; then it is cancelled."""
    call_seconds: float = 2.0
    """How long concerts or payments may take to answer."""


class DueOrders(DuePolicy[Order]):
    """`tell(order)` is called with what became of one."""

    def __init__(
        self,
        seats: Seats,
        comparison: Comparison | None,
        *,
        limits: PendingLimits,
        put_off: PutOff,
        tell: Callable[[Order], None],
        buyers: Callable[[Order], Awaitable[BuyerKeys]],
    ) -> None:
        """`buyers(order)`: whose tickets it counts as."""
        self._buyers = buyers
        self._seats = seats
        self._comparison = comparison
        self._pending = timedelta(seconds=limits.seconds)
        self._lease = timedelta(seconds=limits.call_seconds + 1)
        self._put_off = put_off
        self._tell = tell

    def take_up(self, state: Order, now: datetime) -> Decision[Order]:
        """A Pending order is claimed; a Reserved one that nobody paid ends; a Paid one asks for a part refund again; a
        Cancelled one is looked at.
        """
        match state.status:
            case Status.PENDING:
                if (lapsed := queueing.lapsed(state, now=now)) is not None:
                    return lapsed
                # The claim counts the attempt and puts the next one off, so one in vain is one commit.
                until = max(now + self._lease, self._put_off(state.tries + 1, now))
                return Decision(domain.take_up(state, now=now, until=until))
            case Status.RESERVED:
                return domain.hold_ended(state, now=now)
            case Status.PAID:
                return Decision(state) if self._comparison is None else self._comparison.refund_again(state, now)
            case _:
                return Decision(state if self._comparison is None else self._comparison.take_up(state, now))

    async def start(self, states: Sequence[Order]) -> Do[Order]:
        """Payments is asked about all Cancelled ones at once; each Pending one asks for its seats."""
        cancelled = [order for order in states if order.status is Status.CANCELLED]
        steps: Mapping[str, Step[Order]] = {}
        if cancelled and self._comparison is not None:
            steps = await self._comparison.ask(cancelled)

        async def do(order: Order) -> Step[Order]:
            return await self._hold(order) if order.status is Status.PENDING else steps.get(order.id, _nothing)

        return do

    async def _hold(self, order: Order) -> Step[Order]:
        """Get a Pending order its seats, or an end."""
        try:
            buyers = await self._buyers(order)
            held = await self._seats.hold(domain.hold_request(order, order.traceparent, buyers))
        except InLine:
            return lambda o, now: Decision(
                queueing.looks_again(o, now=now, joined=True) if queueing.is_waiting(o) else o
            )
        except (SeatsUnreachable, Busy) as trouble:
            return self.no_answer(order, str(trouble))
        except Refusal as refusal:
            _log.info("order %s gets no seats: %s", order.id, refusal)
            reason = _NO_SEATS.get(type(refusal), CancelReason.HELD_OTHERWISE)
            note = refusal.reason if isinstance(refusal, CalledOff) else None
            return lambda o, _: domain.fail(o, reason, note) if o.status is Status.PENDING else Decision(o)

        def step(o: Order, now: datetime) -> Decision[Order]:
            if o.status is not Status.PENDING:
                return Decision(o)  # it was cancelled meanwhile; a hold without an order expires by itself
            if o.waits is not None:
                return Decision(queueing.offered(o, held))
            return replace(domain.reserve(o, held, now=now), cause=Cause(held.event_id, o.traceparent))

        return step

    def no_answer(self, state: Order, why: str) -> Step[Order]:
        """It is due later again, as it was claimed; a Pending one that has been for too long gets its end."""
        _log.info("order %s waits: %s", state.id, why)

        def step(order: Order, now: datetime) -> Decision[Order]:
            is_over = order.status is Status.PENDING and order.waits is None and now - order.created_at > self._pending
            return domain.fail(order, CancelReason.UNREACHABLE) if is_over else Decision(order)

        return step

    def settled(self, states: Sequence[Order]) -> None:
        """Whoever waits for one of them is told."""
        for order in states:
            self._tell(order)


def _nothing(order: Order, _: datetime) -> Decision[Order]:
    return Decision(order)
