"""Bugs planted on purpose: each takes one piece of the real code and puts a wrong one in its place.

Every one of them is a mistake that somebody could make and a review could let pass. The simulator must find each;
`python -m cludale_proof.planted.hunt` shows within how many seeds. Nothing here is ever used but to try the simulator.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from cludale.adapters.dapr import inbound
from cludale.adapters.embedded import bus as embedded_bus
from cludale.kernel import buyers
from cludale.kernel.allocation import OrderSeats
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope
from cludale.kernel.money import Money
from cludale.kernel.refusals import Busy, Invalid, NotFound, Refusal
from cludale.ports.bus import Acknowledgement, Delivery, EventBus, Subscription
from cludale.ports.messengers import Trouble
from cludale.ports.outbox import Listener, Outbox, Outgoing
from cludale.ports.payment_gateway import GatewayTrouble
from cludale.ports.records import Commit, Committed, Handled, Key, Outcome, Put, StoreUnavailable
from cludale.ports.seats import SeatsHeld
from cludale.runtime import admission, aggregates, idempotency, recent, relay
from cludale.runtime.aggregates import NEW, Change, ChangeResult, TooEarly, Updated, Versioned
from cludale.runtime.dead_letters import DeadLetters
from cludale.services.audit import domain as audit_domain
from cludale.services.audit import service as audit_service
from cludale.services.audit import store as audit_store
from cludale.services.concerts import allowances, changes, codes, sections
from cludale.services.concerts import domain as concerts_domain
from cludale.services.concerts import service as concerts_service
from cludale.services.concerts.codes import Code
from cludale.services.concerts.domain import Cancel, Reservation, Return, Seating, Section, Sell
from cludale.services.concerts.events import ReleaseReason, SaleRefused, SeatsReleased
from cludale.services.concerts.price_list import Pricing
from cludale.services.notifications import domain as notifications_domain
from cludale.services.notifications import due as notifications_due
from cludale.services.notifications import service as notifications_service
from cludale.services.notifications.webhooks import deliveries as webhook_deliveries
from cludale.services.notifications.webhooks import due as webhook_due
from cludale.services.notifications.webhooks import endpoints as webhook_endpoints
from cludale.services.notifications.webhooks.service import Webhooks
from cludale.services.orders import aftersale, comparison, jobs
from cludale.services.orders import api as orders_api
from cludale.services.orders import domain as orders_domain
from cludale.services.orders import due as orders_due
from cludale.services.orders import parts as order_parts
from cludale.services.orders import service as orders_service
from cludale.services.orders.domain import Compared, Lost, Order
from cludale.services.orders.events import CancelReason, OrderCancelled, OrderPaid
from cludale.services.orders.store import ORDERS, keyed_id
from cludale.services.payments import domain as payments_domain
from cludale.services.payments import due as payments_due
from cludale.services.payments import service as payments_service
from cludale.services.payments.domain import Payment
from cludale.services.payments.events import FailureReason, PaymentCompleted
from cludale.services.tickets import domain as tickets_domain
from cludale.services.tickets import door
from cludale.services.tickets import service as tickets_service
from cludale_proof.simulator.memory import MemoryStore
from cludale_proof.simulator.provider import Gateway, Provider
from cludale_proof.simulator.storage import FaultyStore

Plant = Callable[[ExitStack], None]


@dataclass(frozen=True)
class Bug:
    """A mistake. `plant` puts it in for as long as the stack is open."""

    name: str
    plant: Plant
    theme: str | None
    """Which faults bring it out soonest, if it hides well: what a test lets happen."""

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The code with the mistake in it."""
        with ExitStack() as stack:
            self.plant(stack)
            yield


BUGS: list[Bug] = []


def bug(name: str, *, theme: str | None = None) -> Callable[[Plant], Plant]:
    """Register the planting of a mistake under the words that say what it is."""

    def register(plant: Plant) -> Plant:
        BUGS.append(Bug(name, plant, theme))
        return plant

    return register


def swap(stack: ExitStack, owner: Any, name: str, wrong: Any) -> None:
    """Put `wrong` in the place of `owner.name`, which is public, until the stack closes."""
    if name.startswith("_") and not name.startswith("__"):
        raise ValueError(f"{name} is private to {owner}: a bug goes through what that offers to others")
    right = vars(owner)[name]
    setattr(owner, name, wrong)
    stack.callback(setattr, owner, name, right)


# -- prices ------------------------------------------------------------------------------------------------------


@bug("codes: a code is used once too often", theme="prices")
def _(stack: ExitStack) -> None:
    right = codes.check_room

    def wrong(code: Code, tickets: int) -> None:
        limits = code.limits
        more = None if limits.max_uses is None else limits.max_uses + 1
        right(replace(code, limits=replace(limits, max_uses=more)), tickets)

    swap(stack, codes, "check_room", wrong)


@bug("codes: a hold that nobody paid gives its use back before its end is stored", theme="prices")
def _(stack: ExitStack) -> None:
    right = codes.looked_at

    def wrong(code: Code, found: Any, *, now: datetime) -> Code:
        held = {id: each for id, each in found.items() if each.status != "Held"}
        return right(code, held, now=now + timedelta(seconds=allowances.FORGOTTEN_SECONDS))

    swap(stack, codes, "looked_at", wrong)


@bug("codes: money that comes late uses its code again, though others have used it up", theme="prices")
def _(stack: ExitStack) -> None:
    right = codes.claim

    def wrong(code: Any, reservation_id: str, wanted: Any) -> Any:
        return code if "." in reservation_id else right(code, reservation_id, wanted)

    swap(stack, codes, "claim", wrong)


@bug("prices: a tier that is full is charged on", theme="prices")
def _(stack: ExitStack) -> None:
    right = Pricing.row

    def wrong(self: Pricing, section: str, category: str, *, now: datetime, taken: int) -> Any:
        return right(self, section, category, now=now, taken=taken - 1)

    swap(stack, Pricing, "row", wrong)


@bug("prices: who holds seats before a tier ends is charged the next one", theme="prices")
def _(stack: ExitStack) -> None:
    right = Pricing.row

    def wrong(self: Pricing, section: str, category: str, *, now: datetime, taken: int) -> Any:
        return right(self, section, category, now=now + timedelta(seconds=2), taken=taken)

    swap(stack, Pricing, "row", wrong)


@bug("prices: a ticket that is given back is worth its price, without its fees", theme="prices")
def _(stack: ExitStack) -> None:
    right = order_parts.priced

    def wrong(bill: Any, *rest: Any) -> Any:
        if bill is not None:
            lines = tuple(replace(line, total=line.total - line.fee) for line in bill.lines)
            bill = replace(bill, lines=lines)
        return right(bill, *rest)

    swap(stack, order_parts, "priced", wrong)


@bug("prices: seats for late money are priced as if it were asked for now", theme="prices")
def _(stack: ExitStack) -> None:
    right = concerts_domain.seat_late_money

    def wrong(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
        return right(seating, replace(ended, bill=UNSET, priced=UNSET), sale, now)

    swap(stack, concerts_domain, "seat_late_money", wrong)


# -- what becomes of concerts ---------------------------------------------------------------------------------


@bug("changes: seats are taken from a section that are sold or held", theme="changes")
def _(stack: ExitStack) -> None:
    right = changes.change_section

    def wrong(seating: Seating, wanted: Any, now: datetime) -> Decision[Seating]:
        section = seating.section
        decision = right(Seating(replace(section, sold=0, held={}), seating.reservations), wanted, now)
        after = replace(decision.state.section, sold=section.sold, held=section.held)
        return replace(decision, state=Seating(after, decision.state.reservations))

    swap(stack, changes, "change_section", wrong)


@bug("changes: seats are held at the first price, whatever they cost by now", theme="changes")
def _(stack: ExitStack) -> None:
    right = concerts_domain.hold

    def wrong(seating: Seating, request: Any, now: datetime) -> Decision[Seating]:
        decision = right(seating, request, now)
        return replace(decision, events=tuple(replace(event, price=UNSET) for event in decision.events))

    swap(stack, concerts_domain, "hold", wrong)


@bug("called off: its sections go on giving seats away", theme="changes")
def _(stack: ExitStack) -> None:
    swap(stack, changes, "close", Decision)


@bug("called off: orders that are paid stay so", theme="changes")
def _(stack: ExitStack) -> None:
    right = jobs.call_off

    def wrong(order: Order, note: str) -> Decision[Order]:
        return Decision(order) if order.status == "Paid" else right(order, note)

    swap(stack, jobs, "call_off", wrong)


@bug("moved: a buyer is told each time that somebody looks", theme="changes")
def _(stack: ExitStack) -> None:
    swap(stack, orders_domain, "after_moved", lambda order, moved: order)


# -- seats --------------------------------------------------------------------------------------------------------


@bug("seats: what is held counts as available")
def _(stack: ExitStack) -> None:
    swap(stack, Section, "available", lambda self, now: self.total - self.sold)


@bug("seats: one hold more than there is room for")
def _(stack: ExitStack) -> None:
    right = Section.available
    swap(stack, Section, "available", lambda self, now: right(self, now) + 1)


@bug("seats: a hold is sold though its time is over", theme="slow payments")
def _(stack: ExitStack) -> None:
    right = concerts_domain.sell

    def wrong(seating: Seating, sale: Sell, now: datetime) -> Decision[Seating]:
        reservation = seating.reservations.get(sale.reservation_id)
        if reservation is not None and reservation.status is concerts_domain.Status.HELD:
            return right(seating, sale, reservation.expires_at - timedelta(seconds=1))
        return right(seating, sale, now)

    swap(stack, concerts_domain, "sell", wrong)


@bug("seats: the sweeper decides when a hold has ended, not its time", theme="slow payments")
def _(stack: ExitStack) -> None:
    swap(stack, Reservation, "is_live", lambda self, now: self.status is not concerts_domain.Status.RELEASED)
    swap(stack, concerts_domain, "expire", _expire_by_time)


def _expire_by_time(seating: Seating, expire: concerts_domain.Expire, now: datetime) -> Decision[Seating]:
    reservation = seating.reservations[expire.reservation_id]
    if reservation.status is not concerts_domain.Status.HELD or now < reservation.expires_at:
        return Decision(seating)
    return _released(seating, reservation, ReleaseReason.EXPIRED)


def _released(seating: Seating, reservation: Reservation, reason: ReleaseReason) -> Decision[Seating]:
    released = SeatsReleased(allocation=reservation.allocation, order_id=reservation.order_id, reason=reason)
    return Decision(concerts_domain.evolve(seating, released), (released,))


@bug("seats: a clock that goes back brings ended holds to life", theme="clocks")
def _(stack: ExitStack) -> None:
    swap(stack, Section, "moment", lambda self, now: now)


@bug("seats: late money gets seats whether there are any or not")
def _(stack: ExitStack) -> None:
    right = concerts_domain.seat_late_money

    def wrong(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
        roomy = msgspec.structs.replace(seating.section, total=seating.section.total + 1_000)
        decision = right(Seating(roomy, seating.reservations), ended, sale, now)
        section = msgspec.structs.replace(decision.state.section, total=seating.section.total)
        return Decision(Seating(section, decision.state.reservations), decision.events)

    swap(stack, concerts_domain, "seat_late_money", wrong)


@bug("seats: late money gets seats though its order was cancelled")
def _(stack: ExitStack) -> None:
    right = concerts_domain.seat_late_money

    def wrong(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
        return right(seating, msgspec.structs.replace(ended, closed=False), sale, now)

    swap(stack, concerts_domain, "seat_late_money", wrong)


@bug("seats: late money gets seats each time that it is told of")
def _(stack: ExitStack) -> None:
    right = concerts_domain.sell

    def wrong(seating: Seating, sale: Sell, now: datetime) -> Decision[Seating]:
        forgetful = {id: msgspec.structs.replace(each, successor=None) for id, each in seating.reservations.items()}
        return right(Seating(seating.section, forgetful), sale, now)

    swap(stack, concerts_domain, "sell", wrong)
    swap(stack, concerts_service, "Handled", _AnyEvent)


class _AnyEvent(Handled):
    """An inbox entry that is another one each time."""

    __slots__ = ()
    _made = 0

    def __new__(cls, consumer: str, event_id: str) -> Self:
        cls._made += 1
        return super().__new__(cls, consumer, f"{event_id}.{cls._made}")


@bug("seats: a cancelled order keeps the seats that were sold to it")
def _(stack: ExitStack) -> None:
    right = concerts_domain.cancel

    def wrong(seating: Seating, cancel: Cancel) -> Decision[Seating]:
        reservation = seating.reservations.get(cancel.reservation_id)
        if reservation is not None and reservation.status is concerts_domain.Status.SOLD:
            return Decision(seating)
        return right(seating, cancel)

    swap(stack, concerts_domain, "cancel", wrong)


@bug("seats: a cancelled order gives back its hold, not the seats that its late money got")
def _(stack: ExitStack) -> None:
    right = concerts_domain.cancel

    def wrong(seating: Seating, cancel: Cancel) -> Decision[Seating]:
        alone = {
            id: msgspec.structs.replace(each, successor=None)
            for id, each in seating.reservations.items()
            if id == cancel.reservation_id
        }
        decision = right(Seating(seating.section, alone), cancel)
        return Decision(
            Seating(decision.state.section, {**seating.reservations, **decision.state.reservations}), decision.events
        )

    swap(stack, concerts_domain, "cancel", wrong)


@bug("seats: seats go back twice")
def _(stack: ExitStack) -> None:
    swap(stack, concerts_domain, "NEXT", dict.fromkeys(concerts_domain.Status, frozenset(concerts_domain.Status)))
    right = concerts_domain.cancel

    def wrong(seating: Seating, cancel: Cancel) -> Decision[Seating]:
        reservation = seating.reservations.get(cancel.reservation_id)
        return right(seating, cancel) if reservation is None else _released(seating, reservation, cancel.reason)

    swap(stack, concerts_domain, "cancel", wrong)


@bug("seats: asked again for the same order, another hold")
def _(stack: ExitStack) -> None:
    asked = [0]

    def wrong(prefix: str, other: str) -> str:
        asked[0] += 1
        return f"{prefix}-{other.partition('-')[2] or other}.again{asked[0]}"

    swap(stack, concerts_service, "same_as", wrong)


# -- command queue and commits ------------------------------------------------------------------------------------


@bug("command queue: after a conflict, what was decided before is written all the same")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any, key: Any, asked: Any) -> Any:
        batch = sections.CommandBatch(key, asked, self)
        await batch.draft()
        for _ in range(aggregates.CONFLICT_RETRIES):
            if batch.commit is None:
                return batch.results
            (outcome,) = await self.updates.records.commit((batch.commit,))
            if isinstance(outcome, Committed):
                return batch.results
            section, reservations = await self.load(key, [put.id for put in batch.commit.puts])
            versions = {key.partition: section.version} | {id: each.version for id, each in reservations.items()}
            puts = [replace(put, expected=versions.get(put.id, 0)) for put in batch.commit.puts]
            batch.commit = replace(batch.commit, puts=puts)
        raise Busy("too many conflicts")

    swap(stack, sections.Sections, "run_commands", wrong)


@bug("command queue: a conflict is taken for success")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any, key: Any, asked: Any) -> Any:
        batch = sections.CommandBatch(key, asked, self)
        commits = await batch.draft()
        if commits:
            await self.updates.records.commit(commits)
        return batch.results

    swap(stack, sections.Sections, "run_commands", wrong)


@bug("command queue: answers before the commit is durable")
def _(stack: ExitStack) -> None:
    right = sections.Sections.run_commands

    async def wrong(self: Any, key: Any, asked: Any) -> Any:
        batch = sections.CommandBatch(key, asked, self)
        await batch.draft()
        task = asyncio.get_running_loop().create_task(right(self, key, asked))
        task.add_done_callback(lambda done: done.exception())
        return batch.results

    swap(stack, sections.Sections, "run_commands", wrong)


@bug("command queue: every command is decided on the section as it was loaded")
def _(stack: ExitStack) -> None:
    right = sections.CommandBatch.fold

    def wrong(self: Any, section: Any, loaded: Any, now: datetime) -> None:
        def stale(seating: Seating, command: Any, at: datetime) -> Decision[Seating]:
            return decide(Seating(section.state, seating.reservations), command, at)

        decide = concerts_domain.decide
        with ExitStack() as meanwhile:
            swap(meanwhile, concerts_domain, "decide", stale)
            right(self, section, loaded, now)

    swap(stack, sections.CommandBatch, "fold", wrong)


@bug("command queue: one event told twice in one batch counts twice")
def _(stack: ExitStack) -> None:
    class Unequal(Handled):
        __slots__ = ()
        __hash__ = object.__hash__

        def __eq__(self, other: object) -> bool:
            return self is other

    swap(stack, concerts_service, "Handled", Unequal)


@bug("inbox: that late money was refused is noted neither in the inbox of concerts nor in the reservation")
def _(stack: ExitStack) -> None:
    # Either note alone is enough: money that is told of again is known by the reservation, too (ADR 27).
    def uninboxed(partition: str, puts: Any = (), events: Any = (), handled: Any = ()) -> Commit:
        return Commit(partition, puts, events, ())

    right = concerts_domain.seat_late_money

    def unnoted(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
        decision = right(seating, ended, sale, now)
        reservations = {
            id: msgspec.structs.replace(each, answered=msgspec.UNSET)
            for id, each in decision.state.reservations.items()
        }
        return Decision(Seating(decision.state.section, reservations), decision.events)

    swap(stack, sections, "Commit", uninboxed)
    swap(stack, concerts_domain, "seat_late_money", unnoted)


@bug("commit: an event that met a conflict is answered as handled", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = aggregates.Updates.update

    async def wrong(self: Any, changes: Sequence[Change[Any]]) -> list[Updated[Any]]:
        if not any(each.answers for each in changes):
            return await right(self, changes)
        work = aggregates.Work(self, changes)
        commits = await work.draft()
        if commits:
            work.learn(await self.records.commit(commits))
        done = Updated[Any](ChangeResult.HANDLED, None)
        return [done if each.result is ChangeResult.CONFLICT else each for each in work.updated]

    swap(stack, aggregates.Updates, "update", wrong)


@bug("commit: the store does not look at versions")
def _(stack: ExitStack) -> None:
    right = FaultyStore.commit

    async def wrong(self: Any, commits: Sequence[Commit]) -> Sequence[Outcome]:
        def current(put: Put, partition: str) -> Put:
            stored = self.disk.get(put.kind, [Key(partition, put.id)]).get(put.id)
            return replace(put, expected=stored.version if stored else 0)

        return await right(
            self, [replace(each, puts=[current(put, each.partition) for put in each.puts]) for each in commits]
        )

    swap(stack, FaultyStore, "commit", wrong)


@bug("commit: events are published before they are committed")
def _(stack: ExitStack) -> None:
    right = FaultyStore.commit

    listen = MemoryStore.listen
    listening: set[MemoryStore] = set()
    buses: dict[Any, EventBus] = {}

    def listened(self: MemoryStore, listener: Any) -> None:
        listening.add(self)
        listen(self, listener)

    def bus_of(outbox: Any, bus: EventBus) -> EventBus:
        buses[outbox] = bus
        return bus

    async def wrong(self: Any, commits: Sequence[Commit]) -> Sequence[Outcome]:
        codec = self.disk.codec
        early = [
            Outgoing(1 + position, codec.catalogue.topic_of(event.type).name, codec.encode(event))
            for position, event in enumerate(event for commit in commits for event in commit.events)
        ]
        if early and self in listening:
            await buses[self].publish(early)
        return await right(self, commits)

    _relay_over(stack, bus=bus_of)
    swap(stack, MemoryStore, "listen", listened)
    swap(stack, FaultyStore, "commit", wrong)


@bug("commit: state and events are two commits")
def _(stack: ExitStack) -> None:
    right = FaultyStore.commit

    async def wrong(self: Any, commits: Sequence[Commit]) -> Sequence[Outcome]:
        outcomes = await right(self, [replace(commit, events=()) for commit in commits])
        told = [
            Commit(commit.partition, events=commit.events)
            for commit, outcome in zip(commits, outcomes, strict=True)
            if isinstance(outcome, Committed) and commit.events
        ]
        if told:
            await right(self, told)
        return outcomes

    swap(stack, FaultyStore, "commit", wrong)


# -- orders -------------------------------------------------------------------------------------------------------


@bug("orders: paid when the money is there, before the seats are sold")
def _(stack: ExitStack) -> None:
    def wrong(event: Envelope, order: Order | None, now: datetime) -> Decision[Order]:
        if order is None:
            raise TooEarly
        return orders_domain.pay(order, event.data.allocation)

    swap(stack, orders_service, "HANDLERS", {**orders_service.HANDLERS, PaymentCompleted: wrong})


@bug("orders: seats that are sold revive an order that its buyer cancelled")
def _(stack: ExitStack) -> None:
    right = orders_domain.pay

    def wrong(order: Order, *args: Any, **kwargs: Any) -> Decision[Order]:
        if order.status is orders_domain.Status.CANCELLED:
            order = msgspec.structs.replace(order, reason=CancelReason.EXPIRED)
        return right(order, *args, **kwargs)

    swap(stack, orders_domain, "pay", wrong)


@bug("orders: a failed payment cancels an order that is paid", theme="slow payments")
def _(stack: ExitStack) -> None:
    def wrong(order: Order, reason: CancelReason, note: str | None = None) -> Decision[Order]:
        if order.status is orders_domain.Status.CANCELLED:
            return Decision(order)
        return orders_domain.cancel(order, reason, note)

    right = orders_domain.unpaid

    def unpaid(order: Order, payment: Any, *, reason: CancelReason, retry_until: datetime | None) -> Decision[Order]:
        if order.status is orders_domain.Status.PAID:
            return wrong(order, reason)
        return right(order, payment, reason=reason, retry_until=retry_until)

    swap(stack, orders_domain, "fail", wrong)
    swap(stack, orders_domain, "unpaid", unpaid)


@bug("orders: a cancellation that met a conflict is answered as done")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any, store: Any, id: str, decide: Any, cause: Cause, beside: Any = None) -> Any:
        known = await store.one(self.records, id)
        decision = decide(known.state, self.clock.now())
        if decision.state is not known.state:
            events = self.envelopes(decision, cause, self.clock.now())
            put = store.put(decision.state, known.version)
            await self.records.commit((Commit(store.partition(id), (put,), events),))
        return decision.state

    swap(stack, aggregates.Updates, "change", wrong)


@bug("orders: answers before the order is durable")
def _(stack: ExitStack) -> None:
    right = aggregates.Updates.update

    async def wrong(self: Any, changes: Sequence[Change[Any]]) -> list[Updated[Any]]:
        if not changes or changes[0].store is not ORDERS or changes[0].known is not NEW:
            return await right(self, changes)
        decision = changes[0].decide(None, self.clock.now())
        assert decision is not None
        task = asyncio.get_running_loop().create_task(right(self, changes))
        task.add_done_callback(lambda done: done.exception())
        return [Updated(ChangeResult.CHANGED, Versioned(decision.state, 1))]

    swap(stack, aggregates.Updates, "update", wrong)


@bug("orders: the answer to an Idempotency-Key is not kept")
def _(stack: ExitStack) -> None:
    right = orders_service.Orders.place

    async def wrong(self: Any, wanted: Any, *, cause: Any, order_id: Any = None, keep: Any = None) -> Order:
        return await right(self, wanted, cause=cause, order_id=order_id, keep=None)

    swap(stack, orders_service.Orders, "place", wrong)


@bug("orders: the order of an Idempotency-Key gets a new id each time")
def _(stack: ExitStack) -> None:
    right = orders_service.Orders.place

    async def wrong(self: Any, wanted: Any, *, cause: Any, order_id: Any = None, keep: Any = None) -> Order:
        return await right(self, wanted, cause=cause, order_id=None, keep=None)

    swap(stack, orders_service.Orders, "place", wrong)


@bug("orders: another request under the same key gets the first one's seats", theme="impatience")
def _(stack: ExitStack) -> None:
    swap(stack, orders_api, "keyed_id", lambda key, _: keyed_id(key, b"the same"))
    reserve = orders_domain.reserve

    def unchecked(order: Order, held: SeatsHeld, **kwargs: Any) -> Decision[Order]:
        decision = reserve(msgspec.structs.replace(order, seats=OrderSeats.of(held.allocation)), held, **kwargs)
        seats = msgspec.structs.replace(decision.state.seats, quantity=order.seats.quantity)
        return Decision(msgspec.structs.replace(decision.state, seats=seats), decision.events)

    swap(stack, orders_domain, "reserve", unchecked)
    swap(stack, concerts_domain, "check_same_request", lambda *_, **__: None)


@bug("orders: what is told of an earlier round undoes what is known of a later one", theme="changes of mind")
def _(stack: ExitStack) -> None:
    def wrong(order: Order, payment: Any) -> Order:
        if order.payment is None or payment == order.payment:
            return order
        return msgspec.structs.replace(order, payment=payment, due_at=None)

    swap(stack, orders_domain, "learn", wrong)


@bug("orders: money alone makes an order Paid")
def _(stack: ExitStack) -> None:
    right = orders_domain.learn

    def wrong(order: Order, payment: Any) -> Order:
        after = right(order, payment)
        if after.status is orders_domain.Status.RESERVED and payment.status is orders_domain.PaymentStatus.COMPLETED:
            return msgspec.structs.replace(after, status=orders_domain.Status.PAID)
        return after

    swap(stack, orders_domain, "learn", wrong)


@bug("orders: an order that nobody paid keeps its place when its hold has ended")
def _(stack: ExitStack) -> None:
    swap(stack, orders_domain, "hold_ended", lambda order, **_: Decision(order))


@bug("orders: the end of the hold ends an order whose charge is open", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = orders_domain.learn

    def wrong(order: Order, payment: Any) -> Order:
        after = right(order, payment)
        return after if after is order else msgspec.structs.replace(after, due_at=order.due_at)

    swap(stack, orders_domain, "learn", wrong)

    def ended(order: Order, *, now: datetime) -> Decision[Order]:
        is_over = order.status is orders_domain.Status.RESERVED and order.due_at is not None and now >= order.due_at
        return orders_domain.fail(order, CancelReason.DECLINED) if is_over else Decision(order)

    swap(stack, orders_domain, "hold_ended", ended)
    swap(stack, Order, "is_settled", property(lambda self: self.status is not orders_domain.Status.PENDING))


@bug("orders: another way to pay is taken though the hold has ended", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = orders_domain.pay_again

    def wrong(order: Order, *, method: str, now: datetime) -> Decision[Order]:
        return right(order, method=method, now=min(now, order.created_at))

    swap(stack, orders_domain, "pay_again", wrong)


@bug("payments: another way to pay begins a round each time that it is told of", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = payments_domain.requested

    def wrong(payment: Payment, request: Any, **kwargs: Any) -> Payment:
        return right(payment, msgspec.structs.replace(request, round=payment.round + 1), **kwargs)

    swap(stack, payments_domain, "requested", wrong)
    _forget_handled(stack, aggregates)


@bug("orders: what waits for its seats is forgotten")
def _(stack: ExitStack) -> None:
    right = orders_due.DueOrders.take_up

    def wrong(self: Any, state: Order, now: datetime) -> Decision[Order]:
        return Decision(state) if state.status is orders_domain.Status.PENDING else right(self, state, now)

    swap(stack, orders_due.DueOrders, "take_up", wrong)


@bug("admission: an order that fails keeps its place inside")
def _(stack: ExitStack) -> None:
    right = admission.AdmissionControl.leave

    def wrong(self: Any) -> None:
        if sys.exc_info()[0] is None:
            right(self)

    swap(stack, admission.AdmissionControl, "leave", wrong)


@bug("admission: whoever hangs up in the moment of being let in keeps their place", theme="impatience")
def _(stack: ExitStack) -> None:
    enter, leave = admission.AdmissionControl.enter, admission.AdmissionControl.leave
    entering: set[asyncio.Task[Any] | None] = set()

    async def entered(self: Any) -> None:
        task = asyncio.current_task()
        entering.add(task)
        try:
            await enter(self)
        finally:
            entering.discard(task)

    def left(self: Any) -> None:
        if asyncio.current_task() not in entering:
            leave(self)

    swap(stack, admission.AdmissionControl, "enter", entered)
    swap(stack, admission.AdmissionControl, "leave", left)


# -- keys ---------------------------------------------------------------------------------------------------------


@bug("keys: another body gets the first one's answer")
def _(stack: ExitStack) -> None:
    class Constant:
        def hexdigest(self) -> str:
            return "same"

    swap(stack, idempotency, "sha256", lambda request: Constant())


@bug("keys: a refusal that time or stock undoes is kept")
def _(stack: ExitStack) -> None:
    swap(stack, idempotency, "NOT_KEPT", (Busy, NotFound, Invalid))


@bug("keys: a refusal is not kept")
def _(stack: ExitStack) -> None:
    right = idempotency.IdempotencyKeys.once

    async def wrong(self: Any, *, route: str, key: str, request: bytes, act: Any, refuse: Any, partition: str) -> Any:
        refused: list[Any] = []

        async def noted(keep: Any) -> Any:
            try:
                return await act(keep)
            except Busy:
                raise
            except Refusal as refusal:
                refused.append(refuse(refusal))
                raise Busy("not kept") from refusal

        try:
            return await right(
                self, route=route, key=key, request=request, act=noted, refuse=refuse, partition=partition
            )
        except Busy:
            if refused:
                return refused[0]
            raise

    swap(stack, idempotency.IdempotencyKeys, "once", wrong)


# -- money --------------------------------------------------------------------------------------------------------


@bug("payments: each attempt has a key of its own")
def _(stack: ExitStack) -> None:
    swap(stack, Payment, "key", property(lambda self: f"{self.id}.{self.round}{self.tries:02}"))


@bug("payments: no answer in time is taken for a decline")
def _(stack: ExitStack) -> None:
    right = payments_domain.attempted

    def wrong(payment: Payment, outcome: Any, detail: Any, **kwargs: Any) -> Decision[Payment]:
        if outcome is payments_domain.Outcome.UNKNOWN:
            outcome = payments_domain.Outcome.DECLINED
        return right(payment, outcome, detail, **kwargs)

    swap(stack, payments_domain, "attempted", wrong)


@bug("payments: gives up without making sure that nothing was taken")
def _(stack: ExitStack) -> None:
    right = payments_domain.attempted

    def wrong(payment: Payment, outcome: Any, detail: Any, **kwargs: Any) -> Decision[Payment]:
        decision = right(payment, outcome, detail, **kwargs)
        if decision.state.closing is FailureReason.GAVE_UP:
            return payments_domain.voided(decision.state, returned=False, now=kwargs["now"], limits=kwargs["limits"])
        return decision

    swap(stack, payments_domain, "attempted", wrong)


@bug("payments: a round that expired fails without making sure that nothing was taken")
def _(stack: ExitStack) -> None:
    async def nothing_held(self: Any, key: str) -> bool:
        return False

    swap(stack, Gateway, "void", nothing_held)


@bug("payments: what came of one round is booked on the next", theme="frozen")
def _(stack: ExitStack) -> None:
    swap(stack, payments_due.Charging, "of_its_round", lambda self, payment, step: step)


@bug("payments: an order that is told of again is begun again")
def _(stack: ExitStack) -> None:
    right = payments_domain.begin

    def wrong(payment: Payment | None, order: Any, **kwargs: Any) -> Decision[Payment]:
        return right(None, order, **kwargs)

    swap(stack, payments_domain, "begin", wrong)


@bug("payments: a cancelled order is charged all the same")
def _(stack: ExitStack) -> None:
    swap(
        stack,
        payments_domain,
        "order_cancelled",
        lambda payment, order, *, cause, now: Decision(payment) if payment is not None else None,
    )


@bug("payments: a cancellation that comes before the order is forgotten", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = payments_domain.order_cancelled

    def wrong(payment: Payment | None, order: OrderCancelled, **kwargs: Any) -> Decision[Payment] | None:
        return None if payment is None else right(payment, order, **kwargs)

    swap(stack, payments_domain, "order_cancelled", wrong)


@bug("payments: a refused sale is not refunded")
def _(stack: ExitStack) -> None:
    handlers = payments_service.Payments.HANDLERS
    right = handlers[SaleRefused]

    def wrong(self: Any, event: Envelope, payment: Payment | None, now: datetime) -> Any:
        right(self, event, payment, now)
        return Decision(payment)

    swap(stack, payments_service.Payments, "HANDLERS", {**handlers, SaleRefused: wrong})


@bug("payments: a refund without an answer is taken for done")
def _(stack: ExitStack) -> None:
    right = Gateway.refund

    async def wrong(self: Any, key: str) -> None:
        try:
            await right(self, key)
        except GatewayTrouble:
            return

    swap(stack, Gateway, "refund", wrong)


@bug("payments: a refund that is asked for again gives the money back again")
def _(stack: ExitStack) -> None:
    right = Provider.refund

    def wrong(self: Provider, key: str) -> None:
        self.accounts[key].returned = 0
        right(self, key)

    swap(stack, Provider, "refund", wrong)


@bug("payments: a part refund goes under a new key each time", theme="changes of mind")
def _(stack: ExitStack) -> None:
    right = Gateway.refund_part
    asked: list[str] = []

    async def wrong(self: Any, key: str, refund_key: str, amount: Money) -> None:
        asked.append(refund_key)
        await right(self, key, f"{refund_key}.{len(asked)}", amount)

    swap(stack, Gateway, "refund_part", wrong)


@bug("payments: who cancels gets all of the money back, whatever went back in part", theme="changes of mind")
def _(stack: ExitStack) -> None:
    swap(stack, Payment, "rest", property(lambda self: self.amount))


@bug("concerts: seats that are given back twice can be had twice", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = concerts_domain.give_back

    def wrong(seating: Seating, back: Return, now: datetime) -> Decision[Seating]:
        forgotten = {id: replace(each, returns=UNSET) for id, each in seating.reservations.items()}
        return right(Seating(seating.section, forgotten), back, now)

    swap(stack, concerts_domain, "give_back", wrong)


@bug("concerts: who cancels gives back seats that were given back before", theme="changes of mind")
def _(stack: ExitStack) -> None:
    swap(stack, Reservation, "kept", property(lambda self: self.quantity))


@bug("orders: more is given back than was paid", theme="changes of mind")
def _(stack: ExitStack) -> None:
    swap(stack, order_parts, "left", lambda total, refunds: total)


@bug("orders: a part refund that nothing is heard of is not asked for again", theme="lost for good")
def _(stack: ExitStack) -> None:
    def wrong(order: Order, *, now: datetime, look_at: datetime) -> Decision[Order]:
        del now, look_at
        return Decision(order)

    swap(stack, aftersale, "asked_again", wrong)


@bug("payments: a refund that two replicas bring to its end is told of twice", theme="slow payments")
def _(stack: ExitStack) -> None:
    right = payments_domain.refunded

    def wrong(payment: Payment, **kwargs: Any) -> Decision[Payment]:
        if payment.status is payments_domain.Status.REFUNDED:
            payment = msgspec.structs.replace(payment, status=payments_domain.Status.COMPLETED, refunding=True)
        return right(payment, **kwargs)

    swap(stack, payments_domain, "refunded", wrong)


@bug("payments: what a crash cut off is never taken up")
def _(stack: ExitStack) -> None:
    right = payments_due.Charging.take_up

    def wrong(self: Any, state: Payment, now: datetime) -> Decision[Payment]:
        is_begun = state.status is payments_domain.Status.PENDING and state.closing is None and not state.tries
        return Decision(state) if is_begun else right(self, state, now)

    swap(stack, payments_due.Charging, "take_up", wrong)


@bug("payments: a new round is begun while the last one is not over")
def _(stack: ExitStack) -> None:
    right = payments_domain.retry

    def wrong(payment: Payment, **kwargs: Any) -> Payment:
        if payment.status is payments_domain.Status.PENDING and not payment.closed:
            return msgspec.structs.replace(payment, round=payment.round + 1)
        return right(payment, **kwargs)

    swap(stack, payments_domain, "retry", wrong)


# -- what is lost, and told again ---------------------------------------------------------------------------------


@bug("comparison: nobody looks at orders of which nothing is heard", theme="lost for good")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any) -> int:
        return 0

    swap(stack, comparison.Comparison, "look", wrong)


@bug("comparison: a cancelled order is never compared", theme="lost for good")
def _(stack: ExitStack) -> None:
    swap(stack, comparison.Comparison, "watched", lambda self, order, now: order)


@bug("comparison: a cancelled order is asked about its money, and not about its seats", theme="lost for good")
def _(stack: ExitStack) -> None:
    async def wrong(self: Any, order: Order) -> bool:
        return False

    swap(stack, comparison.Comparison, "has_seats", wrong)


@bug("comparison: an order that payments does not answer for is never compared again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = comparison.Comparison.ask

    async def wrong(self: Any, orders: Sequence[Order]) -> Any:
        def never(order: Order, _: datetime) -> Decision[Order]:
            if order.status is not orders_domain.Status.CANCELLED:
                return Decision(order)
            return Decision(msgspec.structs.replace(order, due_at=None, looks=order.looks + 1))

        return {order.id: never for order in orders} | dict(await right(self, orders))

    swap(stack, comparison.Comparison, "ask", wrong)


@bug("comparison: another way to pay that payments missed is not told again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = orders_domain.compared

    def wrong(order: Order, charge: Any, *, has_seats: bool) -> Compared:
        after = right(order, charge, has_seats=has_seats)
        return Compared(Decision(order)) if after.lost is Lost.REQUESTED else after

    swap(stack, orders_domain, "compared", wrong)


@bug("comparison: money of which nothing came is charged again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = payments_domain.compared

    def wrong(payment: Payment, order: Any) -> Decision[Payment]:
        told = right(payment, order)
        if payment.status is not payments_domain.Status.COMPLETED or not told.events:
            return told
        anew = msgspec.structs.replace(
            payment, status=payments_domain.Status.PENDING, round=payment.round + 1, due_at=payment.created_at
        )
        return replace(told, state=anew)

    swap(stack, payments_domain, "compared", wrong)


@bug("comparison: what is told again is told as if it were new", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = aggregates.Updates.envelopes

    def wrong(self: Any, decision: Decision[Any], cause: Cause, now: datetime) -> list[Envelope]:
        return right(self, replace(decision, again=False), cause, now)

    swap(stack, aggregates.Updates, "envelopes", wrong)


@bug("comparison: what is told again has the time of that", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = aggregates.Updates.envelopes

    def wrong(self: Any, decision: Decision[Any], cause: Cause, now: datetime) -> list[Envelope]:
        return right(self, replace(decision, at=None) if decision.again else decision, cause, now)

    swap(stack, aggregates.Updates, "envelopes", wrong)


@bug("comparison: a refund that is told of again is made again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = payments_domain.refund

    def wrong(payment: Payment, **kwargs: Any) -> Decision[Payment]:
        if payment.status is payments_domain.Status.REFUNDED:
            payment = msgspec.structs.replace(payment, status=payments_domain.Status.COMPLETED)
        return right(payment, **kwargs)

    swap(stack, payments_domain, "refund", wrong)


@bug("comparison: money that is told of again gets seats again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = concerts_domain.sell

    def wrong(seating: Seating, sale: Sell, now: datetime) -> Decision[Seating]:
        sold = seating.reservations.get(sale.reservation_id)
        if sale.again and sold is not None and sold.status is concerts_domain.Status.SOLD:
            return concerts_domain.seat_late_money(seating, sold, sale, now)
        return right(seating, sale, now)

    swap(stack, concerts_domain, "sell", wrong)


@bug("comparison: money that was refused gets seats when it is told of again", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = concerts_domain.sell

    def wrong(seating: Seating, sale: Sell, now: datetime) -> Decision[Seating]:
        refused = seating.reservations.get(sale.reservation_id)
        if refused is None or refused.answered is not concerts_domain.Answered.REFUSED:
            return right(seating, sale, now)
        forgotten = msgspec.structs.replace(refused, answered=msgspec.UNSET)
        return right(Seating(seating.section, {**seating.reservations, refused.id: forgotten}), sale, now)

    swap(stack, concerts_domain, "sell", wrong)


@bug("comparison: concerts answers no money a second time", theme="lost for good")
def _(stack: ExitStack) -> None:
    right = concerts_domain.sell
    swap(stack, concerts_domain, "sell", lambda seating, sale, now: right(seating, replace(sale, again=False), now))


@bug("comparison: the end of a round that the organizer began is told once", theme="lost for good")
def _(stack: ExitStack) -> None:
    swap(stack, payments_domain, "RETELLS", 0)


# -- delivery -----------------------------------------------------------------------------------------------------


class _Outbox:
    """An outbox that passes on what it is asked."""

    def __init__(self, outbox: Outbox) -> None:
        self.right = outbox

    def listen(self, listener: Listener) -> None:
        self.right.listen(listener)

    async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
        return await self.right.pending(after, limit)

    def delivered(self, positions: Sequence[int]) -> None:
        self.right.delivered(positions)


class _Bus:
    """A bus that publishes as another one does."""

    def __init__(self, outbox: Outbox, bus: EventBus) -> None:
        self.outbox = outbox
        self.right = bus

    async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
        return await self.right.publish(batch)


def _relay_over(
    stack: ExitStack,
    *,
    outbox: Callable[[Any], Any] = lambda outbox: outbox,
    bus: Any = lambda outbox, bus: bus,
    **kw: Any,
) -> None:
    """Every relay works over these in the place of its outbox and its bus."""
    right = relay.Relay.__init__

    def wrong(self: Any, its_outbox: Outbox, its_bus: EventBus, **kwargs: Any) -> None:
        right(self, outbox(its_outbox), bus(its_outbox, its_bus), **{**kwargs, **kw})

    swap(stack, relay.Relay, "__init__", wrong)


@bug("relay: what is in the outbox after a crash is not published")
def _(stack: ExitStack) -> None:
    class Empty(_Outbox):
        async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
            return ()

    _relay_over(stack, outbox=Empty)


@bug("relay: an outbox that can't be read at the start is never read")
def _(stack: ExitStack) -> None:
    class Unread(_Outbox):
        is_given_up = False

        async def pending(self, after: int, limit: int) -> Sequence[Outgoing]:
            with suppress(StoreUnavailable):
                if not self.is_given_up:
                    return await self.right.pending(after, limit)
            self.is_given_up = True
            for_good: asyncio.Future[Sequence[Outgoing]] = asyncio.get_running_loop().create_future()
            return await for_good

    _relay_over(stack, outbox=Unread)


@bug("relay: nobody looks for events whose commit got no answer")
def _(stack: ExitStack) -> None:
    _relay_over(stack, look_again_seconds=1e9)


@bug("relay: takes events from the outbox before the bus has them")
def _(stack: ExitStack) -> None:
    class Hasty(_Bus):
        async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
            self.outbox.delivered([entry.position for entry in batch])
            return await self.right.publish(batch)

    _relay_over(stack, bus=Hasty)


@bug("relay: what the bus refuses is dropped")
def _(stack: ExitStack) -> None:
    class Careless(_Bus):
        async def publish(self, batch: Sequence[Outgoing]) -> Sequence[bool]:
            with suppress(Exception):
                await self.right.publish(batch)
            return [True] * len(batch)

    _relay_over(stack, bus=Careless)


@bug("bus: an event that is to be delivered again is dropped")
def _(stack: ExitStack) -> None:
    right = embedded_bus.EmbeddedBus.start

    def taken(subscription: Subscription) -> Subscription:
        async def handler(deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
            await subscription.handler(deliveries)
            return [Acknowledgement.SUCCESS] * len(deliveries)

        return subscription._replace(handler=handler)

    def wrong(self: Any, subscriptions: Sequence[Subscription]) -> None:
        right(self, [taken(each) for each in subscriptions])

    swap(stack, embedded_bus.EmbeddedBus, "start", wrong)


@bug("dapr: an event that came too early is answered as taken")
def _(stack: ExitStack) -> None:
    right = inbound.Inbound.answers

    async def wrong(self: inbound.Inbound, events: Sequence[bytes]) -> list[Acknowledgement]:
        await right(self, events)
        return [Acknowledgement.SUCCESS] * len(events)

    swap(stack, inbound.Inbound, "answers", wrong)


@bug("dapr: a dead letter that has to wait is answered as taken")
def _(stack: ExitStack) -> None:
    right = inbound.Inbound.take_dead

    async def wrong(self: inbound.Inbound, body: bytes) -> bytes:
        return (await right(self, body)).replace(b"RETRY", b"SUCCESS")

    swap(stack, inbound.Inbound, "take_dead", wrong)


@bug("dapr: a bulk gets the answers of its events in the wrong order")
def _(stack: ExitStack) -> None:
    right = inbound.Inbound.answers

    async def wrong(self: inbound.Inbound, events: Sequence[bytes]) -> list[Acknowledgement]:
        return (await right(self, events))[::-1]

    swap(stack, inbound.Inbound, "answers", wrong)


@bug("dead letters: what is given up is not kept")
def _(stack: ExitStack) -> None:
    async def wrong(self: DeadLetters, *_: Any, **__: Any) -> None:
        pass

    swap(stack, DeadLetters, "bury", wrong)


# -- notifications and audit --------------------------------------------------------------------------------------


@bug("notifications: a new notification for each delivery")
def _(stack: ExitStack) -> None:
    made = [0]

    def wrong(kind: Any, order_id: str, **_: Any) -> str:
        made[0] += 1
        return f"{kind.value}-{order_id.partition('-')[2]}.{made[0]}"

    swap(stack, notifications_domain, "notification_id", wrong)
    _forget_handled(stack, notifications_service)


@bug("notifications: whoever was told that the payment failed is told of no other cancellation")
def _(stack: ExitStack) -> None:
    right = notifications_domain.notification_id
    swap(stack, notifications_domain, "notification_id", lambda kind, order_id, **_: right(kind, order_id))


@bug("notifications: the buyer is told of every cancellation that he was paid")
def _(stack: ExitStack) -> None:
    right = notifications_domain.tell

    def wrong(fact: Any, money: Any, **kwargs: Any) -> Any:
        if isinstance(fact, OrderCancelled) and fact.was_paid and fact.total and (seats := fact.allocation):
            fact = OrderPaid(order_id=fact.order_id, allocation=seats, total=fact.total, reachable=fact.reachable)
        return right(fact, money, **kwargs)

    swap(stack, notifications_domain, "tell", wrong)


@bug("notifications: a message whose sending a crash cut off is never sent")
def _(stack: ExitStack) -> None:
    right = notifications_domain.take_up

    def wrong(notification: Any, *, now: datetime, **kwargs: Any) -> Any:
        taken = right(notification, now=now, **kwargs)
        if taken is notification or taken.due_at is None:
            return taken
        return msgspec.structs.replace(taken, due_at=now + timedelta(days=365))

    swap(stack, notifications_domain, "take_up", wrong)


@bug("notifications: a confirmation does not wait for its receipt", theme="bad delivery")
def _(stack: ExitStack) -> None:
    swap(stack, notifications_domain, "needs_receipt", lambda fact: False)


@bug("notifications: a receipt says when it was heard of, not when the money was taken")
def _(stack: ExitStack) -> None:
    right = notifications_domain.receipt
    swap(stack, notifications_domain, "receipt", lambda fact, *, at: right(fact, at=at + timedelta(seconds=1)))


@bug("notifications: a message that the server did not take is taken for sent")
def _(stack: ExitStack) -> None:
    right = notifications_due.Sending.try_again

    def wrong(self: Any, notification: Any, channel: Any, why: str, trouble: Any) -> Any:
        if channel is None or trouble is Trouble.REFUSED:
            return right(self, notification, channel, why, trouble)
        return lambda n, now: notifications_domain.sent(n, channel, now=now)

    swap(stack, notifications_due.Sending, "try_again", wrong)


@bug("webhooks: a delivery whose posting a crash cut off is never posted", theme="webhooks")
def _(stack: ExitStack) -> None:
    right = webhook_deliveries.take_up

    def wrong(delivery: Any, *, now: datetime, **kwargs: Any) -> Any:
        taken = right(delivery, now=now, **kwargs)
        if taken is delivery or taken.due_at is None:
            return taken
        return msgspec.structs.replace(taken, due_at=now + timedelta(days=365))

    swap(stack, webhook_deliveries, "take_up", wrong)


@bug("webhooks: a delivery that its server did not take is taken for delivered", theme="webhooks")
def _(stack: ExitStack) -> None:
    def wrong(delivery: Any, answer: Any, why: str, *, now: datetime, limits: Any, **_: Any) -> Any:
        return webhook_deliveries.delivered(delivery, answer, now=now, limits=limits)

    swap(stack, webhook_deliveries, "not_delivered", wrong)


@bug("webhooks: who answers 410 is asked again", theme="webhooks")
def _(stack: ExitStack) -> None:
    swap(stack, webhook_due, "GONE", 0)


@bug("webhooks: new secrets are kept, and deliveries go on with the old ones", theme="webhooks")
def _(stack: ExitStack) -> None:
    right = webhook_endpoints.rotate

    def wrong(endpoint: Any, sealed: Any, *args: Any, **kwargs: Any) -> Any:
        return right(endpoint, endpoint.sealed, *args, **kwargs)

    swap(stack, webhook_endpoints, "rotate", wrong)


@bug("webhooks: an event that comes while nobody knows whose it is is dropped", theme="webhooks")
def _(stack: ExitStack) -> None:
    right = Webhooks.handle

    async def wrong(self: Any, arrived: Any) -> Any:
        return [Acknowledgement.SUCCESS] * len(await right(self, arrived))

    swap(stack, Webhooks, "handle", wrong)


@bug("audit: an event is recorded each time that it comes")
def _(stack: ExitStack) -> None:
    right = audit_store.put_entry

    def wrong(entry: Any, event: Any) -> Put:
        put = right(entry, event)
        return replace(put, id=f"{put.id}.{entry.sequence}")

    swap(stack, audit_store, "put_entry", wrong)
    swap(stack, recent.Recent, "remember", lambda self, ids: None)


@bug("audit: effects are recorded before their causes")
def _(stack: ExitStack) -> None:
    right = audit_domain.causes_first

    def wrong(batch: Any, is_recorded: Any) -> Any:
        return right([(id, None, waits) for id, _, waits in batch], is_recorded)

    swap(stack, audit_service, "causes_first", wrong)


@bug("audit: an event that came before its cause is answered as recorded")
def _(stack: ExitStack) -> None:
    right = audit_service.Audit.handle

    async def wrong(self: Any, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        await right(self, deliveries)
        return [Acknowledgement.SUCCESS] * len(deliveries)

    swap(stack, audit_service.Audit, "handle", wrong)


@bug("audit: a batch that met a conflict is answered as recorded")
def _(stack: ExitStack) -> None:
    class Records:
        """A store whose commits all seem to go well."""

        def __init__(self, records: Any) -> None:
            self.get, self.find, self.right = records.get, records.find, records

        async def commit(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
            await self.right.commit(commits)
            return [Committed()] * len(commits)

    right = audit_service.Audit.__init__

    def wrong(self: Any, records: Any, *args: Any, **kwargs: Any) -> None:
        right(self, Records(records), *args, **kwargs)

    swap(stack, audit_service.Audit, "__init__", wrong)


@bug("audit: a hash does not cover all that came before")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "link", lambda previous, event, late: audit_domain.link(previous[:1], event, late=late))


@bug("audit: the mark of what is recorded late is not under its hash", theme="audit far behind")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "link", lambda previous, event, late: audit_domain.link(previous, event))


@bug("audit: what is recorded without its cause is not marked", theme="audit far behind")
def _(stack: ExitStack) -> None:
    sort, go = audit_domain.causes_first, audit_domain.let_go
    swap(stack, audit_service, "causes_first", lambda *batch: sort(*batch)._replace(orphans=frozenset()))
    swap(stack, audit_service, "let_go", lambda *groups, now: dict.fromkeys(go(*groups, now=now), False))


@bug("audit: the wait for a cause is never over", theme="holes in the log")
def _(stack: ExitStack) -> None:
    right = audit_domain.let_go

    def wrong(groups: Any, is_recorded: Any, *, now: datetime) -> dict[str, bool]:
        going = right(groups, is_recorded, now=now)
        return {cause: is_late for cause, is_late in going.items() if not is_late}

    swap(stack, audit_service, "let_go", wrong)


@bug("audit: what waits for its cause is marked late when that comes", theme="audit far behind")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "let_go", lambda groups, *_, **__: {group.cause: True for group in groups})


@bug("audit: what waits for a cause takes the place of what waited for it before", theme="audit far behind")
def _(stack: ExitStack) -> None:
    right = audit_store.put_waiting

    def wrong(cause: str, waiting: Any, expected: int) -> Put:
        return right(cause, replace(waiting, ids=waiting.ids[-1:], events=waiting.events[-1:]), expected)

    swap(stack, audit_store, "put_waiting", wrong)


@bug("audit: a full segment is not sealed")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "sealed", lambda head, **_: head)


@bug("audit: a segment is sealed with another hash than its last entry's")
def _(stack: ExitStack) -> None:
    right = audit_domain.sealed

    def wrong(head: Any, **kwargs: Any) -> Any:
        seal = right(head, **kwargs)
        return seal if seal.sealed_at is None else replace(seal, hash=audit_domain.GENESIS)

    swap(stack, audit_service, "sealed", wrong)


@bug("audit: a segment begins with the number that the one before ended with")
def _(stack: ExitStack) -> None:
    right = audit_domain.following

    def wrong(head: Any) -> Any:
        after = right(head)
        return replace(after, sequence=after.sequence - 1)

    swap(stack, audit_service, "following", wrong)


@bug("audit: the segment after a sealed one is written to the same partition")
def _(stack: ExitStack) -> None:
    swap(stack, audit_store, "partition_of", lambda segment: "log")


@bug("audit: a seal with another hash is accepted")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "broken_seal", lambda links, seals: None)


@bug("audit: what comes again is not looked for in sealed segments", theme="bad delivery")
def _(stack: ExitStack) -> None:
    swap(stack, audit_service, "SKEW", timedelta(days=-1))


@bug("tickets: a cancelled order keeps them")
def _(stack: ExitStack) -> None:
    swap(stack, tickets_domain, "cancel", lambda state, **_: None)


@bug("tickets: who cancels before they are issued gets them all the same", theme="bad delivery")
def _(stack: ExitStack) -> None:
    right = tickets_domain.cancel
    swap(stack, tickets_domain, "cancel", lambda state, **kw: None if state is None else right(state, **kw))


@bug("tickets: one fewer than the order has seats")
def _(stack: ExitStack) -> None:
    right = tickets_domain.issue

    def wrong(state: Any, *, allocation: Any, **kwargs: Any) -> Any:
        return right(state, allocation=replace(allocation, quantity=allocation.quantity - 1), **kwargs)

    swap(stack, tickets_domain, "issue", wrong)


@bug("door: a ticket lets in as often as it is shown", theme="at the door")
def _(stack: ExitStack) -> None:
    right = door.judged
    swap(stack, door, "judged", lambda ticket, **kw: right(replace(ticket, moves=()), **kw))


@bug("door: the code of before a transfer lets in", theme="at the door")
def _(stack: ExitStack) -> None:
    right = door.judged

    def wrong(ticket: Any, *, generation: int, **kwargs: Any) -> Any:
        return right(ticket, generation=ticket.generation, **kwargs)

    swap(stack, door, "judged", wrong)


@bug("door: says that a ticket is good before that is written down", theme="at the door")
def _(stack: ExitStack) -> None:
    right = tickets_service.Tickets.scan

    async def wrong(self: Any, scan: Any, *args: Any) -> Any:
        answering = asyncio.ensure_future(right(self, scan, *args))
        await asyncio.sleep(0)
        claims = self.read(scan.code)
        return tickets_service.Answer(door.Scanned(door.Result.VALID), claims, None) if claims else await answering

    swap(stack, tickets_service.Tickets, "scan", wrong)


def _forget_handled(stack: ExitStack, module: Any) -> None:
    right = module.Change

    def wrong(store: Any, id: str, decide: Any, cause: Any = None, answers: Any = None, *args: Any, **kw: Any) -> Any:
        return right(store, id, decide, cause, None, *args, **kw)

    swap(stack, module, "Change", wrong)


@bug("tickets that were paid count no more for their buyer")
def _(stack: ExitStack) -> None:
    def looked_at(known: allowances.Allowance, found: Any, *, unpaid_only: bool, now: datetime) -> allowances.Allowance:
        return right(known, found, unpaid_only=True, now=now)

    right = allowances.looked_at
    swap(stack, allowances, "looked_at", looked_at)


@bug("a hold whose time is over counts no more for its buyer, though it may yet be sold", theme="clocks")
def _(stack: ExitStack) -> None:
    def looked_at(
        known: allowances.Allowance, found: dict[str, Reservation], *, unpaid_only: bool, now: datetime
    ) -> allowances.Allowance:
        kept = {id: each for id, each in known.claims.items() if id not in found or found[id].is_live(now)}
        known = known if len(kept) == len(known.claims) else replace(known, claims=kept)
        return right(known, found, unpaid_only=unpaid_only, now=now)

    right = allowances.looked_at
    swap(stack, allowances, "looked_at", looked_at)


@bug("money that came late gets seats again, whatever its buyer has by now", theme="slow payments")
def _(stack: ExitStack) -> None:
    def seat_late_money(seating: Seating, ended: Reservation, sale: Sell, now: datetime) -> Decision[Seating]:
        return right(seating, replace(ended, buyers=msgspec.UNSET), sale, now)

    right = concerts_domain.seat_late_money
    swap(stack, concerts_domain, "seat_late_money", seat_late_money)


@bug("a buyer who writes the e-mail address in another way is another buyer")
def _(stack: ExitStack) -> None:
    swap(stack, buyers, "folded_email", str)
