"""Orders that are placed together, all or none, and go their own ways from then on.

Their seats are held in one call, all or none. Only then are they written, in one call of the store. What a crash or a
store's failure leaves out is not there: the holds lapse by themselves, and whoever asks again gets the rest.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause
from cludale.kernel.refusals import Busy
from cludale.ports.records import Put
from cludale.ports.seats import Seats, SeatsHeld, SeatsUnreachable
from cludale.runtime.aggregates import NEW, Change, ChangeResult, Updates
from cludale.services.orders import domain
from cludale.services.orders.order import Order, OrderRequest
from cludale.services.orders.privacy.service import Privacy
from cludale.services.orders.store import ORDERS

_log = logging.getLogger(__name__)


class Placing(NamedTuple):
    """One of them."""

    home: str
    """The partition of the place that it takes: what stands there has it once."""
    request: OrderRequest
    keep: Callable[[Order], Put]
    """The record that takes the place; it is in `home`, too."""


async def place(
    updates: Updates, seats: Seats, privacy: Privacy, wanted: Sequence[Placing], cause: Cause
) -> list[Order | None]:
    """The orders, Reserved; None where somebody else took the place meanwhile. MOST_HOLDS at most.

    Each attempt has orders of its own: what an attempt held that came to nothing is not there for the next. Raises
    LineRefused; Busy, also where concerts gives no answer: nothing is placed then.
    """
    now = updates.clock.now()
    attempt = updates.ids.new("order")[-12:]
    placed = [domain.place(each.request, order_id=f"{each.home}.{attempt}", now=now) for each in wanted]
    try:
        held = await seats.hold_all([domain.hold_request(each.state, cause.traceparent, ()) for each in placed])
    except SeatsUnreachable as unreachable:
        _log.warning("%d orders are not placed: %s", len(wanted), unreachable)
        raise Busy("The seats could not be asked for in time: nothing is ordered. Try again.") from unreachable
    changes = []
    for each, decision, has in zip(wanted, placed, held, strict=True):
        order, particulars = decision.state, each.request.particulars
        changes.append(
            Change(
                ORDERS,
                order.id,
                partial(_reserve, order, has),
                Cause(has.event_id or cause.event_id, cause.traceparent),
                known=NEW,
                beside=each.keep,
                along=() if particulars is None else (privacy.put(order, particulars),),
                earlier=updates.envelopes(decision, cause, now),
            )
        )
    done = await updates.update(changes)
    if any(result is ChangeResult.CONFLICT for result, _ in done):
        raise Busy("These orders are being placed by too many requests at once.")
    return [None if known is None else known.state for _, known in done]


def _reserve(order: Order, held: SeatsHeld, stored: Order | None, now: datetime) -> Decision[Order]:
    return Decision(stored) if stored is not None else domain.reserve(order, held, now=now)
