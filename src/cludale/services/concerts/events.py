"""What concerts tells the others."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.allocation import Allocation, NumberedSeat, SeatsEvent
from cludale.kernel.bills import Bill, PriceWish
from cludale.kernel.events import Event, Topic
from cludale.kernel.money import Money
from cludale.kernel.principals import Scope
from cludale.services.concerts.prices.price_list import Pricing


class SeatPlanPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """The part of a seating plan that is a section: the digest of the plan, and the zone of it."""

    digest: str
    zone: str
    aside: bytes = b""
    """Its wheelchair and companion places, two bytes each, the lower one first: nobody gets one who didn't ask."""
    order: str = ""
    """The digest of the list of its seats' ids by their places; empty, as in all that was written before this field
    existed: they stand there in the order of the plan."""


class SectionPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A section as scheduled: so many seats at such a price each."""

    id: str
    name: str
    total_seats: int
    price: Money
    plan: SeatPlanPart | UnsetType = UNSET
    """Where its seats have numbers; unset, as in all that was written before this field existed: they have none."""


class ConcertStatus(StrEnum):
    """Where a concert is in its life."""

    DRAFT = "draft"
    """Only its organizer sees it, and nothing is sold."""
    LISTED = "listed"
    UNLISTED = "unlisted"
    """Found by its id, or by its organizer."""
    POSTPONED = "postponed"
    """To be held another time that is not known yet: tickets stay valid, and nothing is sold."""
    CANCELLED = "cancelled"
    """Called off: all money goes back."""


class Particulars(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What else is said of a concert, as far as it is."""

    title: str | None = None
    """What it is called, if not by its artist."""
    place: str | None = None
    """The town or address of its venue."""
    zone: str | None = None
    """The IANA name of its time zone: `Europe/Berlin`."""
    doors_at: str | None = None
    description: str | None = None
    picture: str | None = None
    """An https URL."""
    off_sale_at: datetime | None = None
    """From then on nothing is sold, if that is before it is over."""
    pricing: Pricing | None = None
    """Categories, tiers, fees and tax; None, as before this field existed: a seat costs what its section says."""
    min_per_order: int | None = None
    """The fewest seats in one order; None, as before this field existed: 1."""
    offer_minutes: int | None = None
    """How long seats are held for who waited for them; None, as before this field existed: as the platform says."""


class ConcertFields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Fields of a concert as they are set anew; what isn't here stays as it is."""

    artist: str | UnsetType = UNSET
    date: str | UnsetType = UNSET
    venue: str | UnsetType | None = UNSET
    on_sale_at: datetime | UnsetType | None = UNSET
    max_per_order: int | UnsetType = UNSET
    ends_at: str | UnsetType | None = UNSET
    cancel_until: datetime | UnsetType | None = UNSET
    title: str | UnsetType | None = UNSET
    place: str | UnsetType | None = UNSET
    zone: str | UnsetType | None = UNSET
    doors_at: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    picture: str | UnsetType | None = UNSET
    off_sale_at: datetime | UnsetType | None = UNSET
    status: ConcertStatus | UnsetType = UNSET
    pricing: Pricing | UnsetType | None = UNSET
    min_per_order: int | UnsetType | None = UNSET
    offer_minutes: int | UnsetType | None = UNSET


class ConcertScheduled(Event, frozen=True, kw_only=True):
    """A concert can be found, if it is listed, and, from `on_sale_at` on, ordered."""

    subject_field: ClassVar[str] = "concert_id"
    data_version: ClassVar[str] = "1.4"

    concert_id: str
    artist: str
    date: str
    venue: str | None
    sections: tuple[SectionPlan, ...]
    on_sale_at: datetime | None
    max_per_order: int
    listed: bool = True
    """True of all concerts in events written before this field existed."""
    ends_at: str | None = None
    cancel_until: datetime | None = None
    organizer_id: str | UnsetType = msgspec.field(default=UNSET, name="organizer")
    """Whose it is; unset, as in events written before this field existed: the default organizer's."""
    max_per_buyer: int | UnsetType = UNSET
    """The most tickets of one buyer; unset, as in events written before this field existed: any number."""
    particulars: Particulars | UnsetType = UNSET
    status: ConcertStatus | UnsetType = UNSET
    """Unset, as in events written before this field existed: `listed` says it."""


class ConcertStep(Event, frozen=True, kw_only=True):
    """Base of what becomes of a concert that was scheduled."""

    subject_field: ClassVar[str] = "concert_id"

    concert_id: str
    revision: int
    """The how manieth step of this concert it is."""
    changed_by: str
    """The id of the key."""


class ConcertChanged(ConcertStep, frozen=True, kw_only=True):
    """What a concert is, or how it is sold, is said anew."""

    data_version: ClassVar[str] = "1.1"

    fields: ConcertFields


class ConcertPostponed(ConcertStep, frozen=True, kw_only=True):
    """It is moved: to the time in `fields`, or to one that is not known yet. Tickets stay valid; buyers are told."""

    reason: str
    """For the buyers."""
    date: str
    """When it is to be now; of one without a new time, when it was to be."""
    cancel_until: datetime
    """Until then buyers may cancel."""
    fields: ConcertFields


class ConcertCancelled(ConcertStep, frozen=True, kw_only=True):
    """It is called off: nothing is sold from now on, all orders are cancelled, and all money goes back."""

    reason: str
    """For the buyers."""


class SectionStep(Event, frozen=True, kw_only=True):
    """Base of what becomes of a section beside its sale."""

    subject_field: ClassVar[str] = "concert_id"

    concert_id: str
    section: str
    change: int
    """The how manieth change of this section it is, of seats or price."""
    changed_by: str
    """The id of the key."""


class SeatsAdded(SectionStep, frozen=True, kw_only=True):
    """A section has more seats from now on."""

    seats: int
    total_seats: int
    """With them."""


class SeatsTaken(SectionStep, frozen=True, kw_only=True):
    """A section has fewer seats from now on; never fewer than are sold and held."""

    seats: int
    total_seats: int
    """Without them."""


class SeatsBlocked(SectionStep, frozen=True, kw_only=True):
    """Nobody gets these numbered seats from now on."""

    numbered_seats: tuple[NumberedSeat, ...]
    reason: str
    """The organizer's own words."""


class SeatsUnblocked(SectionStep, frozen=True, kw_only=True):
    """These numbered seats, which were blocked, can be had again."""

    numbered_seats: tuple[NumberedSeat, ...]


class SeatPlanChanged(SectionStep, frozen=True, kw_only=True):
    """A section's numbered seats are those of another plan from now on. Who has seats keeps them, at their places."""

    plan: SeatPlanPart
    before: str
    """The digest of the plan that it had."""
    added: int = 0
    """How many seats are new; their places come after all that there ever were."""
    back: bytes = b""
    """Places that were taken away once and are there again, two bytes each, the lower one first."""
    gone: bytes = b""
    """Places that are taken away, likewise; nobody had a seat there."""
    total_seats: int


class PriceChanged(SectionStep, frozen=True, kw_only=True):
    """Who gets seats of this section from now on pays this for each; who has some keeps the price that they had."""

    price: Money
    before: Money


class LetGoReason(StrEnum):
    """Why seats that were held back can be had by everybody."""

    ENDED = "ended"
    """The block's end has come."""
    FEW_LEFT = "few-left"
    """So few seats were left in the section beside it."""
    RELEASED = "released"
    """Whoever may change the concert let them go."""


class SeatsHeldBack(SectionStep, frozen=True, kw_only=True):
    """Seats are held back for a purpose from now on, or as many as this now: nobody gets them but out of the block."""

    block: str
    purpose: str
    seats: int
    """In all, with those that were sold out of the block before."""
    ends_at: datetime
    hours_before: float | None
    """It ends so long before the concert begins, if that is its rule."""
    few_left: int | None
    """It is let go once fewer seats than these can be had in the section."""


class SeatsLetGo(SectionStep, frozen=True, kw_only=True):
    """What is left of a block can be had by everybody; that is said once of each block."""

    block: str
    seats: int
    """How many were left in the block."""
    reason: LetGoReason


class CodeLimits(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """How often a code may be used, for how many tickets in all, and until when; None: without a limit."""

    max_uses: int | None = None
    max_tickets: int | None = None
    ends_at: datetime | None = None


class CodeCreated(Event, frozen=True, kw_only=True):
    """Who has this code gets tickets of the concert for less, or of a category that is hidden."""

    subject_field: ClassVar[str] = "concert_id"

    concert_id: str
    code: str
    percent: float | None
    less: int | None
    """How much less each ticket costs, in minor units of the concert's currency."""
    unlocks: str | None
    limits: CodeLimits
    changed_by: str
    """The id of the key."""


class CodeChanged(Event, frozen=True, kw_only=True):
    """A code has these limits from now on."""

    subject_field: ClassVar[str] = "concert_id"

    concert_id: str
    code: str
    change: int
    """The how manieth change of this code it is."""
    limits: CodeLimits
    changed_by: str


class KeyCreated(Event, frozen=True, kw_only=True):
    """Somebody has a key. Neither the key nor a hash of it is in any event, nor its name, which may be a person's."""

    subject_field: ClassVar[str] = "key_id"

    key_id: str
    organizer: str
    scopes: tuple[Scope, ...]
    only_concert: str | None
    """The one concert that it is for; None: any of the organizer's."""
    created_at: datetime
    ends_at: datetime | None


class KeyRevoked(Event, frozen=True, kw_only=True):
    """From `ends_at` on the key opens nothing."""

    subject_field: ClassVar[str] = "key_id"

    key_id: str
    organizer: str
    ends_at: datetime


class ReleaseReason(StrEnum):
    """Why seats went back."""

    EXPIRED = "hold-expired"
    CANCELLED = "order-cancelled"
    UNPAID = "payment-failed"
    CALLED_OFF = "concert-called-off"
    """Money came for them after the concert was called off."""


class Priced(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """By what a bill was made, for those who check it: the concert's change, the time, the section's seats then."""

    revision: int
    at: datetime
    taken: int
    """Seats that were sold or held in the section, with these."""


class SeatsReserved(SeatsEvent, frozen=True, kw_only=True):
    """Seats are held until `expires_at`."""

    subject_field: ClassVar[str] = "reservation_id"
    data_version: ClassVar[str] = "1.3"

    order_id: str | None
    expires_at: datetime
    price: Money | UnsetType = UNSET
    """The price of one seat; unset, as in all events written before this field existed: the section's first price."""
    bill: Bill | UnsetType = UNSET
    """What they cost by the price list or with a code; unset, as in events written before this field existed: so many
    times `price`."""
    priced: Priced | UnsetType = UNSET
    """By what the bill was made."""
    block: str | UnsetType = UNSET
    """Out of which block they are; unset, as in events written before this field existed: out of none."""
    allocation: Allocation


class WhyLeft(StrEnum):
    """Why somebody waits no more."""

    LEFT = "left"
    """Their order was cancelled."""
    SALE_ENDED = "sale-ended"
    CONCERT_OVER = "concert-over"
    CALLED_OFF = "concert-called-off"
    NOT_SOLD = "no-such-tickets"
    """What they want is not sold any more."""


class ClaimRefused(StrEnum):
    """What an offer has to claim before its seats, and could not."""

    CODE = "code-used-up"
    BUYER = "over-the-limit"


class WaitingListJoined(Event, frozen=True, kw_only=True):
    """An order waits for seats of a section."""

    subject_field: ClassVar[str] = "order_id"

    concert_id: str
    section: str
    order_id: str
    place: int
    """The how manieth to join this section's list; who has a lower one is served before."""
    quantity: int
    wish: PriceWish | UnsetType = UNSET
    """Which tickets, if that is said."""


class WaitingListLeft(Event, frozen=True, kw_only=True):
    """An order waits no more, and was offered nothing."""

    subject_field: ClassVar[str] = "order_id"
    data_version: ClassVar[str] = "1.1"

    concert_id: str
    section: str
    order_id: str
    place: int
    reason: WhyLeft
    claim: ClaimRefused | UnsetType = UNSET
    """Of `no-such-tickets`: the code or the buyer's limit is why; unset, as in events written before this field
    existed: they are not sold any more."""


class SeatsOffered(SeatsEvent, frozen=True, kw_only=True):
    """It is the turn of an order that waited: these seats are held for it until `expires_at`."""

    subject_field: ClassVar[str] = "reservation_id"
    data_version: ClassVar[str] = "1.1"

    order_id: str
    place: int
    expires_at: datetime
    total: Money | None = None
    """What they cost in all; None in events written before this field existed."""
    bill: Bill | UnsetType = UNSET
    """What they cost by the price list or with a code, as in `SeatsReserved`."""
    allocation: Allocation


class SeatsSold(SeatsEvent, frozen=True, kw_only=True):
    """The held seats were paid for; they belong to the order."""

    subject_field: ClassVar[str] = "reservation_id"
    data_version: ClassVar[str] = "1.1"

    order_id: str
    payment_round: int = 0
    """What PaymentCompleted said, for those who hear of the sale first. Defaults for events written before these
    fields existed."""
    payment_attempts: int = 0
    paid_at: datetime | None = None
    allocation: Allocation


class SeatsReleased(SeatsEvent, frozen=True, kw_only=True):
    """The seats can be had again, beside those that could already (`SeatsReturned`)."""

    subject_field: ClassVar[str] = "reservation_id"
    data_version: ClassVar[str] = "1.1"

    order_id: str | None
    reason: ReleaseReason
    allocation: Allocation


class SeatsReturned(SeatsEvent, frozen=True, kw_only=True):
    """Some of an order's sold seats can be had again, once for each part refund.

    `allocation` are all the seats that the order was sold.
    """

    subject_field: ClassVar[str] = "reservation_id"
    data_version: ClassVar[str] = "1.1"

    order_id: str
    number: int
    """The number of the order's part refund."""
    tickets: int
    returned_at: datetime
    """When they could be had again; the same if it is told again."""
    numbers: tuple[int, ...] | UnsetType = UNSET
    """Which tickets, where seats have numbers: the first of the allocation's seats is 1. Unset in sections by quantity,
    and in events written before this field existed."""
    allocation: Allocation


class SeatsMoved(SeatsEvent, frozen=True, kw_only=True):
    """Some of an order's numbered seats are others from now on. `allocation` are all that it has; its `moves` counts.

    Where two orders swap, each has an event of its own, and both have one `move_id`.
    """

    subject_field: ClassVar[str] = "reservation_id"

    order_id: str
    move_id: str
    numbers: tuple[int, ...]
    """Which tickets: the first of the allocation's seats is 1."""
    seats_before: tuple[NumberedSeat, ...]
    """What those tickets had."""
    moved_by: str
    """The id of the key, or of the person."""
    reason: str
    """The organizer's own words."""
    swapped_with: str | UnsetType = UNSET
    """The order that had the seats before; unset: they were free."""
    allocation: Allocation


class SaleRefused(SeatsEvent, frozen=True, kw_only=True):
    """Money came for a hold that had ended, or for a concert that is called off: it has to go back."""

    subject_field: ClassVar[str] = "reservation_id"
    data_version: ClassVar[str] = "1.2"

    order_id: str
    payment_round: int
    called_off: bool | UnsetType = UNSET
    """Is it for that? Unset, as in events written before this field existed: no."""
    allocation: Allocation


TOPIC = Topic(
    "concert-events",
    "concerts",
    (
        ConcertScheduled,
        SeatsReserved,
        SeatsSold,
        SeatsReleased,
        SeatsReturned,
        SaleRefused,
        KeyCreated,
        KeyRevoked,
        ConcertChanged,
        ConcertPostponed,
        ConcertCancelled,
        SeatsAdded,
        SeatsTaken,
        PriceChanged,
        SeatsBlocked,
        SeatsUnblocked,
        SeatsMoved,
        SeatPlanChanged,
        CodeCreated,
        CodeChanged,
        SeatsHeldBack,
        SeatsLetGo,
        WaitingListJoined,
        WaitingListLeft,
        SeatsOffered,
    ),
)
