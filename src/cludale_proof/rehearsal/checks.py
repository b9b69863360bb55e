"""What must hold after an on-sale, judged from what the API says. Pure: no I/O, and none of the services' code."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from cludale_proof.rehearsal.plan import AuditedEvent, Check, Concert, Order

END_STATES: Final = ("Paid", "Cancelled")
_EXAMPLES: Final = 3

_NEVER_ORDERED: Final = frozenset({"SeatsReserved", "SeatsReleased"})
"""What may be told of an order that no one knows: a hold that was made for it and ended by itself."""


def nothing_oversold(concert: Concert) -> Check:
    """Every seat is available, held or sold, and there are no more than there are."""
    total, available = concert.total_seats, concert.available_seats
    held, sold = concert.held_seats, concert.sold_seats
    ok = (
        total == available + held + sold
        and min(available, held, sold) >= 0
        and total == sum(section.total_seats for section in concert.sections)
        and all(0 <= section.available_seats <= section.total_seats for section in concert.sections)
    )
    return Check("nothing oversold", ok, f"{total} seats: {sold} sold, {held} held, {available} available")


def sold_is_paid(concert: Concert, orders: Collection[Order], events: Sequence[AuditedEvent]) -> Check:
    """The seats that the concert sold are the seats of Paid orders, and those that the log says were sold to them."""
    paid = {order.id: order.quantity for order in orders if order.status == "Paid"}
    sold = {event.correlation_id: event.payload.quantity for event in events if event.event_type == "SeatsSold"}
    logged = sum(sold.get(order_id, 0) for order_id in paid)
    seats = sum(paid.values())
    ok = concert.sold_seats == seats == logged
    found = f"{concert.sold_seats} seats sold, {seats} in {len(paid)} Paid orders, {logged} by the log"
    return Check("sold seats are paid for", ok, found)


def none_lost(accepted: Collection[str], orders: Collection[Order]) -> Check:
    """Every order that a buyer was promised is there."""
    lost = sorted(set(accepted) - {order.id for order in orders})
    found = f"{len(accepted) - len(lost)} of {len(accepted)} accepted orders found{such_as(lost)}"
    return Check("no accepted order lost", not lost, found)


def all_settled(orders: Collection[Order]) -> Check:
    """Every order came to its end."""
    unsettled = [f"{order.id} ({order.status})" for order in orders if order.status not in END_STATES]
    counts = Counter(order.status for order in orders)
    found = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no orders"
    return Check("every order at its end state", not unsettled, found + such_as(unsettled))


def stories_whole(orders: Collection[Order], events: Sequence[AuditedEvent]) -> Check:
    """Each order's events in the audit are the ones that lead to its status: none is missing, none there twice."""
    stories = stories_of(events)
    gaps = [
        f"{order.id}: {gap}" for order in orders if (gap := _gap(order, stories.get(order.id, Counter()))) is not None
    ]
    known = {order.id for order in orders}
    gaps += [
        f"{order_id}: no such order, but {', '.join(sorted(set(story) - _NEVER_ORDERED))}"
        for order_id, story in stories.items()
        if order_id not in known and set(story) - _NEVER_ORDERED
    ]
    found = f"{len(events)} events tell of {len(orders)} orders{such_as(gaps)}"
    return Check("every event is in the audit", not gaps, found)


def in_causal_order(events: Sequence[AuditedEvent]) -> Check:
    """Each event is in the audit once, and after the event that caused it, or marked late."""
    place = {event.event_id: event.sequence for event in events}
    wrong = [
        f"{event.event_type} {event.event_id}"
        for event in events
        if event.causation_id is not None
        and not event.late
        and place.get(event.causation_id, event.sequence) >= event.sequence
    ]
    twice = len(events) - len(place)
    late = sum(event.late for event in events)
    found = f"{len(place)} different events, {twice} twice, {len(wrong)} without an earlier cause{such_as(wrong)}"
    found += f", {late} marked late" if late else ""
    return Check("causes before effects", not wrong and not twice, found)


def chain_verifies(ok: bool, events: int, head: str) -> Check:  # noqa: FBT001 - it is what the server answered
    """The audit's own verification of its hash chain."""
    return Check("the audit's chain verifies", ok, f"{events} events, head {head[:12]}…")


def buyers_answered(buyers: int, errors: Mapping[str, int]) -> Check:
    """Every buyer got an order, a refusal, or was asked to come back: no server error, no broken connection."""
    failed = sum(errors.values())
    kinds = "".join(f"; {count} x {what}" for what, count in sorted(errors.items()))
    return Check("every buyer got an answer", not failed, f"{buyers - failed} of {buyers}{kinds}")


def stories_of(events: Sequence[AuditedEvent]) -> dict[str, Counter[str]]:
    """How often each type of fact is told of each order; what is told again counts only if it wasn't told before."""
    stories: dict[str, Counter[str]] = {}
    for event in sorted(events, key=lambda event: event.repeated):
        if event.correlation_id is not None:
            story = stories.setdefault(event.correlation_id, Counter())
            if not event.repeated or not story[event.event_type]:
                story[event.event_type] += 1
    return stories


def _gap(order: Order, story: Counter[str]) -> str | None:
    """What is wrong with an order's story; None for nothing.

    An order may have been cancelled and then paid after all (charged anew), or paid and then cancelled.
    """
    placed, paid, cancelled = story["OrderPlaced"], story["OrderPaid"], story["OrderCancelled"]
    money_kept = story["PaymentCompleted"] - story["PaymentRefunded"]
    told, reserved, released = story["NotificationSent"], story["SeatsReserved"], story["SeatsReleased"]
    if order.status == "Paid":
        must = {
            "reserved": story["TicketReserved"] == 1 and reserved >= 1,
            "paid": paid == cancelled + 1 and money_kept == 1,
            "sold": story["SeatsSold"] == paid,
            "told": told == paid + cancelled,
            "ticketed": story["TicketIssued"] == paid,
        }
    elif order.status == "Cancelled":
        must = {
            "cancelled": cancelled >= 1,
            "money back": money_kept == 0,
            "seats back": released >= reserved,
            "told": paid + 1 <= told <= paid + cancelled,
        }
    else:
        must = {"at its end": False}
    unmet = [what for what, met in {"placed": placed == 1, **must}.items() if not met]
    return f"{order.status} but not {', '.join(unmet)}: {dict(sorted(story.items()))}" if unmet else None


def such_as(examples: Sequence[str]) -> str:
    """The first of what is wrong, in words; empty for none."""
    if not examples:
        return ""
    more = len(examples) - _EXAMPLES
    return f"; wrong: {'; '.join(examples[:_EXAMPLES])}" + (f" and {more} more" if more > 0 else "")
