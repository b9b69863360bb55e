"""What concerts tells the others."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from cludale.kernel.allocation import Allocation, SeatsEvent
from cludale.kernel.events import Event, Topic
from cludale.kernel.money import Money
from cludale.kernel.principals import Scope


class SectionPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A section as scheduled: so many seats at such a price each."""

    id: str
    name: str
    total_seats: int
    price: Money


class ConcertScheduled(Event, frozen=True, kw_only=True):
    """A concert can be found, if it is listed, and, from `on_sale_at` on, ordered."""

    subject_field: ClassVar[str] = "concert_id"
    data_version: ClassVar[str] = "1.2"

    concert_id: str
    artist: str
    date: str
    venue: str | None
    sections: tuple[SectionPlan, ...]
    on_sale_at: datetime | None
    max_per_order: int
    listed: bool = True
    """As all were that older versions tell of."""
    ends_at: str | None = None
    cancel_until: datetime | None = None
    organizer_id: str | UnsetType = msgspec.field(default=UNSET, name="organizer")
    """Whose it is; unset, as in events written before this field existed: the default organizer's."""
    max_per_buyer: int | UnsetType = UNSET
    """The most tickets of one buyer; unset, as in events written before this field existed: any number."""


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


class SeatsReserved(SeatsEvent, frozen=True, kw_only=True):
    """Seats are held until `expires_at`."""

    subject_field: ClassVar[str] = "reservation_id"

    order_id: str | None
    expires_at: datetime
    allocation: Allocation


class SeatsSold(SeatsEvent, frozen=True, kw_only=True):
    """The held seats were paid for; they belong to the order."""

    subject_field: ClassVar[str] = "reservation_id"

    order_id: str
    payment_round: int = 0
    """What PaymentCompleted said, for those who hear of the sale first. Defaults for events written before these
    fields existed."""
    payment_attempts: int = 0
    paid_at: datetime | None = None
    allocation: Allocation


class SeatsReleased(SeatsEvent, frozen=True, kw_only=True):
    """The seats can be had again."""

    subject_field: ClassVar[str] = "reservation_id"

    order_id: str | None
    reason: ReleaseReason
    allocation: Allocation


class SaleRefused(SeatsEvent, frozen=True, kw_only=True):
    """Money came for a hold that had ended, and there are no seats for it any more: it has to go back."""

    subject_field: ClassVar[str] = "reservation_id"

    order_id: str
    payment_round: int
    allocation: Allocation


TOPIC = Topic(
    "concert-events",
    "concerts",
    (ConcertScheduled, SeatsReserved, SeatsSold, SeatsReleased, SaleRefused, KeyCreated, KeyRevoked),
)
