"""Tickets at work: issues them when an order is paid, revokes them when it is cancelled. `door_service` lets people in.

A code is stored nowhere: it is signed anew when it is shown, and is the same each time while concert and key are.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from msgspec import UNSET

from cludale.kernel import dates
from cludale.kernel.allocation import NumberedSeat
from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, Event
from cludale.kernel.principals import DEFAULT_ORGANIZER
from cludale.kernel.refusals import Busy, NotFound
from cludale.ports.bus import Acknowledgement, Delivery
from cludale.ports.clock import Clock, IdSource
from cludale.ports.contacts import Contacts, ContactsUnreachable
from cludale.ports.programme import ConcertDetails, Programme, ProgrammeUnreachable
from cludale.ports.records import Put, Records
from cludale.ports.seals import SealsOf
from cludale.ports.ticket_keys import TicketKey, TicketKeys
from cludale.ports.ticket_pages import PagesBusy, TicketPage, TicketPages
from cludale.ports.wallets import NoWallets, Wallets, WalletTicket
from cludale.runtime.aggregates import Handler, TooEarly, Updates
from cludale.runtime.recent import Recent
from cludale.services.orders.events import ContactErased, OrderCancelled, OrderPaid, OrderReseated, PartRefundRequested
from cludale.services.tickets import codes, domain, door
from cludale.services.tickets.domain import OrderTickets, Ticket
from cludale.services.tickets.door import Open
from cludale.services.tickets.door_service import Doors
from cludale.services.tickets.holders import Holders
from cludale.services.tickets.store import TICKETS

_log = logging.getLogger(__name__)
_SERVICE = "tickets"
CONCERTS_REMEMBERED = 1_000
REMEMBERED_SECONDS = 5.0


class ShownTicket(NamedTuple):
    """A ticket with what is needed to show it."""

    of: OrderTickets
    number: int
    ticket: Ticket
    concert: ConcertDetails
    hours: Open
    code: str
    holder: str | None = None
    """Who has it, if it was passed on and a name was given."""

    @property
    def id(self) -> str:
        """The ticket's."""
        return domain.ticket_id(self.of.order_id, self.number)

    @property
    def section(self) -> str:
        """The section's name."""
        section = "" if self.of.allocation is None else self.of.allocation.section
        return self.concert.sections.get(section, section)

    @property
    def seat(self) -> NumberedSeat | None:
        """Its seat, where seats have numbers."""
        return self.of.seat(self.number)

    @property
    def place(self) -> str:
        """The section's name, with row and seat where they have numbers: `Stalls, row C, seat 12`."""
        return self.section if self.seat is None else f"{self.section}, {self.seat}"


class Tickets:
    """The tickets service."""

    def __init__(
        self,
        records: Records,
        *,
        clock: Clock,
        ids: IdSource,
        keys: TicketKeys,
        pages: TicketPages,
        seals_of: SealsOf,
        programme: Programme,
        opens_before: timedelta,
        reentry: bool,
        snapshot_life: timedelta = timedelta(hours=12),
        wallets: Wallets | None = None,
        contacts: Contacts | None = None,
    ) -> None:
        """`opens_before`: how long before a concert begins its tickets let people in. `reentry`: whoever went out may
        come back. `snapshot_life`: how long a door may go on without network."""
        self._updates = Updates(_SERVICE, records, clock=clock, ids=ids)
        self._clock = clock
        self._keys = keys
        self._pages = pages
        self._holders = Holders(seals_of)
        self.wallets: Wallets = NoWallets() if wallets is None else wallets
        self._contacts = contacts
        self._programme = programme
        self._opens_before = opens_before
        self._concerts: Recent[str, tuple[datetime, ConcertDetails, Open]] = Recent(CONCERTS_REMEMBERED)
        self.doors = Doors(self._updates, keys, self._concert, reentry=reentry, snapshot_life=snapshot_life)
        """The entrance."""

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Acknowledgement]:
        """OrderPaid issues an order's tickets, OrderCancelled revokes them, PartRefundRequested some of them.
        OrderReseated gives those that have another seat new codes. ContactErased takes away the names of holders that
        the buyer gave.

        One commit call, whatever the batch.
        """
        key_id = self._keys.all()[0].id
        handlers: Mapping[type[Event], Handler[OrderTickets]] = {**HANDLERS, OrderPaid: partial(_issue, key_id)}
        begins = (OrderPaid,)
        answers, _ = await self._updates.handle(TICKETS, deliveries, handlers, attrgetter("order_id"), begins)
        return answers

    # -- showing

    async def of_order(self, order_id: str) -> OrderTickets:
        """The tickets of an order. Raises NotFound, where it has none (yet)."""
        try:
            return (await TICKETS.one(self._updates.records, order_id)).state
        except NotFound:
            raise NotFound("order with tickets", order_id) from None

    async def admitted(self, order_id: str) -> frozenset[int]:
        """The numbers of the order's tickets with which somebody was let in; none where it has no tickets."""
        found = await TICKETS.load(self._updates.records, (order_id,))
        changed = found[order_id].state.changed if order_id in found else {}
        return frozenset(number for number, ticket in changed.items() if ticket.was_let_in)

    async def shown(self, tickets: OrderTickets, numbers: Sequence[int]) -> list[ShownTicket]:
        """These tickets of an order as they are shown. Raises NotFound, Busy."""
        concert, hours = await self._concert(tickets.concert_id)
        name = await self._name(tickets.order_id) if tickets.named else None
        now = self._clock.now()
        keys = [key for key in self._keys.all() if key.is_good(now)]
        return [
            ShownTicket(
                tickets,
                number,
                ticket := tickets.ticket(number),
                concert,
                hours,
                codes.signed(_claims(tickets, number, ticket.generation, hours), self._key(tickets.key_id)),
                self._holders.name(ticket.holder, domain.ticket_id(tickets.order_id, number), keys)
                or (None if ticket.is_transferred else name),
            )
            for number in numbers
        ]

    async def _name(self, order_id: str) -> str | None:
        """Whose complimentary tickets these are, as orders keeps it; None, too, where orders gives no answer: a ticket
        without its name is better than none.
        """
        if self._contacts is None:
            return None
        try:
            found = (await self._contacts.of((order_id,))).get(order_id)
        except ContactsUnreachable as trouble:
            _log.warning("the name on the tickets of %s can't be had: %s", order_id, trouble)
            return None
        return None if found is None else found.name

    async def pdf(self, shown: Sequence[ShownTicket]) -> bytes:
        """A document with these tickets, one a page. Raises Busy."""
        try:
            return await self._pages.pdf([_page(each) for each in shown])
        except PagesBusy:
            raise _busy() from None

    async def drawing(self, shown: ShownTicket) -> bytes:
        """The code as SVG. Raises Busy."""
        try:
            return await self._pages.svg(shown.code)
        except PagesBusy:
            raise _busy() from None

    async def image(self, shown: ShownTicket) -> bytes:
        """The code as PNG. Raises Busy."""
        try:
            return await self._pages.png(shown.code)
        except PagesBusy:
            raise _busy() from None

    async def pkpass(self, shown: ShownTicket) -> bytes:
        """A pass for Apple's wallet. Raises NotFound, where none can be signed."""
        if not self.wallets.has_apple:
            raise NotFound("Apple pass of ticket", shown.id)
        return await self.wallets.apple(_wallet_ticket(shown))

    async def google_link(self, shown: ShownTicket) -> str:
        """The address that saves the ticket in Google's wallet. Raises NotFound, where none can be signed."""
        if not self.wallets.has_google:
            raise NotFound("Google pass of ticket", shown.id)
        return await self.wallets.google(_wallet_ticket(shown))

    def public_keys(self) -> list[tuple[TicketKey, bytes]]:
        """The keys that are good now, each with its public key."""
        now = self._clock.now()
        return [(key, codes.public_bytes(key.seed)) for key in self._keys.all() if key.is_good(now)]

    # -- changing

    async def transfer(
        self,
        order_id: str,
        number: int,
        *,
        holder: str | None,
        cause: Cause,
        beside: Callable[[OrderTickets], Put] | None = None,
    ) -> OrderTickets:
        """The tickets, one of them somebody else's; one more record `beside` commits with that.

        Raises NotFound, TicketVoid, TicketUsed, AnsweredBefore, Busy.
        """

        def decide(tickets: OrderTickets, now: datetime) -> Decision[OrderTickets]:
            kept = holder
            if holder is not None:
                id = domain.ticket_id(order_id, number)
                kept = self._holders.sealed(holder, id, self._key(tickets.key_id))
            return domain.transfer(tickets, number, holder=kept, now=now)

        return await self._updates.change(TICKETS, order_id, decide, cause, beside)

    # -- keys and concerts

    def _key(self, id: str) -> TicketKey:
        """The key that tickets were issued with; the present one, where that has ended."""
        now, keys = self._clock.now(), self._keys.all()
        return next((key for key in keys if key.id == id and key.is_good(now)), keys[0])

    async def _concert(self, id: str) -> tuple[ConcertDetails, Open]:
        """The concert, as it was some seconds ago at the earliest, and when its doors are open.

        Raises NotFound, Busy.
        """
        now = self._clock.now()
        known = self._concerts.get(id)
        if known is not None and now < known[0]:
            return known[1:]
        try:
            found = (await self._programme.of((id,))).get(id)
        except ProgrammeUnreachable as error:
            if known is not None:
                return known[1:]
            raise Busy("Concerts can't be reached; try again in a moment.") from error
        if found is None:
            raise NotFound("concert", id)
        hours = door.open_hours(found, before=self._opens_before)
        self._concerts.remember({id: (now + timedelta(seconds=REMEMBERED_SECONDS), found, hours)})
        return found, hours


def _busy() -> Busy:
    return Busy("Many tickets are being made; try again in a moment.", retry_after_seconds=2)


def _claims(tickets: OrderTickets, number: int, generation: int, hours: Open) -> codes.Claims:
    section = "" if tickets.allocation is None else tickets.allocation.section
    return codes.Claims(
        codes.concert_claim(tickets.concert_id),
        tickets.order_id,
        number,
        tickets.quantity,
        generation,
        codes.section_claim(section, tickets.seat(number)),
        hours.since,
        hours.until,
    )


def _page(shown: ShownTicket) -> TicketPage:
    issued = shown.of.issued_at
    if issued is None:
        raise TypeError("a ticket that was never issued has no page")
    return TicketPage(
        shown.id,
        shown.concert.artist,
        shown.concert.title,
        None if shown.concert.is_postponed else shown.concert.date,
        None if shown.concert.is_postponed else shown.concert.doors_at,
        shown.concert.venue,
        shown.place,
        shown.number,
        shown.of.quantity,
        shown.holder,
        shown.code,
        issued,
    )


def _wallet_ticket(shown: ShownTicket) -> WalletTicket:
    concert = shown.concert
    return WalletTicket(
        id=shown.id,
        generation=shown.ticket.generation,
        concert_id=shown.of.concert_id,
        title=concert.title or concert.artist,
        artist=concert.artist,
        begins=None if concert.is_postponed else _time(concert.date),
        day=_day(concert),
        doors=None if concert.is_postponed or concert.doors_at is None else _time(concert.doors_at),
        valid_until=shown.hours.until,
        venue=concert.venue,
        section=shown.place,
        number=shown.number,
        quantity=shown.of.quantity,
        holder=shown.holder,
        code=shown.code,
        organizer=concert.artist if concert.organizer == DEFAULT_ORGANIZER else concert.organizer,
    )


def _time(written: str) -> datetime | None:
    """None where it is a day."""
    return None if dates.is_day(written) else dates.begins(written)


def _day(concert: ConcertDetails) -> str:
    if concert.is_postponed:
        return "Postponed; its new date is not known yet"
    day = date.fromisoformat(dates.local_day(concert.date))
    return f"{day.day} {day:%B} {day.year}"


def _issue(key_id: str, event: Envelope, state: OrderTickets | None, now: datetime) -> Decision[OrderTickets]:
    paid: OrderPaid = event.data
    named = paid.bill is not UNSET and paid.bill.complimentary
    return domain.issue(state, order_id=paid.order_id, allocation=paid.allocation, key_id=key_id, now=now, named=named)


def _cancel(event: Envelope, state: OrderTickets | None, now: datetime) -> Decision[OrderTickets] | None:
    off: OrderCancelled = event.data
    if not off.was_paid:
        return None
    return domain.cancel(state, order_id=off.order_id, concert_id=off.concert_id, now=now)


def _give_back(event: Envelope, state: OrderTickets | None, now: datetime) -> Decision[OrderTickets] | None:
    asked: PartRefundRequested = event.data
    if not asked.part.tickets:
        return None  # money only
    if state is None:
        raise TooEarly
    numbers = asked.part.numbers or ()
    return domain.give_back(state, asked.part.tickets, part=asked.part.number, now=now, numbers=numbers)


def _reseat(event: Envelope, state: OrderTickets | None, now: datetime) -> Decision[OrderTickets]:
    if state is None:
        raise TooEarly
    return domain.reseat(state, event.data.allocation, now=now)


def _forget(event: Envelope, state: OrderTickets | None, now: datetime) -> Decision[OrderTickets] | None:
    erased: ContactErased = event.data
    if state is None:
        return None  # none issued: none named
    return domain.forget_holders(state, erased.reason, at=event.time, now=now)


_Decides = Callable[..., Decision[OrderTickets] | None]
HANDLERS: Mapping[type[Event], _Decides] = {
    OrderPaid: _issue,
    OrderCancelled: _cancel,
    PartRefundRequested: _give_back,
    OrderReseated: _reseat,
    ContactErased: _forget,
}
"""What the service hears, and what decides about it. `_issue` is told the key that signs, too."""
