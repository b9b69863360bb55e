"""Which next state a record may have, and what of it may never change. Rules of one write after another."""

from collections.abc import Mapping
from typing import Any

from cludale_proof.checker.documents import Notification, Order, Payment, Reservation
from cludale_proof.checker.findings import Invariant, Violation, violated
from cludale_proof.checker.history import NOTIFICATION_STEPS, ON_PURPOSE, ORDER_STEPS, PAYMENT_STEPS, RESERVATION_STEPS


def illegal_return(before: Notification | None, after: Notification) -> list[Violation]:
    """A message comes back once each time that it is sent, however often that is reported; else Sent is the end."""
    if before is None or (before.bounced_at is None and before.status != "Sent"):
        return []
    name = f"notification {after.id}"
    if before.bounced_at is not None and after.bounces != before.bounces:
        detail = "it came back again, and it was not sent again"
        return [violated(Invariant.LEGAL_STEPS, "bounced-twice", name, detail)]
    if before.bounced_at is None and after.bounces == before.bounces:
        detail = "it was sent, did not come back, and was written again"
        rule = "written-for-nothing" if after.status == "Sent" else "illegal-step"
        return [violated(Invariant.LEGAL_STEPS, rule, name, detail)]
    return []


def illegal_step(before: Any | None, after: Any) -> list[Violation]:
    """Is the change of this record one that there is?"""
    table = _STEPS.get(type(after))
    if table is None:
        return []
    name = type(after).__name__.lower()
    known = before.status if before is not None else None
    found: list[Violation] = []
    if after.status not in table.get(known, ()):
        detail = f"it went from {known or 'nothing'} to {after.status}"
        found.append(violated(Invariant.LEGAL_STEPS, "illegal-step", f"{name} {after.id}", detail))
    if before is None:
        is_paid = isinstance(after, Payment) and after.status == "Completed"
        if is_paid and after.amount.amount and after.till is None:
            detail = f"{after.amount} were completed without having been charged"
            found.append(violated(Invariant.ONE_CAPTURE, "completed-uncharged", f"payment {after.id}", detail))
        return found
    if isinstance(after, Order):
        found += _illegal_change(before, after)
    if isinstance(after, Reservation):
        found += _illegal_reservation(before, after)
    if isinstance(after, Payment) and after.round != before.round + (known == "Failed" and after.status == "Pending"):
        detail = f"it went from round {before.round} ({known}) to round {after.round} ({after.status})"
        found.append(violated(Invariant.LEGAL_STEPS, "illegal-round", f"payment {after.id}", detail))
    is_learnt = isinstance(after, Payment) and after.shares and not before.shares  # what a cart had is heard of now
    for field in () if is_learnt else _FIXED[type(after)]:
        if getattr(before, field) != getattr(after, field):
            detail = f"its {field} went from {getattr(before, field)} to {getattr(after, field)}"
            found.append(violated(Invariant.LEGAL_STEPS, "changed", f"{name} {after.id}", detail))
    return found


def _illegal_reservation(before: Reservation, after: Reservation) -> list[Violation]:
    """What a write may not do to a reservation whose status may stay as it is."""
    name, is_same = f"reservation {after.id}", before.status == after.status and after.status != "Released"
    if after.moved[: len(before.moved)] != before.moved:
        detail = f"its seats were moved by {before.moved}, and then by {after.moved}"
        return [violated(Invariant.LEGAL_STEPS, "moves-lost", name, detail)]
    if is_same and (before.returns, before.moved) == (after.returns, after.moved):
        detail = f"it was written again as it was, {after.status}"
        return [violated(Invariant.LEGAL_STEPS, "written-for-nothing", name, detail)]
    return []


def _illegal_change(before: Order, after: Order) -> list[Violation]:
    """Changes that no write may make to an order, even where its step from one status to the next is legal."""
    ends = (before.status, before.reason), (after.status, after.reason)
    if before.status == "Cancelled" and before.reason in ON_PURPOSE and ends[0] != ends[1]:
        detail = f"it was {before.reason}, and was changed to {after.status}"
        return [violated(Invariant.ONE_WINNER, "revived", f"order {after.id}", detail)]
    kept = [
        (
            *(each.payment, each.looks, each.moved, each.refunds, each.amendments, each.resends),
            *(each.was_sealed, each.moves),
        )
        for each in (before, after)
    ]
    if after.status != "Pending" and ends[0] == ends[1] and kept[0] == kept[1]:
        detail = f"it was written again as it was, {after.status}"
        return [violated(Invariant.LEGAL_STEPS, "written-for-nothing", f"order {after.id}", detail)]
    known = (0, 0) if before.payment is None else (before.payment.round, _STAGE[before.payment.status])
    shown = (0, 0) if after.payment is None else (after.payment.round, _STAGE[after.payment.status])
    if shown < known:
        detail = f"its payment went back from {before.payment} to {after.payment}"
        return [violated(Invariant.LEGAL_STEPS, "payment-went-back", f"order {after.id}", detail)]
    return []


_STAGE: Mapping[str, int] = {"Pending": 1, "Completed": 2, "Declined": 2, "Failed": 2, "Refunded": 3}


_STEPS: Mapping[type[Any], Mapping[str | None, frozenset[str]]] = {
    Order: ORDER_STEPS,
    Reservation: RESERVATION_STEPS,
    Payment: PAYMENT_STEPS,
    Notification: NOTIFICATION_STEPS,
}


_FIXED: Mapping[type[Any], tuple[str, ...]] = {
    Order: ("concert_id", "user_id", "quantity"),
    Reservation: ("concert_id", "section", "quantity", "order_id", "expires_at"),
    Payment: ("order_id", "concert_id", "quantity", "amount"),
    Notification: ("order_id", "kind"),
}
