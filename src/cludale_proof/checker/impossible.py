"""What events say that can't have been: steps that nothing may take, sums and counts that don't fit together."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cludale_proof.checker.documents import TicketCount
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant
from cludale_proof.checker.history import (
    FAILURES,
    OrderHistory,
    OrderTold,
    PaymentTold,
    ReservationTold,
    Seats,
    Wrong,
)


def impossible(told: OrderHistory) -> Iterator[Wrong]:
    """What of this order's events can't have been."""
    yield from _order(told.order, told.moves)
    for key, reservation in told.reservations.items():
        yield from _reservation(key, reservation, told.order)
    for payment in told.payments.values():
        yield from _payment(payment)
    yield from _together(told)
    yield from _parts(told)
    for key, reservation in told.reservations.items():
        yield from _moves(key[2], reservation)
    yield from _reseats(told)


def _order(order: OrderTold, moves: Mapping[int, Fact]) -> Iterator[Wrong]:
    there = tuple(fact for fact in order if fact is not None)
    if there and order.placed is None:
        yield Wrong(Invariant.LEGAL_STEPS, "never-placed", "it has events, and was never placed", there)
    if order.paid is not None and order.reserved is None:
        yield Wrong(Invariant.LEGAL_STEPS, "paid-unreserved", "it was paid without having had seats", there)
    if order.failed is not None:
        data = order.failed.event.data
        if data.reason not in FAILURES:
            yield Wrong(Invariant.LEGAL_STEPS, "unknown-reason", f"cancelled for {data.reason!r}", (order.failed,))
        if data.was_paid:
            yield Wrong(
                Invariant.ONE_WINNER, "paid-order-failed", f"it was Paid, and then cancelled for {data.reason}", there
            )
    if order.on_purpose is not None and bool(order.on_purpose.event.data.was_paid) is not (order.paid is not None):
        claim = "was Paid" if order.on_purpose.event.data.was_paid else "was not Paid"
        truth = "there is an OrderPaid" if order.paid is not None else "there is no OrderPaid"
        yield Wrong(
            Invariant.ONE_WINNER, "cancel-and-pay", f"it {claim} when it was cancelled on purpose, and {truth}", there
        )
    if order.on_purpose is not None and order.reserved is not None and order.failed is None:
        end, until = order.on_purpose.event, order.reserved.event.data.cancel_until
        before = [each.event.data for each in moves.values() if each.event.time <= end.time]
        if before and until is not None:
            until = max(before, key=lambda data: data.revision or 0).cancel_until
        told_then = not end.repeated  # one that is told again has the time of that
        if told_then and end.data.reason == "cancelled-by-buyer" and until is not None and end.time >= until:
            detail = f"the buyer cancelled at {end.time}, and could until {until}"
            yield Wrong(Invariant.LEGAL_STEPS, "cancelled-too-late", detail, there)
    for field in ("concert_id", "quantity", "user_id", "total"):
        # What an event doesn't tell, or not yet, is None there.
        if len({getattr(fact.event.data, field) for fact in there} - {None}) > 1:
            yield Wrong(Invariant.LOG_GIVES_STORES, f"{field}-differs", f"its events differ in {field}", there)


def _reservation(key: Seats, told: ReservationTold, order: OrderTold) -> Iterator[Wrong]:
    id = key[2]
    if told.reserved is None:
        yield Wrong(Invariant.ONE_END, "never-held", f"the seats of {id} moved without having been held", told.facts)
    if len({fact.event.data.quantity for fact in told.facts}) > 1:
        yield Wrong(Invariant.SEATS_ADD_UP, "quantity-differs", f"the events of {id} differ in quantity", told.facts)
    if told.sold is not None and told.released is not None:
        reason = told.released.event.data.reason
        if reason != "order-cancelled" or order.on_purpose is None:
            yield Wrong(
                Invariant.ONE_WINNER,
                "sold-and-released",
                f"the seats of {id} were sold, and released for {reason} though nobody cancelled the order",
                told.facts,
            )


def _payment(told: PaymentTold) -> Iterator[Wrong]:
    if len(told.completed) > 1:
        yield Wrong(
            Invariant.ONE_CAPTURE,
            "charged-twice",
            f"the money was taken in rounds {', '.join(map(str, sorted(told.completed)))}",
            tuple(told.completed.values()),
        )
    ended = sorted([*told.completed, *told.failed])
    both = sorted(told.completed.keys() & told.failed.keys())
    if both:
        yield Wrong(Invariant.ONE_CAPTURE, "completed-and-failed", f"round {both[0]} completed and failed", told.facts)
    elif ended != list(range(1, len(ended) + 1)):
        yield Wrong(Invariant.LEGAL_STEPS, "rounds-have-gaps", f"the rounds that ended are {ended}", told.facts)
    elif told.completed and max(told.completed) != ended[-1]:
        yield Wrong(
            Invariant.ONE_CAPTURE, "failed-after-charge", "a round failed after the money was taken", told.facts
        )
    if told.refunded.keys() - told.completed.keys():
        yield Wrong(Invariant.ONE_CAPTURE, "refund-of-nothing", "a refund of a round that took no money", told.facts)


def _together(told: OrderHistory) -> Iterator[Wrong]:
    failed = {round: fact for payment in told.payments.values() for round, fact in payment.failed.items()}
    for round, request in told.requests.items():
        before = failed.get(round - 1)
        if before is None or before.event.data.retry_until is None:
            yield Wrong(
                Invariant.ONE_CAPTURE,
                "requested-untold",
                f"round {round} was asked for, and round {round - 1} did not fail so that another could follow",
                (request,),
            )
        elif request.event.time >= before.event.data.retry_until:
            yield Wrong(
                Invariant.ONE_CAPTURE,
                "requested-too-late",
                f"round {round} was asked for after its seats were given back",
                (before, request),
            )
    sold = [each for each in told.reservations.values() if each.sold is not None]
    if len(sold) > 1:
        facts = tuple(fact for each in sold for fact in each.facts)
        yield Wrong(Invariant.ONE_LIVE_RESERVATION, "two-sales", "seats were sold to it twice", facts)
    if len(told.refusals) > 1:
        yield Wrong(Invariant.PAID_MEANS_SOLD, "refused-twice", "its sale was refused twice", told.refusals)
    if told.refusals and sold:
        facts = (*told.refusals, *(fact for each in sold for fact in each.facts))
        yield Wrong(Invariant.PAID_MEANS_SOLD, "sold-and-refused", "its money got seats, and was refused", facts)
    charged = any(payment.completed for payment in told.payments.values())
    if not charged and (sold or told.refusals):
        facts = (*told.refusals, *(fact for each in sold for fact in each.facts))
        yield Wrong(Invariant.PAID_MEANS_SOLD, "sold-unpaid", "its sale was decided before any money came", facts)
    if told.order.paid is not None and not sold:
        yield Wrong(
            Invariant.PAID_MEANS_SOLD, "paid-without-sale", "it was Paid without a SeatsSold", (told.order.paid,)
        )
    if (
        any(payment.refunded for payment in told.payments.values())
        and told.order.on_purpose is None
        and not told.refusals
    ):
        facts = tuple(fact for payment in told.payments.values() for fact in payment.refunded.values())
        yield Wrong(
            Invariant.ONE_CAPTURE,
            "refunded-unasked",
            "nobody cancelled it, and its money went back",
            facts,
        )


def _moves(id: str, told: ReservationTold) -> Iterator[Wrong]:
    """Moves follow one another, and each says what it changes and nothing else."""
    numbers = sorted(told.moved)
    if numbers != list(range(1, len(numbers) + 1)):
        detail = f"the moves of {id} that are told are {numbers}"
        yield Wrong(Invariant.LEGAL_STEPS, "moves-have-gaps", detail, tuple(told.moved.values()))
        return
    for number in numbers:
        fact, before = told.moved[number], told.seats_after(number - 1)
        data = fact.event.data
        if before is None or data.numbered_seats is None:
            detail = f"{id} was moved without having had seats"
            yield Wrong(Invariant.SEATS_ADD_UP, "moved-from-nowhere", detail, (fact,))
            continue
        wanted = [each for at, each in enumerate(before, 1) if at in (data.numbers or ())]
        had = sorted(data.seats_before or (), key=lambda each: each.at)
        others = [at for at, pair in enumerate(zip(before, data.numbered_seats, strict=False), 1) if pair[0] != pair[1]]
        is_wrong = sorted(wanted, key=lambda each: each.at) != had or not set(others) <= set(data.numbers or ())
        if is_wrong or len(before) != len(data.numbered_seats):
            detail = f"move {number} of {id} says {data.numbers} of {data.seats_before}; seats {others} differ"
            yield Wrong(Invariant.SEATS_ADD_UP, "moved-otherwise", detail, (fact,))


def _reseats(told: OrderHistory) -> Iterator[Wrong]:
    """An order has the seats that its reservation was moved to, and says so once it is paid."""
    of = {(key[2], number): fact for key, each in told.reservations.items() for number, fact in each.moved.items()}
    for number, fact in told.reseats.items():
        moved = of.get((fact.event.data.reservation_id or "", number))
        if moved is None:
            yield Wrong(Invariant.LOG_GIVES_STORES, "reseated-unmoved", "it has other seats, and none moved", (fact,))
        elif moved.event.data.numbered_seats != fact.event.data.numbered_seats:
            detail = "it has other seats than those that it was moved to"
            yield Wrong(Invariant.LOG_GIVES_STORES, "reseated-otherwise", detail, (moved, fact))
    if told.reseats and told.order.paid is None:
        facts = tuple(told.reseats.values())
        yield Wrong(Invariant.LEGAL_STEPS, "reseated-unpaid", "it told of other seats, and was never Paid", facts)


def _parts(told: OrderHistory) -> Iterator[Wrong]:
    """Part refunds: asked for one after another, never more than there is, and each carried out as it was asked for."""
    asked = [told.parts[number] for number in sorted(told.parts)]
    if sorted(told.parts) != list(range(1, len(asked) + 1)):
        detail = f"the part refunds that were asked for are {sorted(told.parts)}"
        yield Wrong(Invariant.LEGAL_STEPS, "parts-have-gaps", detail, tuple(asked))
    if asked and told.order.paid is None:
        yield Wrong(Invariant.ONE_CAPTURE, "part-of-unpaid", "it was refunded in part, and never Paid", tuple(asked))
    yield from _amounts(told.order, asked)
    done = [fact for payment in told.payments.values() for fact in payment.parts.values()]
    back = [fact for each in told.reservations.values() for fact in each.returned.values()]
    for fact in done:
        request = told.parts.get(fact.event.data.part.number if fact.event.data.part else 0)
        if request is None:
            yield Wrong(Invariant.ONE_CAPTURE, "part-unasked", "a part went back that nobody asked for", (fact,))
        elif request.event.data.part != fact.event.data.part:
            yield Wrong(Invariant.ONE_CAPTURE, "part-differs", "another part went back than was asked", (request, fact))
    for fact in back:
        request = told.parts.get(fact.event.data.number or 0)
        wanted = request.event.data.part.tickets if request is not None and request.event.data.part else None
        if wanted is None:
            yield Wrong(Invariant.SEATS_ADD_UP, "returned-unasked", "seats went back that nobody gave back", (fact,))
        elif wanted != fact.event.data.tickets:
            detail = f"{fact.event.data.tickets} seats went back, and {wanted} were given back"
            yield Wrong(Invariant.SEATS_ADD_UP, "returned-otherwise", detail, (fact,))
    off = told.order.on_purpose
    if off is not None and [fact.event.data.part for fact in asked] != list(off.event.data.part_refunds):
        detail = f"it was cancelled with {len(off.event.data.part_refunds)} part refunds, and had {len(asked)}"
        yield Wrong(Invariant.ONE_CAPTURE, "parts-cancelled-otherwise", detail, (*asked, off))


def worth_of(bill: Mapping[str, Any], of: Iterable[TicketCount]) -> int | None:
    """What tickets of these categories were bought for, fees and taxes and all; None: the bill has none of one."""
    lines = {line["category"]: line for line in bill["lines"]}
    if any(each.category not in lines for each in of):
        return None
    found = 0
    for each in of:
        line = lines[each.category]
        found += line["total"] // line["quantity"] * each.quantity
    return found


def _amounts(order: OrderTold, asked: list[Fact]) -> Iterator[Wrong]:
    """Does each part leave what it says, of money and tickets, and is a ticket's part what was paid for it?"""
    if order.reserved is None or order.total is None:
        return
    left, held = order.total.amount, order.reserved.event.data.quantity or 0
    each = left // held if held else 0
    bill, given = order.reserved.event.data.bill, dict[str, int]()
    for fact in asked:
        part = fact.event.data.part
        if part is None:
            continue
        worth: int | None = each * part.tickets
        if bill is not None:
            for tickets in part.of:
                given[tickets.category] = given.get(tickets.category, 0) + tickets.quantity
            kept = {line["category"]: line["quantity"] - given.get(line["category"], 0) for line in bill["lines"]}
            worth = worth_of(bill, part.of) if min(kept.values()) >= 0 else None
        if part.tickets and (worth is None or part.amount.amount != min(worth, left)):
            detail = f"{part.amount} go back for {part.tickets} tickets; a ticket was {each}, and {left} were left"
            yield Wrong(Invariant.ONE_CAPTURE, "part-priced-otherwise", detail, (fact,))
        left, held = left - part.amount.amount, held - part.tickets
        if left < 0 or held < 1:
            detail = f"after part refund {part.number}, {left} of the money and {held} tickets are left"
            yield Wrong(Invariant.ONE_CAPTURE, "refunded-too-much", detail, tuple(asked))
        if (part.left.amount, part.held) != (left, held):
            detail = (
                f"part refund {part.number} says that {part.left} and {part.held} are left; it is {left} and {held}"
            )
            yield Wrong(Invariant.ONE_CAPTURE, "left-differs", detail, (fact,))
