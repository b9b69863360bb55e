"""Waiting lists: who waits for seats of a section, in the order in which they came, and what they are offered. No I/O.

A list stands beside its section, in the section's partition and commits; the section counts who waits, so that seats
that come back are met by the list where they are given away. While anybody waits, nobody else gets seats of the
section. What comes back is offered to the first whose party it seats whole: a larger party before them keeps its place.
An offer is a hold until a time; not taken, it ends as every hold does, and the next is offered what came back.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from cludale.kernel.bills import PriceWish
from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.decision import Decision
from cludale.kernel.events import Event
from cludale.kernel.ids import same_as
from cludale.kernel.refusals import Refusal
from cludale.ports.seats import CalledOff, ConcertOver, HoldEnded, OverTheLimit, WaitingListFull
from cludale.services.concerts import domain, evolution
from cludale.services.concerts.domain import Hold
from cludale.services.concerts.events import (
    ClaimRefused,
    ReleaseReason,
    SeatsOffered,
    SeatsReleased,
    WaitingListJoined,
    WaitingListLeft,
    WhyLeft,
)
from cludale.services.concerts.evolution import Seating
from cludale.services.concerts.prices.domain import CodeTerms, Terms
from cludale.services.concerts.prices.price_list import NO_PRICING, Pricing
from cludale.services.concerts.stock import Reservation, Section, Status, unavailable

MOST_WAITING = 1_000
"""In one section: a list is written whole with each who comes or goes."""
LEFT_KEPT = 100
"""Orders that left last: a request to join that was on its way meanwhile comes too late. It is seconds old at most."""
AT_ONCE = 20
"""Offers that are made, or entries that are ended, in one commit."""


class WaitingEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Who waits."""

    order_id: str
    place: int
    """The how manieth to join this section's list, from 1; it never changes."""
    quantity: int
    joined_at: datetime
    wish: PriceWish | None = None
    """Which tickets, by what code, if that is said."""
    buyers: BuyerKeys = ()
    """Whose tickets an offer counts as, where the concert limits them; no event has them. None in what was written
    before this field existed."""

    @property
    def code(self) -> str | None:
        """The code that it wants to use."""
        return None if self.wish is None else self.wish.code

    @property
    def is_claimed(self) -> bool:
        """Is something to be claimed before it can be offered seats?"""
        return bool(self.buyers) or self.code is not None


class Grant(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was claimed for an entry, so that it can be offered seats."""

    is_refused: bool = False
    """It can't be: the section has fewer seats by now, or `claim` says why."""
    claim: ClaimRefused | UnsetType = UNSET
    """Its code is over or used up, or its buyer has as many tickets as one may have."""
    buyers: BuyerKeys = ()
    code: CodeTerms | None = None
    ends: datetime | None = None
    """Until then the seats may be taken."""


class WaitingList(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Who waits for seats of a section, the first first."""

    concert_id: str
    section: str
    joined: int = 0
    """How many ever joined."""
    entries: tuple[WaitingEntry, ...] = ()
    left: tuple[str, ...] = ()
    """The orders that left last, LEFT_KEPT at most; in no event, as one may leave before it has joined."""

    def position(self, order_id: str) -> int | None:
        """How many are served before it at the latest, with itself; None: it does not wait."""
        return next((at for at, each in enumerate(self.entries, 1) if each.order_id == order_id), None)


class Join(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: this order waits for so many seats; asked again, nothing changes."""

    order_id: str
    quantity: int
    wish: PriceWish | None
    over_at: datetime
    buyers: BuyerKeys = ()


class Leave(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: this order was cancelled: it waits no more, nor joins later, and what it was offered goes back."""

    order_id: str
    section: str


class MakeOffers(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: offer what can be had to those who wait."""

    offer_seconds: float
    over_at: datetime
    pricing: Pricing | None
    revision: int
    grants: Mapping[str, Grant] = MappingProxyType({})
    """By the orders of those for whom something has to be claimed first. The first without one is where it stops."""


class EndList(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Command: nothing is sold any more: AT_ONCE of those who wait are told so."""

    reason: WhyLeft


ListCommand = Join | Leave | MakeOffers | EndList


class ListedSection(NamedTuple):
    """A section with its list, and those of its reservations that are looked at."""

    seating: Seating
    waiting: WaitingList


def reservation_of(order_id: str) -> str:
    """The reservation of what an order is offered: the one that it would have got without waiting."""
    return same_as("reservation", order_id)


def decide(line: ListedSection, command: ListCommand, now: datetime) -> tuple[ListedSection, tuple[Event, ...]]:
    """What a command does.

    Raises CalledOff, ConcertOver, HoldEnded, OverTheLimit, SeatsUnavailable, WaitingListFull.
    """
    now = line.seating.section.moment(now)
    match command:
        case Join():
            return _join(line, command, now)
        case Leave():
            return _leave(line, command)
        case MakeOffers():
            return _offer(line, command, now)
        case EndList():
            events = [_left(line.waiting, each, command.reason) for each in line.waiting.entries[:AT_ONCE]]
            return _after(line, events, now), tuple(events)


def evolve(waiting: WaitingList, event: Event, *, at: datetime) -> WaitingList:
    """The list after this fact, which happened `at` this time."""
    match event:
        case WaitingListJoined():
            wish = event.wish or None
            entry = WaitingEntry(
                order_id=event.order_id, place=event.place, quantity=event.quantity, joined_at=at, wish=wish
            )
            return replace(waiting, joined=event.place, entries=(*waiting.entries, entry))
        case WaitingListLeft() | SeatsOffered():
            rest = tuple(each for each in waiting.entries if each.place != event.place)
            return replace(waiting, entries=rest)
    return waiting


def _after(line: ListedSection, events: Sequence[Event], at: datetime) -> ListedSection:
    seating, waiting = line
    for event in events:
        seating = evolution.evolve(seating, event)
        waiting = evolve(waiting, event, at=at)
    return ListedSection(seating, waiting)


def _join(line: ListedSection, join: Join, now: datetime) -> tuple[ListedSection, tuple[Event, ...]]:
    section = line.seating.section
    if line.waiting.position(join.order_id) is not None:
        return line, ()
    offered = line.seating.reservations.get(reservation_of(join.order_id))
    if offered is not None:
        if not offered.is_live(now):
            raise HoldEnded(offered.id)
        return line, ()
    if join.order_id in line.waiting.left:
        raise HoldEnded(reservation_of(join.order_id))
    if section.closed is True:
        raise CalledOff(section.concert_id)
    if now >= join.over_at:
        raise ConcertOver(section.concert_id, join.over_at)
    if join.quantity > section.total_to_all:
        raise OverTheLimit(section.concert_id, wanted=join.quantity, limit=section.total_to_all)
    if not line.waiting.entries and 0 < section.available_to_all(now) < join.quantity:
        # It is not sold out: nobody keeps the last seats from others by waiting for more than there are.
        raise unavailable(section.concert_id, (section,), wanted=join.quantity, now=now)
    if len(line.waiting.entries) >= MOST_WAITING:
        raise WaitingListFull(section.concert_id, section.id, length=len(line.waiting.entries))
    joined = WaitingListJoined(
        concert_id=section.concert_id,
        section=section.id,
        order_id=join.order_id,
        place=line.waiting.joined + 1,
        quantity=join.quantity,
        wish=join.wish or UNSET,
    )
    seating, waiting = _after(line, [joined], now)
    if join.buyers:
        *before, last = waiting.entries
        waiting = replace(waiting, entries=(*before, replace(last, buyers=join.buyers)))
    return ListedSection(seating, waiting), (joined,)


def to_grant(section: Section, waiting: WaitingList, now: datetime) -> list[WaitingEntry]:
    """For whom something is to be claimed, so that what can be had is offered to them in their turn; AT_ONCE at most.

    Nobody, where the first whom it seats needs no claim.
    """
    left, found = section.available_to_all(now), list[WaitingEntry]()
    for entry in waiting.entries:
        if left < entry.quantity:
            continue
        left -= entry.quantity
        if entry.is_claimed:
            found.append(entry)
        if len(found) >= AT_ONCE:
            break
    return found


def _leave(line: ListedSection, leave: Leave) -> tuple[ListedSection, tuple[Event, ...]]:
    for entry in line.waiting.entries:
        if entry.order_id == leave.order_id:
            left = _left(line.waiting, entry, WhyLeft.LEFT)
            return _without(_after(line, [left], entry.joined_at), leave.order_id), (left,)
    offered = line.seating.reservations.get(reservation_of(leave.order_id))
    if offered is None:
        return _without(line, leave.order_id), ()
    if offered.status is not Status.HELD:
        return line, ()
    released = SeatsReleased(allocation=offered.allocation, order_id=offered.order_id, reason=ReleaseReason.CANCELLED)
    after = evolution.evolve(line.seating, released)
    closed: Reservation = replace(after.reservations[offered.id], closed=True)
    kept = {**after.reservations, offered.id: closed}
    return ListedSection(Seating(after.section, kept, after.hall), line.waiting), (released,)


def _without(line: ListedSection, order_id: str) -> ListedSection:
    """This order is not to join any more."""
    if order_id in line.waiting.left:
        return line
    left = (*line.waiting.left, order_id)[-LEFT_KEPT:]
    return ListedSection(line.seating, replace(line.waiting, left=left))


def _left(
    waiting: WaitingList, entry: WaitingEntry, reason: WhyLeft, *, claim: ClaimRefused | UnsetType = UNSET
) -> WaitingListLeft:
    return WaitingListLeft(
        concert_id=waiting.concert_id,
        section=waiting.section,
        order_id=entry.order_id,
        place=entry.place,
        reason=reason,
        claim=claim,
    )


def _offer(line: ListedSection, command: MakeOffers, now: datetime) -> tuple[ListedSection, tuple[Event, ...]]:
    """To each in their turn whose party is seated whole by what is left, AT_ONCE at most."""
    events: list[Event] = []
    for entry in line.waiting.entries:
        if len(events) >= 2 * AT_ONCE:
            break
        section: Section = line.seating.section
        is_too_large = entry.quantity > section.total_to_all  # seats were taken away meanwhile
        if section.closed is True or (not is_too_large and section.available_to_all(now) < entry.quantity):
            continue
        grant: Grant | None = Grant(is_refused=is_too_large)
        if entry.is_claimed and not is_too_large:
            grant = command.grants.get(entry.order_id)
        if grant is None or (grant.ends is not None and grant.ends <= now):
            break  # nobody is passed over: it is claimed first
        made = None if grant.is_refused else _held_for(line.seating, entry, command, grant, now)
        if made is None:
            left = _left(line.waiting, entry, WhyLeft.NOT_SOLD, claim=grant.claim)
            line = _after(line, [left], now)
            events.append(left)
            continue
        held = made.state.reservations[reservation_of(entry.order_id)]
        offered = SeatsOffered(
            allocation=held.allocation,
            order_id=entry.order_id,
            place=entry.place,
            expires_at=held.expires_at,
            total=section.price.times(entry.quantity) if held.bill is UNSET else held.bill.money,
            bill=held.bill,
        )
        line = _after(ListedSection(_marked(made.state, offered.reservation_id), line.waiting), [offered], now)
        events += [*made.events, offered]
    return line, tuple(events)


def _marked(seating: Seating, reservation_id: str) -> Seating:
    """The reservation is an offer, which may come to nothing without anybody having taken it."""
    offer = replace(seating.reservations[reservation_id], offered=True)
    return replace(seating, reservations={**seating.reservations, reservation_id: offer})


def _held_for(
    seating: Seating, entry: WaitingEntry, command: MakeOffers, grant: Grant, now: datetime
) -> Decision[Seating] | None:
    """The hold; None: what they want is not sold any more."""
    terms = None
    if command.pricing is not None or grant.code is not None:
        terms = Terms(command.pricing or NO_PRICING, entry.wish or PriceWish(), grant.code)
    hold = Hold(
        reservation_of(entry.order_id),
        entry.order_id,
        entry.quantity,
        command.offer_seconds,
        command.over_at,
        terms=terms,
        revision=command.revision,
        waited=entry.place,
        buyers=grant.buyers,
        claim_ends=grant.ends,
    )
    try:
        return domain.hold(seating, hold, now)
    except Refusal:
        return None


def is_waited_for(section: Section) -> bool:
    """Does anybody wait for seats of it?"""
    return section.waiting is not UNSET and section.waiting > 0
