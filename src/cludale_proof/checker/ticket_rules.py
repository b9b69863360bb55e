"""The rules of an order's tickets: the record, its events, and the order that they belong to.

Each event says which step it is of its order's tickets, so that they can be put in order whatever the log's is.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import replace

from cludale_proof.checker.documents import Move, NumberedSeat, OrderTickets, Ticket
from cludale_proof.checker.events import Event, EventData, Fact
from cludale_proof.checker.findings import Invariant
from cludale_proof.checker.history import OrderHistory, Wrong

_FRESH = Ticket()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Told(NamedTuple):
    """What the events of an order's tickets come to."""

    issued: int
    """How many were; 0 for none."""
    tickets: Mapping[int, Ticket]
    parts: tuple[int, ...]
    """The part refunds with which some were given back."""
    seats: tuple[NumberedSeat, ...] | None
    """Which they are for, where seats have numbers."""
    wrong: tuple[Wrong, ...]

    @property
    def valid(self) -> int:
        """How many let somebody in."""
        return sum(self.tickets.get(number, _FRESH).revoked is None for number in range(1, self.issued + 1))


def always(record: OrderTickets | None, told: OrderHistory, *, whole: bool) -> Iterator[Wrong]:
    """What is broken at any instant. `whole`: all events up to it are known."""
    steps = [fact.event.data.step for fact in told.tickets]
    if len(set(steps)) < len(steps):
        yield _wrong("ticket-step-twice", f"its tickets made the steps {steps}", *told.tickets)
        return
    if not whole:
        return
    if steps != list(range(1, len(steps) + 1)):
        yield _wrong("ticket-steps-have-gaps", f"its tickets made the steps {steps}", *told.tickets)
        return
    tickets = _read_facts(told.tickets)
    yield from tickets.wrong
    yield from _of_the_order(told)
    yield from _as_told(record, told, tickets)


def once_quiet(record: OrderTickets | None, told: OrderHistory, *, since: datetime | None) -> Iterator[Wrong]:
    """What is left undone when nothing is under way any more."""
    paid, off = told.order.paid, told.order.on_purpose
    if record is None:
        if paid is not None and since is not None and paid.event.time >= since:
            yield _wrong("never-issued", "it was Paid, and has no tickets", paid)
        return
    seats = 0 if off is not None or paid is None else (paid.event.data.quantity or 0) - _given_back(told)
    tickets = _read_facts(told.tickets)
    valid = tickets.valid
    if valid != seats:
        yield _wrong("tickets-and-seats", f"it has {seats} seats and {valid} valid tickets", *told.tickets)
    if not seats or paid is None or tickets.seats is None:
        return
    last = told.reseats[max(told.reseats)] if told.reseats else paid
    has = last.event.data.numbered_seats or ()
    wrong = [
        number
        for number, (of_ticket, of_order) in enumerate(zip(tickets.seats, has, strict=False), 1)
        if of_ticket != of_order and tickets.tickets.get(number, _FRESH).revoked is None
    ]
    if wrong:
        yield _wrong("tickets-for-other-seats", f"tickets {wrong} are for other seats than the order has", last)


def _of_the_order(told: OrderHistory) -> Iterator[Wrong]:
    for fact in told.tickets:
        data = fact.event.data
        if fact.event.type == "TicketIssued":
            paid = told.order.paid
            if paid is None:
                yield _wrong("issued-unpaid", "its tickets were issued, and it was never Paid", fact)
            elif data.quantity != paid.event.data.quantity:
                detail = f"{data.quantity} tickets were issued for {paid.event.data.quantity} seats"
                yield _wrong("issued-otherwise", detail, paid, fact)
            elif data.numbered_seats != paid.event.data.numbered_seats:
                detail = f"tickets are for {data.numbered_seats}, paid were {paid.event.data.numbered_seats}"
                yield _wrong("issued-otherwise", detail, paid, fact)
        elif fact.event.type == "TicketReseated" and data.moves not in told.reseats:
            yield _wrong("reseated-unasked", "its tickets are for other seats, and the order told of none", fact)
        elif fact.event.type == "TicketRevoked" and data.reason == "order-cancelled" and told.order.on_purpose is None:
            yield _wrong("revoked-unasked", "its tickets are void, and nobody cancelled it", fact)
        elif fact.event.type == "TicketRevoked" and data.reason == "given-back":
            yield from _with_a_part(told, fact)


def _with_a_part(told: OrderHistory, fact: Fact) -> Iterator[Wrong]:
    """Are these the tickets that a part refund gave back, as many as it says?"""
    number, void = fact.event.data.part_number, len(fact.event.data.numbers or ())
    request = told.parts.get(number or 0)
    wanted = 0 if request is None or request.event.data.part is None else request.event.data.part.tickets
    if request is None:
        yield _wrong("given-back-unasked", f"{void} of its tickets are void for a part refund that is not there", fact)
    elif void != wanted:
        detail = f"{void} of its tickets are void for part refund {number}, which gave back {wanted}"
        yield _wrong("given-back-otherwise", detail, request, fact)


def _given_back(told: OrderHistory) -> int:
    """How many seats went back with part refunds."""
    parts = (fact.event.data.part for fact in told.parts.values())
    return sum(part.tickets for part in parts if part is not None)


def _as_told(record: OrderTickets | None, told: OrderHistory, tickets: _Told) -> Iterator[Wrong]:
    if record is None:
        if told.tickets:
            yield _wrong("tickets-lost", "its tickets have events, and are not there", *told.tickets)
        return
    # what several people showed at once, or a device tells, is one write with several events of one time
    writes = len({fact.event.time for fact in told.tickets})
    is_off = record.version and not writes <= record.version <= len(told.tickets) + told.erasures
    if is_off or record.step != len(told.tickets):
        detail = f"its tickets are at version {record.version}, step {record.step}, after {len(told.tickets)} events"
        yield _wrong("tickets-untold", detail, *told.tickets)
        return
    its = None if record.allocation is None else record.allocation.numbered_seats
    if its != tickets.seats:
        yield _wrong("tickets-differ", f"its tickets are for {its}; told are {tickets.seats}", *told.tickets)
    quantity = 0 if record.allocation is None else record.allocation.quantity
    if quantity != tickets.issued or dict(record.changed) != dict(tickets.tickets):
        detail = f"its tickets are {quantity}: {dict(record.changed)}; told are {tickets.issued}: {tickets.tickets}"
        yield _wrong("tickets-differ", detail, *told.tickets)
    if record.parts != tickets.parts:
        detail = (
            f"its tickets say that they were given back with the part refunds {record.parts}; told: {tickets.parts}"
        )
        yield _wrong("tickets-differ", detail, *told.tickets)


def _read_facts(facts: tuple[Fact, ...]) -> _Told:
    issued, tickets, parts, wrong = 0, dict[int, Ticket](), list[int](), list[Wrong]()
    seats: tuple[NumberedSeat, ...] | None = None
    for fact in facts:
        event, data = fact.event, fact.event.data
        if event.type == "TicketIssued":
            if fact is not facts[0]:
                wrong.append(_wrong("issued-twice", "tickets were issued after something had happened to them", *facts))
            issued, seats = data.quantity or 0, data.numbered_seats
            continue
        if event.type == "TicketReseated":
            wrong += _reseated_otherwise(fact, seats or (), tickets)
            seats = data.numbered_seats
        if event.type == "TicketRevoked" and data.part_number is not None:
            if data.part_number in parts:
                detail = f"tickets were given back twice with part refund {data.part_number}"
                wrong.append(_wrong("given-back-twice", detail, *facts))
            parts.append(data.part_number)
        for number in data.numbers or (() if data.number is None else (data.number,)):
            before = tickets.get(number, _FRESH)
            if not 1 <= number <= issued:
                wrong.append(_wrong("no-such-ticket", f"{event.type} of ticket {number}, and there are {issued}", fact))
            elif before.revoked is not None and event.type not in ("AdmissionUndone", "ScanMerged", "TicketLeft"):
                wrong.append(_wrong("void-ticket-used", f"{event.type} of ticket {number}, which was void", fact))
            after, problem = _after(before, event)
            tickets[number] = after
            if problem is not None:
                wrong.append(_wrong(problem, f"{event.type} of ticket {number}, which was {before}", *facts))
    return _Told(issued, tickets, tuple(parts), seats, tuple(wrong))


def _reseated_otherwise(fact: Fact, before: Sequence[NumberedSeat], tickets: Mapping[int, Ticket]) -> Iterator[Wrong]:
    """Each valid ticket whose seat became another one has a new code, and no other has."""
    pairs = enumerate(zip(before, fact.event.data.numbered_seats or (), strict=False), 1)
    moved = [number for number, (was, now) in pairs if was != now and tickets.get(number, _FRESH).revoked is None]
    if moved != list(fact.event.data.numbers or ()):
        detail = f"tickets {fact.event.data.numbers} have new codes, and the seats of {moved} became others"
        yield _wrong("reseated-otherwise", detail, fact)


def _after(before: Ticket, event: Event) -> tuple[Ticket, str | None]:
    """The ticket after this event, and which rule that breaks."""
    data = event.data
    match event.type:
        case "TicketRevoked" | "TicketReseated":
            is_moved = event.type == "TicketReseated"
            generation, reseated = before.generation + is_moved, before.reseated + is_moved
            revoked = before.revoked if is_moved else data.reason
            return replace(before, generation=generation, reseated=reseated, revoked=revoked), None
        case "TicketTransferred":
            after = replace(before, generation=data.generation or 0)
            return (
                after,
                None if after.generation == before.generation + 1 and not before.moves else "transferred-wrongly",
            )
        case "AdmissionUndone":
            return _undone(before, data)
        case "ScanMerged":
            return _merged(before, data)
        case _:
            is_in = event.type == "TicketAdmitted"
            move = Move(
                at=event.time, door=data.door or "", scan_id=data.scan_id or "", direction="in" if is_in else "out"
            )
            after = _moved(before, move)
            if is_in and data.generation != before.generation:
                return after, "admitted-with-a-void-code"
            rule = "admitted-twice" if is_in else "left-without-entering"
            return after, rule if is_in is bool(_inside(before)) else None


def _inside(ticket: Ticket) -> int:
    """How many are inside with it."""
    inside = 0
    for move in ticket.moves:
        inside = inside + 1 if move.direction == "in" else max(0, inside - 1)
    return inside


def _moved(before: Ticket, move: Move) -> Ticket:
    """With one movement more: by time, once a device has told something later."""
    moves = (*before.moves, move)
    if any(each.device for each in moves):
        moves = tuple(sorted(moves, key=lambda each: (each.at, each.device, each.sequence)))
    return replace(before, moves=moves)


def _undone(before: Ticket, data: EventData) -> tuple[Ticket, str | None]:
    """One admission did not count: the last, in events that don't say which."""
    if data.scan_id is None:
        return replace(before, moves=before.moves[:-1]), None if _inside(before) else "undone-for-nothing"
    off = [each for each in before.moves if each.scan_id == data.scan_id][-1:]
    if not off:
        return before, "undone-for-nothing"
    undone = tuple(sorted((*before.undone, *off), key=lambda each: (each.at, each.device, each.sequence)))
    return replace(before, moves=tuple(each for each in before.moves if each is not off[0]), undone=undone), None


def _merged(before: Ticket, data: EventData) -> tuple[Ticket, str | None]:
    """A device tells whom it let through: whoever that was, and once."""
    is_known = any(each.scan_id == data.scan_id for each in (*before.moves, *before.undone))
    move = Move(
        at=data.scanned_at or _EPOCH,
        door=data.door or "",
        scan_id=data.scan_id or "",
        direction=data.direction or "",
        device=data.device or "",
        sequence=data.sequence or 0,
        generation=data.generation or 0,
    )
    return _moved(before, move), "merged-twice" if is_known or not data.device else None


def _wrong(rule: str, detail: str, *facts: Fact) -> Wrong:
    return Wrong(Invariant.ONE_TICKET, rule, detail, facts)
