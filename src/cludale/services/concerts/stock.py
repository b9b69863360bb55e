"""The seats of a section and who has them: its counts, and its reservations. No I/O, clock or HTTP.

A section knows how many seats it has, how many are sold, and how many are held until which second; so what is available
follows from the time, never from whether anyone swept.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.allocation import Allocation, NumberedSeat
from cludale.kernel.bills import Bill
from cludale.kernel.buyers import BuyerKeys
from cludale.kernel.money import Money
from cludale.ports.seats import HeldOtherwise, SeatsUnavailable
from cludale.services.concerts import numbered
from cludale.services.concerts.blocks import block as blocks
from cludale.services.concerts.blocks.block import Blocks
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.events import Priced, ReleaseReason, SectionPlan
from cludale.services.concerts.numbered import SeatMap
from cludale.services.concerts.prices import domain as pricing


class Status(StrEnum):
    """Where a reservation is in its life."""

    HELD = "Held"
    SOLD = "Sold"
    RELEASED = "Released"


class Answered(StrEnum):
    """What became of the money for a reservation that is Released."""

    REFUSED = "refused"
    """It came too late, and went back."""
    SOLD = "sold"
    """It got the seats, which were given back when the order was cancelled."""


class Returned(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Seats that were given back, and when."""

    tickets: int
    at: datetime
    numbers: tuple[int, ...] | UnsetType = UNSET
    """Which, where seats have numbers: the reservation's first is 1."""


class Reservation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Some seats of one section, held for somebody, sold to them, or given back."""

    id: str
    concert_id: str
    section: str
    quantity: int
    order_id: str | None
    expires_at: datetime
    status: Status = Status.HELD
    released_for: ReleaseReason | None = None
    successor: str | None = None
    """The reservation that money which came too late got instead of this one."""
    closed: bool = False
    """The order was cancelled on purpose: money that still comes gets no seats."""
    answered: Answered | UnsetType = UNSET
    """What became of its money, where the status doesn't say so: it gets no other end however often it is told of."""
    buyers: BuyerKeys | UnsetType = UNSET
    """The buyers whose tickets these are counted as, where the concert limits them; no event has the hashes."""
    price: Money | UnsetType = UNSET
    """The price of one seat, where the section's price was changed before; unset: the price that was scheduled."""
    returns: Mapping[int, Returned] | UnsetType = UNSET
    """Seats of a sold one that were given back, by the number of the order's part refund; unset: none were."""
    bill: Bill | UnsetType = UNSET
    """What its seats cost, where there is a price list or a code; unset: so many times the price."""
    priced: Priced | UnsetType = UNSET
    """By what the bill was made."""
    block: str | UnsetType = UNSET
    """Out of which block they are, if out of one."""
    numbered_seats: tuple[NumberedSeat, ...] | UnsetType = UNSET
    """Which seats, in a numbered section."""
    moved: tuple[str, ...] | UnsetType = UNSET
    """The ids of the moves by which some of them became others, in order; unset: none did."""
    offered: bool | UnsetType = UNSET
    """It was held for somebody who waited for it. In no event of the reservation: SeatsOffered says it."""

    @property
    def code(self) -> str | None:
        """The discount code that it uses, if any."""
        return None if self.bill is UNSET else self.bill.code

    @property
    def kept(self) -> int:
        """Its seats but for those that were given back."""
        return (
            self.quantity
            if self.returns is UNSET
            else self.quantity - sum(each.tickets for each in self.returns.values())
        )

    @property
    def kept_numbers(self) -> tuple[int, ...]:
        """The tickets with numbered seats that were not given back. A seat that was may be another ticket's by now."""
        back = {number for each in (self.returns or {}).values() for number in each.numbers or ()}
        return tuple(number for number in range(1, len(self.numbered_seats or ()) + 1) if number not in back)

    @property
    def kept_seats(self) -> tuple[NumberedSeat, ...]:
        """Its numbered seats but for those that were given back."""
        if self.numbered_seats is UNSET or self.returns is UNSET:
            return self.numbered_seats or ()
        back = {number for each in self.returns.values() for number in each.numbers or ()}
        return tuple(seat for number, seat in enumerate(self.numbered_seats, 1) if number not in back)

    @property
    def allocation(self) -> Allocation:
        """Its seats, as they are handed on."""
        return Allocation(
            concert_id=self.concert_id,
            section=self.section,
            reservation_id=self.id,
            quantity=self.quantity,
            numbered_seats=self.numbered_seats,
            moves=UNSET if self.moved is UNSET else len(self.moved),
        )

    def is_live(self, now: datetime) -> bool:
        """Does it keep its seats from others?"""
        return self.status is Status.SOLD or (self.status is Status.HELD and now < self.expires_at)


def check_same_request(
    held: Reservation,
    *,
    quantity: int,
    section: str | None,
    terms: pricing.Terms | None = None,
    seats: Sequence[str] = (),
) -> None:
    """Is it what is asked for, in the section named, if one is? Raises HeldOtherwise."""
    is_other = terms is not None and held.bill is not UNSET and not _is_for(held.bill, terms, quantity)
    if seats and held.moved is UNSET:
        is_other = is_other or {seat.id for seat in held.numbered_seats or ()} != set(seats)
    if held.quantity != quantity or section not in (None, held.section) or is_other:
        raise HeldOtherwise(held.order_id or held.id, wanted=quantity, held=held.quantity, section=held.section)


def _is_for(bill: Bill, terms: pricing.Terms, quantity: int) -> bool:
    """Is it the bill of these tickets, with this code?"""
    code = None if terms.code is None else terms.code.code
    if not terms.wish.tickets:
        return bill.code == code and len(bill.lines) == 1
    return bill.code == code and set(bill.tickets) == set(pricing.counted(terms.pricing, terms.wish, quantity))


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The seats of one section. total = available + held + sold + held back, at any time."""

    concert_id: str
    id: str
    price: Money
    total: int
    sold: int = 0
    held: Mapping[int, int] = msgspec.field(default_factory=dict)
    """Seats held until which second since 1970; those whose second has come are held no more."""
    as_of: datetime | None = None
    """The latest time at which seats were given to somebody."""
    changed: int | UnsetType = msgspec.field(default=UNSET, name="changes")
    """How often seats or price were changed; unset: never."""
    closed: bool | UnsetType = UNSET
    """The concert is called off: nobody gets seats. In no event: the concert's says it."""
    blocks: Blocks | UnsetType = UNSET
    """Seats that are held back; unset: none ever were."""
    waiting: int | UnsetType = UNSET
    """Who waits for seats of it; unset: nobody ever did."""

    numbered: SeatMap | UnsetType = UNSET
    """Which seats are whose, where they have numbers."""

    @property
    def its_blocks(self) -> Blocks:
        """The blocks that were not let go."""
        return {} if self.blocks is UNSET else self.blocks

    @property
    def changes(self) -> int:
        """How often seats or price were changed."""
        return 0 if self.changed is UNSET else self.changed

    def moment(self, now: datetime) -> datetime:
        """The time here: it never goes back. A clock that does must not bring holds to life whose seats others have."""
        return now if self.as_of is None or now >= self.as_of else self.as_of

    def held_seats(self, now: datetime) -> int:
        """Seats held at `now`."""
        second, held = self.moment(now).timestamp(), self.held
        all_held = sum(held.values())
        if not held or second < min(held):  # asked with every hold: most often none has ended since the last sweep
            return all_held
        return all_held - sum([seats for until, seats in held.items() if until <= second])

    @property
    def places(self) -> int:
        """How many places its numbered seats have: more than there are seats, where some were taken away."""
        return self.total if self.numbered is UNSET or not self.numbered.places else self.numbered.places

    def available(self, now: datetime) -> int:
        """Seats that can be had at `now`."""
        left = self.total - self.sold - self.held_seats(now)
        if self.blocks is not UNSET:
            left -= self.held_back(now)
        return left if self.numbered is UNSET else left - len(self.numbered.blocked)

    def available_to_all(self, now: datetime) -> int:
        """Seats that somebody can have at `now` who asks for no wheelchair place."""
        if self.numbered is UNSET:
            return self.available(now)
        return numbered.free_to_all(self.numbered, self.places, self.moment(now).timestamp())

    @property
    def total_to_all(self) -> int:
        """Seats that somebody could have who asks for no wheelchair place, were nobody else there."""
        return self.total if self.numbered is UNSET else self.total - numbered.set_aside(self.numbered)

    def held_back(self, now: datetime) -> int:
        """Seats that are held back at `now`."""
        return 0 if self.blocks is UNSET else blocks.held_back(self.blocks, self.moment(now))

    def taken(self, now: datetime) -> int:
        """Seats that somebody has at `now`: sold or held."""
        return self.sold + self.held_seats(now)

    def next_more(self, now: datetime) -> datetime | None:
        """When more seats can be had, if nothing happens: holds or blocks end. None: then never."""
        back = self.next_back(now)
        if self.blocks is UNSET:
            return back
        moment = self.moment(now)
        ends = [block.ends_at for block in self.blocks.values() if block.left and block.is_live(moment)]
        return min([*ends, *([] if back is None else [back])], default=None)

    def next_back(self, now: datetime) -> datetime | None:
        """When the next seats come back, if they are not paid; None: none are held."""
        second = self.moment(now).timestamp()
        ends = [until for until in self.held if second < until]
        return datetime.fromtimestamp(min(ends), UTC) if ends else None


def unavailable(concert_id: str, sections: Sequence[Section], *, wanted: int, now: datetime) -> SeatsUnavailable:
    """Why none of these sections, of which there is at least one, has so many seats."""
    held = [section.held_seats(now) for section in sections]
    waiting = sum(section.waiting or 0 for section in sections)
    left = [0 if section.waiting else section.available_to_all(now) for section in sections]
    best = max(range(len(sections)), key=left.__getitem__)
    back = [at for section, seats in zip(sections, held, strict=True) if seats and (at := section.next_back(now))]
    return SeatsUnavailable(
        concert_id,
        wanted=wanted,
        left=max(0, left[best]),
        section=sections[best].id,
        held=sum(held),
        held_until=min(back, default=None),
        waiting=waiting,
    )


def empty_section(concert: Concert, section: str) -> Section:
    """A section that nobody has touched yet."""
    return untouched(concert.id, concert.plan(section))


def untouched(concert_id: str, plan: SectionPlan) -> Section:
    """The section of this plan before anybody has touched it."""
    section = Section(concert_id=concert_id, id=plan.id, price=plan.price, total=plan.total_seats)
    if plan.plan is UNSET:
        return section
    none_taken = SeatMap(
        plan=plan.plan.digest, zone=plan.plan.zone, taken=bytes((plan.total_seats + 7) >> 3), aside=plan.plan.aside
    )
    return msgspec.structs.replace(section, numbered=none_taken)
