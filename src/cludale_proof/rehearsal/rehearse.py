"""The rehearsal from beginning to end: put on a concert, let the buyers come, let things settle, check."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from random import Random
from secrets import token_hex
from time import perf_counter
from typing import Final, NamedTuple
from uuid import uuid4

import msgspec

from cludale.web.http1 import Target
from cludale_proof.rehearsal import checks, door_checks, evening
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
    Outcome,
    Plan,
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


async def rehearse(plan: Plan, report: Reporter) -> Outcome:
    """Hold the rehearsal. Raises CannotRehearse where there is nothing to judge."""
    target = _target(plan.url)
    async with Organizer(plan.url, plan.organizer_key, plan.headers) as organizer:
        concert = await _open(plan, organizer)
        report.opened(concert.id, plan)
        crowd = _Crowd()
        load = Load(
            target,
            _requests(plan, target, concert.id),
            connections=plan.connections,
            timeout_seconds=plan.timeout_seconds,
            arrivals=None if plan.rate is None else at_random(plan.rate, seed=plan.seed),
            hear=crowd.hear,
        )
        await _sell(load, crowd, report)
        settled_at = await _settle(plan, organizer, concert.id, len(crowd.accepted), report)
        found = await _look(plan, organizer, concert.id, report)
        outcome = _outcome(plan, load.tally, crowd, settled_at, found)
        if not plan.doors or not outcome.ok:
            return outcome
        paid = [order.id for order in found.orders if order.status == "Paid"]
        return _with_evening(outcome, await evening.hold(plan, target, organizer, concert.id, paid, report))


def _with_evening(outcome: Outcome, held: Evening) -> Outcome:
    return msgspec.structs.replace(outcome, evening=held, checks=[*outcome.checks, *door_checks.of(held)])


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


def _requests(plan: Plan, target: Target, concert_id: str) -> Iterator[bytes]:
    """Each buyer's request. All that a request can vary in is encoded once, and the buyer's number put in."""
    random = Random(plan.seed)  # noqa: S311 - not for secrets
    kinds: dict[tuple[str, int], bytes] = {}
    mark = "buyer-########"
    # A UUID for each buyer but in its last digits, which count, so that no two rehearsals share a key.
    headers = plan.headers | ({"idempotency-key": f"{str(uuid4())[:-8]}########"} if plan.with_keys else {})
    for method in plan.payment_methods:
        for quantity in range(1, plan.most_tickets + 1):
            wanted: dict[str, object] = {"concertId": concert_id, "userId": mark, "quantity": quantity}
            wanted |= {"paymentMethod": method} | ({"section": plan.section} if plan.section is not None else {})
            kinds[method, quantity] = target.request("POST", "/orders", msgspec.json.encode(wanted), headers)
    methods, weights = list(plan.payment_methods), list(plan.payment_methods.values())
    for buyer in range(plan.buyers):
        method = methods[0] if len(methods) == 1 else random.choices(methods, weights)[0]
        quantity = 1 if plan.most_tickets == 1 else random.randint(1, plan.most_tickets)
        yield kinds[method, quantity].replace(b"########", b"%08d" % buyer)


async def _sell(load: Load, crowd: _Crowd, report: Reporter) -> None:
    sale = asyncio.create_task(load.run())
    try:
        while not sale.done():
            await asyncio.wait([sale], timeout=_REPORT_SECONDS)
            report.selling(load.tally, crowd.refusals, len(crowd.accepted))
        sale.result()
    finally:
        sale.cancel()


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


def _outcome(plan: Plan, tally: Tally, crowd: _Crowd, settled_at: float | None, found: _Found) -> Outcome:
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
    return Outcome(
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
