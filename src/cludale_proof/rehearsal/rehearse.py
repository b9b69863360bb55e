"""The rehearsal from beginning to end: put on a concert, let the buyers come, let things settle, check."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from secrets import token_hex
from time import perf_counter
from typing import Final, NamedTuple

import msgspec

from cludale.web.http1 import Target
from cludale_proof.rehearsal import checks, door_checks, evening, seat_checks
from cludale_proof.rehearsal.buyers import LOOK_SECONDS, FreeSeatsSeen, Orders
from cludale_proof.rehearsal.hall import Hall, has_places_aside
from cludale_proof.rehearsal.latencies import Latencies
from cludale_proof.rehearsal.load import Load, Tally, at_random
from cludale_proof.rehearsal.organizer import Organizer
from cludale_proof.rehearsal.plan import (
    AuditedEvent,
    CannotRehearse,
    Check,
    Concert,
    Evening,
    Order,
    Plan,
    RehearsalOutcome,
    Reporter,
    latency_of,
)

_REPORT_SECONDS: Final = 0.2
_POLL_SECONDS: Final = 0.1

_ACCEPTED: Final = (201, 202)
_REFUSED: Final = 409
_TURNED_AWAY: Final = (429, 503)


class _Accepted(msgspec.Struct, frozen=True):
    id: str


class _Refused(msgspec.Struct, frozen=True):
    type: str


async def rehearse(plan: Plan, report: Reporter) -> RehearsalOutcome:
    """Hold the rehearsal. Raises CannotRehearse where there is nothing to judge."""
    target = _target(plan.url)
    async with Organizer(plan.url, plan.organizer_key, plan.headers, trust=plan.trust) as organizer:
        concert = await _open(plan, organizer)
        seats = await _seats(plan, organizer, concert)
        report.opened(concert.id, plan)
        crowd = _Crowd()
        orders = Orders(plan, target, concert.id)
        load = Load(
            target,
            orders.by_quantity() if seats is None else orders.of_seats(seats.hall, seats.seen, seats.named),
            connections=plan.connections,
            timeout_seconds=plan.timeout_seconds,
            arrivals=None if plan.rate is None else at_random(plan.rate, seed=plan.seed),
            hear=crowd.hear,
            trust=plan.trust,
        )
        await _sell(load, crowd, report, seats)
        settled_at = await _settle(plan, organizer, concert.id, len(crowd.accepted), report)
        found = await _look(plan, organizer, concert.id, report)
        outcome = _outcome(plan, load.tally, crowd, settled_at, found)
        if seats is not None:
            more = seat_checks.of(await seats.sold(), found.orders, found.events)
            outcome = msgspec.structs.replace(outcome, checks=[*outcome.checks, *more])
        if not plan.doors or not outcome.ok:
            return outcome
        paid = [order.id for order in found.orders if order.status == "Paid"]
        return _with_evening(outcome, await evening.hold(plan, target, organizer, concert.id, paid, report))


def _with_evening(outcome: RehearsalOutcome, held: Evening) -> RehearsalOutcome:
    return msgspec.structs.replace(outcome, evening=held, checks=[*outcome.checks, *door_checks.of(held)])


class _Seats(NamedTuple):
    """The numbered seats of the concert: where they are, what buyers see of them, and who named some."""

    hall: Hall
    seen: FreeSeatsSeen
    named: set[str]

    async def sold(self) -> seat_checks.Sold:
        """What there is to judge in the end."""
        await asyncio.sleep(2 * LOOK_SECONDS)  # what is shown may be that old
        seen = await self.seen.look()
        zones = {each.id: each.zone for each in seen.sections}
        taken = {
            id
            for each in seen.sections
            for place, id in enumerate(self.hall.ids[each.zone])
            if not int.from_bytes(each.free, "little") >> place & 1
        }
        return seat_checks.Sold(self.hall, taken, zones, self.named)


async def _seats(plan: Plan, organizer: Organizer, concert: Concert) -> _Seats | None:
    """None: the concert has no seats with numbers."""
    if concert.seat_plan is None:
        return None
    said = await organizer.seat_plan(concert.id)
    seats = _Seats(Hall(said), FreeSeatsSeen(organizer, concert.id, plan.section, has_places_aside(said)), set())
    await seats.seen.look()
    return seats


class _Crowd:
    """What the buyers were told."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.refused: dict[str, int] = {}
        self.unreadable = 0
        self._accepted = msgspec.json.Decoder(_Accepted)
        self._refused = msgspec.json.Decoder(_Refused)

    def hear(self, status: int, body: bytes) -> None:
        """One answer."""
        try:
            if status in _ACCEPTED:
                self.accepted.append(self._accepted.decode(body).id)
            elif status == _REFUSED:
                name = self._refused.decode(body).type.rpartition("/")[2]
                self.refused[name] = self.refused.get(name, 0) + 1
        except msgspec.MsgspecError:
            self.unreadable += 1

    @property
    def refusals(self) -> int:
        """How many were told no."""
        return sum(self.refused.values())


class _Found(NamedTuple):
    """How things stand in the end."""

    concert: Concert
    orders: Sequence[Order]
    events: Sequence[AuditedEvent]
    chain: Check


def _target(url: str) -> Target:
    try:
        return Target.of(url)
    except ValueError as error:
        raise CannotRehearse(str(error)) from error


async def _open(plan: Plan, organizer: Organizer) -> Concert:
    if plan.concert_id is None:
        return await organizer.put_on(plan, f"rehearsal-{token_hex(6)}")
    concert = await organizer.concert(plan.concert_id)
    if plan.most_tickets > concert.max_per_order:
        raise CannotRehearse(f"{concert.id} sells at most {concert.max_per_order} tickets in an order")
    return concert


async def _sell(load: Load, crowd: _Crowd, report: Reporter, seats: _Seats | None) -> None:
    sale = asyncio.create_task(load.run())
    looking = None if seats is None else asyncio.create_task(seats.seen.keep_looking())
    try:
        while not sale.done():
            await asyncio.wait([sale], timeout=_REPORT_SECONDS)
            report.selling(load.tally, crowd.refusals, len(crowd.accepted))
        sale.result()
    finally:
        sale.cancel()
        if looking is not None:
            looking.cancel()


async def _settle(plan: Plan, organizer: Organizer, concert_id: str, accepted: int, report: Reporter) -> float | None:
    """When every order was at its end state, by perf_counter; None if that took too long."""
    deadline = perf_counter() + plan.settle_seconds
    while True:
        unsettled = await organizer.unsettled(concert_id)
        now = perf_counter()
        report.settling(max(accepted - unsettled, 0), accepted)
        if not unsettled:
            return now
        if now > deadline:
            return None
        await asyncio.sleep(_POLL_SECONDS)


async def _look(plan: Plan, organizer: Organizer, concert_id: str, report: Reporter) -> _Found:
    """Read everything there is to judge; what the audit has not heard yet gets time to arrive."""
    orders: Sequence[Order] = ()
    events: list[AuditedEvent] = []
    deadline = perf_counter() + plan.settle_seconds
    async with aclosing(organizer.events(concert_id)) as pages:
        async for page in pages:
            events += page
            report.auditing(len(events))
            if page:
                continue
            # Anew each time: even a Cancelled order moves on, if its money comes late and its seats are found again.
            orders = await organizer.orders(concert_id)
            if checks.stories_whole(orders, events).ok or perf_counter() > deadline:
                break
            await asyncio.sleep(_POLL_SECONDS)
    verdict = await organizer.verify()
    chain = checks.chain_verifies(verdict.ok, verdict.events, verdict.head)
    return _Found(await organizer.concert(concert_id), orders, events, chain)


def _outcome(plan: Plan, tally: Tally, crowd: _Crowd, settled_at: float | None, found: _Found) -> RehearsalOutcome:
    understood = {*_ACCEPTED, _REFUSED, *_TURNED_AWAY}
    errors = {f"status {status}": count for status, count in tally.statuses.items() if status not in understood}
    errors |= dict(sorted(tally.errors.items()))
    if crowd.unreadable:
        errors["unreadable answer"] = crowd.unreadable
    buyers = tally.answered + tally.failed
    orders: dict[str, int] = {}
    for order in found.orders:
        orders[order.status] = orders.get(order.status, 0) + 1
    settled_seconds = None if settled_at is None else settled_at - tally.began
    return RehearsalOutcome(
        concert_id=found.concert.id,
        with_keys=plan.with_keys,
        buyers=buyers,
        accepted=len(crowd.accepted),
        refused=dict(sorted(crowd.refused.items())),
        turned_away=tally.count(*_TURNED_AWAY),
        errors=errors,
        seats_sold=found.concert.sold_seats,
        orders=orders,
        seconds=tally.seconds,
        settled_seconds=settled_seconds,
        answers_per_second=tally.answered / tally.seconds if tally.seconds else 0.0,
        orders_per_second=len(crowd.accepted) / settled_seconds if settled_seconds else None,
        latency=latency_of(Latencies.merged(tally.latencies.values())),
        load_cpu_ms_per_buyer=tally.cpu_seconds / buyers * 1000 if buyers else 0.0,
        checks=[
            checks.nothing_oversold(found.concert),
            checks.sold_is_paid(found.concert, found.orders, found.events),
            checks.none_lost(crowd.accepted, found.orders),
            checks.all_settled(found.orders),
            checks.stories_whole(found.orders, found.events),
            checks.in_causal_order(found.events),
            found.chain,
            checks.buyers_answered(buyers, errors),
        ],
    )
